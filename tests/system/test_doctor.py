"""agentctl doctor finds what is wrong, and says what to do: each trouble here is a real one."""
import contextlib
import json
import time
from pathlib import Path

import pytest
from hosts import wait_for


def doctor(node, user=None):
    """Findings by check: {"ssh": [{"state": "bad", "what": ...}]}, and the exit status."""
    result = node.host.run("agentctl doctor --json", user=user, timeout=90)
    assert result.returncode in (0, 1), result.stderr
    checks = {}
    for finding in json.loads(result.stdout)["checks"]:
        checks.setdefault(finding["check"], []).append(finding)
    bad = any(f["state"] == "bad" for findings in checks.values() for f in findings)
    assert result.returncode == (1 if bad else 0)
    return checks


def find(checks, area, state, words):
    found = [f for f in checks[area] if f["state"] == state and words in f["what"]]
    assert found, f"no {state} finding of {area} with '{words}' in {checks[area]}"
    return found[0]


@contextlib.contextmanager
def ruleset(node, table, text):
    """A foreign table, loaded and taken away again. nft wants a new line before a closing brace."""
    node.host.write("/tmp/rules.nft", text.replace("}", "\n}"))
    node.host.run("nft -f /tmp/rules.nft", check=True)
    try:
        yield
    finally:
        node.host.run(f"nft delete table {table}", check=True)


def test_nothing_is_bad_on_a_healthy_host(mesh):
    # A tunnel that nobody has used yet is seen to work, too.
    checks = doctor(mesh.server)
    assert not [f for findings in checks.values() for f in findings if f["state"] == "bad"]
    for area, words in (("agent", "runs, version"), ("agent", "agrees with the map"), ("firewall", "no other table"),
                        ("network", "over mesh0"), ("wireguard", "UDP port 51820"),
                        ("wireguard", "2 of 2 peers"), ("ssh", "the gateway listens"),
                        ("sshd", "says nothing of the mesh")):
        find(checks, area, "good", words)
    find(doctor(mesh.laptop), "client", "good", "knows the host keys")


def test_who_is_not_root_is_told_so(mesh):
    checks = doctor(mesh.server, user="alice")
    assert find(checks, "firewall", "unknown", "needs root")["remedy"] == "run this as root"
    find(checks, "agent", "good", "runs, version")
    find(checks, "wireguard", "good", "UDP port 51820")


def test_for_people(mesh):
    shown = mesh.server.host.run("agentctl doctor", timeout=90).stdout
    assert shown.splitlines()[0].split() == ["STATE", "CHECK", "WHAT"]
    assert "no other table drops what the map allows" in shown


def test_firewalls_that_drop_us(mesh):
    with ruleset(mesh.server, "inet firewalld", """
        table inet firewalld {
            chain filter_IN_public { tcp dport 22 accept
                udp dport 51820 accept
                reject with icmpx admin-prohibited }
            chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
                ct state { established, related } accept
                iifname "lo" accept
                goto filter_IN_public } }"""):
        found = find(doctor(mesh.server), "firewall", "bad", "firewalld drops what the map lets in from mesh0")
        # tcp/22 gets through, the other ports of the map do not. Seen for real:
        assert "tcp/22" not in found["what"] and "tcp/8000" in found["what"]
        assert "--zone=trusted --add-interface=mesh0" in found["remedy"]
        assert mesh.laptop.host.run(["ping", "-c1", "-W3", mesh.server.ip4]).returncode
    with ruleset(mesh.server, "ip filter", """
        table ip filter {
            chain ufw-user-input { tcp dport 80 accept }
            chain INPUT { type filter hook input priority 0; policy drop;
                iifname "lo" accept
                ct state related,established accept
                jump ufw-user-input } }"""):
        checks = doctor(mesh.server)
        assert find(checks, "firewall", "bad", "ufw drops what the map")["remedy"] == "ufw allow in on mesh0"
        assert find(checks, "firewall", "warn", "WireGuard")["remedy"] == "ufw allow 51820/udp"
        assert mesh.laptop.host.run(["ping", "-c1", "-W3", mesh.server.ip4]).returncode
    find(doctor(mesh.server), "firewall", "good", "no other table")


def test_gateway_that_does_not_listen(mesh):
    run = mesh.server.host.run
    run("systemctl stop peergate-sshgw.socket peergate-sshgw.service", check=True)
    try:
        found = find(doctor(mesh.server), "ssh", "bad", "nobody listens at 127.0.0.1 and [::1] port 2022")
        assert found["remedy"] == "systemctl enable --now peergate-sshgw.socket"
        run(found["remedy"], check=True)
    finally:
        run("systemctl start peergate-sshgw.socket", check=True)
    find(doctor(mesh.server), "ssh", "good", "the gateway listens")


