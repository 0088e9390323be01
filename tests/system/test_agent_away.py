"""The agent is stopped, killed, replaced, frozen, without a map: sessions live on, logins wait or are told
why not, and what was revoked meanwhile ends at once when it is back."""
import contextlib
import json
import time

import pytest
from absence import Held, ceiling, drop_in, kill, main_pid, still_there
from hosts import wait_for
from logins import client, in_a_while, nothing_left, revoke_and_wait, session_pids, wake_tunnel
from mesh import NETMAP, login_processes
from pace import WITHIN
from records import events, of, whole_story

AGENT = "/usr/libexec/peergate/peergate-agent"
KEPT = "/var/lib/peergate/netmap.json"


# Of the same length, so that nothing in the file moves.
NEXT_RELEASE = """
import sys
old, new = (a.encode() + b'\\0' for a in sys.argv[2:])
data = open(sys.argv[1], 'rb').read()
assert old in data
open(sys.argv[1], 'wb').write(data.replace(old, new))
"""


def version(server):
    return json.loads(server.run("agentctl version --json", check=True).stdout)["agent"]


def replace_and_restart(server):
    """As dpkg does it: another file, with another version."""
    old = version(server)
    new = "9" + old[1:]
    server.run(f"cp -a {AGENT} {AGENT}.old && cp -a {AGENT} {AGENT}.new", check=True)
    server.run(["python3", "-I", "-S", "-c", NEXT_RELEASE, f"{AGENT}.new", old, new], check=True)
    server.run(f"mv {AGENT}.new {AGENT} && systemctl restart peergate-agent", check=True)
    wait_for(lambda: server.run("agentctl version --json").returncode == 0, 30, "the agent")
    assert version(server) == new


def put_back(server):
    server.run(f"test ! -e {AGENT}.old || {{ mv {AGENT}.old {AGENT} && systemctl restart peergate-agent; }}", check=True)


def stop_and_start(server):
    server.run("systemctl stop peergate-agent", check=True)
    time.sleep(2)
    server.run("systemctl start peergate-agent", check=True)


GOES = {
    "restarted": lambda server: server.run("systemctl restart peergate-agent", check=True),
    "stopped for a while": stop_and_start,
    "killed": lambda server: kill(server, "peergate-agent", "KILL"),
    "upgraded": replace_and_restart,
}


@pytest.mark.parametrize("how", GOES)
def test_session_lives_on(mesh, how):
    server, began = mesh.server.host, time.time()
    with contextlib.ExitStack() as stack:
        stack.callback(put_back, server)
        ssh = stack.enter_context(client(mesh, "cat"))
        pids = session_pids(mesh, "alice", "cat")
        GOES[how](server)
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        still_there(ssh)
        # It is among the new agent's sessions, which can end it.
        assert mesh.status(mesh.server)["sessions"] == 1
        assert revoke_and_wait(mesh, pids) < WITHIN
        ssh.err.read_until("access was revoked", 10)
        assert ssh.wait(20) == 255
    nothing_left(mesh, "alice")


def test_all_of_many_come_back(mesh):
    server = mesh.server.host
    clients = [client(mesh, f"sleep 480{i}") for i in range(6)]
    try:
        kill(server, "peergate-agent", "KILL")
        wait_for(lambda: server.run("systemctl is-active peergate-agent").stdout == "active\n", 30, "the agent")
        wait_for(lambda: mesh.status(mesh.server)["sessions"] == len(clients), 20, "the leases of all")
        mesh.ssh_rules["server"] = []
        mesh.apply(mesh.server)
        wait_for(lambda: not login_processes(server, "alice"), 20, "end of all of them")
    finally:
        for ssh in clients:
            ssh.kill()
            ssh.close()
    nothing_left(mesh, "alice")


# More callers than a queue has places for, who hang up and come again. Says when it was full.
CROWD = """
import os, resource, socket, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2048), hard))
path, parent = '/run/peergate/agent.sock', os.getpid()
for i in range(5):
    if os.fork() == 0:
        while os.getppid() == parent:
            held = []
            try:
                while len(held) < 1000:
                    held.append(socket.socket(socket.AF_UNIX))
                    held[-1].connect(path)
                    held[-1].send(b'x')
            except OSError:
                pass
        os._exit(0)
while True:
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(path)
    except BlockingIOError:
        break
    time.sleep(0.05)
print('full', flush=True)
time.sleep(3600)
"""


