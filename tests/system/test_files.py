"""Files are copied by the system's own sftp-server, run directly as the user; and by commands, as ever."""
import re
import time

import pytest
from hosts import wait_for
from mesh import SSH, login_processes
from records import check_who

CONF = "/etc/peergate/sshgw.conf"
CEILING = "SSH=yes\nPermitRootLogin=yes\n"
COPIES = {
    "scp": lambda a, b: f"scp -q -o BatchMode=yes {a} {b}",
    "scp-O": lambda a, b: f"scp -q -O -o BatchMode=yes {a} {b}",
    "rsync": lambda a, b: f"rsync -e '{SSH}' {a} {b}",
}


@pytest.fixture
def ceiling(mesh):
    """Write the server's sshgw.conf; afterwards it is as before."""
    yield lambda more: mesh.server.host.write(CONF, CEILING + more)
    mesh.server.host.write(CONF, CEILING)


@pytest.fixture
def blob(mesh):
    """A file on the laptop, and its hash."""
    made = mesh.laptop.host.run("head -c 1500000 /dev/urandom >/tmp/blob; sha256sum </tmp/blob", check=True)
    return "/tmp/blob", made.stdout


def sftp(mesh, batch, where="alice@server", node=None):
    host = (node or mesh.laptop).host
    return host.run(f"sftp -q -b - -o BatchMode=yes {where}", input=batch)


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_exact(mesh, blob, how):
    path, digest = blob
    copy = COPIES[how]
    there, back = f"/home/alice/{how}", f"/tmp/{how}"
    mesh.laptop.host.run(copy(path, f"alice@server:{there}"), check=True)
    assert mesh.server.host.run(f"sha256sum <{there}").stdout == digest
    mesh.laptop.host.run(copy(f"alice@server:{there}", back), check=True)
    assert mesh.laptop.host.run(f"sha256sum <{back}").stdout == digest


def test_sftp_client(mesh, blob):
    path, digest = blob
    result = sftp(mesh, f"put {path} sent\nget sent /tmp/got\npwd\nls -l sent\n")
    assert result.returncode == 0, result.stderr
    assert "Remote working directory: /home/alice" in result.stdout
    assert mesh.laptop.host.run("sha256sum </tmp/got").stdout == digest
    assert mesh.server.host.run("sha256sum </home/alice/sent").stdout == digest


def test_start_files_do_not_get_in_the_way(mesh, blob):
    """What they print would be taken for the protocol."""
    server, (path, digest) = mesh.server.host, blob
    names = [f"/home/alice/{name}" for name in (".bashrc", ".profile", ".bash_profile")]
    kept = {name: server.read(name) for name in names[:2]}
    try:
        for name in names:
            server.write(name, "echo welcome to this host; echo and more of it >&2\n", owner="alice")
        assert "welcome" in mesh.ssh("alice@server true").stdout
        result = sftp(mesh, f"put {path} quiet\n")
        assert (result.returncode, result.stderr) == (0, "")
        assert server.run("sha256sum </home/alice/quiet").stdout == digest
    finally:
        server.run(["rm", "-f", *names], check=True)
        for name, content in kept.items():
            server.write(name, content, owner="alice")


def test_server_runs_as_a_login_does(mesh):
    """As the user, in the login's scope, with its umask, and no shell around it."""
    server = mesh.server.host
    umask = mesh.ssh("alice@server umask").stdout.strip()
    with mesh.laptop.host.popen("sftp -q -o BatchMode=yes alice@server") as client:
        client.stdin.write(b"mkdir made\n")
        wait_for(lambda: server.run("test -d /home/alice/made").returncode == 0, 30, "the folder")
        running = login_processes(server, "alice")
        names = sorted(command.split()[0].rsplit("/", 1)[-1] for command in running.values())
        assert "sftp-server" in names and not set(names) & {"bash", "-bash", "sh"}, running
        pid = next(pid for pid, command in running.items() if "sftp-server" in command)
        status = server.run(f"stat -c %U /proc/{pid}; readlink /proc/{pid}/exe /proc/{pid}/cwd; cat /proc/{pid}/environ", check=True)
        assert status.stdout.startswith("alice\n/usr/lib/openssh/sftp-server\n/home/alice\n")
        assert re.search(r"\0SSH_CONNECTION=(100\.64\.0\.2|fd7a:\S+) ", status.stdout)
        assert "\0XDG_SESSION_ID=" in status.stdout
        assert server.run("stat -c '%U %a' /home/alice/made").stdout == f"alice {0o777 & ~int(umask, 8):o}\n"
        client.stdin.write(b"rmdir made\nbye\n")
        assert client.wait() == 0
    wait_for(lambda: not login_processes(server, "alice"), 20, "the end of the login")


