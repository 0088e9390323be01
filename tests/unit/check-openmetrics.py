#!/usr/bin/python3
"""Read what agentctl metrics prints with Prometheus' own parser: check-openmetrics.py FILE..."""
import sys

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    from prometheus_client.parser import text_string_to_metric_families as read_older
except ImportError:
    print("no python3-prometheus-client: nothing to read it with")
    sys.exit(77)

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert families["peergate_agent_up"].samples, path
    for family in families.values():
        assert family.type in ("counter", "gauge", "histogram"), f"{path}: {family.name} is {family.type}"
        assert family.documentation, f"{path}: {family.name} has no help"
    # node_exporter's textfile collector knows the older format only.
    older = {s.name for f in read_older(text) for s in f.samples}
    newer = {s.name for f in families.values() for s in f.samples}
    assert older == newer, f"{path}: {older ^ newer}"
    print(f"{path}: {len(families)} families, {len(newer)} series")