@pytest.mark.limit(240)
def test_a_crowd_at_the_agents_door(mesh):
    """Whoever may open a socket can fill its queue: not the one by which logins are decided, and resumed."""
    server = mesh.server.host
    with client(mesh, "cat") as ssh, server.popen(["python3", "-I", "-S", "-c", CROWD], user="nobody") as crowd:
        kill(server, "peergate-agent", "STOP")
        try:
            crowd.out.read_until("full", 25)
        finally:
            kill(server, "peergate-agent", "CONT")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        began = time.time()
        server.run("systemctl restart peergate-agent", check=True)
        server.wait_journal(60, since=began, grep="The agent is back and keeps the lease")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        assert server.run("agentctl status").returncode == 0
        still_there(ssh)


# -- frozen


@pytest.mark.limit(240)
def test_frozen_agent_is_noticed(mesh):
    """Without a watchdog: its sockets stay open, and it says nothing."""
    server, began = mesh.server.host, time.time()
    with drop_in(server, "peergate-agent", "[Service]\nWatchdogSec=0\n"), client(mesh, "cat") as ssh, \
            Held(mesh, "id -un") as under_way:
        pids = session_pids(mesh, "alice", "cat")
        frozen = time.monotonic()
        kill(server, "peergate-agent", "STOP")
        try:
            # A login whose key exchange is over finds nobody to decide.
            under_way.let_go()
            status, out, err = under_way.result()
            assert (status, out) == (255, "")
            assert "the agent of this host does not answer; try again" in err
            assert time.monotonic() - frozen < 40
            # One that begins now is not even known as a peer's.
            result = mesh.ssh("-v alice@server id")
            assert result.returncode == 255 and result.stdout == ""
            assert "Peergate: the agent of this host does not answer" in result.stderr
            server.wait_journal(60, since=began, grep="The agent has said nothing for 30 s")
            still_there(ssh)
        finally:
            kill(server, "peergate-agent", "CONT")
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        assert revoke_and_wait(mesh, pids) < WITHIN
        assert ssh.wait(20) == 255


@pytest.mark.limit(240)
def test_frozen_agent_ends_sessions_in_the_end(mesh):
    server = mesh.server.host
    with drop_in(server, "peergate-agent", "[Service]\nWatchdogSec=0\n"), ceiling(mesh, "MaxAgentAbsence=35s"), \
            client(mesh, "sleep 4730") as ssh:
        session_pids(mesh, "alice", "sleep 4730")
        frozen = time.monotonic()
        kill(server, "peergate-agent", "STOP")
        try:
            wait_for(lambda: not login_processes(server, "alice"), 90, "end of the session")
            # The last word may have been up to an interval before.
            assert time.monotonic() - frozen > 35 - 10 - 2
            ssh.err.read_until("away for too long", 10)
        finally:
            kill(server, "peergate-agent", "CONT")


def test_frozen_agent_is_restarted_by_the_watchdog(mesh):
    server, began = mesh.server.host, time.time()
    with drop_in(server, "peergate-agent", "[Service]\nWatchdogSec=15\n"), client(mesh, "cat") as ssh:
        first = main_pid(server, "peergate-agent")
        kill(server, "peergate-agent", "STOP")
        wait_for(lambda: main_pid(server, "peergate-agent") not in (0, first), 90, "another agent")
        server.take_core("peergate-agent", first)  # who finds it frozen wants to know where
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        still_there(ssh)
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"


# -- logins under way


def test_login_goes_through_under_the_new_agent(mesh):
    with Held(mesh, "id -un") as ssh:
        mesh.server.host.run("systemctl restart peergate-agent", check=True)
        ssh.let_go()
        assert ssh.result()[:2] == (0, "alice\n")


