"""What a login on Debian brings along by PAM and login(1)'s customs, in the real stack."""
import contextlib
import re
import time

import pytest
from hosts import wait_for
from logins import PAM, added
from mesh import SSH, login_processes

def home_of(mesh, name):
    """What a login sees: home, working directory, and what it is told."""
    result = mesh.ssh(f"{name}@server 'echo $HOME; pwd'")
    assert result.returncode == 0
    return result.stdout.split(), result.stderr


def test_home_that_is_missing_and_made(mesh):
    server = mesh.server.host
    server.run("id homeless || useradd -M -s /bin/bash homeless; rm -rf /home/homeless", check=True)
    (home, where), told = home_of(mesh, "homeless")
    assert (home, where) == ("/home/homeless", "/") and "Could not chdir to home directory /home/homeless: " in told
    with added(server, PAM, "session required pam_mkhomedir.so umask=0077\n"):
        assert home_of(mesh, "homeless") == (["/home/homeless", "/home/homeless"], "")
    assert server.run("stat -c %U:%a /home/homeless; ls -A /home/homeless | grep -c bashrc").stdout == "homeless:700\n1\n"


def test_environment_and_limits(mesh):
    """Of the host's files, and of no file of the user's: root would parse it."""
    server = mesh.server.host
    server.run("install -d -o alice -m 700 /home/alice/.ssh", check=True)
    with added(server, "/etc/environment", "PG_HOST=yes\n"), \
            added(server, "/etc/security/pam_env.conf", "PG_CONF DEFAULT=for-@{PAM_USER}\n"), \
            added(server, "/etc/security/limits.d/pg.conf", "alice hard nofile 777\nalice soft nofile 555\n"), \
            added(server, "/home/alice/.ssh/environment", "PG_USER=yes\nLD_PRELOAD=/no.so\n"), \
            added(server, "/home/alice/.pam_environment", "PG_USER=yes\n"):
        said = mesh.ssh("alice@server 'env; ulimit -Sn; ulimit -Hn; cat /proc/self/loginuid'", check=True)
    lines = said.stdout.splitlines()
    assert "PG_HOST=yes" in lines and [line for line in lines if line.startswith("PG_CONF=for-")]
    assert lines[-2] == "777" and lines[-3] == "555"
    assert lines[-1] == server.run("id -u alice").stdout.strip()
    assert not [line for line in lines if line.startswith(("PG_USER=", "LD_PRELOAD="))] and said.stderr == ""


def test_greeting_and_lastlog(mesh):
    """Message of the day, mail and last login are told once, on a terminal; the login is in lastlog."""
    server = mesh.server.host
    server.run("chown alice /home/alice; rm -f /home/alice/.hushlogin; : >/var/log/lastlog", check=True)
    with added(server, "/etc/motd", "peergate-motd\n"), added(server, "/var/mail/alice", "From bob\n\nhello\n"):
        with mesh.laptop.host.pty(f"ssh alice@{mesh.server.ip6}") as terminal:
            terminal.read_until(r"\$ $")
            terminal.sendline("exit")
            terminal.wait()
            seen = terminal.text
        assert seen.count("peergate-motd") == 1 and len(re.findall("You have (new )?mail", seen)) == 1, seen
        assert "Last login" not in seen, seen
        silent = mesh.ssh("alice@server true", check=True)
        assert silent.stdout + silent.stderr == ""
        assert mesh.ssh(f"-tt alice@{mesh.server.ip6} true", check=True).stdout == ""
    assert mesh.laptop.ip6 in server.run("lastlog -u alice").stdout


# -- when the session is opened: this client asks for a password, and has one typed

PERSON = "-o PreferredAuthentications=password alice+password@server"
CEILING, TRACE = "/etc/peergate/sshgw.conf", "/run/trace-of-sessions"


@pytest.fixture
def begun(mesh):
    """What there is of logins of alice's: session modules that ran, logind's sessions, utmp, PAM's lines since now."""
    server, began = mesh.server.host, time.time()
    wait_for(lambda: "alice" not in server.run("loginctl list-sessions; who").stdout, 60, "former logins are over")
    server.write("/usr/local/bin/trace", f"#!/bin/sh\necho $PAM_TYPE >>{TRACE}\n", mode=0o755)
    server.run(f": >{TRACE}", check=True)

    def look():
        lines = server.journal(since=began, grep=r"pam_unix\(peergate:session\): session opened for user alice")
        listed = server.run("loginctl list-sessions --no-legend; who").stdout
        return server.read(TRACE).split(), listed.split().count("alice"), len(lines)

    with added(server, PAM, "session required pam_exec.so /usr/local/bin/trace\n"):
        yield look


