"""Promise 9: what is explained is what happens then."""
import json
import re

import pytest

LISTEN = """
import socket, sys
s = socket.create_server(('', int(sys.argv[1])))
print('listening', flush=True)
while True:
    s.accept()[0].close()
"""

CONNECT = """
import socket, sys
s = socket.socket()
s.settimeout(4)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print('yes')
except OSError:
    print('no')
"""


def explain_login(host, *words):
    """The exit status and what "agentctl ssh-policy explain" says."""
    result = host.run(["agentctl", "ssh-policy", "explain", *words])
    assert result.returncode in (0, 1), result.stderr
    return result.returncode, result.stdout


def no_rules(mesh):
    mesh.ssh_rules["server"] = []


def other_user(mesh):
    mesh.ssh_rules["server"][0]["users"] = {"alice": "alice"}


def refusing(mesh):
    mesh.ssh_rules["server"].insert(0, {"principals": ["*"], "users": {}, "action": "reject", "origin": "ssh[9] line 99"})


def check(mesh):
    mesh.ssh_rules["server"][0]["action"] = "check"


def expired(mesh):
    mesh.ssh_rules["server"][0]["rule_expires"] = "2020-01-01T00:00:00Z"


def sftp_only(mesh):
    mesh.ssh_rules["server"][0]["force_command"] = "internal-sftp"


def nothing(mesh):
    pass


@pytest.mark.parametrize("change,user,rule", [
    (nothing, "root", "decides  ssh[0] line 31 accepts"),
    (nothing, "alice", "decides  ssh[0] line 31 accepts"),
    (nothing, "nosuchuser", "decides  ssh[0] line 31 accepts"),  # there is no such account
    (nothing, "peergate", "decides  ssh[0] line 31 accepts"),  # nobody's login
    (nothing, "daemon", "decides  ssh[0] line 31 accepts"),  # its shell refuses logins
    (sftp_only, "daemon", "allowed  account daemon (if not uid 0), for sftp only"),
    (sftp_only, "peergate-coord", "decides  ssh[0] line 31 accepts"),  # nobody's login
    (no_rules, "root", "no SSH rule names it"),
    (other_user, "root", 'skipped  ssh[0] line 31 names laptop, but not for "root"'),
    (refusing, "root", 'decides  ssh[9] line 99 says "reject"'),
    (check, "root", 'decides  ssh[0] line 31 says "check"'),
    (expired, "root", "skipped  ssh[0] line 31 has expired"),
], ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_login(mesh, change, user, rule):
    change(mesh)
    if change is not nothing:
        mesh.apply(mesh.server)
    status, said = explain_login(mesh.server.host, "laptop", user)
    result = mesh.ssh(f"{user}@server true")
    assert (status == 0) == (result.returncode == 0), said + result.stderr
    assert rule in said
    told = re.search("^the client is shown: (.*)$", said, re.M)
    assert (told[1] if told else None) == (result.stderr.splitlines()[0] if result.stderr else None)


@pytest.mark.parametrize("conf", ["SSH=no\n", "SSH=yes\n", "SSH=yes\nPermitRootLogin=yes\nDenyUsers=root\n",
                                  "SSH=yes\nPermitRootLogin=perhaps\n"])
def test_the_host_itself(mesh, conf):
    server = mesh.server.host
    before = server.read("/etc/peergate/sshgw.conf")
    server.write("/etc/peergate/sshgw.conf", conf)
    try:
        status, said = explain_login(server, "100.64.0.2", "root")
        result = mesh.ssh("root@server true")
    finally:
        server.write("/etc/peergate/sshgw.conf", before)
    assert (status, result.returncode) == (1, 255)
    told = re.search("^the client is shown: (.*)$", said, re.M)[1]
    assert told == result.stderr.splitlines()[0]


def test_without_a_packet_filter_rule(mesh):
    mesh.filter["server"] = [rule for rule in mesh.filter["server"] if "acls[0]" not in rule["origin"]]
    mesh.apply(mesh.server)
    status, said = explain_login(mesh.server.host, "laptop", "root")
    assert status == 1
    assert "the client is shown nothing: its packets are dropped until it gives up" in said
    assert "missing: a packet filter rule that lets laptop reach server on tcp 22" in said
    result = mesh.ssh("-o ConnectTimeout=3 root@100.64.0.1 id")
    assert result.returncode == 255 and "Peergate" not in result.stderr


def test_from_the_other_side(mesh):
    status, said = explain_login(mesh.laptop.host, "root@server")
    assert status == 1
    assert "unknown: only server knows whether laptop can log in there as root" in said
    assert "server has told its SSH host keys" in said
    asked = re.search("^ask on server: (.*)$", said, re.M)[1]
    assert mesh.server.host.run(asked).returncode == 0


@pytest.mark.parametrize("source,port,rule", [
    ("laptop", 8000, "acls[1] line 15 lets it in"),
    ("laptop", 8099, "acls[1] line 15 lets it in"),
    ("laptop", 8100, "acls[0] line 14 fits but for the port"),
    ("phone", 8000, "acls[3] line 17 fits but for the port"),
    ("phone", 22, "acls[3] line 17 lets it in"),
])
def test_flow(mesh, source, port, rule):
    server, node = mesh.server.host, getattr(mesh, source)
    with server.popen(["python3", "-I", "-S", "-c", LISTEN, *(["7999"] if port == 22 else [str(port)])]) as listener:
        listener.out.read_until("listening")
        said = server.run(["agentctl", "acl", "explain", source, f"server:{port}"])
        happened = node.host.run(["python3", "-I", "-S", "-c", CONNECT, mesh.server.ip4, str(port)], check=True).stdout
    assert rule in said.stdout
    assert (said.returncode == 0) == (happened == "yes\n"), said.stdout


def test_flow_counts_where_it_is_said(mesh):
    """The rule that is named is the one whose counter moves."""
    server = mesh.server.host
    said = json.loads(server.run(["agentctl", "acl", "explain", "--json", "laptop", "server/icmp"]).stdout)
    assert said["answer"] == "yes"
    index = said["flows"][0]["open"][0]["index"]

    def packets():
        chain = json.loads(server.run(f"nft -j list chain inet peergate acl_{index}", check=True).stdout)
        return sum(e["counter"]["packets"] for entry in chain["nftables"]
                   for e in entry.get("rule", {}).get("expr", []) if "counter" in e)

    before = packets()
    mesh.laptop.host.run(["ping", "-c1", "-W10", mesh.server.ip4], check=True)
    assert packets() > before


def test_flow_elsewhere_is_asked_there(mesh):
    here = mesh.server.host.run("agentctl acl explain server laptop:9000")
    assert here.returncode == 1 and "only laptop knows" in here.stdout
    asked = re.search("^ask on laptop: (.*)$", here.stdout, re.M)[1]
    there = mesh.laptop.host.run(asked, check=True)
    assert "acls[4] line 18 lets it in" in there.stdout


def test_flow_from_who_is_no_peer(mesh):
    said = mesh.server.host.run("agentctl acl explain 100.64.0.77 server:22")
    assert said.returncode == 1 and "the source is no peer of server" in said.stdout
    assert mesh.server.host.run("agentctl acl explain nobody server").returncode == 1
    assert mesh.server.host.run("agentctl acl explain laptop server:ssh").returncode == 2
