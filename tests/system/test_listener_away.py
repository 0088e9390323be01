"""The gateway's listener is stopped, killed, upgraded: connections live on and keep counting, and no
connection is ever served by programs of two builds."""
import contextlib
import re
import time

import pytest
from absence import Held, ceiling, kill, still_there
from hosts import wait_for
from leftovers import EVERYTHING, logged_in
from logins import client, revoke_and_wait, session_pids
from mesh import login_processes
from pace import WITHIN

FOLDER = "/usr/libexec/peergate"
PROGRAMS = ["peergate-sshgw", *(f"peergate-sshgw-{name}" for name in ("monitor", "net", "session", "keys"))]

GOES = {
    "restarted": lambda server: server.run("systemctl restart peergate-sshgw.service", check=True),
    "stopped": lambda server: server.run("systemctl stop peergate-sshgw.service", check=True),
    "killed": lambda server: kill(server, "peergate-sshgw.service", "KILL"),
    "frozen and killed": lambda server: (kill(server, "peergate-sshgw.service", "STOP"),
                                         kill(server, "peergate-sshgw.service", "KILL")),
    "restarted with its sockets": lambda server: server.run("systemctl restart peergate-sshgw.socket", check=True),
}


@pytest.mark.parametrize("how", GOES)
def test_connections_live_on(mesh, how):
    server = mesh.server.host
    with logged_in(mesh) as one, Held(mesh, "id -un") as under_way:
        pids = session_pids(mesh, "alice", "cat", *one.stays)
        GOES[how](server)
        one.answers()
        assert one.sorts() == EVERYTHING
        # A login under way needs nobody who listens.
        under_way.let_go()
        assert under_way.result()[:2] == (0, "alice\n")
        # New ones find the new listener: it is started when they come, at the latest.
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        one.answers()
        assert revoke_and_wait(mesh, pids) < WITHIN
        one.ssh.read_until("Peergate: access was revoked: ", 20)
        assert one.ssh.wait(20) == 255
        one.only_left(set())


def test_new_keys_without_the_listener_that_began(mesh):
    """The process that signs stays for the connections that it was started for."""
    command = "ssh -o BatchMode=yes -o RekeyLimit=1M alice@server 'echo ready; wc -c'"
    with mesh.laptop.host.popen(command) as ssh:
        ssh.out.read_until("ready")
        mesh.server.host.run("systemctl restart peergate-sshgw.service", check=True)
        for _ in range(48):
            ssh.stdin.write(bytes(65536))
        ssh.stdin.close()
        ssh.out.read_until(str(48 * 65536), 60)
        assert ssh.wait(20) == 0, ssh.err.read_rest()


def test_connection_that_comes_while_it_restarts(mesh):
    """It waits in the socket, which is systemd's."""
    server = mesh.server.host
    for _ in range(3):
        with mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "id", "-un"]) as ssh:
            server.run("systemctl restart peergate-sshgw.service", check=True)
            assert ssh.wait(60) == 0, ssh.err.read_rest()
            assert ssh.out.read_rest() == "alice\n"


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_connections_keep_counting(mesh, how):
    server, began = mesh.server.host, time.time()
    with ceiling(mesh, "MaxConnectionsPerPeer=2"):
        server.run("systemctl reload peergate-sshgw.service || systemctl restart peergate-sshgw.service", check=True)
        with client(mesh, "cat") as one, client(mesh, "cat") as two:
            GOES[how](server)
            server.wait_journal(since=began, grep="Connections of an earlier listener that go on: 2")
            third = mesh.ssh("alice@server id")
            assert third.returncode == 255 and third.stdout == ""
            assert server.journal(since=began, grep="it has 2 of MaxConnectionsPerPeer= already")
            still_there(one)
            still_there(two)
            # An earlier listener's connection that ends makes room.
            one.kill()
            assert one.wait(20)
            wait_for(lambda: mesh.ssh("alice@server id -un").stdout == "alice\n", 20, "room for another")
    server.run("systemctl reload peergate-sshgw.service", check=True)


def test_nobody_is_locked_out_by_nohup(mesh):
    server, began = mesh.server.host, time.time()
    leave = "setsid -f sleep 474{} </dev/null >/dev/null 2>&1"
    with ceiling(mesh, "MaxConnectionsPerPeer=1", "MaxLeftRunningPerPeer=2"):
        server.run("systemctl restart peergate-sshgw.service", check=True)
        for i in range(2):
            mesh.ssh(f"alice@server '{leave.format(i)}'", check=True)
        # Longer than anything that has a time limit at the end of a connection.
        time.sleep(7)
        server.run("systemctl restart peergate-sshgw.service", check=True)
        mesh.ssh(f"alice@server '{leave.format(2)}'", check=True)
        # The newest had to go, and only that.
        server.wait_journal(since=began, grep="it has 2 of MaxLeftRunningPerPeer= already")
        wait_for(lambda: not [line for line in login_processes(server, "alice").values() if "4742" in line], 10,
                 "end of what was one too many")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        assert mesh.status(mesh.server)["sessions"] == 2
    server.run("systemctl reload peergate-sshgw.service", check=True)
    # By the lease that their monitors hold, revocation reaches them.
    assert revoke_and_wait(mesh, session_pids(mesh, "alice", "sleep 4740", "sleep 4741")) < WITHIN
    wait_for(lambda: mesh.status(mesh.server)["sessions"] == 0, 10, "end of the leases")


