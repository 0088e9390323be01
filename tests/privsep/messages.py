"""The privilege separation channel, for tests in Python: sshgw/msg.h and common/chan.h."""
import array
import select
import socket
import struct

NET_INIT, NET_SIGNED, NET_AUTH_RESULT, NET_STARTED, NET_START_FAILED, NET_EXITED, NET_END, NET_CHECK = range(0x100, 0x108)
NET_CONNECTED, NET_CONNECT_FAILED, NET_LISTENING, NET_LISTEN_FAILED, NET_INCOMING, NET_OPENED = range(0x108, 0x10e)
NET_READY, NET_SIGN, NET_AUTHORIZE, NET_START, NET_HANGUP, NET_LOG, NET_SIGNAL, NET_HELD = range(0x180, 0x188)
NET_CONNECT, NET_LISTEN, NET_UNLISTEN, NET_FORWARD_END, NET_ACTIVE, NET_PROVE, NET_SESSION_END, NET_LOGGED_IN = range(0x188, 0x190)
ACCOUNT, OPEN, LOGIN, LOGOUT, SOCKET_LEFT, SOCKET_GONE, CLOSE = range(0x200, 0x207)
ACCOUNT_RESULT, OPENED = 0x280, 0x281
REFUSED, ALLOWED, CLOSED, UNDECIDED = range(4)
START, HANGUP, SIGNAL, CONNECT, LISTEN, UNLISTEN, NEXT = range(0x300, 0x307)
STARTED, START_FAILED, EXITED, CONNECTED, CONNECT_FAILED, LISTENING, LISTEN_FAILED, SOCKET, INCOMING = range(0x380, 0x389)
FORWARD_TCP, FORWARD_UNIX, FORWARD_AGENT, FORWARD_X11 = range(1, 5)
SHELL, EXEC, SFTP = 1, 2, 3


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return u32(len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        piece, self.data = self.data[:n], self.data[n:]
        assert len(piece) == n
        return piece

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def bytes(self):
        return self.take(self.u32())

    def text(self):
        return self.bytes().decode()


def send(sock, kind, payload=b"", fds=()):
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([u32(kind) + payload], control)


def receive(sock, timeout=10):
    """(kind, Reader, descriptors); kind is None at the end of the channel."""
    if not select.select([sock], [], [], timeout)[0]:
        raise TimeoutError("no message")
    data, control, _, _ = sock.recvmsg(256 << 10, socket.CMSG_SPACE(12))
    fds = array.array("i")
    for _, _, body in control:
        fds.frombytes(body[:len(body) - len(body) % 4])
    if not data:
        return None, None, []
    return struct.unpack(">I", data[:4])[0], Reader(data[4:]), list(fds)
