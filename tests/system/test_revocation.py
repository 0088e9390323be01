"""Promise 5: a right that is taken away ends everything it carried, within a second."""
import json
import time

import pytest
from hosts import wait_for
from logins import client, in_a_while, nothing_left, revoke_and_wait, session_pids, wake_tunnel
from mesh import accept, login_processes
from pace import WITHIN


def test_open_shell(mesh):
    began = time.time()
    with mesh.laptop.host.pty("ssh alice@server") as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("sleep 4711 &")
        pids = session_pids(mesh, "alice", "sleep 4711", "-bash")
        took = revoke_and_wait(mesh, pids)
        terminal.read_until("Peergate: access was revoked", 10)
        assert terminal.wait(20) == 255
    print(f"open shell: {1000 * took:.0f} ms")
    assert took < WITHIN
    nothing_left(mesh, "alice")
    mesh.server.host.wait_journal(since=began, grep="Revoked the login of alice@example.com", REASON="policy")
    # The PAM session was closed as after any login.
    mesh.server.host.wait_journal(since=began, grep="session closed for user alice")
    assert not mesh.server.host.journal(since=began, grep="Failed to release session|could not close the session")


def test_exec_without_terminal_that_ignores_hup(mesh):
    with client(mesh, "trap '' HUP TERM INT; while :; do sleep 1; done") as ssh:
        took = revoke_and_wait(mesh, session_pids(mesh, "alice", "trap"))
        ssh.err.read_until("Peergate: access was revoked", 10)
        assert ssh.wait(20) == 255
    assert took < WITHIN
    nothing_left(mesh, "alice")


def test_double_forked_child(mesh):
    fork_twice = "setsid sh -c 'setsid sleep 4712 </dev/null >/dev/null 2>&1 & setsid nohup sleep 4713 >/dev/null 2>&1 &'"
    with client(mesh, f"{fork_twice}; sleep 4714") as ssh:
        took = revoke_and_wait(mesh, session_pids(mesh, "alice", "sleep 4712", "sleep 4713", "sleep 4714"))
        assert ssh.wait(20) == 255
    assert took < WITHIN
    nothing_left(mesh, "alice")


def test_child_left_behind_by_a_session_that_ended(mesh):
    """Logging out leaves nohup's child alone, as sshd does; revoking the connection does not."""
    host = mesh.laptop.host
    host.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
    host.run("ssh -S /tmp/mux alice@server 'nohup sleep 4715 >/dev/null 2>&1 </dev/null &'", check=True)
    assert revoke_and_wait(mesh, session_pids(mesh, "alice", "sleep 4715")) < WITHIN
    wait_for(lambda: host.run("ssh -S /tmp/mux -O check alice@server").returncode, 10, "end of the connection")
    nothing_left(mesh, "alice")


def test_what_an_ended_connection_left_running(mesh):
    """The lease lives as long as the last process, and so does the reach of its end."""
    mesh.ssh("alice@server 'setsid -f sleep 4723 </dev/null >/dev/null 2>&1'", check=True)
    pids = session_pids(mesh, "alice", "sleep 4723")
    assert mesh.status(mesh.server)["sessions"] == 1
    assert revoke_and_wait(mesh, pids) < WITHIN
    nothing_left(mesh, "alice")
    wait_for(lambda: mesh.status(mesh.server)["sessions"] == 0, 10, "end of the lease")


def test_lease_ends_with_the_last_process(mesh):
    mesh.ssh("alice@server 'setsid -f sleep 3 </dev/null >/dev/null 2>&1'", check=True)
    assert mesh.status(mesh.server)["sessions"] == 1
    wait_for(lambda: mesh.status(mesh.server)["sessions"] == 0, 15, "end of the lease")
    assert mesh.server.host.run("pgrep -f ^peergate-sshgw-monitor").stdout == ""


def test_filter_right_taken_away(mesh):
    """Both rights are needed, for as long as the session lasts."""
    with client(mesh, "sleep 4724") as ssh:
        session_pids(mesh, "alice", "sleep 4724")
        mesh.filter["server"] = [rule for rule in mesh.filter["server"] if "acls[0]" not in rule["origin"]]
        mesh.apply(mesh.server)
        nothing_left(mesh, "alice")
        ssh.kill()


def test_group_below_the_session(mesh):
    """Root hides in a control group of its own, below its session's."""
    hide = "d=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/x; mkdir $d; echo $$ >$d/cgroup.procs"
    with client(mesh, f"{hide}; exec sleep 4725", user="root") as ssh:
        pid = wait_for(lambda: mesh.server.host.run("pgrep -f ^sleep.4725").stdout.split(), 10, "sleep")[0]
        assert revoke_and_wait(mesh, [pid]) < WITHIN
        assert ssh.wait(20) == 255


