"""Ends that the rule sets: who is idle, who is there for too long; what each leaves behind."""
import time

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
    mesh.server.host.run("pkill -f 'sleep 4801'", check=True)
    nobody_logged_in(mesh)


def test_maximum_duration(mesh):
    """Whatever flows, and nothing is left."""
    limit(mesh, max_duration="8s")
    with start(mesh, "nohup sleep 4803 >/dev/null 2>&1 & while echo; do sleep 0.2; done") as ssh:
        assert ssh.wait(60) == 255
        assert "the maximum duration of a session is over" in ssh.err.read_rest()
    wait_for(lambda: not login_processes(mesh.server.host, "alice"), 10, "end of all that the login started")
    nobody_logged_in(mesh)
