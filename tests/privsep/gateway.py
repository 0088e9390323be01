"""The real net and user processes, joined by a monitor that says yes.

The monitor's part is played here, so that a test sees what only these two and the client do.
"""
import os
import socket
import struct
import subprocess
import threading
import time

import messages as m
from host_keys import HostKey

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
ENVIRONMENT = {"HOME": "/", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
# How the net process ends: enum net_exit of sshgw/steps.h.
EXIT_CLOSED, EXIT_BROKEN, EXIT_LOST, EXIT_GAVE_UP = 0, 3, 4, 6

FORWARDING = {m.NET_CONNECT: m.CONNECT, m.NET_LISTEN: m.LISTEN, m.NET_UNLISTEN: m.UNLISTEN}
FORWARDED = {m.CONNECTED: m.NET_CONNECTED, m.CONNECT_FAILED: m.NET_CONNECT_FAILED, m.LISTENING: m.NET_LISTENING,
             m.LISTEN_FAILED: m.NET_LISTEN_FAILED, m.INCOMING: m.NET_INCOMING}


class Connection:
    """A client's connection and the two processes that serve it."""

    def __init__(self, gateway, client):
        self.gateway = gateway
        self.log, self.n_signatures, self.n_proofs = [], 0, 0
        self.session_id = None
        self.asked = []  # user names
        self.active = []  # when the net process said that bytes flow
        self.held = threading.Event()  # the client waits for the check
        self.logged_in = 0  # how often the network process said that it is in
        self.unlistened = []  # numbers of listeners that the net process gave up
        self.ends = []  # of forwarded connections: (came in, number, bytes to the client, bytes from it)
        self.net_channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.setblocking(False)
        self.net = gateway.spawn([gateway.net, gateway.build], [client.fileno(), theirs.fileno()],
                                 gateway.net_environment)
        theirs.close()
        client.close()
        self.user_channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.user = gateway.spawn([gateway.session, gateway.build, "user"], [theirs.fileno()],
                                  {**ENVIRONMENT, **gateway.environment})
        theirs.close()
        gateway.connections.append(self)
        m.send(self.net_channel, m.NET_INIT, gateway.init_message())
        for serve in (self._serve_net, self._serve_user):
            threading.Thread(target=self._serve, args=[serve], daemon=True).start()

    def _serve(self, serve):
        try:
            while serve():
                pass
        except (OSError, ValueError):
            pass  # the other process has gone first, or the test has

    def _serve_net(self):
        kind, reader, _ = m.receive(self.net_channel, None)
        if kind == m.NET_SIGN:
            self.n_signatures += 1
            key, digest, exchanged = self.gateway.keys[reader.u32()], reader.u32(), reader.bytes()
            self.session_id = self.session_id or exchanged
            m.send(self.net_channel, m.NET_SIGNED, m.text(key.sign(digest, exchanged)))
        elif kind == m.NET_PROVE:
            self.n_proofs += 1
            key, digest = self.gateway.keys[reader.u32()], reader.u32()
            proof = m.text("hostkeys-prove-00@openssh.com") + m.text(self.session_id) + m.text(key.blob)
            m.send(self.net_channel, m.NET_SIGNED, m.text(key.sign(digest, proof)))
        elif kind == m.NET_AUTHORIZE:
            self.asked.append(reader.text())
            if self.gateway.check:
                self.check(self.gateway.check)
            elif self.gateway.agrees is not None:
                self.verdict(self.gateway.agrees, "" if self.gateway.agrees else "Peergate: not you")
        elif kind == m.NET_HELD:
            self.held.set()
        elif kind == m.NET_LOGGED_IN:
            self.logged_in += 1
            if self.gateway.opens is True:
                self.opened()
            elif self.gateway.opens:
                self.end(self.gateway.opens)
        elif kind == m.NET_ACTIVE:
            self.active.append(time.monotonic())
        elif kind == m.NET_START:
            time.sleep(self.gateway.start_delay)
            if self.gateway.refusal:
                m.send(self.net_channel, m.NET_START_FAILED, reader.data[:4] + m.text(self.gateway.refusal))
                return True
            m.send(self.user_channel, m.START, self.gateway.start_message(reader.data))
        elif kind == m.NET_HANGUP:
            m.send(self.user_channel, m.HANGUP, reader.data)
        elif kind == m.NET_SIGNAL:
            m.send(self.user_channel, m.SIGNAL, reader.data)
        elif kind in FORWARDING:
            self._forward(kind, reader.data)
        elif kind == m.NET_FORWARD_END:
            self.ends.append(struct.unpack(">BIQQ", reader.data))
        elif kind == m.NET_LOG:
            reader.u32()
            self.log.append(reader.text())
        elif kind is None:
            self.user_channel.shutdown(socket.SHUT_RDWR)
        return kind is not None

    def _forward(self, kind, payload):
        """TCP listeners are on the loopback, whatever the client says."""
        if kind == m.NET_UNLISTEN:
            self.unlistened.append(struct.unpack(">I", payload)[0])
        else:
            time.sleep(self.gateway.forward_delay)
        if kind != m.NET_UNLISTEN and self.gateway.no_forwards:
            why_not = m.text(self.gateway.no_forwards)
            answer = (m.NET_LISTEN_FAILED, b"") if kind == m.NET_LISTEN else (m.NET_CONNECT_FAILED, m.u32(1))
            m.send(self.net_channel, answer[0], payload[:4] + answer[1] + why_not)
            return
        if kind == m.NET_LISTEN and payload[4] == m.FORWARD_TCP:
            reader = m.Reader(payload[5:])
            reader.text()
            payload = payload[:5] + m.text("localhost") + reader.data
        m.send(self.user_channel, FORWARDING[kind], payload)

    def check(self, code):
        where = m.text("Peergate: a check is needed") + m.text(f"https://coord.example/check/{code}") + m.text(code)
        m.send(self.net_channel, m.NET_CHECK, where)

    def verdict(self, yes, text=""):
        m.send(self.net_channel, m.NET_AUTH_RESULT, bytes([yes]) + m.text(text) + m.u32(self.gateway.active_msec))

    def opened(self):
        m.send(self.net_channel, m.NET_OPENED)

    def end(self, notice):
        m.send(self.net_channel, m.NET_END, m.text(notice))

    def _serve_user(self):
        kind, reader, fds = m.receive(self.user_channel, None)
        if kind == m.STARTED:
            m.send(self.net_channel, m.NET_STARTED, reader.data[:5] + m.text(""), fds)
        elif kind == m.START_FAILED:
            m.send(self.net_channel, m.NET_START_FAILED, reader.data)
        elif kind == m.EXITED:
            m.send(self.net_channel, m.NET_EXITED, reader.data)
        elif kind in FORWARDED:
            m.send(self.net_channel, FORWARDED[kind], reader.data, fds)
            if kind == m.INCOMING:
                m.send(self.user_channel, m.NEXT)
        for fd in fds:
            os.close(fd)
        return kind is not None

    def close(self):
        for process in (self.net, self.user):
            process.kill()
            process.wait()
        self.net_channel.close()
        self.user_channel.close()


class Gateway:
    """Serves connections on a port of the loopback.

    rekey         after how many bytes and how many seconds new keys are exchanged; 0: no limit
    start_delay   seconds that the monitor takes to have a program started
    refusal       why it starts none
    no_forwards   why it neither connects nor listens
    forward_delay seconds that this takes
    send_buffer   bytes that the kernel takes on a connection's way to the client: a slow link
    environment   of the login, besides the usual
    check         code of the check that logins need; None: none
    agrees        whether the policy does; None: the test gives the verdict
    opens         whether the session can be opened; if not, why; None: the test says so
    grace         seconds for the login
    keys          kinds of host keys
    clock         file with the seconds that the net process's clock is ahead (later.c); None: it is right
    active_msec   so often the net process says that bytes flow; 0: never
    """

    def __init__(self, net, session, build, rekey=(1 << 30, 3600), start_delay=0, refusal=None, check=None, agrees=True,
                 opens=True, grace=60, no_forwards=None, forward_delay=0, max_forwards=100, max_listens=20, send_buffer=None,
                 keys=("ed25519",), active_msec=0, environment=None, clock=None):
        self.net, self.session, self.build = net, session, build
        self.rekey, self.start_delay, self.refusal = rekey, start_delay, refusal
        self.check, self.agrees, self.opens, self.grace = check, agrees, opens, grace
        self.no_forwards, self.forward_delay = no_forwards, forward_delay
        self.max_forwards, self.max_listens = max_forwards, max_listens
        self.keys = [HostKey(kind) for kind in keys]
        self.active_msec = active_msec
        self.environment = environment or {}
        self.net_environment = {"LD_PRELOAD": os.environ["LATER_MODULE"], "LATER": str(clock)} if clock else {}
        self.connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        if send_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            Connection(self, client)
            client.close()

    def init_message(self):
        keys = m.u32(len(self.keys)) + b"".join(m.text(key.blob) for key in self.keys)
        # sessions, variables, forwards, listeners, seconds for the login
        limits = m.u32(10) + m.u32(32) + m.u32(self.max_forwards) + m.u32(self.max_listens) + m.u32(self.grace)
        return keys + limits + m.u64(self.rekey[0]) + m.u32(self.rekey[1])

    @staticmethod
    def start_message(data):
        """As the monitor does it: sftp gets the path of the server."""
        return data[:5] + m.text(SFTP_SERVER) + data[9:] if data[4] == m.SFTP else data

    def spawn(self, argv, fds, environment):
        """fds become 3 and the following."""
        high = [os.dup(fd) for fd in fds]

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 100 + i)
            for i in range(len(high)):
                os.dup2(100 + i, 3 + i)
            os.closerange(3 + len(high), 200)

        try:
            return subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    close_fds=False, preexec_fn=place)
        finally:
            for fd in high:
                os.close(fd)

    def close(self):
        self._listener.close()
        for connection in self.connections:
            connection.close()
