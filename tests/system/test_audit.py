"""The kernel's audit subsystem is told of logins as by other login programs, once of each, and nothing is forged."""
import contextlib
import re
import socket
import struct

import pytest
from hosts import wait_for

NETLINK_AUDIT, READLOG = 9, 1
AUDIT_SET = 1001
TYPES = {1101: "USER_ACCT", 1103: "CRED_ACQ", 1104: "CRED_DISP", 1105: "USER_START", 1106: "USER_END", 1112: "USER_LOGIN"}
ERROR = 2


def audit_socket(groups=0):
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
    sock.bind((0, groups))
    return sock


def switch_audit(on):
    """audit_status of linux/audit.h: its mask says that only "enabled" is meant."""
    with audit_socket() as sock:
        body = struct.pack("=II32x", 1, on)
        sock.sendto(struct.pack("=IHHII", 16 + len(body), AUDIT_SET, 5, 1, 0) + body, (0, 0))
        reply = sock.recv(8192)
    kind, error = struct.unpack_from("=4xH10xi", reply)
    assert (kind, error) == (ERROR, 0)


class Records:
    def __init__(self, sock):
        self.sock = sock
        self.seen = []

    def read(self):
        """Those of logins so far: type and text."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self.sock.recv(1 << 16)
                kind = TYPES.get(struct.unpack_from("=4xH", data)[0])
                if kind:
                    self.seen.append((kind, data[16:].decode().rstrip("\0")))
        return self.seen

    def of(self, kind):
        return [text for found, text in self.read() if found == kind and "peergate" in text]


@pytest.fixture
def records(mesh):
    """The machine's kernel is all hosts'; only its first network namespace, where this runs, is sent copies."""
    with audit_socket(READLOG) as sock:
        sock.setblocking(False)
        switch_audit(1)
        try:
            yield Records(sock)
        finally:
            switch_audit(0)


def field(text, name):
    return re.search(rf"[ ']{name}=(\S+?)'?(?: |$)", text)[1]


def test_login_and_end(mesh, records):
    uid = mesh.server.host.run("id -u alice", check=True).stdout.strip()
    assert mesh.ssh("alice@server id -u").stdout.strip() == uid
    wait_for(lambda: records.of("USER_END"), 20, "the record of the end")
    for kind in "USER_ACCT", "CRED_ACQ", "USER_START", "USER_END", "USER_LOGIN":
        assert len(records.of(kind)) == 1, (kind, records.seen)
    login, start = records.of("USER_LOGIN")[0], records.of("USER_START")[0]
    assert (field(login, "op"), field(login, "id"), field(login, "res")) == ("login", uid, "success")
    assert (field(login, "addr"), field(login, "terminal")) == (mesh.laptop.ip4, "ssh")
    # Of the login's own audit session, as what its programs do.
    assert field(login, "auid") == field(start, "auid") == uid and field(login, "ses") == field(start, "ses")
    assert field(start, "acct") == '"alice"' and field(start, "addr") == mesh.laptop.ip4


@pytest.mark.parametrize("name", ["root", "eve id=0 res=success", "eve'\n"])
def test_refusal(mesh, records, name):
    octal = "".join(f"\\{byte:03o}" for byte in name.encode())
    mesh.phone.host.run(["sh", "-c", f'dbclient -y -l "$(printf \'{octal}x\')" {mesh.server.ip4} id </dev/null'])
    login = wait_for(lambda: records.of("USER_LOGIN"), 20, "the record of the refusal")
    assert len(login) == 1 and not records.of("USER_START")
    name = f"{name}x"
    assert field(login[0], "acct") == (f'"{name}"' if name.isalnum() else name.encode().hex().upper())
    assert (field(login[0], "res"), field(login[0], "addr")) == ("failed", mesh.phone.ip4)
