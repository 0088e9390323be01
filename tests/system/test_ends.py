"""Ends that nobody asks for: who is idle, there for too long, restarted, away; and who is only asleep."""
import contextlib
import time

from absence import ceiling, still_there
from hosts import wait_for
from mesh import login_processes


def limit(mesh, **limits):
    mesh.ssh_rules["server"][0].update(limits)
    mesh.apply(mesh.server)


def start(mesh, command):
    process = mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", f"echo ready; {command}"])
    process.out.read_until("ready")
    return process


def nobody_logged_in(mesh):
    server = mesh.server.host
    wait_for(lambda: "alice" not in server.run("loginctl list-sessions --no-legend").stdout, 20, "end of the session")
    assert "alice" not in server.run("who").stdout


def test_idle_connection_ends(mesh):
    """Where bytes flow it goes on; what was left running on purpose as well."""
    limit(mesh, idle_timeout="8s")
    began = time.time()
    with start(mesh, "nohup sleep 4801 >/dev/null 2>&1 & for i in $(seq 30); do echo $i; sleep 0.5; done; exec sleep 4802") as ssh:
        ssh.out.read_until("\n30\n", 60)
        talked = time.time() - began
        assert ssh.wait(60) == 255
        assert "nothing was sent or received for 8 s" in ssh.err.read_rest()
    assert talked > 12
    left = login_processes(mesh.server.host, "alice")
    assert [line for line in left.values() if "4801" in line]
    wait_for(lambda: not [line for line in login_processes(mesh.server.host, "alice").values() if "4802" in line], 10,
             "HUP to the one that was idle")
    mesh.server.host.wait_journal(since=began, REASON="idle-timeout", LOCAL_USER="alice")
    mesh.server.host.run(["pkill", "-x", "-f", "sleep 4801"], check=True)
    nobody_logged_in(mesh)


def test_maximum_duration(mesh):
    """Whatever flows, and nothing is left."""
    limit(mesh, max_duration="20s")
    with start(mesh, "nohup sleep 4803 >/dev/null 2>&1 & while echo; do sleep 0.2; done") as ssh:
        assert ssh.wait(60) == 255
        assert "the maximum duration of a session is over" in ssh.err.read_rest()
    wait_for(lambda: not login_processes(mesh.server.host, "alice"), 10, "end of all that the login started")
    nobody_logged_in(mesh)


@contextlib.contextmanager
def cut_off(host):
    host.unplug()
    try:
        yield
    finally:
        host.plug()


def session_ends(mesh, what):
    wait_for(lambda: not login_processes(mesh.server.host, "alice"), 40, what)


def test_client_that_lost_its_connection(mesh):
    """A restarted one answers that it knows of none; nobody has to say anything first."""
    with ceiling(mesh, "KeepaliveInterval=2s"), start(mesh, "exec sleep 4804") as ssh:
        with cut_off(mesh.laptop.host):
            killed = mesh.laptop.host.run("ss --no-header --kill 'dport = :22'", check=True)
            assert killed.stdout, killed.stderr
            assert ssh.wait(60) == 255
            assert login_processes(mesh.server.host, "alice")
        session_ends(mesh, "end of a session that its client knows no more")


def test_client_that_sleeps(mesh):
    """Far longer than the probes, of which the kernel by itself takes nine without an answer for the end."""
    with ceiling(mesh, "KeepaliveInterval=1s"), start(mesh, "exec cat") as ssh:
        with cut_off(mesh.laptop.host):
            time.sleep(25)
        still_there(ssh)


def test_client_that_stays_away(mesh):
    with ceiling(mesh, "KeepaliveInterval=1s", "MaxPeerAbsence=10s"), start(mesh, "exec cat"):
        with cut_off(mesh.laptop.host):
            session_ends(mesh, "end of the session of a client that is away")