# -- upgrades


def build_of(server):
    return server.run(f"{FOLDER}/peergate-sshgw --version", check=True).stdout.split()[1]


PATCH = """
import os, sys
old, new, *paths = sys.argv[1:]
for path in paths:
    data = open(path, 'rb').read()
    assert data.count(old.encode()) > 0, path
    with open(path + '.new', 'wb') as f:
        f.write(data.replace(old.encode(), new.encode()))
    os.chmod(path + '.new', 0o755)
    os.rename(path + '.new', path)
"""


def install(server, old, new, programs):
    """Files of another build in place of these, as dpkg does it: renamed over them, one by one."""
    server.run(["python3", "-I", "-S", "-c", PATCH, old, new, *(f"{FOLDER}/{p}" for p in programs)], check=True)


def builds_in_use(server, pattern):
    """The builds of running processes whose command line matches."""
    found = server.run(f"""
        for pid in $(pgrep -f '{pattern}'); do
            grep -aoE '[0-9]+\\.[0-9]+\\.[0-9]+-[0-9a-f]{{16}}' /proc/$pid/exe | sort -u
        done""").stdout
    return set(found.split())


@contextlib.contextmanager
def another_build(server):
    """(the build that is installed, the name of another one); in the end the first is back."""
    ours = build_of(server)
    other = ours[:-16] + ("0123456789abcdef" if not ours.endswith("0123456789abcdef") else "fedcba9876543210")
    server.run(f"mkdir -p /tmp/ours && cp -p {FOLDER}/peergate-sshgw* /tmp/ours/", check=True)
    try:
        yield ours, other
    finally:
        for program in PROGRAMS:
            server.run(f"cp -p /tmp/ours/{program} {FOLDER}/{program}.new && "
                       f"mv {FOLDER}/{program}.new {FOLDER}/{program}", check=True)
        server.run("systemctl restart peergate-sshgw.service", check=True)
        assert build_of(server) == ours


def test_upgrade_under_open_sessions(mesh):
    server, laptop = mesh.server.host, mesh.laptop.host
    server.run("systemctl restart peergate-sshgw.service", check=True)
    with another_build(server) as (ours, other):
        with logged_in(mesh, options=("-M", "-S", "/tmp/mux")) as one:
            install(server, ours, other, PROGRAMS)
            assert build_of(server) == other
            # Another channel on the old connection: by the processes that serve it already.
            assert laptop.run("ssh -S /tmp/mux alice@server id -un", check=True).stdout == "alice\n"
            # Another connection, by the old listener: its own programs, though the files are gone.
            with client(mesh, "cat") as ssh:
                still_there(ssh)
                assert builds_in_use(server, "^peergate-sshgw-(monitor|net|session)") == {ours}
            server.run("systemctl restart peergate-sshgw.service", check=True)
            wait_for(lambda: len(server.run("pgrep -f ^peergate-sshgw-monitor").stdout.split()) == 1, 20, "the end")
            with client(mesh, "cat", user="root") as ssh:
                still_there(ssh)
                assert builds_in_use(server, "^peergate-sshgw-monitor") == {ours, other}
                newest = server.run("pgrep -n -f ^peergate-sshgw-monitor").stdout.strip()
                its = server.run(f"pgrep -P {newest}").stdout.split()
                assert len(its) == 2
                for pid in [newest, *its]:
                    assert other in server.run(f"grep -ao {other} /proc/{pid}/exe").stdout
            # And the old one goes on as it was, and ends as any.
            assert laptop.run("ssh -S /tmp/mux alice@server id -un", check=True).stdout == "alice\n"
            one.answers()
            assert one.sorts() == EVERYTHING
            one.kill()
            one.ssh.read_until("Peergate: access was revoked: ended by an operator", 20)
            assert one.ssh.wait(20) == 255
            one.only_left(set())


@pytest.mark.parametrize("program", PROGRAMS)
def test_half_an_upgrade(mesh, program):
    """With files of two builds it does not start, says why, and tries again until they fit."""
    server, began = mesh.server.host, time.time()
    with client(mesh, "cat") as ssh, another_build(server) as (ours, other):
        install(server, ours, other, [program])
        server.run("systemctl restart --no-block peergate-sshgw.service", check=True)
        told = server.wait_journal(since=began, grep="is of another build than peergate-sshgw itself")["MESSAGE"]
        assert re.search("an upgrade is under way", told)
        still_there(ssh)
        with mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "id", "-un"]) as waiting:
            install(server, ours, other, [p for p in PROGRAMS if p != program])
            # By itself: whoever came meanwhile has waited in the socket.
            assert waiting.wait(60) == 0
            assert waiting.out.read_rest() == "alice\n"
        still_there(ssh)
