#!/usr/bin/env python3
"""Forwarding, as net_native.py has the rest: the network and user processes for real, and clients.

usage: net_forward_native.py NET SESSION BUILD_HEADER
"""
import contextlib
import os
import pathlib
import queue
import re
import socket
import struct
import subprocess
import threading
import time

import net_native
import paramiko
from net_native import LIMIT, digest, events_of, read_all, ssh, wait_until
from paramiko.message import Message


class Server:
    """Listens on this host, and does with each connection, in a thread, what it was made for."""

    def __init__(self, serve, path=None):
        self.serve = serve
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.socket.listen(200)
        else:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
            self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(LIMIT)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with connection:
            self.serve(connection)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def echo(connection):
    while piece := connection.recv(1 << 16):
        connection.sendall(piece)


def upper(connection):
    """Answers only when it has seen the end."""
    connection.sendall(read_all(connection.recv).upper())


def forever(connection):
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(BLOB)


def digests(connection):
    """Sends ten million bytes of its own while it reads; then what it got, as a digest."""
    got = []
    reader = threading.Thread(target=lambda: got.append(read_all(connection.recv)))
    reader.start()
    connection.sendall(BLOB)
    reader.join(LIMIT)
    connection.sendall(digest(got[0]).encode())


BLOB = os.urandom(10_000_000)