@contextlib.contextmanager
def at_the_prompt(mesh):
    """The policy has agreed, and the person does not type."""
    began = time.time()
    with mesh.laptop.host.pty(f"ssh {PERSON}") as terminal:
        terminal.read_until("password: ")
        mesh.server.host.wait_journal(since=began, EVENT="decision", DECISION="accept")
        yield terminal


@pytest.mark.parametrize("leaves, grace, reasons", [
    (True, "5m", {"the client closed it", "the connection was lost"}),
    (False, "20s", {"login grace time is over", "the client did not log in in time"})])
def test_client_that_does_not_finish_begins_nothing(mesh, begun, leaves, grace, reasons):
    server, began = mesh.server.host, time.time()
    with added(server, CEILING, f"LoginGraceTime={grace}\n"), at_the_prompt(mesh) as terminal:
        time.sleep(3)
        assert begun() == ([], 0, 0)
        if leaves:
            terminal.send("\x03")
        record = server.wait_journal(timeout=60, since=began, EVENT="connection-ended", LOCAL_USER="alice")
        assert record["OUTCOME"] == "no-login" and record["END_REASON"] in reasons, record
    time.sleep(1)
    assert begun() == ([], 0, 0)


def test_client_that_finishes_late_has_all_of_it(mesh, begun):
    server, began = mesh.server.host, time.time()
    with at_the_prompt(mesh) as terminal:
        time.sleep(3)
        assert begun() == ([], 0, 0)
        terminal.sendline("whatever")
        terminal.read_until(r"\$ $")
        assert begun() == (["open_session"], 2, 1)  # with logind, and on a terminal
        terminal.sendline("exit")
        assert terminal.wait() == 0
    record = server.wait_journal(since=began, EVENT="connection-ended", LOCAL_USER="alice")
    assert record["OUTCOME"] == "logged-in"
    wait_for(lambda: begun() == (["open_session", "close_session"], 0, 1), 30, "the session is closed")


@pytest.mark.parametrize("how, denied", [("alice@server", False), (PERSON, True)])
def test_session_that_cannot_be_opened(mesh, how, denied):
    """The person has the reason, and an exit status that says so."""
    server, began = mesh.server.host, time.time()
    typed = {"SSH_ASKPASS": "/bin/echo", "SSH_ASKPASS_REQUIRE": "force"}
    with added(server, PAM, "session required pam_deny.so\n"):
        result = mesh.laptop.host.run(f"ssh -o ConnectTimeout=20 {how} id", env=typed)
    assert (result.returncode, result.stdout) == (255, "")
    assert "Peergate: the session could not be opened: " in result.stderr
    assert ("Permission denied" in result.stderr) == denied, result.stderr
    record = server.wait_journal(since=began, EVENT="connection-ended", LOCAL_USER="alice")
    assert record["END_REASON"] == "PAM could not open the session"


NOT_FOR_LOGIN = "not for logging in (its shell is /usr/sbin/nologin)"
# Version 3 of the protocol is asked for; the answer has the names of extensions.
HELLO, ANSWER = b"\0\0\0\5\1\0\0\0\3", "posix-rename@openssh.com"


@pytest.fixture
def shut(mesh):
    """An account whose shell refuses logins, and a rule for it; called, it changes the rule."""
    mesh.server.host.run("id shut || useradd -m -s /usr/sbin/nologin shut", check=True)

    def change(**fields):
        mesh.ssh_rules["server"][0].update(users={"shut": "shut"}, **fields)
        mesh.apply(mesh.server)

    return change


@pytest.mark.parametrize("how", ["shut@server id", "-s shut@server sftp"])
@pytest.mark.parametrize("command", [None, "/usr/lib/openssh/sftp-server", "internal-sftp -R"])
def test_account_without_a_shell(mesh, shut, how, command):
    """Neither for commands nor for sftp, whatever else than "internal-sftp" the rule says."""
    shut(force_command=command)
    result = mesh.ssh(how, input="")
    assert result.returncode == 255 and NOT_FOR_LOGIN in result.stderr


def test_sftp_by_a_forced_command(mesh):
    """Of an account with a shell, which runs it."""
    mesh.ssh_rules["server"][0]["force_command"] = "/usr/lib/openssh/sftp-server"
    mesh.apply(mesh.server)
    listed = mesh.laptop.host.run("sftp -q -b - -o BatchMode=yes alice@server", input="pwd\n")
    assert (listed.returncode, "/home/alice" in listed.stdout) == (0, True), listed.stderr
    assert "uid=" not in mesh.ssh("alice@server id", input="").stdout


