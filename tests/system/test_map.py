"""The map file: watched, in force at once, or refused whole with the place. And the agent that reads it."""
import json
import time

import pytest
from hosts import wait_for
from mesh import NETMAP
from pace import WITHIN


def problem(mesh):
    return mesh.status(mesh.server).get("mapProblem") or ""


def in_the_kernel(mesh):
    """What the agent put into the kernel, without what counts by itself."""
    text = mesh.server.host.run("nft -s list table inet peergate; wg show mesh0 allowed-ips; wg show mesh0 peers; "
                                "ip route show dev mesh0", check=True).stdout
    return text.splitlines()


def test_change_is_in_force_at_once(mesh):
    when = mesh.apply(mesh.server)
    entry = mesh.server.host.wait_journal(unit="peergate-agent", since=when - 0.01, grep=r"in force")
    took = int(entry["__REALTIME_TIMESTAMP"]) / 1e6 - when
    print(f"map in force after {1000 * took:.0f} ms")
    assert took < WITHIN


def first_peer(**changes):
    return lambda m: {**m, "peers": [{**m["peers"][0], **changes}]}


@pytest.mark.parametrize("spoil,place", [
    (lambda m: json.dumps(m, indent=1)[:-10], "line "),
    (lambda m: {**m, "for": "n9"}, "for"),
    (lambda m: {**m, "peers": [*m["peers"], {**m["peers"][0], "id": "n9", "name": "x"}]}, "peers[2]"),
    (first_peer(addresses=["192.0.2.9"]), "peers[0].addresses[0]"),
    (first_peer(routes=["100.64.0.0/24"]), "peers[0].routes[0]"),
    (first_peer(ssh_host_keys=["@revoked * ssh-ed25519 AAAA"]), "peers[0].ssh_host_keys[0]"),
    (lambda m: {**m, "generation": 1}, "generation"),
], ids=["syntax", "for", "duplicate", "address", "route", "hostkey", "generation"])
def test_refused_whole_with_the_place(mesh, spoil, place):
    spoilt = spoil(mesh.map_for(mesh.server))
    before = in_the_kernel(mesh)
    mesh.put(mesh.server, spoilt)
    said = wait_for(lambda: problem(mesh), 10, "the refusal")
    assert NETMAP in said and place in said
    # What was in force stays in force.
    assert in_the_kernel(mesh) == before
    assert mesh.ssh("root@server id -un").stdout == "root\n"
    assert place in mesh.server.host.run("agentctl status").stdout
    mesh.apply(mesh.server)
    assert problem(mesh) == ""


def test_file_that_others_may_write(mesh):
    mesh.put(mesh.server, json.dumps(mesh.map_for(mesh.server)))
    mesh.server.host.run(f"cp -p {NETMAP} {NETMAP}.x; chmod 666 {NETMAP}.x; mv {NETMAP}.x {NETMAP}", check=True)
    assert "writ" in wait_for(lambda: problem(mesh), 10, "the refusal")
    mesh.apply(mesh.server)
    assert problem(mesh) == ""


def test_node_key_is_a_secret(mesh):
    server = mesh.server.host
    files = server.run("find /var/lib/peergate -type f -printf '%m %U %p\\n'", check=True).stdout.splitlines()
    assert files and all(line.startswith("600 ") for line in files if "key" in line)
    private = server.run("wg show mesh0 private-key", check=True).stdout.strip()
    assert len(private) == 44
    everything = "journalctl --no-pager; for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null; done"
    assert private not in server.run(everything).stdout


def test_restart_changes_nothing(mesh):
    server = mesh.server.host
    mesh.ssh("root@server true", check=True)
    state = "wg show mesh0 latest-handshakes; ip -d addr show mesh0; ip route show dev mesh0"
    before = server.run(state, check=True).stdout
    with server.popen("nft monitor") as monitor:
        time.sleep(2)
        server.run("systemctl restart peergate-agent", check=True)
        wait_for(lambda: mesh.status(mesh.server).get("generation"), 20, "the agent")
        time.sleep(1)
        monitor.kill()
        assert "peergate" not in monitor.out.read_rest()
    assert server.run(state, check=True).stdout == before


def test_agent_runs_with_one_capability(mesh):
    server = mesh.server.host
    pid = server.run("systemctl show -P MainPID peergate-agent", check=True).stdout.strip()
    status = dict(line.split(":", 1) for line in server.read(f"/proc/{pid}/status").splitlines())
    uid = server.run("id -u peergate", check=True).stdout.strip()
    assert status["Uid"].split() == [uid] * 4
    # Bit 12: CAP_NET_ADMIN.
    assert {status[c].strip() for c in ("CapEff", "CapPrm", "CapBnd")} == {f"{1 << 12:016x}"}
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
