"""What the journal tells of a connection; and what becomes of peers whose connections misbehave."""
import contextlib
import time

from absence import ceiling
from hosts import wait_for
from records import whole_story

KNOCK = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 22), 30) as s:
        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
        s.settimeout(30)
        said = b''
        try:
            while more := s.recv(1000):
                said += more
        except OSError:
            pass
    print(said.split(b'\\r\\n')[0].decode())
"""


def test_story_of_a_login(mesh):
    """Who, from where, as whom, by which rule, for how long, how much: in every record of it."""
    server, began = mesh.server.host, time.time()
    argv = ["ssh", "-o", "BatchMode=yes", "alice@100.64.0.1", "head -c 300000 /dev/zero; wc -c >/dev/null; sleep 1; exit 7"]
    assert mesh.laptop.host.run(argv, input="x" * 1000).returncode == 7
    records = whole_story(server, began, EVENT="session-ended", LOCAL_USER="alice")
    assert [r["EVENT"] for r in records] == ["connection-begun", "decision", "session-begun", "session-ended", "connection-ended"]
    # No user's process can say that of itself (peergate-sshgw(8)).
    assert {r["_UID"] for r in records} == {"0"}
    _, decision, begun, session, connection = records
    who = "USER", "NODE", "PEER", "LOCAL_USER", "SSH_USER", "RULE", "LEASE", "CONNECTION"
    for record in begun, session, connection:
        assert {name: record[name] for name in who} == {name: decision[name] for name in who}
    assert decision["USER"] == "alice@example.com" and decision["NODE"] == "laptop" and decision["PEER"] == mesh.laptop.ip4
    assert (session["CHANNEL"], session["CHANNEL_KIND"], session["EXIT_STATUS"]) == (begun["CHANNEL"], "exec", "7")
    assert (session["BYTES_TO_CLIENT"], session["BYTES_FROM_CLIENT"]) == ("300000", "1000")
    # TCP's, with all that encryption and key exchange add.
    assert 300000 < int(connection["BYTES_TO_CLIENT"]) < 400000 and 1000 < int(connection["BYTES_FROM_CLIENT"]) < 50000
    assert 1000000 <= int(session["DURATION_USEC"]) <= int(connection["DURATION_USEC"]) < 60000000
    assert (connection["OUTCOME"], connection["END_REASON"]) == ("logged-in", "the client closed it")


def test_how_sessions_end(mesh):
    server, began = mesh.server.host, time.time()
    mesh.laptop.host.run(["ssh", "-o", "BatchMode=yes", "alice@server", "kill -TERM $$"])
    killed = server.wait_journal(since=began, EVENT="session-ended", EXIT_SIGNAL="TERM")
    assert "was killed by signal TERM" in killed["MESSAGE"] and "EXIT_STATUS" not in killed
    mesh.laptop.host.run("echo 'get /etc/passwd /tmp/passwd' | sftp -q -b - alice@server", check=True)
    sftp = server.wait_journal(since=began, EVENT="session-ended", CHANNEL_KIND="sftp")
    assert int(sftp["BYTES_TO_CLIENT"]) > len(server.read("/etc/passwd")) and sftp["EXIT_STATUS"] == "0"
    with mesh.laptop.host.pty("ssh alice@server") as terminal:
        terminal.read_until(r"\$ $")
    cut = server.wait_journal(since=began, EVENT="session-ended", CHANNEL_KIND="shell")
    assert cut["TERMINAL"].startswith("pts/")


def test_story_of_a_revocation(mesh):
    server, began = mesh.server.host, time.time()
    with mesh.laptop.host.popen("ssh -o BatchMode=yes alice@server 'echo ready; exec sleep 4811'") as ssh:
        ssh.out.read_until("ready")
        mesh.ssh_rules["server"] = []
        mesh.apply(mesh.server)
        assert ssh.wait(30) == 255
    records = whole_story(server, began, EVENT="revocation")
    assert [r["EVENT"] for r in records][-3:] == ["revocation", "session-ended", "connection-ended"]
    assert records[-1]["END_REASON"] == "the agent revoked the lease"
    assert records[-2]["BYTES_TO_CLIENT"] == "6"


def test_refused_and_never_logged_in(mesh):
    server, began = mesh.server.host, time.time()
    mesh.ssh("root@server id", node=mesh.phone)
    refused = whole_story(server, began, EVENT="decision", DECISION="reject")
    assert [r["EVENT"] for r in refused] == ["connection-begun", "decision", "connection-ended"]
    assert refused[-1]["OUTCOME"] == "refused" and int(refused[-1]["BYTES_FROM_CLIENT"]) > 0
    mesh.phone.host.run(["python3", "-I", "-S", "-c", KNOCK, mesh.server.ip4, "1"], check=True)
    broken = server.wait_journal(since=began, EVENT="connection-ended", OUTCOME="no-login")
    assert broken["END_REASON"] == "the client broke the protocol" and broken["PEER"] == mesh.phone.ip4


@contextlib.contextmanager
def few_records(host):
    """The journal takes thirty of a service at most: the burst is multiplied by up to six, where disks are large."""
    path = "/run/systemd/journald.conf.d/few.conf"
    host.run("mkdir -p /run/systemd/journald.conf.d", check=True)
    host.write(path, "[Journal]\nRateLimitIntervalSec=10m\nRateLimitBurst=5\n")
    host.run("systemctl restart systemd-journald", check=True)
    try:
        yield
    finally:
        host.run(f"rm {path}; systemctl restart systemd-journald", check=True)


CONNECT = """
import socket, sys
for _ in range(int(sys.argv[1])):
    with socket.create_connection(("127.0.0.1", 7001), 30) as s:
        s.settimeout(30)
        assert not s.recv(1)