def test_sftp_only_copies(mesh, shut):
    """There and back, by sftp and by scp, which is sftp; by no command."""
    laptop, server = mesh.laptop.host, mesh.server.host
    shut(force_command="internal-sftp")
    digest = laptop.run("head -c 500000 /dev/urandom >/tmp/blob; sha256sum </tmp/blob", check=True).stdout
    laptop.run("sftp -q -b - -o BatchMode=yes shut@server", input="put /tmp/blob one\nget one /tmp/one\n", check=True)
    laptop.run("scp -q -o BatchMode=yes /tmp/blob shut@server:two && scp -q -o BatchMode=yes shut@server:two /tmp/two",
               check=True)
    for host, paths in (laptop, ["/tmp/one", "/tmp/two"]), (server, ["/home/shut/one", "/home/shut/two"]):
        assert [host.run(f"sha256sum <{path}").stdout for path in paths] == [digest, digest]
    assert server.run("stat -c %U /home/shut/one").stdout == "shut\n"
    # Two protocols: client and server wait for each other, until one of them has enough of it.
    for copy in f"rsync -e '{SSH}'", "scp -q -O -o BatchMode=yes":
        assert laptop.run(f"timeout 8 {copy} /tmp/blob shut@server:three").returncode != 0, copy
        assert server.run("ls /home/shut").stdout == "one\ntwo\n"


@pytest.mark.parametrize("how, kind", [("-T shut@server id", "exec"), ("-T shut@server", "shell"),
                                       ("-tt shut@server", "shell"), ("-s shut@server sftp", None)])
def test_sftp_only_is_all_there_is(mesh, shut, how, kind):
    """Whatever is asked for: the server, as the user, without a shell and without a terminal."""
    server, began = mesh.server.host, time.time()
    shut(force_command="internal-sftp")
    with mesh.laptop.host.popen(f"{SSH} {how}") as client:
        client.stdin.write(HELLO)
        client.out.read_until(ANSWER, 60)
        running = login_processes(server, "shut")
        assert {command.split()[0].rsplit("/", 1)[-1] for command in running.values()} == \
            {"peergate-sshgw-session", "sftp-server"}, running
        pid = next(pid for pid, command in running.items() if "sftp-server" in command)
        status = server.run(f"stat -c %U /proc/{pid}; readlink /proc/{pid}/fd/0; tr '\\0' '\\n' </proc/{pid}/environ",
                            check=True)
        owner, standard_input, *environment = status.stdout.splitlines()
        assert (owner, standard_input[:5]) == ("shut", "pipe:")
        assert not [line for line in environment if line.startswith(("SSH_TTY=", "TERM="))]
        asked = [line[21:] for line in environment if line.startswith("SSH_ORIGINAL_COMMAND=")]
        assert asked == {"exec": ["id"], "shell": [], None: ["/usr/lib/openssh/sftp-server"]}[kind]
        # What is typed is no request, and so the end.
        client.stdin.write(b"exit\n")
        assert client.wait(60)
    record = server.wait_journal(since=began, EVENT="session-begun", LOCAL_USER="shut")
    assert (record["CHANNEL_KIND"], record.get("CHANNEL_ASKED")) == ("sftp", kind)


def test_sftp_only_and_what_else_decides(mesh, shut):
    """PAM's rules, the ceiling, and what the rule says of forwarding."""
    server = mesh.server.host
    shut(force_command="internal-sftp")
    assert mesh.ssh("-s shut@server netconf").returncode == 255
    # As of every rule: where the map says nothing, nothing is forwarded.
    assert "does not allow local forwarding" in mesh.ssh("-W 127.0.0.1:1 shut@server").stderr
    shut(forwarding={"agent": False, "local": True, "remote": False})
    assert "Connection refused" in mesh.ssh("-W 127.0.0.1:1 shut@server").stderr
    with added(server, "/etc/nologin", "closed for repairs\n"):
        assert "closed for repairs" in mesh.ssh("-s shut@server sftp").stderr
    with added(server, "/etc/peergate/sshgw.conf", "SftpServer=none\n"):
        assert "sftp is switched off on this host" in mesh.ssh("shut@server id").stderr
    server.run("chage -E 1 shut", check=True)
    try:
        assert "expired" in mesh.ssh("-s shut@server sftp").stderr
    finally:
        server.run("chage -E -1 shut", check=True)
