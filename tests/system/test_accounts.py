"""Who is nobody's login: names, accounts, and the host's own ceiling."""
import contextlib
import time

import pytest

CEILING = "/etc/peergate/sshgw.conf"
USUAL = "SSH=yes\nPermitRootLogin=yes\n"


@contextlib.contextmanager
def ceiling(mesh, text):
    mesh.server.host.write(CEILING, text)
    try:
        yield
    finally:
        mesh.server.host.write(CEILING, USUAL)


def refusal(mesh, user, place="server"):
    """What ssh says when it is refused; fails if it is let in."""
    result = mesh.laptop.host.run(["ssh", "-o", "BatchMode=yes", "-l", user, place, "id"])
    assert result.returncode == 255, result.stdout
    assert result.stdout == ""
    return result.stderr


# Dropbear's client sends any name; OpenSSH's refuses some by itself.
@pytest.mark.parametrize("user", ["0", "00", "+0", "-x", "x" * 300, "a\tb", "a\x1b[2Jb", "alice ", "al/ice", "alice:x",
                                  "nosuchuser"])
def test_names_that_are_no_account(mesh, user):
    began = time.time()
    result = mesh.laptop.host.run(["dbclient", "-y", "-l", user, mesh.server.ip4, "id"])
    assert result.returncode and result.stdout == ""
    # (The client itself shows the name as it is, in other lines.)
    told = [line for line in result.stderr.splitlines() if line.startswith("Peergate: ")]
    assert told or len(user) > 256
    assert all(line.isprintable() for line in told)
    # Nothing of it reaches the journal as it is, and nothing crashed.
    if len(user) <= 256:
        mesh.server.host.wait_journal(unit="peergate-sshgw", since=began, DECISION="reject")
    entries = mesh.server.host.journal(unit="peergate-sshgw", since=began)
    assert entries and all("\x1b" not in str(entry) for entry in entries)
    assert not mesh.server.host.journal(since=began, grep="was killed by signal")


def test_root_under_another_name(mesh):
    mesh.server.host.run("id toor || useradd -o -u 0 -M -d /root -s /bin/bash toor", check=True)
    # "*": "=" is nonroot: the same name, but not uid 0.
    assert "root" in refusal(mesh, "toor")
    # A rule that names the account itself means it.
    mesh.ssh_rules["server"][0]["users"] = {"toor": "toor"}
    mesh.apply(mesh.server)
    assert mesh.ssh("toor@server id -u").stdout == "0\n"
    # The host's ceiling is about uid 0, under any name.
    with ceiling(mesh, "SSH=yes\n"):
        assert "PermitRootLogin=" in refusal(mesh, "toor")


@pytest.mark.parametrize("owner", ["peergate", "_sshgw", "peergate-coord"])
def test_system_accounts_of_our_own(mesh, owner):
    """By their names and by their uids, with a shell and for sftp only, and however a rule names them."""
    run = mesh.server.host.run
    run(f"id alias-{owner} || useradd -o -u $(id -u {owner}) -M -d / -s /bin/bash alias-{owner}", check=True)
    for fields in ({}, {"force_command": "internal-sftp"}):
        for name in (owner, f"alias-{owner}"):
            mesh.ssh_rules["server"][0].update(users={name: name}, **fields)
            mesh.apply(mesh.server)
            began = time.time()
            assert "this account belongs to Peergate itself" in refusal(mesh, name)
            entry = mesh.server.host.wait_journal(since=began, EVENT="decision", DECISION="reject")
            assert (entry["LOCAL_USER"], entry["REASON"]) == (name, "account")


def test_nologin_shell_and_expired_account(mesh):
    run = mesh.server.host.run
    run("id shut || useradd -m -s /usr/sbin/nologin shut; id late || useradd -m -e 2020-01-01 late", check=True)
    assert "not for logging in" in refusal(mesh, "shut")
    assert "expired" in refusal(mesh, "late")


def test_locked_password_is_no_refusal(mesh):
    mesh.server.host.run("usermod -L alice", check=True)
    assert mesh.ssh("alice@server id -un").stdout == "alice\n"


def test_etc_nologin(mesh):
    mesh.server.host.write("/etc/nologin", "closed for repairs\n")
    try:
        assert "closed for repairs" in refusal(mesh, "alice")
        assert mesh.ssh("root@server id -un").stdout == "root\n"
    finally:
        mesh.server.host.run("rm /etc/nologin", check=True)


def test_ceiling(mesh):
    with ceiling(mesh, "PermitRootLogin=yes\n"):
        assert "switched off on this host" in refusal(mesh, "alice")
    with ceiling(mesh, "SSH=yes\n"):
        assert "PermitRootLogin=" in refusal(mesh, "root")
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
    with ceiling(mesh, "SSH=yes\nDenyUsers=bob alice\n"):
        assert "DenyUsers=" in refusal(mesh, "alice")
    with ceiling(mesh, "SSH=yes\nAllowUsers=bob\n"):
        assert "AllowUsers=" in refusal(mesh, "alice")


def test_ceiling_that_cannot_be_trusted(mesh):
    began = time.time()
    with ceiling(mesh, "SSH=yes\nNoSuchKey=1\n"):
        assert "switched off" in refusal(mesh, "alice")
    mesh.server.host.wait_journal(since=began, grep=r"sshgw\.conf:2: NoSuchKey")
    mesh.server.host.write(CEILING, USUAL, owner="alice")
    try:
        assert "switched off" in refusal(mesh, "alice")
    finally:
        mesh.server.host.run(["chown", "root:", CEILING], check=True)
