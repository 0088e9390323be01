"""What the kernel's audit subsystem is told of logins, by the gateway and by PAM: what auditd would hear."""
import contextlib
import re
import select
import socket
import struct
import time

import pytest
from hosts import TimedOut
from logins import PAM, added

# linux/netlink.h, linux/audit.h, and audit(8) for the messages of user space
NETLINK_AUDIT, READERS = 9, 1
ACKNOWLEDGED, AUDIT_SET, STATUS_ENABLED = 5, 1001, 1
NAMES = {1101: "USER_ACCT", 1103: "CRED_ACQ", 1104: "CRED_DISP", 1105: "USER_START", 1106: "USER_END",
         1112: "USER_LOGIN"}
HEADER = struct.Struct("=IHHII")
NOBODY = str(2 ** 32 - 1)


def switch_auditing(on):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT) as kernel:
        status = struct.pack("=10I", STATUS_ENABLED, on, *[0] * 8)
        kernel.send(HEADER.pack(HEADER.size + len(status), AUDIT_SET, ACKNOWLEDGED, 1, 0) + status)
        assert struct.unpack_from("=i", kernel.recv(8192), HEADER.size)[0] == 0


class Records:
    """Those of the server's gateway, in the order in which they come: (name, {field: value})."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
        self._socket.bind((0, READERS))
        self._all = []

    def close(self):
        self._socket.close()

    def _read(self, timeout):
        if not select.select([self._socket], [], [], timeout)[0]:
            raise TimedOut(f"no record comes any more; so far: {self._all}")
        data = self._socket.recv(65536)
        kind, text = HEADER.unpack_from(data)[1], data[HEADER.size:].rstrip(b"\0").decode()
        words = re.findall(r"([\w-]+)=(\"[^\"]*\"|[^ ']*)", text.replace("msg='", ""))
        fields = {name: value.strip('"') for name, value in words}
        if kind in NAMES and "/peergate-sshgw-" in fields.get("exe", ""):
            self._all.append((NAMES[kind], fields))

    def until(self, last, timeout=60):
        """What came up to the first record of that name; behind that, the next call goes on."""
        deadline = time.monotonic() + timeout
        while last not in [name for name, _ in self._all]:
            self._read(max(deadline - time.monotonic(), 0))
        end = [name for name, _ in self._all].index(last) + 1
        found, self._all = self._all[:end], self._all[end:]
        return found


@pytest.fixture
def records():
    with contextlib.closing(Records()) as reader:
        switch_auditing(True)
        try:
            yield reader
        finally:
            switch_auditing(False)


def test_login(mesh, records):
    """In sshd's order, by the login's own leader: with its loginuid and its session."""
    server = mesh.server.host
    uid = server.run("id -u alice", check=True).stdout.strip()
    mesh.ssh("alice@100.64.0.1 true", check=True)
    heard = records.until("CRED_DISP")
    assert [name for name, _ in heard] == ["USER_ACCT", "CRED_ACQ", "USER_START", "USER_LOGIN", "USER_END", "CRED_DISP"]
    for name, fields in heard:
        assert (fields["addr"], fields["terminal"], fields["res"]) == (mesh.laptop.ip4, "ssh", "success"), (name, fields)
        assert fields["exe"].endswith("/peergate-sshgw-session") and fields["pid"] == heard[0][1]["pid"], (name, fields)
        assert fields["id" if name == "USER_LOGIN" else "acct"] == (uid if name == "USER_LOGIN" else "alice"), fields
    # pam_loginuid is in the session's stack, which the credentials come before.
    sessions = [(fields["auid"], fields["ses"]) for _, fields in heard]
    assert sessions[:2] == [(NOBODY, NOBODY)] * 2
    assert len(set(sessions[2:])) == 1 and sessions[2][0] == uid and sessions[2][1] != NOBODY, sessions


def test_refusals(mesh, records):
    """By the policy: of the monitor. By the account's rules of PAM: of both. In the session's stack: of the leader."""
    def login_refused(heard, program, account, node):
        (name, fields), = [record for record in heard if record[0] == "USER_LOGIN"]
        assert (fields["op"], fields["acct"], fields["addr"], fields["res"]) == ("login", account, node.ip4, "failed")
        assert fields["exe"].endswith(f"/{program}"), fields

    server = mesh.server.host
    mesh.ssh("root@100.64.0.1 id", node=mesh.phone)
    heard = records.until("USER_LOGIN")
    assert len(heard) == 1
    login_refused(heard, "peergate-sshgw-monitor", "root", mesh.phone)
    server.run("chage -E 1 alice", check=True)
    try:
        mesh.ssh("alice@100.64.0.1 id")
    finally:
        server.run("chage -E -1 alice", check=True)
    heard = records.until("USER_LOGIN")
    assert [(name, fields["res"]) for name, fields in heard] == [("USER_ACCT", "failed"), ("USER_LOGIN", "failed")]
    login_refused(heard, "peergate-sshgw-monitor", "alice", mesh.laptop)
    with added(server, PAM, "session required pam_deny.so\n"):
        mesh.ssh("alice@100.64.0.1 id")
    heard = records.until("USER_LOGIN")
    assert [(name, fields["res"]) for name, fields in heard] == [
        ("USER_ACCT", "success"), ("CRED_ACQ", "success"), ("USER_START", "failed"), ("USER_LOGIN", "failed")]
    login_refused(heard, "peergate-sshgw-session", "alice", mesh.laptop)
