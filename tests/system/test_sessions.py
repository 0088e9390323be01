"""Promise 9: sessions are listed, watched, and ended by hand; never one's own without a question."""
import contextlib
import json
import time

import pytest
from hosts import wait_for
from mesh import login_processes

SURE = "--accept-risk=lose-ssh"


def sessions(mesh):
    run = mesh.server.host.run("agentctl ssh-sessions list --json", check=True)
    return json.loads(run.stdout)["sessions"]


@contextlib.contextmanager
def logged_in(mesh, user="alice", options=()):
    """An ssh from the laptop, and its session as it is listed."""
    before = {s["leaseId"] for s in sessions(mesh)}
    with mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", *options, f"{user}@server",
                                 "echo ready; cat"]) as process:
        process.out.read_until("ready")
        fresh = [s for s in sessions(mesh) if s["leaseId"] not in before]
        assert len(fresh) == 1
        yield process, fresh[0]


def none_left(mesh):
    wait_for(lambda: not sessions(mesh), 20, "end of all sessions")


@pytest.fixture(autouse=True)
def nobody(mesh):
    """What the test before left behind has ended."""
    none_left(mesh)


def test_listed(mesh):
    server = mesh.server.host
    began = time.time()
    with logged_in(mesh) as (process, session):
        assert (session["user"], session["nodeName"], session["sshUser"], session["localUser"]) == \
            ("alice@example.com", "laptop", "alice", "alice")
        assert session["address"] in mesh.laptop.addresses and session["localAddress"] in mesh.server.addresses
        assert session["rule"] == "ssh[0] line 31"
        assert began - 60 < session["since"] / 1e6 < time.time() + 60
        comm = server.read(f"/proc/{session['monitor']}/comm")
        assert comm.startswith("peergate-sshgw")
        # It is the name in the journal.
        server.wait_journal(since=began, DECISION="accept", CONNECTION=session["connection"])
        shown = server.run("agentctl ssh-sessions", user="alice", check=True).stdout
        line = next(line for line in shown.splitlines() if session["leaseId"][:8] in line)
        assert all(text in line for text in ("alice@example.com", "laptop", "ssh[0] line 31"))
        process.stdin.close()
        assert process.wait() == 0
    none_left(mesh)


def test_killed(mesh):
    server = mesh.server.host
    began = time.time()
    with logged_in(mesh) as (process, session), logged_in(mesh) as (other, other_session):
        done = server.run(["agentctl", "ssh-sessions", "kill", "--message", "dinner is ready",
                           session["leaseId"][:12]], check=True)
        assert "alice@example.com (laptop) as alice  ended" in done.stdout
        assert process.wait(20) == 255
        assert "Peergate: access was revoked: ended by an operator: dinner is ready" in process.err.read_rest()
        server.wait_journal(since=began, REASON="operator", LEASE=session["leaseId"])
        server.wait_journal(since=began, grep=r"User 0 \(process \d+\) ends the SSH connection")
        # Only this one, and for this once.
        assert [s["leaseId"] for s in sessions(mesh)] == [other_session["leaseId"]]
        other.stdin.write(b"still here\n")
        other.out.read_until("still here")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        server.run(["agentctl", "ssh-sessions", "kill", other_session["connection"]], check=True)
        assert other.wait(20) == 255
    none_left(mesh)
    wait_for(lambda: not login_processes(server, "alice"), 10, "end of alice's processes")


def test_kill_takes_all_that_the_connection_carries(mesh):
    laptop, server = mesh.laptop.host, mesh.server.host
    laptop.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
    try:
        with laptop.popen("ssh -S /tmp/mux alice@server 'setsid -f sleep 4712; echo ready; cat'") as process:
            process.out.read_until("ready")
            session, = sessions(mesh)
            server.run(["agentctl", "ssh-sessions", "kill", session["leaseId"]], check=True)
            assert process.wait(20) == 255
        wait_for(lambda: server.run(["pgrep", "-f", "sleep 4712"]).returncode == 1, 10, "end of the session's daemon")
    finally:
        laptop.run("ssh -S /tmp/mux -O exit alice@server")


def test_who_may_kill(mesh):
    server = mesh.server.host
    with logged_in(mesh) as (process, session):
        kill = f"agentctl ssh-sessions kill {session['leaseId']}"
        refused = server.run(f"runuser -u alice -- {kill}")
        assert refused.returncode == 1 and "for root and the members of the group peergate" in refused.stderr
        assert sessions(mesh)
        server.run("usermod -aG peergate alice", check=True)
        try:
            server.run(f"runuser -u alice -- {kill}", check=True)
        finally:
            server.run("gpasswd -d alice peergate", check=True)
        assert process.wait(20) == 255


@pytest.mark.parametrize("unknown", ["ffffffff", "", "zz"])
def test_unknown_ids_end_nothing(mesh, unknown):
    with logged_in(mesh) as (process, session):
        if unknown and session["leaseId"].startswith(unknown):
            unknown = "0"
        result = mesh.server.host.run(["agentctl", "ssh-sessions", "kill", session["leaseId"], unknown])
        assert result.returncode == 1 and f"'{unknown}'" in result.stderr
        process.stdin.write(b"still here\n")
        process.out.read_until("still here")