def test_multiplexed_connection(mesh):
    host = mesh.laptop.host
    host.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
    with host.popen("ssh -S /tmp/mux alice@server 'echo one; sleep 4716'") as one, \
            host.popen("ssh -S /tmp/mux alice@server 'echo two; sleep 4717'") as two:
        one.out.read_until("one")
        two.out.read_until("two")
        assert revoke_and_wait(mesh, session_pids(mesh, "alice", "sleep 4716", "sleep 4717")) < WITHIN
        assert one.wait(20) == 255 and two.wait(20) == 255
    # No new session on the old connection.
    assert host.run("ssh -S /tmp/mux -o BatchMode=yes alice@server id").returncode == 255
    nothing_left(mesh, "alice")


def test_root_too(mesh):
    with client(mesh, "sleep 4718", user="root") as ssh:
        assert revoke_and_wait(mesh, session_pids(mesh, "root", "sleep 4718")) < WITHIN
        assert ssh.wait(20) == 255


# Each time the only owner of a connection whose close waits for as long as it was told to (socket(7), SO_LINGER).
LINGER = """
import array, socket, struct, time
for i in range(300):
    listener = socket.create_server(('127.0.0.1', 0))
    c = socket.create_connection(listener.getsockname())
    other = listener.accept()[0]
    c.setblocking(False)
    try:
        while c.send(b'x' * 65536):
            pass
    except BlockingIOError:
        pass
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
    agent = socket.socket(socket.AF_UNIX)
    agent.connect('/run/peergate/agent.sock')
    agent.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [c.fileno()]))], socket.MSG_OOB * (i % 2))
    c.close()
    if i % 3:
        agent.close()
    else:
        held = agent
    if i == 20:
        print('lingering', flush=True)
    time.sleep(0.2)
"""


def test_a_local_user_cannot_hold_up_the_agent(mesh):
    server = mesh.server.host
    with client(mesh, "sleep 4720") as ssh, \
            server.popen(["python3", "-I", "-S", "-c", LINGER], user="nobody") as linger:
        pids = session_pids(mesh, "alice", "sleep 4720")
        linger.out.read_until("lingering")
        assert revoke_and_wait(mesh, pids) < WITHIN
        ssh.err.read_until("Peergate: access was revoked", 10)
    assert server.run("agentctl status").returncode == 0


def test_an_unchanged_right_stays(mesh):
    """Another peer's right is taken away: this one's session notices nothing."""
    with client(mesh, "cat") as ssh:
        mesh.filter["server"] = [rule for rule in mesh.filter["server"] if "acls[3]" not in rule["origin"]]
        mesh.absent = {"phone"}
        mesh.apply(mesh.server)
        ssh.stdin.write(b"still here\n")
        ssh.out.read_until("still here")
        assert ssh.poll() is None


def test_node_removed(mesh):
    with client(mesh, "sleep 4719"):
        session_pids(mesh, "alice", "sleep 4719")
        mesh.absent = {"laptop"}
        mesh.apply(mesh.server)
        nothing_left(mesh, "alice")
        assert mesh.laptop.key not in mesh.server.host.run("wg show mesh0 peers").stdout


def test_key_expires_by_itself(mesh):
    wake_tunnel(mesh)
    mesh.laptop.key_expiry, when = in_a_while(12)
    mesh.apply(mesh.server)
    with client(mesh, "sleep 4720"):
        session_pids(mesh, "alice", "sleep 4720")
        time.sleep(max(0, when - time.time()))
        wait_for(lambda: not login_processes(mesh.server.host, "alice"), 5, "end of the session at the key's expiry")
    assert mesh.ssh("-o ConnectTimeout=3 alice@100.64.0.1 id").returncode == 255


def test_rule_expires_by_itself(mesh):
    wake_tunnel(mesh)
    mesh.ssh_rules["server"][0]["rule_expires"], when = in_a_while(12)
    mesh.apply(mesh.server)
    with client(mesh, "sleep 4721") as ssh:
        session_pids(mesh, "alice", "sleep 4721")
        time.sleep(max(0, when - time.time()))
        wait_for(lambda: not login_processes(mesh.server.host, "alice"), 5, "end of the session at the rule's expiry")
        assert ssh.wait(20) == 255
    assert "no SSH rule" in mesh.ssh("alice@server id").stderr


# -- plain TCP

TALKER = """
import socket, sys, time
family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
if sys.argv[1] == 'listen':
    l = socket.socket(family)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((sys.argv[2], int(sys.argv[3])))
    l.listen(1)
    print('listening', flush=True)
    s, _ = l.accept()
else:
    s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 10)
s.settimeout(0.05)
n = 0
while True:
    try:
        s.sendall(b'x')
        if not s.recv(100):
            break
        n += 1
        print(f'got {n}.', flush=True)
    except TimeoutError:
        pass
    except OSError as error:
        print(f'ended {type(error).__name__}', flush=True)
        break
    time.sleep(0.02)
print('over', flush=True)
"""