def test_login_waits_for_the_agent(mesh):
    server = mesh.server.host
    with Held(mesh, "id -un") as ssh:
        server.run("systemctl stop peergate-agent", check=True)
        ssh.let_go()
        time.sleep(3)
        server.run("systemctl start peergate-agent", check=True)
        assert ssh.result()[:2] == (0, "alice\n")


def test_connection_waits_for_the_agent(mesh):
    """From its very beginning: nobody is there who could say whose address it is."""
    server = mesh.server.host
    server.run("systemctl stop peergate-agent", check=True)
    with mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "id", "-un"]) as ssh:
        time.sleep(3)
        server.run("systemctl start peergate-agent", check=True)
        assert ssh.wait(60) == 0
        assert ssh.out.read_rest() == "alice\n"


def test_login_is_judged_by_the_new_agent(mesh):
    server = mesh.server.host
    with Held(mesh, "touch /tmp/got-in") as ssh:
        server.run("rm -f /tmp/got-in; systemctl stop peergate-agent", check=True)
        ssh.let_go()
        mesh.ssh_rules["server"] = []
        mesh.put(mesh.server, json.dumps(mesh.map_for(mesh.server)))
        server.run("systemctl start peergate-agent", check=True)
        status, _, err = ssh.result()
        assert status == 255 and "no SSH rule lets alice@example.com" in err
    assert server.run("test -e /tmp/got-in").returncode


def test_login_is_refused_when_no_agent_comes(mesh):
    server = mesh.server.host
    server.run("systemctl reset-failed", check=True)
    try:
        with Held(mesh, "id") as ssh:
            server.run("systemctl stop peergate-agent", check=True)
            began = time.monotonic()
            ssh.let_go()
            status, out, err = ssh.result()
            assert (status, out) == (255, "") and "does not answer; try again" in err
            assert time.monotonic() - began < 40
    finally:
        server.run("systemctl start peergate-agent", check=True)


@contextlib.contextmanager
def slow_pam(server, kind):
    """A PAM module that takes its time, before all others."""
    usual = server.read("/etc/pam.d/peergate")
    server.write("/usr/local/bin/slow-pam", "#!/bin/sh\ntouch /tmp/in-pam\nsleep 5\n", 0o755)
    server.write("/etc/pam.d/peergate", f"{kind} optional pam_exec.so quiet /usr/local/bin/slow-pam\n{usual}")
    server.run("rm -f /tmp/in-pam", check=True)
    try:
        yield
    finally:
        server.write("/etc/pam.d/peergate", usual)


@pytest.mark.parametrize("kind", ["account", "session"])
@pytest.mark.parametrize("right", ["stays", "goes"])
def test_agent_restarts_while_pam_runs(mesh, kind, right):
    server = mesh.server.host
    server.run("rm -f /tmp/got-in", check=True)
    with slow_pam(server, kind), \
            mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "touch /tmp/got-in; cat"]) as ssh:
        wait_for(lambda: server.run("test -e /tmp/in-pam").returncode == 0, 30, "PAM")
        server.run("systemctl stop peergate-agent", check=True)
        if right == "goes":
            mesh.ssh_rules["server"] = []
            mesh.put(mesh.server, json.dumps(mesh.map_for(mesh.server)))
        server.run("systemctl start peergate-agent", check=True)
        if right == "goes":
            assert ssh.wait(40) == 255
            assert "revoked" in ssh.err.read_rest()
            nothing_left(mesh, "alice")
            assert server.run("test -e /tmp/got-in").returncode
        else:
            still_there(ssh)
            wait_for(lambda: mesh.status(mesh.server)["sessions"] == 1, 10, "the lease")
            assert revoke_and_wait(mesh, session_pids(mesh, "alice", "cat")) < WITHIN


# -- without a good map file


def restart_with(mesh, content, *more):
    """The agent finds this in place of a good map file; None: no file."""
    server = mesh.server.host
    server.run("systemctl stop peergate-agent", check=True)
    mesh.changed = True
    if content:
        server.write(NETMAP, content)
    else:
        server.run(f"rm {NETMAP}", check=True)
    for command in more:
        server.run(command, check=True)
    server.run("systemctl start peergate-agent", check=True)
    assert mesh.status(mesh.server)["mapProblem"]


