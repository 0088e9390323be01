"""The monitor of a connection dies without having ended anything: nothing may go on without a lease."""
import json
import re

import pytest
from absence import main_pid
from hosts import wait_for
from logins import client, nothing_left, session_pids
from pace import WITHIN


def monitor_of_the_session(mesh):
    listed = mesh.server.host.run("agentctl ssh-sessions list --json", check=True).stdout
    session, = json.loads(listed)["sessions"]
    return session["monitor"]


def children(server, pid):
    """{comm: pid}"""
    found = server.run(f"ps --no-headers -o pid,comm --ppid {pid}").stdout
    return {comm: int(child) for child, comm in re.findall(r"(\d+) (\S+)", found)}


def ended(server, pids):
    wait_for(lambda: not [pid for pid in pids if server.run(f"test -e /proc/{pid}").returncode == 0], 10 * WITHIN,
             "end of what had no monitor any more", 0.1)


@pytest.fixture(autouse=True)
def nobody(mesh):
    wait_for(lambda: mesh.status(mesh.server)["sessions"] == 0, 20, "end of all sessions")


def test_under_an_open_session(mesh):
    server = mesh.server.host
    with client(mesh, "setsid -f sleep 4750; nohup sleep 4751 & cat") as ssh:
        pids = session_pids(mesh, "alice", "sleep 4750", "sleep 4751", "cat")
        server.run(f"kill -KILL {monitor_of_the_session(mesh)}", check=True)
        ended(server, pids)
        assert ssh.wait(20) == 255
    # The PAM session was closed by the leader.
    nothing_left(mesh, "alice")
    wait_for(lambda: mesh.status(mesh.server)["sessions"] == 0, 20, "end of the lease")
    assert mesh.ssh("alice@server id -un").stdout == "alice\n"


def test_after_the_client_has_left(mesh):
    server = mesh.server.host
    mesh.ssh("alice@server 'setsid -f sleep 4752 </dev/null >/dev/null 2>&1'", check=True)
    monitor = monitor_of_the_session(mesh)
    wait_for(lambda: "sshgw-guard" in children(server, monitor), 20, "the guard")
    guard = children(server, monitor)["sshgw-guard"]
    pids = session_pids(mesh, "alice", "sleep 4752")
    server.run(f"kill -KILL {monitor}", check=True)
    ended(server, [*pids, guard])
    nothing_left(mesh, "alice")


def test_guard_goes_with_what_it_guards(mesh):
    server = mesh.server.host
    mesh.ssh("alice@server 'setsid -f sleep 4753 </dev/null >/dev/null 2>&1'", check=True)
    monitor = monitor_of_the_session(mesh)
    wait_for(lambda: "sshgw-guard" in children(server, monitor), 20, "the guard")
    guard = children(server, monitor)["sshgw-guard"]
    server.run(["kill", *session_pids(mesh, "alice", "sleep 4753")], check=True)
    ended(server, [monitor, guard])


def test_who_goes_first_when_memory_is_short(mesh):
    server = mesh.server.host

    def score(pid):
        return int(server.read(f"/proc/{pid}/oom_score_adj"))

    with client(mesh, "cat /proc/self/oom_score_adj; cat") as ssh:
        ssh.out.read_until(r"\n0\n")
        monitor = monitor_of_the_session(mesh)
        net = server.run(f"pgrep -P {monitor} -f ^peergate-sshgw-net", check=True).stdout
        assert score(monitor) == score(main_pid(server, "peergate-sshgw.service")) == -900
        # What takes rights away stays, too.
        assert score(main_pid(server, "peergate-agent.service")) == -900
        assert score(int(net)) == 0
        assert all(score(pid) == 0 for pid in session_pids(mesh, "alice", "cat"))
