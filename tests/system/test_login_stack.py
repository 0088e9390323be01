"""What a login on Debian brings along by PAM and login(1)'s customs, in the real stack."""
import contextlib
import re

import pytest

PAM = "/etc/pam.d/peergate"


@contextlib.contextmanager
def added(host, path, text):
    """A file with some more text for a while; without it before, it is gone afterwards."""
    was_there = host.run(["test", "-e", path]).returncode == 0
    before = host.read(path) if was_there else ""
    host.write(path, before + text)
    try:
        yield
    finally:
        if was_there:
            host.write(path, before)
        else:
            host.run(["rm", path], check=True)


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
    """Message of the day and mail are told once, on a terminal; the login is in lastlog."""
    server = mesh.server.host
    server.run("chown alice /home/alice; rm -f /home/alice/.hushlogin", check=True)
    with added(server, "/etc/motd", "peergate-motd\n"), added(server, "/var/mail/alice", "From bob\n\nhello\n"):
        with mesh.laptop.host.pty(f"ssh alice@{mesh.server.ip6}") as terminal:
            terminal.read_until(r"\$ $")
            terminal.sendline("exit")
            terminal.wait()
            seen = terminal.text
        assert seen.count("peergate-motd") == 1 and len(re.findall("You have (new )?mail", seen)) == 1, seen
        silent = mesh.ssh("alice@server true", check=True)
        assert silent.stdout + silent.stderr == ""
    assert mesh.laptop.ip6 in server.run("lastlog -u alice").stdout


@pytest.mark.parametrize("how", ["shut@server id", "-s shut@server sftp"])
def test_account_without_a_shell(mesh, how):
    """Neither for commands nor for sftp, whatever the rule says."""
    mesh.server.host.run("id shut || useradd -m -s /usr/sbin/nologin shut", check=True)
    mesh.ssh_rules["server"][0]["users"] = {"shut": "shut"}
    mesh.apply(mesh.server)
    result = mesh.ssh(how, input="")
    assert result.returncode == 255 and "not for logging in (its shell is /usr/sbin/nologin)" in result.stderr


def test_sftp_and_nothing_else(mesh):
    """As the manual says it is done."""
    mesh.ssh_rules["server"][0]["force_command"] = "/usr/lib/openssh/sftp-server"
    mesh.apply(mesh.server)
    listed = mesh.laptop.host.run("sftp -q -b - -o BatchMode=yes alice@server", input="pwd\n")
    assert (listed.returncode, "/home/alice" in listed.stdout) == (0, True), listed.stderr
    assert "uid=" not in mesh.ssh("alice@server id", input="").stdout
