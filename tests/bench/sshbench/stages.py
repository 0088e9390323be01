"""How far a connection has come when it is dropped: each stage brings one there, and no further."""
import contextlib
import itertools
import os
import queue
import socket
import struct
import time

import paramiko
from paramiko.common import byte_chr

from . import world

TIMEOUT = 60
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is not sent yet is thrown away, the other side gets a RST
SERVICE_REQUEST, SERVICE_ACCEPT, USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_BANNER = 5, 6, 50, 51, 53
USERAUTH_INFO_REQUEST, USERAUTH_INFO_RESPONSE, CHANNEL_REQUEST = 60, 61, 98
VERSION = b"SSH-2.0-drops\r\n"
A_WHILE = 0.05  # that a held login lasts; nobody tells the client that it is held

numbers = itertools.count()


class Transport(paramiko.Transport):
    """Says nothing when it is dropped."""

    def say(self, kind, *words):
        message = paramiko.Message()
        message.add_byte(byte_chr(kind))
        for word in words:
            (message.add_boolean if isinstance(word, bool) else message.add_int if isinstance(word, int)
             else message.add_string)(word)
        self._send_message(message)

    def drop(self):
        self.active = False
        self.packetizer.close()
        self.sock.close()


class Asker(Transport):
    """Asks for its login itself, and hears what comes before that."""

    def __init__(self, sock):
        super().__init__(sock)
        self.heard = queue.SimpleQueue()
        kinds = SERVICE_ACCEPT, USERAUTH_FAILURE, USERAUTH_BANNER, USERAUTH_INFO_REQUEST
        self._handler_table = {**self._handler_table, **{kind: self._hearing(kind) for kind in kinds}}

    @staticmethod
    def _hearing(kind):
        return lambda transport, _: transport.heard.put(kind)

    def expect(self, kind):
        with contextlib.suppress(queue.Empty):
            while self.heard.get(timeout=TIMEOUT) != kind:
                pass
            return
        raise world.Failure(f"message {kind} did not come")

    def ask(self, method, *words):
        self.say(USERAUTH_REQUEST, world.USER, "ssh-connection", method, *words)


class Connection:
    """One, and what the client has besides because of it.

    number   of every four, two are dropped by a reset, and two do not wait for the gateway's first word
    target   a port that takes connections
    home     the user's
    """

    def __init__(self, number, target, home):
        with_reset, self.hasty = number % 2, number // 2 % 2
        self.target, self.home, self.transport, self.others = target, home, None, contextlib.ExitStack()
        self.sock = socket.create_connection((world.SELF, 22), TIMEOUT, source_address=(world.PEER, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if with_reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def exchange_keys(self, kind):
        self.transport = kind(self.sock)
        self.transport.start_client(timeout=TIMEOUT)
        return self.transport

    def connect(self, address):
        """As a program on the host does, to what is listened at for the client."""
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        sock = self.others.enter_context(socket.socket(family))
        sock.settimeout(TIMEOUT)
        sock.connect(address)

    def drop(self):
        if self.transport:
            self.transport.drop()
        self.sock.close()
        self.others.close()


# -- before the login


def _hear(connection):
    if not connection.sock.recv(4096):
        raise world.Failure("the gateway closed a connection by itself")


def connected(connection):
    """Were all hasty, most would find too many before them, and be refused without a process of their own."""
    if not connection.hasty:
        _hear(connection)


def version(connection):
    connection.sock.sendall(VERSION)
    connected(connection)


def kexinit(connection):
    connection.sock.sendall(VERSION)
    lists = (b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2,
             b"", b"")
    payload = b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(x)) + x for x in lists) + bytes(5)
    padding = 8 - (5 + len(payload)) % 8 + 8
    connection.sock.sendall(struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding))
    _hear(connection)


def after_kex(connection):
    connection.exchange_keys(Asker)


def service(connection):
    connection.exchange_keys(Asker).say(SERVICE_REQUEST, "ssh-userauth")


def asked(connection):
    """The answer of the agent and of PAM is on its way."""
    service(connection)
    connection.transport.ask("none")


# -- while a check is waited for


def told(connection):
    """The client has been told where a person is to confirm the login."""
    asked(connection)
    connection.transport.expect(USERAUTH_BANNER)
    connection.transport.expect(USERAUTH_FAILURE)


def held(connection):
    told(connection)
    connection.transport.ask("keyboard-interactive", "", "")
    connection.transport.expect(USERAUTH_INFO_REQUEST)
    connection.transport.say(USERAUTH_INFO_RESPONSE, 0)
    time.sleep(A_WHILE)


# -- logged in


def logged_in(connection):
    connection.exchange_keys(Transport).auth_none(world.USER)


def _session(connection):
    logged_in(connection)
    channel = connection.transport.open_session(timeout=TIMEOUT)
    channel.settimeout(TIMEOUT)
    return channel


def _first_line(channel, command):
    """No further process: dash, between vfork and exec of one, loses a SIGHUP of its group now and then."""
    channel.exec_command(f"{command}; exec sleep 300")
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.recv(1024)
        if not piece:
            raise world.Failure(f"a program did not start: {line}")
        line += piece
    return line.decode().strip()


def starting(connection):
    """A program on a terminal, and not a moment's wait for it."""
    channel = _session(connection)
    channel.get_pty()
    connection.transport.say(CHANNEL_REQUEST, channel.remote_chanid, "exec", True, "sleep 300")


def running(connection):
    channel = _session(connection)
    channel.get_pty()
    _first_line(channel, "echo up")


# -- forwarding: each with a connection that is forwarded


def _await(came):
    try:
        return came.get(timeout=TIMEOUT)
    except queue.Empty:
        raise world.Failure("a connection was not forwarded to the client") from None


def local(connection):
    logged_in(connection)
    connection.transport.open_channel("direct-tcpip", ("127.0.0.1", connection.target), ("127.0.0.1", 1),
                                      timeout=TIMEOUT)


def remote(connection):
    logged_in(connection)
    came = queue.SimpleQueue()
    port = connection.transport.request_port_forward("127.0.0.1", 0, handler=lambda channel, *_: came.put(channel))
    connection.connect(("127.0.0.1", port))
    _await(came)


def remote_unix(connection):
    """A listener only: paramiko knows no such channels."""
    logged_in(connection)
    path = connection.home / f"{os.getpid()}.{next(numbers)}"
    message = ("streamlocal-forward@openssh.com", (str(path),))
    if connection.transport.global_request(*message) is None:
        raise world.Failure("a unix socket was not listened at")
    path.stat()


def agent(connection):
    came = queue.SimpleQueue()
    channel = _session(connection)
    channel.request_forward_agent(came.put)
    connection.connect(_first_line(channel, "echo $SSH_AUTH_SOCK"))
    _await(came)


def display(connection):
    came = queue.SimpleQueue()
    channel = _session(connection)
    channel.request_x11(handler=lambda forwarded, _: came.put(forwarded))
    number = int(_first_line(channel, "echo $DISPLAY").split(":")[1].split(".")[0])
    connection.connect(("127.0.0.1", 6000 + number))
    _await(came)


CHECKED = [told, held]  # where the policy wants logins checked
STAGES = [connected, version, kexinit, after_kex, service, asked, *CHECKED, logged_in, starting, running, local, remote,
          remote_unix, agent, display]
