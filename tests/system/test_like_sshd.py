"""A login through the gateway looks like one through the host's own sshd."""
import re

import pytest
from hosts import wait_for

# One thing a line, so that the two can be compared line by line.
LOOK = r"""
grep -E '^(Umask|Groups|Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Cpus_allowed_list)' /proc/self/status
cat /proc/self/limits
umask; pwd; cat /proc/self/oom_score_adj; cat /proc/self/loginuid; echo
sed -E 's/^[0-9]+ [0-9]+ [0-9:]+//' /proc/self/mountinfo
ls /proc/self/fd
readlink /proc/self/ns/* | sort
ulimit -a
"""


@pytest.fixture(scope="module")
def sshd_login(mesh_once):
    """The command that logs in to the server's own sshd as alice, over the LAN."""
    laptop, server = mesh_once.laptop.host, mesh_once.server.host
    laptop.run("mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/like", check=True)
    server.run("mkdir -p -m 700 /home/alice/.ssh; chown alice: /home/alice/.ssh", check=True)
    server.write("/home/alice/.ssh/authorized_keys", laptop.read("/root/.ssh/like.pub"), 0o600, "alice")
    return f"ssh -i /root/.ssh/like -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@{server.ip4}"


def both(mesh, sshd_login, command, more=""):
    """The lines that the command prints, through sshd and through the gateway."""
    def lines(login):
        ssh, *rest = login.split()
        argv = [ssh, *more.split(), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *rest, command]
        return mesh.laptop.host.run(argv, check=True).stdout.splitlines()

    return lines(sshd_login), lines("ssh alice@server")


@pytest.mark.parametrize("more", ["", "-tt"])
def test_process(mesh, sshd_login, more):
    sshd, gateway = both(mesh, sshd_login, LOOK, more)
    assert gateway == sshd


def test_environment(mesh, sshd_login):
    def by_name(lines):
        env = dict(line.split("=", 1) for line in lines if "=" in line)
        env["XDG_SESSION_ID"] = bool(env.get("XDG_SESSION_ID"))
        for name in ("SSH_CLIENT", "SSH_CONNECTION"):
            env[name] = re.sub(r"[0-9a-f.:]+", "N", env[name])
        return env

    sshd, gateway = map(by_name, both(mesh, sshd_login, "env"))
    # The one difference: Debian's sshd has a PATH compiled in; ours follows login.defs, as login(1) does.
    sshd["PATH"] = mesh.server.host.run("sed -n 's/^ENV_PATH[[:space:]]*PATH=//p' /etc/login.defs", check=True).stdout.strip()
    assert gateway == sshd


def test_session(mesh, sshd_login):
    show = "loginctl show-session $XDG_SESSION_ID -p Name -p User -p Remote -p Type -p Class -p Active -p State -p Scope; " \
           "cat /proc/self/cgroup"
    sshd, gateway = [[re.sub(r"session-\d+", "session-N", line) for line in lines]
                     for lines in both(mesh, sshd_login, show)]
    assert gateway == sshd
    said = mesh.ssh("alice@100.64.0.1 'loginctl show-session $XDG_SESSION_ID -p Service -p RemoteHost'").stdout
    assert sorted(said.split()) == [f"RemoteHost={mesh.laptop.ip4}", "Service=peergate"]


def test_who_and_last(mesh):
    server = mesh.server.host
    with mesh.laptop.host.pty("ssh alice@100.64.0.1") as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("who")
        terminal.read_until(r"alice\s+pts/\d+\s+.*\(100\.64\.0\.2\)")
        terminal.sendline("exit")
        terminal.wait()
    wait_for(lambda: re.search(r"^alice\s+pts/\d+\s+100\.64\.0\.2 .* - ", server.run("last alice").stdout, re.M), 10,
             "the end of the session in wtmp")
    assert "alice" not in server.run("who").stdout


def greeting(mesh, login):
    """What the person sees before the prompt."""
    with mesh.laptop.host.pty(login) as terminal:
        terminal.read_until(r"^.*\$ $")
        # sshd makes "\r\n" of a newline before the terminal does.
        seen = terminal.text.replace("\r\r\n", "\r\n").splitlines()[:-1]
        terminal.sendline("exit")
        terminal.wait()
    return seen


def test_greeting(mesh, sshd_login):
    """Message of the day, then the last login: each tells of the other."""
    mesh.ssh("-tt alice@100.64.0.1 true", check=True)
    sshd = greeting(mesh, f"{sshd_login} -o LogLevel=ERROR")
    gateway = greeting(mesh, "ssh alice@100.64.0.1")
    assert gateway[:-1] == sshd[:-1] and sshd[:-1]
    for line, host in (sshd[-1], mesh.laptop.ip4), (gateway[-1], mesh.laptop.host.ip4):
        assert re.fullmatch(r"Last login: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} from " + re.escape(host), line), line