def exchange(connection):
    """The other end of digests(): (what came, whether the other got what we sent)."""
    with connection:
        connection.settimeout(LIMIT)
        blob = BLOB[::-1]
        sender = threading.Thread(target=lambda: (connection.sendall(blob), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        came = read_all(connection.recv)
        sender.join(LIMIT)
        return digest(came[:len(BLOB)]) == digest(BLOB), came[len(BLOB):].decode() == digest(blob)


def connect(where):
    """A path, or a port of the loopback."""
    if isinstance(where, int):
        return socket.create_connection(("127.0.0.1", where), LIMIT)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(where))
    connection.settimeout(LIMIT)
    return connection


def nobody_listens(where):
    """A listener that is given up goes a moment after the answer."""
    try:
        connect(where).close()
    except OSError:
        return True
    return False


def cpu_seconds(gateway):
    """Of the net process."""
    return int(pathlib.Path(f"/proc/{gateway.connections[-1].net.pid}/schedstat").read_text().split()[0]) / 1e9


class Transport(net_native.Transport):
    """refusals: (reason, text) of channels that were not opened. forwards: what was opened by the other side."""

    def __init__(self, port):
        self.refusals, self.forwards = [], []
        super().__init__(port)
        self._handler_table = {**self._handler_table, 92: self._refused, ssh.MSG_REQUEST_SUCCESS: self._success}

    def _refused(self, _, message):
        copy = Message(message.asbytes())
        copy.get_int()
        self.refusals.append((copy.get_int(), copy.get_text()))
        self._parse_channel_open_failure(message)

    def _success(self, _, message):
        rest = message.get_remainder()
        self.answers.append(struct.unpack(">I", rest)[0] if rest else "success")

    def direct(self, host, port, **options):
        channel = self.open_channel("direct-tcpip", (host, port), ("10.0.0.1", 1), timeout=LIMIT, **options)
        events_of(channel)
        channel.settimeout(LIMIT)
        return channel

    def direct_unix(self, path):
        """Paramiko knows none: it is made to believe that it asked."""
        number, opened = self._next_channel(), threading.Event()
        channel = paramiko.Channel(number)
        self._channels.put(number, channel)
        self.channel_events[number], self.channels_seen[number] = opened, True
        channel._set_transport(self)
        channel._set_window(1 << 20, 1 << 15)
        self.send(ssh.MSG_CHANNEL_OPEN, "direct-streamlocal@openssh.com", number, 1 << 20, 1 << 15, str(path), "", 0)
        assert opened.wait(LIMIT)
        events_of(channel)
        channel.settimeout(LIMIT)
        return channel

    def ask_open(self, kind, *fields):
        """Without waiting for the answer."""
        self.send(ssh.MSG_CHANNEL_OPEN, kind, 1000, 1 << 20, 1 << 15, *fields)


class ForwardTest(net_native.NativeTest):
    def server(self, serve, path=None):
        server = Server(serve, path)
        self.addCleanup(server.close)
        return server

    def client(self, gateway=None):
        transport = Transport((gateway or self.gateway()).port)
        self.addCleanup(transport.close)
        return transport

    def forwarding(self, gateway, *options, agent=""):
        """OpenSSH's client, without a session; what is forwarded locally goes by a path."""
        argv = ["ssh", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=INFO", *self.ssh_options(gateway), "-N", *options,
                "alice@127.0.0.1"]
        client = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  env={**os.environ, "SSH_AUTH_SOCK": str(agent)})
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        for option in options:
            if option.startswith(str(self.work / "local")):
                path = option.split(":")[0]
                self.assertTrue(wait_until(lambda path=path: os.path.exists(path)))
        return client

    def ended(self, gateway, n):
        connection = gateway.connections[-1]
        self.assertTrue(wait_until(lambda: len(connection.ends) == n), connection.ends)
        return connection.ends

    # ---- towards this host ----

    def test_local(self):
        """Half close in both directions, the bytes counted."""
        gateway = self.gateway()
        client = self.client(gateway)
        channel = client.direct("127.0.0.1", self.server(upper).port)
        channel.sendall(b"hello")
        time.sleep(0.2)
        self.assertEqual(net_native.without_data(channel.events), [])
        channel.shutdown_write()
        self.assertEqual(read_all(channel.recv), b"HELLO")
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(net_native.without_data(channel.events), ["eof", "close"])
        self.assertEqual(self.ended(gateway, 1), [(0, 1, 5, 5)])

    def test_end_of_the_client(self):
        """Of what is open then, the bytes are told, too."""
        def twice(connection):
            connection.sendall(2 * connection.recv(5))
            connection.recv(1)

        gateway = self.gateway()
        client = self.client(gateway)
        channel = client.direct("127.0.0.1", self.server(twice).port)
        channel.sendall(b"hello")
        self.assertTrue(wait_until(lambda: len(channel.in_buffer) == 10))
        client.close()
        self.assertEqual(self.ended(gateway, 1), [(0, 1, 10, 5)])

    def test_other_side_ends_first(self):
        """It still reads what is sent after its end; the channel is closed only by the second end."""
        got = []

        def last_words(connection):
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            got.append(read_all(connection.recv))

        client = self.client()
        channel = client.direct("127.0.0.1", self.server(last_words).port)
        self.assertEqual(read_all(channel.recv), b"bye")
        channel.sendall(b"x" * 300_000)
        time.sleep(0.3)
        self.assertEqual(net_native.without_data(channel.events), ["eof"])
        channel.shutdown_write()
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertTrue(wait_until(lambda: got))
        self.assertEqual(got, [b"x" * 300_000])

    def test_reset(self):
        """By the other side, before and after its end: the channel is closed."""
        def reset(connection):
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def end_and_reset(connection):
            connection.shutdown(socket.SHUT_WR)
            reset(connection)

        for serve in (reset, end_and_reset):
            gateway = self.gateway()
            channel = self.client(gateway).direct("127.0.0.1", self.server(serve).port)
            if serve is end_and_reset:
                self.assertEqual(channel.recv(1), b"")
            channel.sendall(b"x")
            self.assertTrue(wait_until(lambda channel=channel: "close" in channel.events))
            self.ended(gateway, 1)

    def test_client_closes(self):
        """What it had sent before arrives, though the other side takes its time."""
        got = []

        def slow(connection):
            time.sleep(1)
            got.append(digest(read_all(connection.recv)))

        gateway = self.gateway()
        self.server(slow, self.work / "there")  # the kernel keeps less for it than for a port
        channel = self.client(gateway).direct_unix(self.work / "there")
        channel.sendall(BLOB[:900_000])
        channel.close()
        self.assertTrue(wait_until(lambda: got))
        self.assertEqual(got, [digest(BLOB[:900_000])])
        self.assertEqual(self.ended(gateway, 1), [(0, 1, 0, 900_000)])

    def test_openssh_both_ways_at_once(self):
        """Ten million bytes each way, four at a time, with new keys in between; TCP and unix sockets."""
        gateway = self.gateway(rekey=(4 << 20, 0))
        tcp, _ = self.server(digests), self.server(digests, self.work / "there")
        self.forwarding(gateway, "-o", "RekeyLimit=3M", "-L", f"{self.work}/local1:127.0.0.1:{tcp.port}",
                        "-L", f"{self.work}/local2:{self.work}/there")
        for path in ("local1", "local2"):
            results = []
            threads = [threading.Thread(target=lambda path=path: results.append(exchange(connect(self.work / path))))
                       for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LIMIT)
            self.assertEqual(results, [(True, True)] * 4)
        self.assertGreater(gateway.connections[-1].n_signatures, 10)
        ends = self.ended(gateway, 8)
        self.assertEqual([end[2:] for end in ends], [(len(BLOB) + 64, len(BLOB))] * 8)
        self.assertEqual(sorted(end[1] for end in ends), list(range(1, 9)))

    def test_openssh_stdio(self):
        server = self.server(upper)
        argv = ["ssh", *self.ssh_options(self.gateway()), "-W", f"127.0.0.1:{server.port}", "alice@127.0.0.1"]
        result = subprocess.run(argv, input=b"through", capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual((result.stdout, result.stderr, result.returncode), (b"THROUGH", b"", 0))

    def test_openssh_dynamic(self):
        server = self.server(upper)
        self.forwarding(self.gateway(), "-D", f"{self.work}/local")
        with connect(self.work / "local") as proxy:
            proxy.sendall(bytes([5, 1, 0]))
            self.assertEqual(proxy.recv(2), bytes([5, 0]))
            proxy.sendall(bytes([5, 1, 0, 3, 9]) + b"localhost" + struct.pack(">H", server.port))
            self.assertEqual(proxy.recv(10, socket.MSG_WAITALL)[:2], bytes([5, 0]))
            proxy.sendall(b"socks")
            proxy.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(proxy.recv), b"SOCKS")

    def test_client_that_does_not_read(self):
        """It costs no memory, and others go on."""
        gateway = self.gateway()
        client = self.client(gateway)
        stalled = [client.direct("127.0.0.1", self.server(forever).port, window_size=1 << 16) for _ in range(4)]
        channel = client.direct("127.0.0.1", self.server(upper).port)
        time.sleep(0.5)
        channel.sendall(b"on")
        channel.shutdown_write()
        self.assertEqual(read_all(channel.recv), b"ON")
        self.check_memory(self.memory(gateway))
        for other in stalled:
            other.close()
        self.ended(gateway, 5)

    def test_other_side_that_does_not_read(self):
        """What it does not take stays with the client: at most two windows of it are here."""
        gateway = self.gateway()
        client = self.client(gateway)
        over = threading.Event()
        channel = client.direct("127.0.0.1", self.server(lambda _: over.wait(LIMIT)).port)
        channel.settimeout(2)
        with self.assertRaises(TimeoutError):
            for _ in range(40):
                channel.sendall(bytes(1_000_000))
        self.check_memory(self.memory(gateway))
        client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: client.answers == ["success"]))
        over.set()
        self.ended(gateway, 1)

    def test_client_that_does_not_answer_for_new_keys(self):
        """The other side waits, however large the client's window is."""
        gateway = self.gateway(rekey=(1 << 20, 3600))
        client = self.client(gateway)
        asked = self.without_new_keys(gateway, client)
        go = threading.Event()
        server = self.server(lambda connection: go.wait(LIMIT) and forever(connection))
        channels = [client.direct("127.0.0.1", server.port, window_size=(1 << 32) - 1) for _ in range(3)]
        go.set()
        self.assertTrue(asked.wait(LIMIT))
        self.check_nothing_piles_up(gateway)
        self.assertFalse(any(channel.closed for channel in channels))

    def test_bulk_beside_bulk(self):
        """None has to wait until another has sent all it has, be it a session or forwarded."""
        gateway = self.gateway(send_buffer=16 << 10)
        client, server = self.client(gateway), self.server(forever)
        channels = [client.direct("127.0.0.1", server.port, window_size=1 << 30) for _ in range(4)]
        for _ in range(2):
            channel = client.channel(window=1 << 30)
            channel.exec_command("exec cat /dev/zero")
            channels.append(channel)
        counts = [0] * len(channels)

        def count(i):
            while piece := channels[i].recv(1 << 20):
                counts[i] += len(piece)

        for i in range(len(channels)):
            threading.Thread(target=count, args=[i], daemon=True).start()
        self.assertTrue(wait_until(lambda: sum(counts) > 12_000_000), counts)
        self.assertGreater(min(counts), 500_000, counts)

    def test_one_after_another(self):
        """What comes in the middle of something else does not wait for the next event."""
        gateway = self.gateway()
        client, server = self.client(gateway), self.server(echo)
        began = time.monotonic()
        for _ in range(300):
            client.direct("127.0.0.1", server.port).close()
        self.assertLess(time.monotonic() - began, LIMIT)
        ends = self.ended(gateway, 300)
        self.assertEqual([end[1] for end in ends], list(range(1, 301)))

    def test_bytes_for_a_channel_that_was_closed(self):
        """They lie there until the other side has read what came before: nobody waits for them, least of all busily."""
        for sent in range(100_000, 200_000, 20_000):
            late, over = threading.Event(), threading.Event()

            def serve(connection, late=late, over=over):
                late.wait(LIMIT)
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(b"x")
                over.wait(LIMIT)

            gateway = self.gateway()
            path = self.work / f"slow{sent}"
            self.server(serve, path)
            channel = self.client(gateway).direct_unix(path)
            for _ in range(sent // 10_000):
                channel.sendall(bytes(10_000))
            time.sleep(0.2)
            channel.close()
            time.sleep(0.2)
            late.set()
            time.sleep(0.2)
            before = cpu_seconds(gateway)
            time.sleep(1)
            self.assertLess(cpu_seconds(gateway) - before, 0.3)
            over.set()
            self.assertTrue(wait_until(lambda gateway=gateway: gateway.connections[-1].ends))

    def test_many_at_once_and_no_more(self):
        gateway = self.gateway()
        client, server = self.client(gateway), self.server(echo)
        channels = [client.direct("127.0.0.1", server.port) for _ in range(100)]
        with self.assertRaises(paramiko.ChannelException):
            client.direct("127.0.0.1", server.port)
        self.assertEqual(client.refusals, [(4, "Peergate: no more than 100 forwarded connections at a time")])
        for i, channel in enumerate(channels):
            channel.sendall(f"{i}".encode())
        self.assertEqual([channel.recv(10) for channel in channels], [f"{i}".encode() for i in range(100)])
        for channel in channels[:50]:
            channel.close()
        ends = self.ended(gateway, 50)
        self.assertEqual(len({end[1] for end in ends}), 50)
        for _ in range(50):
            client.direct("127.0.0.1", server.port)
        channel = client.channel()
        channel.exec_command("exit 3")
        self.assertEqual(channel.recv_exit_status(), 3)

    def test_opens_that_wait(self):
        """They count while the monitor thinks; when the client goes meanwhile, so does the net process."""
        gateway = self.gateway(forward_delay=1, max_forwards=3)
        client, server = self.client(gateway), self.server(echo)
        for _ in range(4):
            client.ask_open("direct-tcpip", "127.0.0.1", server.port, "", 0)
        self.assertTrue(wait_until(lambda: client.refusals))
        self.assertEqual(client.refusals, [(4, "Peergate: no more than 3 forwarded connections at a time")])
        client.close()
        self.assertTrue(wait_until(lambda: gateway.connections[-1].net.poll() is not None))
        self.assertEqual(gateway.connections[-1].net.returncode, 0)

    # ---- refusals ----

    def test_connect_fails(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        argv = ["ssh", "-o", "LogLevel=INFO", *self.ssh_options(self.gateway()), "-W", f"127.0.0.1:{port}", "alice@127.0.0.1"]
        result = subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual(result.returncode, 255)
        self.assertIn(b"open failed: connect failed: Connection refused", result.stderr)
        client = self.client()
        client.ask_open("direct-streamlocal@openssh.com", f"{self.work}/none", "", 0)
        self.assertTrue(wait_until(lambda: client.refusals))
        self.assertEqual(client.refusals, [(2, "No such file or directory")])

    def test_policy_says_no(self):
        gateway = self.gateway(no_forwards="Peergate: the policy's rule ops does not allow local forwarding")
        client = self.client(gateway)
        client.ask_open("direct-tcpip", "localhost", 22, "", 0)
        self.assertTrue(wait_until(lambda: client.refusals))
        self.assertEqual(client.refusals, [(1, gateway.no_forwards)])
        self.assertEqual(gateway.connections[-1].ends, [])

    def test_no_targets(self):
        """Not even asked for."""
        gateway = self.gateway(forward_delay=LIMIT)
        client = self.client(gateway)
        for target in (("direct-tcpip", "localhost", 0), ("direct-tcpip", "localhost", 65536 + 22), ("direct-tcpip", "", 22),
                       ("direct-tcpip", "a\0b", 22), ("direct-tcpip", "x" * 256, 22), ("direct-tcpip", "localhost"), ("direct-tcpip",),
                       ("direct-streamlocal@openssh.com", "relative"), ("direct-streamlocal@openssh.com", ""),
                       ("direct-streamlocal@openssh.com", "/a\0b"), ("direct-streamlocal@openssh.com", "/" + "x" * 107)):
            client.ask_open(*target, *(("", 0) if len(target) == 3 else ()))
            self.assertTrue(wait_until(lambda: client.refusals), target)
            self.assertEqual(client.refusals, [(2, "Peergate: that is no host and port, and no socket's path")], target)
            client.refusals.clear()

    def test_other_channels(self):
        client = self.client()
        for kind in ("x11", "auth-agent@openssh.com", "forwarded-tcpip", "tun@openssh.com", "unknown@peergate", ""):
            client.ask_open(kind, "", 0, "", 0)
            self.assertTrue(wait_until(lambda: client.refusals), kind)
            self.assertEqual(client.refusals, [(3, "Peergate: no such type of channel")], kind)
            client.refusals.clear()

    def test_sessions_refused_with_their_reason(self):
        client = self.client()
        channels = [client.channel() for _ in range(10)]
        with self.assertRaises(paramiko.ChannelException):
            client.channel()
        channels[0].exec_command("exit 3")
        self.assertEqual(channels[0].recv_exit_status(), 3)
        client.global_message("no-more-sessions@openssh.com", False)
        with self.assertRaises(paramiko.ChannelException):
            client.channel()
        self.assertEqual(client.refusals, [(1, "Peergate: no more than 10 sessions at a time"),
                                           (1, "Peergate: no more sessions, as the client has said")])

    # ---- towards the client ----

    def allocated(self, client):
        for line in client.stderr:
            if found := re.search(r"Allocated port (\d+) for remote forward", line):
                return int(found[1])
        return self.fail("no port")

    def test_openssh_remote(self):
        """A port that is chosen here, and unix sockets; both ways at once, by hash."""
        gateway = self.gateway(rekey=(4 << 20, 0))
        tcp, _ = self.server(digests), self.server(digests, self.work / "here")
        client = self.forwarding(gateway, "-R", f"0:127.0.0.1:{tcp.port}", "-R", f"{self.work}/there:{self.work}/here")
        port = self.allocated(client)
        self.assertTrue(wait_until(lambda: os.path.exists(self.work / "there")))
        for where in (port, self.work / "there"):
            results = []
            threads = [threading.Thread(target=lambda where=where: results.append(exchange(connect(where))))
                       for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(LIMIT)
            self.assertEqual(results, [(True, True)] * 3)
        ends = self.ended(gateway, 6)
        self.assertEqual([end[2:] for end in ends], [(len(BLOB), len(BLOB) + 64)] * 6)
        self.assertEqual([end[0] for end in ends], [1] * 6)

    def test_openssh_master(self):
        """Listeners come and go while the connection stays."""
        gateway = self.gateway()
        server, control = self.server(upper), self.work / "control"
        self.forwarding(gateway, "-M", "-S", str(control))
        self.assertTrue(wait_until(control.exists))

        def master(*args):
            argv = ["ssh", "-F", "none", "-S", control, *args, "alice@127.0.0.1"]
            return subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False, text=True)

        for _ in range(3):
            made = master("-O", "forward", "-R", f"0:127.0.0.1:{server.port}")
            port = int(made.stdout)
            with connect(port) as connection:
                connection.sendall(b"master")
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(connection.recv), b"MASTER")
            gone = master("-O", "cancel", "-R", f"0:127.0.0.1:{server.port}")
            self.assertEqual((gone.returncode, gone.stderr), (0, ""))
            self.assertTrue(wait_until(lambda: nobody_listens(port)))
        path = self.work / "there"
        self.assertEqual(master("-O", "forward", "-R", f"{path}:127.0.0.1:{server.port}").returncode, 0)
        connect(path).close()
        self.assertEqual(master("-O", "cancel", "-R", f"{path}:127.0.0.1:{server.port}").returncode, 0)
        self.assertTrue(wait_until(lambda: nobody_listens(path)))

    def test_client_refuses_what_comes_in(self):
        """The socket is closed, and its end told."""
        gateway = self.gateway()
        client = self.client(gateway)
        client.send(ssh.MSG_GLOBAL_REQUEST, "tcpip-forward", True, "localhost", 0)
        self.assertTrue(wait_until(lambda: client.answers))
        with connect(client.answers[0]) as connection:
            self.assertEqual(connection.recv(1), b"")
        self.assertEqual(self.ended(gateway, 1), [(1, 1, 0, 0)])

    def test_channels_that_the_client_does_not_close(self):
        """They are of no use to anybody, and kept by nobody but the client."""
        gateway = self.gateway()
        client = self.client(gateway)
        client._channel_handler_table = {**client._channel_handler_table, ssh.MSG_CHANNEL_EOF: lambda *_: None,
                                         ssh.MSG_CHANNEL_CLOSE: lambda *_: None}
        opened = queue.SimpleQueue()
        client._tcp_handler = lambda channel, *_: opened.put(channel)
        client.send(ssh.MSG_GLOBAL_REQUEST, "tcpip-forward", True, "localhost", 0)
        self.assertTrue(wait_until(lambda: client.answers))
        port, before = client.answers[0], 0
        for i in range(1, 2001):
            with connect(port) as program:
                last = opened.get(timeout=LIMIT)
                # Reset: it is over in both directions.
                program.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if i == 200:
                self.ended(gateway, i)
                before = self.dirty(gateway)
        self.ended(gateway, 2000)
        self.check_growth(self.dirty(gateway) - before, 256)
        # Nothing is said on them any more, and what is asked for on others is answered.
        channel = client.channel()
        client.request(last, "keepalive@openssh.com", True)
        client.request(channel, "exec", True, "exit 3")
        self.assertEqual(channel.recv_exit_status(), 3)
        self.assertEqual(events_of(last), [])

    def test_answers_in_their_order(self):
        """However long the monitor takes for some of them."""
        client = self.client(self.gateway(forward_delay=0.3))
        path = f"{self.work}/there"
        requests = (("tcpip-forward", "localhost", 0), ("keepalive@openssh.com",), ("streamlocal-forward@openssh.com", path),
                    ("no-such@request",), ("streamlocal-forward@openssh.com", path), ("keepalive@openssh.com",),
                    ("cancel-streamlocal-forward@openssh.com", path), ("cancel-streamlocal-forward@openssh.com", path),
                    ("cancel-tcpip-forward", "localhost", 1), ("tcpip-forward", "localhost", 65536),
                    ("tcpip-forward", "a\0b", 0), ("tcpip-forward",), ("x" * 5000,), ("keepalive@openssh.com",),
                    ("streamlocal-forward@openssh.com", "relative"))
        for name, *more in requests:
            client.send(ssh.MSG_GLOBAL_REQUEST, name, True, *more)
            client.send(ssh.MSG_GLOBAL_REQUEST, "keepalive@openssh.com", False)
        self.assertTrue(wait_until(lambda: len(client.answers) == len(requests)), client.answers)
        port, *others = client.answers
        self.assertGreater(port, 1023)
        self.assertEqual(others, ["success", "success", "failure", "failure", "success", "success", "failure", "failure",
                                  "failure", "failure", "failure", "failure", "success", "failure"])
        client.send(ssh.MSG_GLOBAL_REQUEST, "cancel-tcpip-forward", True, "localhost", port)
        self.assertTrue(wait_until(lambda: len(client.answers) == len(requests) + 1))
        self.assertEqual(client.answers[-1], "success")
        self.assertTrue(client.is_active())

    def test_listeners_without_an_answer_and_too_many(self):
        gateway = self.gateway(max_listens=2)
        client = self.client(gateway)
        for i in range(3):
            client.send(ssh.MSG_GLOBAL_REQUEST, "streamlocal-forward@openssh.com", i == 2, f"{self.work}/{i}")
        self.assertTrue(wait_until(lambda: client.answers))
        self.assertEqual(client.answers, ["failure"])
        self.assertEqual([(self.work / str(i)).exists() for i in range(3)], [True, True, False])

    def test_flood_of_requests_ends_the_connection(self):
        client = self.client(self.gateway(forward_delay=2))
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):  # it may end in between
            for i in range(400):
                client.send(ssh.MSG_GLOBAL_REQUEST, "streamlocal-forward@openssh.com", True, f"{self.work}/{i}")
        self.assertTrue(wait_until(lambda: not client.is_active()))

    def test_end_of_a_connection_without_sessions(self):
        """There is nobody to show a line to but the client itself."""
        gateway = self.gateway()
        client = self.forwarding(gateway, "-L", f"{self.work}/local:127.0.0.1:1")
        gateway.connections[-1].end("Peergate: the policy does not allow this any more")
        _, err = client.communicate(timeout=LIMIT)
        self.assertEqual(client.returncode, 255)
        self.assertIn("Peergate: the policy does not allow this any more", err)
        self.assertTrue(wait_until(lambda: gateway.connections[-1].net.poll() is not None))

    # ---- the client's agent ----

    def agent(self):
        """Runs an agent with one key; its socket."""
        path = self.work / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        self.assertTrue(wait_until(path.exists))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "carol's", "-f", self.work / "key"], check=True)
        subprocess.run(["ssh-add", "-q", self.work / "key"], check=True, env={**os.environ, "SSH_AUTH_SOCK": str(path)})
        return path

    def with_agent(self, gateway, agent, *args):
        argv = ["ssh", *self.ssh_options(gateway), *args[:-1], "alice@127.0.0.1", args[-1]]
        return subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False, env={**os.environ, "SSH_AUTH_SOCK": str(agent)},
                              stdin=subprocess.DEVNULL)

    def test_openssh_agent(self):
        """Of the sessions that asked for it, and no others; its socket goes with the connection."""
        gateway, agent, control = self.gateway(), self.agent(), self.work / "control"
        self.forwarding(gateway, "-M", "-S", str(control), "-A", agent=agent)
        self.assertTrue(wait_until(control.exists))
        places = set()
        for options, expected in ((["-a"], b"none"), (["-A"], b"carol's"), (["-a"], b"none"), (["-A"], b"carol's")):
            result = self.with_agent(gateway, agent, "-S", control, *options,
                                     "echo ${SSH_AUTH_SOCK:-none}; test -z \"$SSH_AUTH_SOCK\" || ssh-add -l")
            self.assertIn(expected, result.stdout, result.stderr)
            if expected != b"none":
                places.add(result.stdout.splitlines()[0].decode())
        self.assertEqual(len(places), 1)
        place = places.pop()
        self.assertTrue(os.path.exists(place))
        subprocess.run(["ssh", "-F", "none", "-S", control, "-O", "exit", "x"], check=True, capture_output=True)
        self.assertTrue(wait_until(lambda: not os.path.exists(os.path.dirname(place))))

    def test_requests_while_a_listener_is_prepared(self):
        """All is answered in its order, and nothing of it lost: not the terminal's modes either."""
        gateway = self.gateway(forward_delay=0.5)
        client = self.client(gateway)
        channel, other = client.channel(), client.channel()
        client.request(channel, "auth-agent-req@openssh.com", True)
        client.request(other, "auth-agent-req@openssh.com", True)
        client.request(channel, "pty-req", True, "xterm", 80, 24, 0, 0, b"\x35\0\0\0\0\0")  # ECHO: no
        client.request(channel, "no-such@request", True)
        for i in range(30):
            client.request(channel, "env", True, f"LC_{i}", "x")
        client.request(channel, "auth-agent-req@openssh.com", True)
        client.request(channel, "exec", True, "stty -a | grep -o -- -echo' '; set | grep -c ^LC_; test -S $SSH_AUTH_SOCK && echo socket")
        client.request(channel, "keepalive@openssh.com", True)
        client.request(other, "exec", True, "test -S $SSH_AUTH_SOCK && echo socket")
        self.assertEqual(channel.events + other.events, [])
        self.assertEqual(read_all(channel.recv).split(), [b"-echo", b"30", b"socket"])
        self.assertEqual(read_all(other.recv), b"socket\n")
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(net_native.without_data(channel.events),
                         ["success"] * 2 + ["failure"] + ["success"] * 30 + ["failure", "success", "failure", ("request", 0), "eof", "close"])
        self.assertEqual(net_native.without_data(other.events)[:2], ["success"] * 2)

    def test_client_closes_while_a_listener_is_prepared(self):
        client = self.client(self.gateway(forward_delay=0.5))
        channel = client.channel()
        client.request(channel, "auth-agent-req@openssh.com", True)
        client.request(channel, "exec", True, "true")
        channel.close()
        other = client.channel()
        client.request(other, "auth-agent-req@openssh.com", True)
        other.exec_command("test -S $SSH_AUTH_SOCK")
        self.assertEqual(other.recv_exit_status(), 0)

    def test_agent_refused(self):
        """The reason is shown to a person, and left out of what a program may read."""
        gateway = self.gateway(no_forwards="Peergate: the policy's rule ops does not allow agent forwarding")
        result = self.with_agent(gateway, self.agent(), "-A", "echo ${SSH_AUTH_SOCK:-none}")
        self.assertEqual((result.stdout, result.stderr), (b"none\n", b""))
        result = self.with_agent(gateway, self.work / "agent", "-A", "-tt", "echo ${SSH_AUTH_SOCK:-none}")
        self.assertEqual(result.stdout, gateway.no_forwards.encode() + b"\r\nnone\r\n")

    # ---- the client's display ----

    def test_openssh_x11(self):
        """A program here reaches the client's X server, with the cookie that xauth has been given."""
        came = []

        def display(connection):
            came.append(connection.recv(1000))
            connection.sendall(b"an X server")

        for number in range(300, 900):
            with contextlib.suppress(OSError):
                listener = socket.create_server(("127.0.0.1", 6000 + number))
                break
        threading.Thread(target=lambda: display(listener.accept()[0]), daemon=True).start()
        self.addCleanup(listener.close)
        program = self.work / "program"
        program.write_text(X_PROGRAM)
        gateway = self.gateway(environment={"XAUTHORITY": str(self.work / "authority")})
        argv = ["ssh", *self.ssh_options(gateway), "-Y", "alice@127.0.0.1", f"/usr/bin/python3 {program}"]
        result = subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL,
                                env={**os.environ, "DISPLAY": f"127.0.0.1:{number}", "XAUTHORITY": str(self.work / "theirs")})
        self.assertEqual(result.stdout, b"an X server", result.stderr)
        self.assertIn(b"MIT-MAGIC-COOKIE-1", came[0])
        # A session that has not asked for it.
        self.assertEqual(self.ssh(gateway, "echo ${DISPLAY:-none}").stdout, b"none\n")

    def test_x11_requests(self):
        """One that could not be meant for xauth is refused; a session has one display at most."""
        client = self.client(self.gateway(environment={"XAUTHORITY": str(self.work / "authority")}))
        channel = client.channel()
        for protocol, cookie in (("MIT-MAGIC-COOKIE-1", "no hex"), ("MIT-MAGIC-COOKIE-1\n", "00"), ("", "00"), ("X", "")):
            client.request(channel, "x11-req", True, False, protocol, cookie, 0)
        client.request(channel, "x11-req", True, False, "MIT-MAGIC-COOKIE-1", "00" * 16, 7)
        client.request(channel, "x11-req", True, False, "MIT-MAGIC-COOKIE-1", "00" * 16, 7)
        client.request(channel, "exec", True, "echo $DISPLAY; xauth list")
        answers = read_all(channel.recv).decode().split()
        self.assertRegex(answers[0], r"^localhost:\d+\.7$")
        self.assertEqual(answers[-1], "00" * 16)
        self.assertEqual(net_native.without_data(channel.events)[:7], ["failure"] * 4 + ["success", "failure", "success"])

    def display(self, client, serve, command):
        """A session with a display; (channel, port of the display)."""
        channel = client.channel()
        channel.request_x11(handler=lambda connection, _: serve(connection))
        channel.exec_command(f"echo $DISPLAY; {command}")
        display = channel.recv(100).decode()
        self.assertRegex(display, r"^localhost:\d+\.0\n$")
        return channel, 6000 + int(display.split(":")[1].split(".")[0])

    def test_display_ends_with_its_session(self):
        """However that ends; another session's stays, and so does a connection that was let in before."""
        gateway = self.gateway(environment={"XAUTHORITY": str(self.work / "authority")})
        client = self.client(gateway)
        connection = []
        _, stays = self.display(client, connection.append, "read a")
        for end in (lambda channel: channel.close(), lambda channel: channel.sendall(b"\n")):
            channel, port = self.display(client, connection.append, "read a")
            n_before = len(connection)
            with connect(port) as program:
                self.assertTrue(wait_until(lambda: len(connection) == n_before + 1))
                there = connection[-1]
                end(channel)
                self.assertTrue(wait_until(lambda: nobody_listens(port)))
                program.sendall(b"still here")
                self.assertEqual(there.recv(100), b"still here")
            self.assertFalse(nobody_listens(stays))
        self.assertEqual(len(gateway.connections[-1].unlistened), 2)

    def test_display_of_a_session_that_did_not_wait(self):
        gateway = self.gateway(environment={"XAUTHORITY": str(self.work / "authority")}, forward_delay=0.5)
        client = self.client(gateway)
        channel = client.channel()
        client.request(channel, "x11-req", True, False, "MIT-MAGIC-COOKIE-1", "00" * 16, 0)
        channel.close()
        self.assertTrue(wait_until(lambda: len(gateway.connections[-1].unlistened) == 1))
        other, port = self.display(client, lambda connection: None, "read a")
        self.assertFalse(nobody_listens(port))
        other.close()
        self.assertTrue(wait_until(lambda: nobody_listens(port)))


# X Window System Protocol, section 8: what a program says first.
X_PROGRAM = """
import os, re, socket, struct, subprocess, sys
display = int(re.match(r"localhost:([0-9]+)\\.0$", os.environ["DISPLAY"])[1])
name, cookie = subprocess.check_output(["xauth", "list", f"unix:{display}"], text=True).split()[1:]
cookie = bytes.fromhex(cookie)
with socket.create_connection(("localhost", 6000 + display)) as server:
    server.sendall(struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(cookie)) + name.encode() + bytes(-len(name) % 4) + cookie)
    sys.stdout.write(server.recv(100).decode())
"""


if __name__ == "__main__":
    net_native.main()