"""


def test_records_of_one_do_not_silence_others(mesh):
    """The journal's limit for a service would drop anybody's: the gateway has its own, of each client."""
    server, laptop, began, many = mesh.server.host, mesh.laptop.host, time.time(), 60
    mesh.ssh_rules["server"][0]["forwarding"] = {"agent": False, "local": True, "remote": False}
    mesh.apply(mesh.server)
    with few_records(server):
        # Another service gets as far as that.
        server.run(f"systemd-run -q --wait -u noisy sh -c 'for i in $(seq {many}); do echo noise; done'", check=True)
        assert 5 <= len(server.journal(since=began, unit="noisy", MESSAGE="noise")) <= 30
        with laptop.popen("exec ssh -v -N -o BatchMode=yes -L 7001:127.0.0.1:1 alice@100.64.0.1") as ssh:
            ssh.err.read_until("Entering interactive session")
            laptop.run(["python3", "-I", "-S", "-c", CONNECT, str(many)], check=True)
            mesh.ssh("root@100.64.0.1 id", node=mesh.phone)
        server.wait_journal(since=began, EVENT="decision", DECISION="reject", PEER=mesh.phone.ip4)
        assert len(server.journal(since=began, EVENT="forward-failed", PEER=mesh.laptop.ip4)) == many


RESET = """
import socket, struct, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 22), 30) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
"""


def knock(node, server, n):
    """What it is told first, each time."""
    return node.host.run(["python3", "-I", "-S", "-c", KNOCK, server.ip4, str(n)], check=True).stdout.splitlines()


@contextlib.contextmanager
def penalties(mesh, *settings):
    """The gateway with these, which knows of nothing that happened before, and forgets what happened meanwhile."""
    try:
        with ceiling(mesh, *settings):
            mesh.server.host.run("systemctl restart peergate-sshgw", check=True)
            yield
    finally:
        mesh.server.host.run("systemctl restart peergate-sshgw", check=True)


def test_peer_that_misbehaves_is_refused(mesh):
    """For a while, longer the next time; nobody else is."""
    server, began = mesh.server.host, time.time()
    with penalties(mesh, "PenaltyAfter=5", "PenaltyTime=6s"):
        assert not [line for line in knock(mesh.phone, mesh.server, 5) if line.startswith("Peergate: ")]
        server.wait_journal(since=began, EVENT="penalty", PEER=mesh.phone.ip4)
        told = knock(mesh.phone, mesh.server, 40)
        assert told[0].startswith("Peergate: too many connections from this address did not log in; try again in ")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        assert 1 <= len(server.journal(since=began, grep="its connections misbehaved, for [0-9]+ s more")) <= 20
        # It is over by itself, and twice as long for who goes on.
        wait_for(lambda: not knock(mesh.phone, mesh.server, 1)[0].startswith("Peergate: "), 30, "its end", 0.5)
        knock(mesh.phone, mesh.server, 5)
        assert server.wait_journal(since=began, grep="Refusing connections from .* for 12 s")["PEER"] == mesh.phone.ip4


def test_peer_that_resets_is_refused(mesh):
    """Who connects and resets at once costs something each time, too."""
    server, began = mesh.server.host, time.time()
    with penalties(mesh, "PenaltyAfter=5", "PenaltyTime=60s"):
        mesh.phone.host.run(["python3", "-I", "-S", "-c", RESET, mesh.server.ip4, "5"], check=True)
        server.wait_journal(since=began, EVENT="penalty", PEER=mesh.phone.ip4)
        assert knock(mesh.phone, mesh.server, 1)[0].startswith("Peergate: too many connections from this address")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