def test_ssh_without_a_rule_and_below_the_ceiling(mesh):
    mesh.ssh_rules["server"] = []
    mesh.apply(mesh.server)
    find(doctor(mesh.server), "ssh", "bad", "no SSH rule lets anybody in")
    conf = mesh.server.host.read("/etc/peergate/sshgw.conf")
    mesh.server.host.write("/etc/peergate/sshgw.conf", conf.replace("SSH=yes", "SSH=no"))
    try:
        assert "SSH=yes" in find(doctor(mesh.server), "ssh", "bad", "this host's own ceiling")["remedy"]
    finally:
        mesh.server.host.write("/etc/peergate/sshgw.conf", conf)


def test_wrong_endpoint(mesh):
    content = mesh.map_for(mesh.laptop)
    peer = next(p for p in content["peers"] if p["name"] == "server")
    peer["endpoints"] = [f"{mesh.server.host.ip4}:51999"]
    mesh.put(mesh.laptop, json.dumps(content))
    wait_for(lambda: mesh.status(mesh.laptop)["generation"] == content["generation"], 20, "map in force")
    # Without the session that there is; the agent makes the link anew.
    mesh.laptop.host.run("ip link delete mesh0", check=True)
    wait_for(lambda: mesh.laptop.host.run("ip link show mesh0 up").stdout, 20, "link made anew")
    checks = doctor(mesh.laptop)
    found = [f for f in checks["wireguard"] if f["state"] in ("warn", "bad") and
             f"server at {mesh.server.host.ip4}:51999" in f["what"]]
    assert found and "UDP" in found[0]["remedy"], checks["wireguard"]