BROKEN = '{"type": "full", "version"'


@pytest.mark.parametrize("content", [None, BROKEN])
def test_back_with_the_last_map(mesh, content):
    """What was in force last stays so: sessions are judged by it, and logins."""
    server, began = mesh.server.host, time.time()
    with client(mesh, "cat") as ssh:
        pids = session_pids(mesh, "alice", "cat")
        generation = mesh.status(mesh.server)["generation"]
        restart_with(mesh, content)
        server.wait_journal(since=began, grep="Going on with the last map that was in force")
        assert mesh.status(mesh.server)["generation"] == generation
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        still_there(ssh)
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        assert server.run(f"stat -c '%a %U' {KEPT}").stdout == "600 peergate\n"
        assert revoke_and_wait(mesh, pids) < WITHIN
        assert not mesh.status(mesh.server).get("mapProblem")
    nothing_left(mesh, "alice")


def test_last_map_does_not_bring_rights_back(mesh):
    """What a map took away before the restart is not in the one that is kept, and its keys end at their time."""
    server = mesh.server.host
    mesh.ssh_rules["server"][0]["rule_expires"], when = in_a_while(30)
    mesh.apply(mesh.server)
    wait_for(lambda: "rule_expires\":\"" in server.read(KEPT), 20, "the map on disk")
    restart_with(mesh, BROKEN)
    with client(mesh, "sleep 4733"):
        session_pids(mesh, "alice", "sleep 4733")
        time.sleep(max(0, when - 1 - time.time()))
        wait_for(lambda: not login_processes(server, "alice"), 10, "end of the session at its time")
    assert mesh.ssh("alice@server id").returncode == 255
    restart_with(mesh, BROKEN)
    assert mesh.ssh("alice@server id").returncode == 255


@pytest.mark.parametrize("content", [None, BROKEN])
def test_back_without_a_map(mesh, content):
    """NotReady: nothing is judged, so nothing ends before MaxAgentAbsence; with a map it is judged."""
    server, began = mesh.server.host, time.time()
    with client(mesh, "cat") as ssh:
        pids = session_pids(mesh, "alice", "cat")
        restart_with(mesh, content, f"rm {KEPT}")
        time.sleep(5)
        assert set(pids) <= set(login_processes(server, "alice"))
        assert not server.journal(since=began, grep="The agent is back and keeps the lease")
        mesh.apply(mesh.server)
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        still_there(ssh)
        mesh.ssh_rules["server"] = []
        mesh.apply(mesh.server)
        nothing_left(mesh, "alice")


def test_without_a_map_for_too_long(mesh):
    server, began = mesh.server.host, time.time()
    with ceiling(mesh, "MaxAgentAbsence=12s"), client(mesh, "sleep 4731"):
        session_pids(mesh, "alice", "sleep 4731")
        taken = time.monotonic()
        restart_with(mesh, None, f"rm {KEPT}")
        wait_for(lambda: not login_processes(server, "alice"), 40, "end of the session")
        assert time.monotonic() - taken > 10
        server.wait_journal(since=began, grep="Revoked the login", REASON="agent-absent")


# -- the lease's own end


def test_lease_runs_out_while_the_agent_is_away(mesh):
    server, began = mesh.server.host, time.time()
    wake_tunnel(mesh)
    mesh.ssh_rules["server"][0]["rule_expires"], when = in_a_while(15)
    mesh.apply(mesh.server)
    try:
        with client(mesh, "sleep 4732") as ssh:
            session_pids(mesh, "alice", "sleep 4732")
            server.run("systemctl stop peergate-agent", check=True)
            time.sleep(max(0, when - 1 - time.time()))
            if time.time() < when - 0.5:
                assert login_processes(server, "alice")
            wait_for(lambda: not login_processes(server, "alice"), 10, "end of the session at its time")
            ssh.err.read_until("has run out", 10)
        records = whole_story(server, began, EVENT="expiry", REASON="lease-expired")
        assert of("connection-ended", records, END_REASON="the lease has run out")
        assert "revocation" not in events(records)
    finally:
        server.run("systemctl start peergate-agent", check=True)