@pytest.mark.parametrize("setting, said, logged", [
    ("SftpServer=none\n", "sftp is switched off on this host", "alice asked for sftp, which is switched off here"),
    ("SftpServer=/no/such/server\n", "this host has no sftp-server", "alice asked for sftp, and there is no sftp-server here"),
])
def test_no_server(mesh, ceiling, blob, setting, said, logged):
    began = time.time()
    ceiling(setting)
    result = sftp(mesh, "pwd\n")
    assert result.returncode == 255 and said in result.stderr
    refused = mesh.server.host.wait_journal(since=began, EVENT="session-refused", grep=logged)
    check_who([refused], mesh.laptop)
    # Commands go on.
    mesh.laptop.host.run(COPIES["scp-O"](blob[0], "alice@server:/home/alice/still"), check=True)


def test_another_server(mesh, ceiling):
    mesh.server.host.write("/usr/local/bin/own-sftp", "#!/bin/sh\necho own $# $0\n", 0o755)
    ceiling("SftpServer=/usr/local/bin/own-sftp\n")
    assert mesh.ssh("-s alice@server sftp").stdout == "own 0 /usr/local/bin/own-sftp\n"


def test_forced_command_in_its_place(mesh):
    mesh.ssh_rules["server"][0]["force_command"] = 'echo "forced: $SSH_ORIGINAL_COMMAND"'
    mesh.apply(mesh.server)
    assert mesh.ssh("-s alice@server sftp").stdout == "forced: /usr/lib/openssh/sftp-server\n"


def test_other_subsystems_are_refused(mesh):
    result = mesh.ssh("-s alice@server netconf")
    assert result.returncode == 255 and "subsystem request failed" in result.stderr


def test_account_that_is_not_for_logging_in(mesh):
    server = mesh.server.host
    if server.run("id shut").returncode:
        server.add_user("shut", shell="/usr/sbin/nologin")
    # (With -q, ssh would not show why.)
    result = mesh.laptop.host.run("sftp -b - -o BatchMode=yes shut@server", input="pwd\n")
    assert result.returncode == 255
    assert "nologin" in result.stderr


@pytest.fixture
def restricted(mesh):
    """Make an account with this shell; it is removed afterwards."""
    server = mesh.server.host
    yield lambda shell: server.add_user("confined", shell=shell)
    server.run("userdel -r -f confined")


def test_shell_that_is_not_listed_runs_the_server(mesh, restricted):
    """As under sshd: who restricts an account by its shell is not gone round."""
    server = mesh.server.host
    server.write("/usr/local/bin/menu", '#!/bin/sh\necho "$#: $*" >>~/asked\nexec /bin/sh "$@"\n', 0o755)
    restricted("/usr/local/bin/menu")
    result = sftp(mesh, "pwd\n", "confined@server")
    assert (result.returncode, "/home/confined" in result.stdout) == (0, True), result.stderr
    assert server.read("/home/confined/asked") == "2: -c /usr/lib/openssh/sftp-server\n"
    # One that refuses, as git-shell does, is obeyed; and not asked where the rule is for sftp only.
    server.write("/usr/local/bin/menu", "#!/bin/sh\necho not this >&2\nexit 1\n", 0o755)
    result = sftp(mesh, "pwd\n", "confined@server")
    assert result.returncode == 255 and "/home/confined" not in result.stdout and "not this" in result.stderr
    mesh.ssh_rules["server"][0]["force_command"] = "internal-sftp"
    mesh.apply(mesh.server)
    result = sftp(mesh, "pwd\n", "confined@server")
    assert (result.returncode, "/home/confined" in result.stdout) == (0, True), result.stderr


def test_restricted_shell_refuses_the_server(mesh, restricted):
    """Listed in /etc/shells, as Debian has it."""
    assert mesh.server.host.run("grep -qx /bin/rbash /etc/shells").returncode == 0
    restricted("/bin/rbash")
    assert mesh.ssh("confined@server 'echo $0'").stdout == "rbash\n"
    result = sftp(mesh, "pwd\n", "confined@server")
    assert result.returncode == 255 and "restricted" in result.stderr and "/home/confined" not in result.stdout


def test_revocation_ends_a_transfer(mesh):
    server, laptop = mesh.server.host, mesh.laptop.host
    server.run("truncate -s 10G /tmp/endless", check=True)
    with laptop.popen("scp -q -l 8000 -o BatchMode=yes alice@server:/tmp/endless /tmp/part") as client:
        wait_for(lambda: laptop.run("test -s /tmp/part").returncode == 0, 30, "the transfer")
        assert any("sftp-server" in command for command in login_processes(server, "alice").values())
        mesh.ssh_rules["server"] = []
        mesh.apply(mesh.server)
        assert client.wait(20) != 0
    laptop.run("rm /tmp/part", check=True)
    wait_for(lambda: not login_processes(server, "alice"), 10, "the end of its processes")