def test_map_from_the_future(mesh):
    content = mesh.map_for(mesh.server)
    content["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
    mesh.put(mesh.server, json.dumps(content))
    wait_for(lambda: mesh.status(mesh.server)["generation"] == content["generation"], 20, "map in force")
    find(doctor(mesh.server), "clock", "bad", "in the future")


def test_route_that_leads_elsewhere(mesh):
    device = mesh.server.host.run("ip -o -4 route show default || true; ip -o route get 192.0.2.2",
                                  check=True).stdout.split(" dev ")[1].split()[0]
    mesh.server.host.run(["ip", "route", "add", f"{mesh.laptop.ip4}/32", "dev", device], check=True)
    try:
        found = find(doctor(mesh.server), "network", "bad", f"leads over {device} instead of mesh0")
        assert "laptop" in found["what"]
    finally:
        mesh.server.host.run(["ip", "route", "del", f"{mesh.laptop.ip4}/32", "dev", device], check=True)


def test_another_network_with_the_same_addresses(mesh):
    run = mesh.server.host.run
    run("ip link add tailscale0 type dummy && ip addr add 100.101.102.103/32 dev tailscale0", check=True)
    try:
        found = find(doctor(mesh.server), "network", "warn", "tailscale0 has the address 100.101.102.103")
        assert "Tailscale drops" in found["remedy"]
    finally:
        run("ip link del tailscale0", check=True)


def test_sshd_configuration_that_surprises(mesh):
    path = "/etc/ssh/sshd_config.d/mesh.conf"
    mesh.server.host.write(path, f"ListenAddress {mesh.server.ip4}\nMatch Address 100.64.0.0/10\n")
    try:
        checks = doctor(mesh.server)
        find(checks, "sshd", "warn", f"sshd listens at {mesh.server.ip4} port 22 and nowhere else")
        find(checks, "sshd", "warn", "Match Address 100.64.0.0/10")
    finally:
        mesh.server.host.run(["rm", path], check=True)


@pytest.mark.parametrize("line, words", [("HostKeyAlias other", "under another name"),
                                         ("Port 2200", "another port"),
                                         ("User nobody", "as nobody"),
                                         ("GlobalKnownHostsFile /dev/null", "ssh_known_hosts")])
def test_ssh_configuration_that_overrides(mesh, line, words):
    run = mesh.laptop.host.run
    run("mkdir -p -m 700 /root/.ssh", check=True)
    mesh.laptop.host.write("/root/.ssh/config", f"Host server\n\t{line}\n", 0o600)
    try:
        find(doctor(mesh.laptop), "client", "warn", words)
    finally:
        run("rm /root/.ssh/config", check=True)


def test_agent_that_does_not_run(mesh):
    run = mesh.phone.host.run
    run("systemctl stop peergate-agent", check=True)
    try:
        found = find(doctor(mesh.phone), "agent", "bad", "does not run")
        assert "systemctl start peergate-agent" in found["remedy"]
    finally:
        run("systemctl start peergate-agent", check=True)
    find(doctor(mesh.phone), "agent", "good", "runs, version")


# -- agentctl metrics


def metrics(node, *options):
    result = node.host.run(["agentctl", "metrics", *options], user="alice" if node.name == "server" else None)
    assert result.stdout.splitlines()[-1] == "# EOF"
    samples = (line.rsplit(" ", 1) for line in result.stdout.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def test_metrics_count_what_happens(mesh):
    host, before = mesh.server.host, metrics(mesh.server)
    assert before["peergate_agent_up"] == before["peergate_map_in_force"] == before["peergate_kernel_in_step"] == 1
    assert before["peergate_map_generation"] == mesh.status(mesh.server)["generation"]

    mesh.ssh("root@server true", check=True)
    assert mesh.ssh("nobody@server true", node=mesh.phone).returncode
    mesh.laptop.host.run(f"nc -w2 {mesh.server.ip4} 4444 </dev/null")
    # Before the table is made anew: what it counts between looks is lost then.
    dropped = 'peergate_dropped_packets_total{reason="no rule lets it in"}'
    wait_for(lambda: metrics(mesh.server)[dropped] > before.get(dropped, 0), 20, "a dropped packet is counted")
    host.run("nft add rule inet peergate forward counter", check=True)
    wait_for(lambda: metrics(mesh.server)["peergate_foreign_changes_total"] > before["peergate_foreign_changes_total"],
             20, "a foreign change is counted")
    session = mesh.laptop.host.popen("ssh -o BatchMode=yes root@server sleep 300")
    try:
        wait_for(lambda: metrics(mesh.server)["peergate_ssh_sessions"] == 1, 40, "a session is counted")
        mesh.ssh_rules["server"] = []
        mesh.apply(mesh.server)
        wait_for(lambda: metrics(mesh.server)["peergate_ssh_sessions"] == 0, 20, "the session is gone")
    finally:
        session.kill()
        session.close()

    time.sleep(1.5)  # the kernel is asked once a second
    after = metrics(mesh.server)

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    assert grown("peergate_ssh_logins_accepted_total") == 2
    assert sum(grown(name) for name in after if name.startswith("peergate_ssh_logins_rejected_total")) == 1
    assert grown('peergate_ssh_revocations_total{reason="policy"}') == 1
    assert grown("peergate_maps_accepted_total") == 1
    assert grown("peergate_apply_duration_seconds_count") >= 2
    assert after["peergate_apply_duration_seconds_count"] == after['peergate_apply_duration_seconds_bucket{le="+Inf"}']
    assert grown("peergate_accepted_packets_total") > 10
    assert grown(dropped) > 0
    assert grown("peergate_link_receive_bytes_total") > 1000
    assert sum(after[name] for name in after if name.startswith("peergate_peers{")) == 2


def test_metrics_of_each_peer_only_when_asked_for(mesh):
    mesh.laptop.host.run(["ping", "-c1", "-W10", mesh.server.ip4], check=True)
    time.sleep(1.1)
    assert not [name for name in metrics(mesh.server) if "laptop" in name]
    asked = metrics(mesh.server, "--per-peer")
    assert asked['peergate_peer_receive_bytes_total{node="n2",name="laptop"}'] > 0
    age = time.time() - asked['peergate_peer_handshake_time_seconds{node="n2",name="laptop"}']
    assert -5 < age < 600


def test_metrics_without_an_agent(mesh):
    run = mesh.phone.host.run
    run("systemctl stop peergate-agent", check=True)
    try:
        result = run("agentctl metrics")
        assert result.returncode == 3 and "not running" in result.stderr
        assert metrics(mesh.phone) == {"peergate_agent_up": 0}
    finally:
        run("systemctl start peergate-agent", check=True)


def test_metrics_unit_of_the_man_page(mesh):
    page = (Path(__file__).resolve().parents[2] / "agent/ctl/agentctl.1").read_text()
    unit = page.split("# /etc/systemd/system/peergate-metrics.service\n")[1].split("\n\n")[0]
    host = mesh.phone.host
    host.write("/etc/systemd/system/peergate-metrics.service", unit.replace("\\e", "\\").replace("\\-", "-"))
    host.run("systemctl daemon-reload && systemctl start peergate-metrics", check=True)
    assert "peergate_agent_up 1\n" in host.read("/var/lib/peergate-metrics/peergate.prom")