def talk(node, mode, address, port):
    return node.host.popen(["python3", "-I", "-S", "-c", TALKER, mode, address, str(port)])


def received(talker):
    """How many chunks the talker has got so far."""
    return talker.out.drain().count("got ")


@pytest.mark.parametrize("family", ["ip4", "ip6"])
@pytest.mark.parametrize("towards", ["server", "laptop"])
def test_established_tcp_flow(mesh, towards, family):
    """Both directions of a flow stop, whoever opened it."""
    listener, connector, port = (mesh.server, mesh.laptop, 8000) if towards == "server" else \
        (mesh.laptop, mesh.server, 9000)
    address = getattr(listener, family)
    with talk(listener, "listen", address, port) as left:
        left.out.read_until("listening")
        with talk(connector, "connect", address, port) as right:
            left.out.read_until(r"got 3\.")
            right.out.read_until(r"got 3\.")
            mesh.filter[listener.name] = [rule for rule in mesh.filter[listener.name]
                                          if rule["dst"][0]["ports"] != [port, port + 99]]
            mesh.apply(listener)
            time.sleep(1)
            before = received(left), received(right)
            time.sleep(2)
            assert (received(left), received(right)) == before
            # The socket on the host that took the right away is gone, not just mute.
            left.out.read_until("ended|over", 10)


# -- the agent and the listener come and go


# -- UDP, where nothing but conntrack knows who began

UDP_TALKER = """
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.05)
other = (sys.argv[2], 8001)
if sys.argv[1] == 'listen':
    s.bind(other)
    other = None
    print('listening', flush=True)
n = 0
while True:
    try:
        if other:
            s.sendto(b'x', other)
    except OSError:
        print('refused', flush=True)
    try:
        other = s.recvfrom(100)[1]
        n += 1
        print(f'got {n}.', flush=True)
    except OSError:
        pass
    time.sleep(0.02)
"""
# conntrack(8) -F
FORGET_FLOWS = """
import socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack('=IHHIIBBH', 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
sys.exit(struct.unpack_from('=i', s.recv(4096), 16)[0])
"""


@pytest.mark.parametrize("family", ("ip4", "ip6"))
def test_udp_flow_that_conntrack_forgets(mesh, family):
    """A server that goes on sending to a peer without the right does not open the way back for it."""
    server, laptop = mesh.server.host, mesh.laptop.host
    address = getattr(mesh.server, family)
    without = mesh.filter["server"]
    right = without + [accept(mesh.laptop, mesh.server, (8001, 8001), "acls[5] line 19", proto=(17,))]
    mesh.filter["server"] = right
    mesh.apply(mesh.server)
    with server.popen(["python3", "-I", "-S", "-c", UDP_TALKER, "listen", address]) as listener:
        listener.out.read_until("listening")
        with laptop.popen(["python3", "-I", "-S", "-c", UDP_TALKER, "connect", address]) as asker:
            listener.out.read_until("got 5[.]", 60)
            asker.out.read_until("got 5[.]", 60)
            mesh.filter["server"] = without
            mesh.apply(mesh.server)
            listener.out.read_until("refused", 10)
            time.sleep(1)  # what was under way has arrived
            got = received(asker), received(listener)
            for _ in range(3):
                server.run(["python3", "-I", "-S", "-c", FORGET_FLOWS], check=True)
                time.sleep(1)
                assert (received(asker), received(listener)) == got
            mesh.filter["server"] = right
            mesh.apply(mesh.server)
            wait_for(lambda: received(listener) > got[1] and received(asker) > got[0], 60, "the flow goes on")


def test_host_that_was_away_learns_it_when_it_is_back(mesh):
    server = mesh.server.host
    with client(mesh, "sleep 4722") as ssh:
        session_pids(mesh, "alice", "sleep 4722")
        server.run("systemctl stop peergate-agent", check=True)
        time.sleep(1)
        assert login_processes(server, "alice")
        mesh.ssh_rules["server"] = []
        mesh.put(mesh.server, json.dumps(mesh.map_for(mesh.server)))
        server.run("systemctl start peergate-agent", check=True)
        nothing_left(mesh, "alice")
        assert ssh.wait(20) == 255


def test_sessions_live_through_restarts(mesh):
    server = mesh.server.host
    with client(mesh, "cat") as ssh:
        began = time.time()
        server.run("systemctl restart peergate-agent peergate-sshgw.service", check=True)
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        ssh.stdin.write(b"still here\n")
        ssh.out.read_until("still here")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        # Revocation reaches the resumed session.
        assert revoke_and_wait(mesh, session_pids(mesh, "alice", "cat")) < WITHIN
        assert ssh.wait(20) == 255
