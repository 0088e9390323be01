"""Promise 9: ops can see it all."""
import json
import time

from hosts import wait_for


def test_nft_names_peers_and_rules(mesh):
    table = mesh.server.host.run("nft list table inet peergate", check=True).stdout
    assert 'comment "laptop"' in table and 'comment "phone"' in table
    assert "acls[0] line 14" in table
    # What is shown can be loaded again.
    mesh.server.host.run("nft list table inet peergate | nft -c -f -", check=True)


def test_counters_move(mesh):
    def packets():
        table = json.loads(mesh.server.host.run("nft -j list table inet peergate", check=True).stdout)
        return sum(e["counter"]["packets"] for entry in table["nftables"] if "acls[0]" in entry.get("rule", {}).get("comment", "")
                   for e in entry["rule"]["expr"] if "counter" in e)

    before = packets()
    mesh.ssh("root@server true", check=True)
    assert packets() > before


def test_ssh_policy_show(mesh):
    shown = mesh.server.host.run("agentctl ssh-policy show", check=True).stdout
    assert "alice@example.com" in shown and "laptop" in shown and "ssh[0] line 31" in shown
    rules = json.loads(mesh.server.host.run("agentctl ssh-policy show --json", check=True).stdout)["rules"]
    assert [rule["origin"] for rule in rules] == ["ssh[0] line 31"]


def test_journal_has_a_record_for_each_decision(mesh):
    began = time.time()
    mesh.ssh("root@100.64.0.1 true", check=True)
    mesh.ssh("root@100.64.0.1 true", node=mesh.phone)
    accepted = mesh.server.host.wait_journal(since=began, DECISION="accept")
    assert (accepted["USER"], accepted["NODE"], accepted["LOCAL_USER"], accepted["RULE"], accepted["PEER"]) == \
        ("alice@example.com", "laptop", "root", "ssh[0] line 31", mesh.laptop.ip4)
    refused = mesh.server.host.wait_journal(since=began, DECISION="reject")
    assert (refused["SSH_USER"], refused["PEER"]) == ("root", mesh.phone.ip4)
    assert "bob@example.com" in refused["MESSAGE"]


def tasks(host, unit):
    return host.run(f"systemctl show -P TasksCurrent {unit}", check=True).stdout


def test_journal_knows_the_unit_of_processes_that_have_ended(mesh):
    """A busy journal reads what a connection's processes wrote when these are gone, and cannot see where they ran."""
    host, began = mesh.server.host, time.time()
    alone = tasks(host, "peergate-sshgw.service")
    host.run("systemctl kill -s STOP systemd-journald", check=True)
    try:
        assert mesh.ssh("root@100.64.0.1 true", node=mesh.phone).returncode == 255
        wait_for(lambda: tasks(host, "peergate-sshgw.service") == alone, what="the end of the connection's processes")
    finally:
        host.run("systemctl kill -s CONT systemd-journald", check=True)
    refused = host.wait_journal(unit="peergate-sshgw", since=began, DECISION="reject")
    assert refused["PEER"] == mesh.phone.ip4 and "_SYSTEMD_UNIT" not in refused


def test_status_peers_whois(mesh):
    run = mesh.server.host.run
    mesh.laptop.host.run(["ping", "-c1", "-W10", mesh.server.ip4], check=True)
    status = run("agentctl status", user="alice", check=True).stdout
    assert "server" in status and "mesh0" in status
    peers = {p["node"]["nodeName"]: p for p in json.loads(run("agentctl peers --json", check=True).stdout)["peers"]}
    assert peers["laptop"]["lastHandshake"] > 0
    assert peers["laptop"]["endpoint"] == f"{mesh.laptop.host.ip4}:51820"
    assert "alice@example.com" in run(["agentctl", "whois", mesh.laptop.ip6], check=True).stdout
    assert run("agentctl whois 100.64.0.77").returncode == 1


def test_introspection(mesh):
    described = mesh.server.host.run(["python3", "-I", "-S", "-c", """
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/run/peergate/agent.sock')
s.sendall(b'{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.peergate.Agent"}}\\0')
data = b''
while not data.endswith(b'\\0'):
    data += s.recv(65536)
print(data.decode())
"""], check=True).stdout
    assert "method AuthorizeSSH" in described
