#!/usr/bin/python3
"""What the shipped agent's memory comes to with maps of many sizes. Runs inside the machine that
tests/vm/run starts (tests/bench/agent.sh does that): WireGuard is the kernel's own.

Resident now, and at its worst: a new map is read while the old one is in force.
"""
import base64
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
from hosts import Host, Lan, start_all, stop_all, wait_for  # noqa: E402

SIZES = [(100, 100), (100, 1000), (1000, 100), (1000, 1000), (10000, 100), (10000, 1000)]
NETMAP = "/etc/peergate/netmap.json"


def address(peer):
    return f"100.{64 + (peer + 1024 >> 16)}.{peer + 1024 >> 8 & 255}.{peer & 255}"


def node(peer):
    key = base64.b64encode(peer.to_bytes(4, "little") + bytes([7] * 28)).decode()
    return {"id": f"n{peer + 2}", "name": f"h{peer + 2}", "addresses": [address(peer)],
            "node_key": key, "endpoints": [f"192.0.2.{1 + peer % 250}:{1024 + peer}"]}


def rule(number, peers, classes):
    """For the peers of four classes, to one to three ports; as in tests/bench/agent/workload.c."""
    wanted = {(number + k * (classes // 4)) % classes for k in range(4)}
    first = 1000 + number % 1000 * 60
    return {"src": [address(p) for p in range(peers) if p % classes in wanted], "proto": [6, 17],
            "dst": [{"ip": "100.64.0.1", "ports": [first + 20 * k, first + 20 * k + (9 if k == 2 else 0)]}
                    for k in range(1 + number % 3)], "origin": f"acls[{number}]"}


def network_map(peers, rules, generation):
    classes = rules // 5 if rules >= 1000 else 40
    return json.dumps({
        "type": "full", "version": 1, "for": "n1", "generation": generation,
        "self": {"id": "n1", "name": "server", "addresses": ["100.64.0.1"]},
        "mesh": {"domain": "mesh.example", "prefixes": ["100.64.0.0/10"]},
        "peers": [node(p) for p in range(peers)],
        "packet_filter": [rule(r, peers, classes) for r in range(rules)], "ssh_rules": []})


def memory(host):
    """Resident MB now, and the highest."""
    pid = host.run("systemctl show -P MainPID peergate-agent", check=True).stdout.strip()
    fields = dict(line.split(":", 1) for line in host.read(f"/proc/{pid}/status").splitlines())
    return [int(fields[key].split()[0]) / 1000 for key in ("VmRSS", "VmHWM")]


def in_force(host, generation):
    return f'"generation": {generation},' in host.run("agentctl status --json").stdout


def main():
    with Lan() as lan:
        host = Host("server", "192.0.2.1", "2001:db8::1", lan)
        start_all([host])
        try:
            host.write("/etc/peergate/agent.conf", f"Netmap={NETMAP}\n")
            print("| peers | rules | resident MB | at its highest MB |\n|--:|--:|--:|--:|")
            for generation, (peers, rules) in enumerate(SIZES, 1):
                host.run("systemctl stop peergate-agent", check=True)
                host.write(NETMAP, network_map(peers, rules, generation))
                host.run("systemctl start peergate-agent", check=True)
                wait_for(lambda: in_force(host, generation), 300, "the map in force", 1)
                time.sleep(2)
                now, highest = memory(host)
                print(f"| {peers} | {rules} | {now:.1f} | {highest:.1f} |", flush=True)
        finally:
            stop_all([host])


main()