# However it is called from within: by the shell, without an environment, as another user, in a
# session of its own that nobody is the parent of any more.
WAYS = ["{}", "env -i {}", "runuser -u opsman -- {}", "setsid --wait {}",
        "sh -c '(setsid {} >/tmp/out 2>&1; echo $? >/tmp/status) & exit' ; "
        "while [ ! -s /tmp/status ]; do sleep 0.1; done; cat /tmp/out; exit $(cat /tmp/status)"]


@pytest.fixture
def opsman(mesh):
    server = mesh.server.host
    if server.run("id opsman").returncode:
        server.add_user("opsman")
    server.run("usermod -aG peergate opsman", check=True)


@pytest.mark.parametrize("way", WAYS)
def test_own_session_is_not_ended_without_a_word(mesh, opsman, way):
    mesh.server.host.run("rm -f /tmp/out /tmp/status", check=True)
    # (The id is that of the only session.)
    script = 'export ID=$(agentctl ssh-sessions --json | grep -o "[0-9a-f]\\{32\\}")\n' + \
        way.format("agentctl ssh-sessions kill $ID")
    mesh.laptop.host.write("/tmp/script", script + "\n")
    result = mesh.laptop.host.run("ssh -o BatchMode=yes root@server 'cat >/tmp/script; . /tmp/script' </tmp/script")
    assert result.returncode == 1, result.stdout + result.stderr
    said = result.stdout + result.stderr
    assert "This ends the SSH connection that you are working through." in said
    assert SURE in said


def test_own_session_with_the_risk_accepted(mesh):
    result = mesh.ssh(f"root@server 'agentctl ssh-sessions kill {SURE} "
                      "$(agentctl ssh-sessions --json | grep -o \"[0-9a-f]\\{32\\}\"); sleep 30'")
    assert result.returncode == 255
    assert "ended by an operator" in result.stderr


def test_own_session_is_asked_about_on_a_terminal(mesh):
    with mesh.laptop.host.pty("ssh root@server") as terminal:
        terminal.read_until(r"# $")
        session, = sessions(mesh)
        kill = f"agentctl ssh-sessions kill {session['leaseId'][:10]}"
        terminal.sendline(kill)
        terminal.read_until(r"This ends the SSH connection that you are working through.\s+Go on\? \[y/N\] ")
        terminal.sendline("")
        terminal.read_until("Nothing was done.")
        terminal.sendline("echo alive-$((40 + 2))")
        terminal.read_until("alive-42")
        terminal.sendline(kill)
        terminal.read_until(r"\[y/N\] ")
        terminal.sendline("y")
        terminal.read_until("ended by an operator")
        assert terminal.wait(20) == 255


def test_from_the_same_device_it_may_be_ones_own(mesh):
    """What the kill would end is another connection, but perhaps the one that is looked through."""
    with logged_in(mesh) as (process, session):
        result = mesh.ssh(f"root@server 'agentctl ssh-sessions kill {session['leaseId']}'")
        assert result.returncode == 1
        assert "This may end the SSH connection that you are working through." in result.stderr
        assert sessions(mesh)


def test_watched(mesh):
    server = mesh.server.host
    with server.popen(["runuser", "-u", "alice", "--", "agentctl", "ssh-sessions", "watch", "--json"]) as watch, \
            server.popen(["agentctl", "ssh-sessions", "watch"]) as lines:
        watch.out.read_until('"event":"ready"')
        # (The other one has no line for that.)
        time.sleep(2)
        with logged_in(mesh) as (process, session):
            event = json.loads(watch.out.read_until(r'^\{"event":"began".*$')[0])
            assert event["session"] == session
            lines.out.read_until(rf"began    {session['leaseId'][:8]}  alice@example.com \(laptop\) as alice  ssh\[0\]")
            process.stdin.close()
            process.wait()
        watch.out.read_until(r'^\{"event":"ended".*$')
        lines.out.read_until(f"ended    {session['leaseId'][:8]}")
        with logged_in(mesh) as (process, session):
            server.run(["agentctl", "ssh-sessions", "kill", session["leaseId"]], check=True)
            event = json.loads(watch.out.read_until(r'^\{"event":"revoked".*$')[0])
            assert (event["reason"], event["message"]) == ("operator", "ended by an operator")
            lines.out.read_until("ended by an operator")
            process.wait(20)
        with logged_in(mesh) as (process, session):
            mesh.ssh_rules["server"] = []
            mesh.apply(mesh.server)
            event = json.loads(watch.out.read_until(r'^\{"event":"revoked".*$')[0])
            assert (event["reason"], event["session"]["nodeName"]) == ("policy", "laptop")


def test_listed_again_after_a_restart(mesh):
    with logged_in(mesh) as (process, session):
        mesh.server.host.run("systemctl restart peergate-agent", check=True)
        again, = wait_for(lambda: sessions(mesh), 30, "the session comes back")
        assert again == session
        mesh.server.host.run(["agentctl", "ssh-sessions", "kill", again["leaseId"][:8]], check=True)
        assert process.wait(20) == 255
