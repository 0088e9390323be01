"""Promises 1 and 4: a stock ssh is let in without key, password or question; or is told why not."""
import time

import pytest
from records import check_who

PLACES = ["server", "server.mesh.example", "100.64.0.1", "fd7a:115c:a1e0::1"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("user", ["root", "alice"])
def test_let_in_without_a_question(mesh, user, place):
    result = mesh.ssh(f"{user}@{place} id -un")
    assert (result.stdout, result.stderr, result.returncode) == (f"{user}\n", "", 0)
    # The key was known: nothing had to be learnt.
    assert mesh.laptop.host.run(["ssh-keygen", "-F", place, "-f", "/root/.ssh/known_hosts"]).stdout == ""


@pytest.mark.parametrize("place", PLACES[1:])
def test_told_why_not(mesh, place):
    result = mesh.ssh(f"root@{place} id", node=mesh.phone)
    assert result.returncode == 255 and result.stdout == ""
    first = result.stderr.splitlines()[0]
    assert first.startswith("Peergate: no SSH rule lets bob@example.com (phone) log in to server")


def test_refused_user_is_named(mesh):
    mesh.ssh_rules["server"][0]["users"] = {"alice": "alice"}
    mesh.apply(mesh.server)
    result = mesh.ssh("root@server id")
    assert result.returncode == 255
    assert '"root"' in result.stderr.splitlines()[0]
    assert mesh.ssh("alice@server id -un").stdout == "alice\n"


def test_a_filter_rule_is_needed_as_well(mesh):
    mesh.filter["server"] = [rule for rule in mesh.filter["server"] if "acls[0]" not in rule["origin"]]
    mesh.apply(mesh.server)
    result = mesh.ssh("-o ConnectTimeout=3 root@100.64.0.1 id")
    assert result.returncode == 255 and "timed out" in result.stderr
    shown = mesh.server.host.run("agentctl ssh-policy show", check=True).stdout
    assert "tcp/22" in shown and "laptop" in shown


def test_rule_that_asks_for_a_check_is_refused_with_that_reason(mesh):
    mesh.ssh_rules["server"][0]["action"] = "check"
    mesh.apply(mesh.server)
    result = mesh.ssh("root@server id")
    assert result.returncode == 255 and "check" in result.stderr


# -- what a session does


def test_exit_status_output_and_input(mesh):
    result = mesh.ssh("alice@server 'cat; echo error >&2; exit 7'", input="in\n")
    assert (result.returncode, result.stdout, result.stderr) == (7, "in\n", "error\n")


def test_exit_signal(mesh):
    result = mesh.laptop.host.run("ssh -v -o BatchMode=yes alice@server 'kill -TERM $$'")
    assert result.returncode == 255
    assert "exit-signal" in result.stderr


def test_bytes_arrive_whole_both_ways(mesh):
    made = "head -c 3000000 /dev/urandom >/tmp/blob; sha256sum </tmp/blob"
    expected = mesh.laptop.host.run(made, check=True).stdout
    sent = mesh.laptop.host.run("ssh -o BatchMode=yes alice@server 'cat >/tmp/blob; sha256sum </tmp/blob' </tmp/blob")
    assert sent.stdout == expected
    back = mesh.laptop.host.run("ssh -o BatchMode=yes alice@server 'cat /tmp/blob' | sha256sum")
    assert back.stdout == expected


def test_terminal_with_window_changes(mesh):
    with mesh.laptop.host.pty("ssh alice@server", rows=30, columns=100) as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("tty; stty size; stat -c %U:%G:%a $(tty)")
        terminal.read_until(r"/dev/pts/\d+\s+30 100\s+alice:tty:620")
        terminal.resize(40, 120)
        terminal.sendline("sleep 0.5; stty size")
        terminal.read_until("40 120")
        terminal.sendline("exit 5")
        assert terminal.wait() == 5


def test_environment(mesh):
    mesh.ssh_rules["server"][0]["accept_env"] = ["MY_*"]
    mesh.apply(mesh.server)
    send = "-o SendEnv='LC_* MY_* OTHER LD_PRELOAD'"
    result = mesh.ssh(f"{send} alice@100.64.0.1 env", env={"LC_TIME": "C.UTF-8", "MY_THING": "yes", "OTHER": "no",
                                                       "LD_PRELOAD": "", "PATH": "/usr/bin:/bin"})
    lines = result.stdout.splitlines()
    assert "LC_TIME=C.UTF-8" in lines and "MY_THING=yes" in lines
    assert not [line for line in lines if line.startswith(("OTHER=", "LD_"))]
    assert f"\nSSH_CLIENT={mesh.laptop.ip4} " in result.stdout


def test_several_sessions_on_one_connection(mesh):
    host = mesh.laptop.host
    host.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
    try:
        with host.popen("ssh -S /tmp/mux alice@server 'echo ready; cat'") as first:
            first.out.read_until("ready")
            assert host.run("ssh -S /tmp/mux alice@server id -un").stdout == "alice\n"
            first.stdin.write(b"still here\n")
            first.out.read_until("still here")
    finally:
        host.run("ssh -S /tmp/mux -O exit alice@server")


def test_forced_command(mesh):
    mesh.ssh_rules["server"][0]["force_command"] = 'echo "forced: $SSH_ORIGINAL_COMMAND"'
    mesh.apply(mesh.server)
    assert mesh.ssh("alice@server rm -rf /").stdout == "forced: rm -rf /\n"
    # One that does not fit into the variable is not cut.
    began = time.time()
    refused = mesh.ssh(f"alice@server {'x' * 5000}")
    assert refused.returncode == 255 and refused.stdout == "" and "the session could not be started" in refused.stderr
    check_who([mesh.server.host.wait_journal(since=began, EVENT="session-refused", grep="too long")], mesh.laptop)


def test_too_many_sessions_are_refused(mesh):
    host = mesh.laptop.host
    mesh.server.host.write("/etc/peergate/sshgw.conf", "SSH=yes\nPermitRootLogin=yes\nMaxSessions=2\n")
    try:
        host.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
        with host.popen("ssh -S /tmp/mux alice@server 'echo one; cat'") as one, \
                host.popen("ssh -S /tmp/mux alice@server 'echo two; cat'") as two:
            one.out.read_until("one")
            two.out.read_until("two")
            third = host.run("ssh -S /tmp/mux -o BatchMode=yes alice@server id")
            # (ssh then makes a connection of its own.)
            assert "Session open refused by peer" in third.stderr
    finally:
        host.run("ssh -S /tmp/mux -O exit alice@server")
        mesh.server.host.write("/etc/peergate/sshgw.conf", "SSH=yes\nPermitRootLogin=yes\n")
