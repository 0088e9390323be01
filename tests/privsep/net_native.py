#!/usr/bin/env python3
"""The network and user processes for real, seen by clients: OpenSSH's, and one that sees messages.

The monitor's part is played by gateway.py. Runs itself in a mount namespace with the gateway's account
and directory, so that nothing of the machine is changed. Exit status 77 (skipped) where that is not
possible.

usage: net_native.py NET SESSION BUILD_HEADER
"""
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import namespace

try:
    import paramiko
except ImportError:
    print("needs paramiko (Debian: python3-paramiko)")
    sys.exit(77)
namespace.enter()

from gateway import EXIT_CLOSED, EXIT_GAVE_UP, EXIT_LOST, Gateway
from paramiko import common as ssh
from paramiko.message import Message
from ssh_packet import packet
from waiting import LIMIT, stop, wait_until

PIDFD_GETFD = 438  # pidfd_getfd(2), the same on all architectures


def digest(data):
    return hashlib.sha256(data).hexdigest()


# ---- a client that writes down what comes, in its order ----


def events_of(channel):
    """They may come before whoever opens the channel has it."""
    return channel.__dict__.setdefault("events", [])


def recorder(name, handler):
    def record(channel, message):
        detail = None
        if name == "request":
            copy = Message(message.asbytes())
            copy.get_int()
            detail = copy.get_text()
            copy.get_boolean()
            if detail == "exit-status":
                detail = copy.get_int()
            elif detail == "exit-signal":
                detail = copy.get_text()
        events_of(channel).append(name if detail is None else (name, detail))
        if name != "failure":  # which paramiko closes the channel for
            handler(channel, message)
    return record


class Transport(paramiko.Transport):
    """answers: of global requests, as they come."""

    _channel_handler_table = {
        kind: recorder(name, paramiko.Transport._channel_handler_table[kind])
        for kind, name in ((ssh.MSG_CHANNEL_SUCCESS, "success"), (ssh.MSG_CHANNEL_FAILURE, "failure"),
                           (ssh.MSG_CHANNEL_DATA, "data"), (ssh.MSG_CHANNEL_EXTENDED_DATA, "stderr"),
                           (ssh.MSG_CHANNEL_WINDOW_ADJUST, "adjust"), (ssh.MSG_CHANNEL_REQUEST, "request"),
                           (ssh.MSG_CHANNEL_EOF, "eof"), (ssh.MSG_CHANNEL_CLOSE, "close"))}

    def __init__(self, port, login=True):
        super().__init__(("127.0.0.1", port))
        self.answers = []
        self._handler_table = {**self._handler_table,
                               ssh.MSG_REQUEST_SUCCESS: lambda *_: self.answers.append("success"),
                               ssh.MSG_REQUEST_FAILURE: lambda *_: self.answers.append("failure")}
        self.start_client(timeout=LIMIT)
        if login:
            self.auth_none("alice")

    def channel(self, window=None):
        channel = self.open_session(window_size=window, timeout=LIMIT)
        events_of(channel)
        channel.settimeout(LIMIT)
        return channel

    def send(self, kind, *fields):
        self._send_user_message(packet(kind, *fields))

    def global_message(self, name, want_reply=True):
        self.send(ssh.MSG_GLOBAL_REQUEST, name, want_reply)

    def request(self, channel, name, want_reply, *fields):
        self.send(ssh.MSG_CHANNEL_REQUEST, channel.remote_chanid, name, want_reply, *fields)


def without_data(events):
    return [event for event in events if event not in ("data", "stderr", "adjust")]


def read_all(receive):
    pieces = []
    while True:
        piece = receive(1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


class NativeTest(unittest.TestCase):
    """What tests of the two processes have in common."""

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(dir=namespace.WORK))

    def gateway(self, **options):
        gateway = Gateway(*sys.argv[1:3], BUILD, **options)
        self.addCleanup(gateway.close)
        return gateway

    def client(self, gateway=None):
        transport = Transport((gateway or self.gateway()).port)
        self.addCleanup(transport.close)
        return transport

    def ssh_options(self, gateway):
        return ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                "-o", "UserKnownHostsFile=/dev/null", "-o", f"Port={gateway.port}"]

    def ssh(self, gateway, *args, input=b"", timeout=LIMIT):
        argv = ["ssh", *self.ssh_options(gateway), *args[:-1], "alice@127.0.0.1", args[-1]]
        return subprocess.run(argv, input=input, capture_output=True, timeout=timeout, check=False)

    @staticmethod
    def memory(gateway):
        """The most that the net process has had in memory at a time, in KiB, libraries included; 0: it is gone."""
        if not gateway.connections:
            return 0
        status = pathlib.Path(f"/proc/{gateway.connections[-1].net.pid}/status").read_text()
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)

    @staticmethod
    def dirty(gateway):
        """What the net process has of its own in memory now, in KiB."""
        rollup = pathlib.Path(f"/proc/{gateway.connections[-1].net.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty:"))

    def clock(self):
        """A clock for the gateway, and how to set it."""
        path = self.work / "clock"
        path.write_bytes(struct.pack("=Q", 0))

        def set_ahead(seconds):
            with open(path, "r+b") as file:
                file.write(struct.pack("=Q", seconds))

        return path, set_ahead

    def without_new_keys(self, gateway, client):
        """A client that will not answer when new keys are to be exchanged. Return: that it was asked."""
        asked = threading.Event()
        client._handler_table = {**client._handler_table, ssh.MSG_KEXINIT: lambda *_: asked.set()}
        return asked

    def check_nothing_piles_up(self, gateway):
        before = self.dirty(gateway)
        time.sleep(2)
        self.check_growth(self.dirty(gateway) - before, 1 << 10)

    def check_growth(self, grown, most):
        """Not where a sanitiser keeps what was freed."""
        if os.path.basename(sys.argv[1]) != "net-unboxed":
            self.assertLess(grown, most)

    def check_said(self, gateway, text):
        """Its connection may have ended before what it had to say is read."""
        log = gateway.connections[0].log
        self.assertTrue(wait_until(lambda: text in log), log)

    def check_memory(self, most):
        self.assertGreater(most, 0)
        self.check_growth(most, 16 << 10)


class NetTest(NativeTest):
    # ---- the order of messages ----

    def test_order_of_the_end(self):
        client = self.client()
        for code in (0, 42, 127, 255):
            channel = client.channel()
            channel.exec_command(f"echo out; echo err >&2; exit {code}")
            self.assertEqual((read_all(channel.recv), read_all(channel.recv_stderr)), (b"out\n", b"err\n"))
            self.assertTrue(wait_until(lambda: "close" in channel.events))
            self.assertEqual(without_data(channel.events), ["success", ("request", code), "eof", "close"])

    def test_order_when_killed(self):
        client = self.client()
        channel = client.channel()
        channel.exec_command("echo out; kill -9 $$")
        self.assertEqual(read_all(channel.recv), b"out\n")
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(without_data(channel.events), ["success", ("request", "KILL"), "eof", "close"])

    def test_order_under_a_closed_window(self):
        """The status comes although nothing can be sent; then the rest, complete, and only then EOF."""
        client = self.client()
        for where, receive in (("", "recv"), (" >&2", "recv_stderr")):
            channel = client.channel(window=32768)
            channel.exec_command(f"head -c 90000 /dev/zero{where}; exit 5")
            self.assertTrue(wait_until(lambda: ("request", 5) in channel.events))
            time.sleep(0.5)
            self.assertEqual(without_data(channel.events), ["success", ("request", 5)])
            self.assertEqual(len(read_all(getattr(channel, receive))), 90000)
            self.assertTrue(wait_until(lambda: "close" in channel.events))
            self.assertEqual(without_data(channel.events)[2:], ["eof", "close"])

    def test_both_outputs_whole_under_a_stalled_reader(self):
        """8 MB of stderr and 2 MB of stdout, of which nothing is read at first: nothing is lost, nor kept."""
        gateway = self.gateway()
        client = self.client(gateway)
        (self.work / "err").write_bytes(os.urandom(8_000_000))
        (self.work / "out").write_bytes(os.urandom(2_000_000))
        channel = client.channel(window=32768)
        channel.exec_command(f"cat {self.work}/err >&2 & cat {self.work}/out; wait; exit 255")
        self.assertTrue(wait_until(lambda: "data" in channel.events or "stderr" in channel.events))
        time.sleep(1)
        self.assertNotIn(("request", 255), channel.events)
        self.check_memory(self.memory(gateway))
        err = []
        reader = threading.Thread(target=lambda: err.append(read_all(channel.recv_stderr)))
        reader.start()
        out = read_all(channel.recv)
        reader.join(LIMIT)
        self.assertEqual(digest(out), digest((self.work / "out").read_bytes()))
        self.assertEqual(digest(err[0]), digest((self.work / "err").read_bytes()))
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(without_data(channel.events), ["success", ("request", 255), "eof", "close"])
        self.check_memory(self.memory(gateway))

    # ---- half close ----

    def test_end_of_input(self):
        client = self.client()
        channel = client.channel()
        channel.exec_command("cat; sleep 0.5; echo end; exit 3")
        channel.sendall(b"in\n")
        self.assertEqual(channel.recv(100), b"in\n")
        channel.shutdown_write()
        self.assertEqual(read_all(channel.recv), b"end\n")
        self.assertEqual(channel.recv_exit_status(), 3)

    def test_input_before_the_program_runs(self):
        gateway = self.gateway(start_delay=0.5)
        channel = self.client(gateway).channel()
        client = channel.get_transport()
        client.request(channel, "exec", True, "cat; exit 4")
        channel.sendall(b"x" * 20000)
        channel.shutdown_write()
        self.assertEqual(read_all(channel.recv), b"x" * 20000)
        self.assertEqual(channel.recv_exit_status(), 4)

    def test_program_closes_its_outputs_and_goes_on(self):
        channel = self.client().channel()
        channel.exec_command("echo out; exec >&- 2>&-; sleep 1.5; exit 7")
        self.assertEqual(read_all(channel.recv), b"out\n")
        self.assertNotIn(("request", 7), channel.events)
        self.assertEqual(channel.recv_exit_status(), 7)
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(without_data(channel.events), ["success", "eof", ("request", 7), "close"])

    def test_program_closes_its_input_and_goes_on(self):
        """What is sent meanwhile is thrown away, more than any window: neither side waits for the other."""
        client = self.client()
        channel = client.channel()
        channel.exec_command("exec <&-; echo closed; sleep 2; echo end; exit 6")
        self.assertEqual(channel.recv(100), b"closed\n")
        for _ in range(40):
            channel.sendall(bytes(100_000))
        channel.shutdown_write()
        self.assertEqual(read_all(channel.recv), b"end\n")
        self.assertEqual(channel.recv_exit_status(), 6)
        # This client does not call itself OpenSSH.
        self.assertNotIn(("request", "eow@openssh.com"), channel.events)

    def test_openssh_is_told_that_input_is_closed(self):
        sent = self.ssh(self.gateway(), "-vv", "-o", "LogLevel=DEBUG2", "exec <&-; sleep 1; exit 6", input=bytes(3_000_000))
        self.assertEqual(sent.returncode, 6)
        self.assertIn(b"rcvd eow", sent.stderr)

    def test_openssh_whose_output_is_closed_ends(self):
        gateway = self.gateway()
        argv = subprocess.list2cmdline(["ssh", *self.ssh_options(gateway), "alice@127.0.0.1"])
        for command in ("exec yes", "yes; exit 9"):
            begin = time.monotonic()
            result = subprocess.run(["bash", "-c", f"{argv} '{command}' | head -1; exit ${{PIPESTATUS[0]}}"],
                                    capture_output=True, timeout=LIMIT, check=False)
            self.assertEqual(result.stdout, b"y\n", result)
            self.assertEqual(result.returncode, 255 if command == "exec yes" else 9)
            self.assertLess(time.monotonic() - begin, 20)

    def test_client_that_does_not_read_answers(self):
        """Before the login: what it says next is left with it, and its answers do not pile up here."""
        gateway = self.gateway()
        # A packet of no kind that there is: the answer is as long.
        packets = (b"\x00\x00\x00\x0c\x0a\xc8" + bytes(10)) * 4096
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(b"SSH-2.0-deaf\r\n")
            client.settimeout(5)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 << 20:
                    sent += client.send(packets)
            self.check_memory(self.memory(gateway))
            self.assertGreater(sent, 1 << 20)
            self.assertLess(sent, 64 << 20)
            # It is read on once the client reads.
            while client.recv(1 << 20):
                with contextlib.suppress(TimeoutError):
                    client.settimeout(0.01)
                    sent += client.send(packets)
                client.settimeout(LIMIT)
                if sent > 64 << 20:
                    break
            self.assertGreater(sent, 64 << 20)

    def test_client_that_is_killed(self):
        """It has closed the connection, or that was lost; it has not broken the protocol."""
        for tty, command in ([], "exec sleep 1000"), (["-tt"], "exec sleep 1000"), ([], "exec cat /dev/zero"):
            gateway = self.gateway()
            with subprocess.Popen(["ssh", *self.ssh_options(gateway), *tty, "alice@127.0.0.1", f"echo in; {command}"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
                self.assertEqual(client.stdout.read(2), b"in")
                client.kill()
            net = gateway.connections[-1].net
            self.assertTrue(wait_until(lambda net=net: net.poll() is not None))
            self.assertIn(net.returncode, (EXIT_CLOSED, EXIT_LOST), command)

    def test_connection_that_cannot_be_written_to(self):
        """As after a reset that comes between reading and writing: libssh closes it then, and counts it as logged in."""
        gateway = self.gateway(agrees=None)
        login = ("import paramiko, sys; t = paramiko.Transport(('127.0.0.1', int(sys.argv[1])))\n"
                 "t.start_client(); t.auth_none('alice')")
        with subprocess.Popen(["/usr/bin/python3", "-c", login, str(gateway.port)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            self.assertTrue(wait_until(lambda: gateway.connections and gateway.connections[-1].asked))
            stop(client.pid)
            net = gateway.connections[-1].net
            fd = ctypes.CDLL(None).syscall(PIDFD_GETFD, os.pidfd_open(net.pid), 3, 0)
            with socket.socket(fileno=fd) as theirs:
                theirs.shutdown(socket.SHUT_WR)
            gateway.connections[-1].verdict(True)
            ended = wait_until(lambda: net.poll() is not None)
            client.kill()
        self.assertTrue(ended)
        self.assertEqual(net.returncode, EXIT_LOST)

    def test_client_that_does_not_read_answers_after_the_login(self):
        """Reading goes on, for what it sends may be what output waits for; then the connection is given up."""
        gateway = self.gateway()
        client = self.client(gateway)
        client.channel().exec_command("exec sleep 1000")
        over = threading.Event()
        self.addCleanup(over.set)

        def read_nothing():
            over.wait(LIMIT)
            raise EOFError

        with mock.patch.object(client.packetizer, "read_message", read_nothing):
            client.global_message("keepalive@openssh.com")  # the reader comes back to what it calls now
            most = 0
            with self.assertRaises((OSError, EOFError, paramiko.SSHException)):
                for i in range(200_000):
                    client.send(ssh.MSG_CHANNEL_OPEN, "no-such-type", i, 1 << 15, 1 << 15)
                    if i % 1000 == 0:
                        most = max(most, self.memory(gateway))
        self.check_memory(most)
        self.check_said(gateway, "The client does not read its answers, giving the connection up")

    # ---- new keys that do not come ----

    NO_KEYS = "The client did not finish the exchange of new keys in 5 minutes, giving the connection up"

    def test_client_that_does_not_answer_for_new_keys(self):
        """The program waits, however large the client's window is, and at last the connection ends."""
        clock, set_ahead = self.clock()
        gateway = self.gateway(rekey=(1 << 20, 3600), clock=clock)
        client = self.client(gateway)
        asked = self.without_new_keys(gateway, client)
        channel = client.channel(window=(1 << 32) - 1)
        channel.exec_command("exec cat /dev/zero")
        self.assertTrue(asked.wait(LIMIT))
        self.check_nothing_piles_up(gateway)
        set_ahead(240)
        client.global_message("keepalive@openssh.com")
        time.sleep(1)
        self.assertTrue(client.is_active())
        set_ahead(301)
        client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: not client.is_active()))
        self.check_said(gateway, self.NO_KEYS)
        self.assertEqual(client.answers, [])

    def test_client_that_begins_new_keys_and_stops(self):
        clock, set_ahead = self.clock()
        gateway = self.gateway(clock=clock)
        client = self.client(gateway)
        self.without_new_keys(gateway, client)
        channel, other = client.channel(window=(1 << 32) - 1), client.channel()
        other.exec_command(f"while ! test -e {self.work}/end; do sleep 0.1; done")
        channel.exec_command("exec cat /dev/zero")
        channel.recv(1)
        client._send_kex_init()
        time.sleep(0.5)
        self.check_nothing_piles_up(gateway)
        self.assertTrue(client.is_active())
        set_ahead(301)
        (self.work / "end").touch()  # it is awake then
        self.assertTrue(wait_until(lambda: not client.is_active()))
        self.check_said(gateway, self.NO_KEYS)

    def test_flood_before_new_keys_ends_the_connection(self):
        """The answers would all have to wait for the keys."""
        gateway = self.gateway(rekey=(1 << 20, 3600))
        client = self.client(gateway)
        asked = self.without_new_keys(gateway, client)
        channel = client.channel()
        channel.exec_command("exec head -c 2000000 /dev/zero")
        self.assertTrue(asked.wait(LIMIT))
        for _ in range(1000):
            client.global_message("keepalive@openssh.com")
        time.sleep(0.5)
        self.assertTrue(client.is_active())
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):  # it may end in between
            for _ in range(10000):
                client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: not client.is_active()))
        self.assertTrue(channel.closed)
        self.check_said(gateway, "The client does not finish the exchange of new keys, and floods us, giving the "
                                 "connection up")

    def test_stderr_goes_on_when_output_is_not_read(self):
        channel = self.client().channel()
        channel.exec_command("yes; echo status $? >&2; sleep 0.5; echo end >&2; exit 2")
        channel.recv(1000)
        time.sleep(0.5)
        channel.get_transport().request(channel, "eow@openssh.com", False)
        # What was under way is taken: it may have filled the window, which stderr needs as well.
        threading.Thread(target=read_all, args=(channel.recv,), daemon=True).start()
        self.assertEqual(read_all(channel.recv_stderr), b"status 141\nend\n")
        self.assertEqual(channel.recv_exit_status(), 2)

    def test_terminal_that_is_not_read(self):
        """Its programs wait, and still take what is typed."""
        channel = self.client().channel()
        channel.get_pty()
        channel.exec_command("trap 'exit 8' INT; yes")
        channel.recv(1000)
        channel.get_transport().request(channel, "eow@openssh.com", False)
        self.assertTrue(any(not channel.recv(1 << 20) for _ in range(2000)))  # what was under way, and EOF
        self.assertNotIn("close", channel.events)
        channel.sendall(b"\3")
        self.assertEqual(channel.recv_exit_status(), 8)
        self.assertTrue(wait_until(lambda: "close" in channel.events))

    # ---- a slow program ----

    def test_slow_program_costs_no_memory(self):
        """What it does not take stays with the client, however often it takes a little."""
        gateway = self.gateway()
        blob = os.urandom(60_000_000)
        script = "for i in $(seq 100); do head -c 131072; sleep 0.02; done | sha256sum; exec sha256sum"
        with open(self.work / "out", "w+b") as out:
            client = subprocess.Popen(["ssh", *self.ssh_options(gateway), "alice@127.0.0.1", script],
                                      stdin=subprocess.PIPE, stdout=out)
            threading.Thread(target=lambda: (client.stdin.write(blob), client.stdin.close()), daemon=True).start()
            most = 0
            while client.poll() is None:
                most = max(most, self.memory(gateway))
                time.sleep(0.01)
        cut = 100 * 131072
        self.assertEqual([line.split()[0] for line in (self.work / "out").read_text().splitlines()],
                         [digest(blob[:cut]), digest(blob[cut:])])
        self.check_memory(most)

    # ---- signals ----

    def test_says_that_bytes_flow(self):
        """In either direction, not more often than it was told to; and nothing while there is silence."""
        gateway = self.gateway(active_msec=200)
        channel = self.client(gateway).channel()
        channel.exec_command("read a; sleep 1; echo $a; read b")
        active = gateway.connections[0].active
        time.sleep(0.5)
        self.assertEqual(active, [])
        channel.sendall(b"in\n")
        self.assertTrue(wait_until(lambda: len(active) == 1))
        self.assertEqual(channel.recv(100), b"in\n")
        self.assertTrue(wait_until(lambda: len(active) == 2))
        time.sleep(0.5)
        self.assertEqual(len(active), 2)
        for _ in range(20):
            channel.sendall(b"x")
            time.sleep(0.05)
        self.assertIn(len(active), range(4, 9))
        self.assertGreater(min(b - a for a, b in zip(active, active[1:])), 0.15)

    def test_signals(self):
        client = self.client()
        for name in "ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2".split():
            channel = client.channel()
            channel.exec_command("ulimit -c 0; echo ready; exec sleep 100")
            self.assertEqual(channel.recv(100), b"ready\n")
            time.sleep(0.05)
            for unknown in ("STOP", "CONT", "CHLD", "SIGTERM", "", "term", "x" * 3000):
                client.request(channel, "signal", False, unknown)
            client.request(channel, "signal", False, name)
            self.assertEqual(read_all(channel.recv), b"")
            self.assertTrue(wait_until(lambda: "close" in channel.events))
            self.assertEqual(without_data(channel.events), ["success", ("request", name), "eof", "close"])

    def test_signals_to_what_does_not_run(self):
        client = self.client()
        channel = client.channel()
        client.request(channel, "signal", False, "KILL")
        channel.exec_command("echo out")
        self.assertEqual(read_all(channel.recv), b"out\n")
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        client.request(channel, "signal", False, "KILL")
        self.assertEqual(without_data(channel.events), ["success", ("request", 0), "eof", "close"])
        again = client.channel()
        again.exec_command("exit 3")
        self.assertEqual(again.recv_exit_status(), 3)

    def test_break(self):
        """RFC 4335: where there is a terminal."""
        client = self.client()
        channel = client.channel()
        client.request(channel, "break", True, 500)
        channel.get_pty()
        client.request(channel, "break", True, 500)
        client.request(channel, "exec", True, "read a; echo $a; exit 5")
        client.request(channel, "break", True, 0)
        client.request(channel, "break", False, 0)
        expected = ["failure", "success", "success", "success", "success"]
        self.assertTrue(wait_until(lambda: len(without_data(channel.events)) == len(expected)), channel.events)
        channel.sendall(b"on\n")
        self.assertIn(b"on", read_all(channel.recv))
        self.assertEqual(channel.recv_exit_status(), 5)
        self.assertEqual(without_data(channel.events)[:len(expected)], expected)
        other = client.channel()
        client.request(other, "exec", True, "exit 6")
        client.request(other, "break", True, 0)
        self.assertEqual(other.recv_exit_status(), 6)
        self.assertEqual(without_data(other.events)[:2], ["success", "failure"])

    # ---- host keys ----

    def ssh_that_knows(self, gateway, known, *options):
        """What is said first counts."""
        options = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}",
                   "-o", "GlobalKnownHostsFile=none", *options, *self.ssh_options(gateway)]
        return subprocess.run(["ssh", *options, "alice@127.0.0.1", "true"], capture_output=True, timeout=LIMIT, check=False)

    def test_openssh_learns_the_other_host_keys(self):
        """And believes them from then on. (ECDSA is not offered beside others: sshgw/net/transport.c.)"""
        gateway = self.gateway(keys=("ed25519", "ecdsa", "rsa"))
        known = self.work / "known_hosts"
        for first in (gateway.keys[0], gateway.keys[2]):
            host = f"[127.0.0.1]:{gateway.port}"
            known.write_text(f"{host} {first.line}\n")
            result = self.ssh_that_knows(gateway, known, "-o", "UpdateHostKeys=yes")
            self.assertEqual(result.returncode, 0, result.stderr)
            learnt = {line.split()[2] for line in known.read_text().splitlines()}
            self.assertEqual(learnt, {key.line.split()[1] for key in gateway.keys}, first.kind)
            self.assertEqual(gateway.connections[-1].n_proofs, 2)
            for algorithm in ("ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512"):
                result = self.ssh_that_knows(gateway, known, "-o", f"HostKeyAlgorithms={algorithm}")
                self.assertEqual(result.returncode, 0, result.stderr)

    def prove(self, client, *blobs):
        client.send(ssh.MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", True, *blobs)

    def test_proofs_are_counted_and_answered_in_order(self):
        gateway = self.gateway(keys=("ed25519", "ecdsa"))
        client = self.client(gateway)
        first, second = (key.blob for key in gateway.keys)
        client.global_message("keepalive@openssh.com")
        self.prove(client, first, second)
        client.global_message("no-such@request")
        for wrong in ((), (b"",), (first, first), (first, second, first), (first[:-1],), (first, b"x" * 10000)):
            self.prove(client, *wrong)
        expected = ["success", "success", *["failure"] * 7]
        self.assertTrue(wait_until(lambda: len(client.answers) == len(expected)), client.answers)
        self.assertEqual(client.answers, expected)
        for _ in range(40):
            self.prove(client, first)
        self.assertTrue(wait_until(lambda: len(client.answers) == len(expected) + 40), client.answers)
        self.assertEqual(client.answers[len(expected):], ["success"] * 30 + ["failure"] * 10)
        self.assertEqual(gateway.connections[0].n_proofs, 32)
        channel = client.channel()
        channel.exec_command("exit 3")
        self.assertEqual(channel.recv_exit_status(), 3)

    # ---- windows ----

    def test_stalled_program_costs_its_window(self):
        """However much the client is told that it may send by then; the rest stays with the client."""
        gateway = self.gateway()
        client = self.client(gateway)
        channel = client.channel()
        channel.exec_command("head -c 40000000 >/dev/null; echo stalled; exec sleep 1000")
        for _ in range(400):
            channel.sendall(bytes(100_000))
        self.assertEqual(channel.recv(100), b"stalled\n")
        before, sent = self.memory(gateway), 0
        channel.settimeout(3)
        with self.assertRaises(TimeoutError):
            while sent < 60_000_000:
                sent += channel.send(bytes(32_000))
        # The pipe's 64 KiB, and the window: 6 MiB where the link is long.
        self.assertIn(sent, range(1 << 20, 7 << 20))
        self.assertLess(self.memory(gateway) - before, 9 << 10)

    def test_more_than_the_window_ends_the_connection(self):
        gateway = self.gateway()
        client = self.client(gateway)
        channel = client.channel()
        channel.exec_command("exec sleep 1000")
        window = channel.out_window_size
        self.assertEqual(window, 128 << 10)
        client.send(ssh.MSG_CHANNEL_DATA, channel.remote_chanid, bytes(window - 1))
        client.send(ssh.MSG_CHANNEL_EXTENDED_DATA, channel.remote_chanid, 1, b"x")
        client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: client.answers == ["success"]))
        # The pipe has taken some, which may come again; and the window is larger where the machine is slow.
        for _ in range((8 << 20) // 30_000):
            if client.is_active():
                with contextlib.suppress(OSError, EOFError):
                    client.send(ssh.MSG_CHANNEL_DATA, channel.remote_chanid, bytes(30_000))
        self.assertTrue(wait_until(lambda: not client.is_active()))
        self.check_said(gateway, "The client sends more than it may, giving the connection up")
        self.assertEqual(gateway.connections[0].net.wait(LIMIT), EXIT_GAVE_UP)

    def test_data_for_closed_channels_is_dropped(self):
        """libssh would keep it until the client closes the channel as well."""
        gateway = self.gateway()
        client = self.client(gateway)
        channel = client.channel()
        with mock.patch.object(channel, "_handle_close", lambda message: None):
            channel.exec_command("exit 3")
            self.assertEqual(channel.recv_exit_status(), 3)
            number = channel.remote_chanid
            client.global_message("keepalive@openssh.com")
            self.assertTrue(wait_until(lambda: client.answers == ["success"]))
            time.sleep(0.5)
            for _ in range(1000):
                client.send(ssh.MSG_CHANNEL_DATA, number, bytes(30_000))
        client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: client.answers == ["success"] * 2))
        self.check_memory(self.memory(gateway))

    # ---- answers ----

    def test_global_requests_are_answered_in_their_order(self):
        client = self.client(self.gateway(no_forwards="Peergate: not by this rule"))
        for name, *more in (("keepalive@openssh.com",), ("no-such@request",), ("tcpip-forward", "", 0),
                            ("keepalive@openssh.com",), ("cancel-tcpip-forward", "", 22), ("keepalive@openssh.com",),
                            ("streamlocal-forward@openssh.com", f"{self.work}/x"), ("keepalive@openssh.com",)):
            client.send(ssh.MSG_GLOBAL_REQUEST, name, True, *more)
        client.global_message("keepalive@openssh.com", False)
        client.global_message("no-such@request", False)
        client.global_message("keepalive@openssh.com")
        expected = ["success", "failure", "failure", "success", "failure", "success", "failure", "success", "success"]
        self.assertTrue(wait_until(lambda: len(client.answers) == len(expected)), client.answers)
        time.sleep(0.2)
        self.assertEqual(client.answers, expected)

    def test_channel_requests_are_answered_in_their_order(self):
        """Also those that come while a program is being started, which takes its time."""
        client = self.client(self.gateway(start_delay=0.5))
        channel = client.channel()
        client.request(channel, "env", True, "LANG", "C")
        client.request(channel, "keepalive@openssh.com", True)
        client.request(channel, "keepalive@openssh.com", False)
        client.request(channel, "exec", True, "cat")
        client.request(channel, "no-such@request", True)
        client.request(channel, "keepalive@openssh.com", True)
        client.request(channel, "auth-agent-req@openssh.com", True)
        client.request(channel, "exec", True, "id")
        client.request(channel, "keepalive@openssh.com", False)
        expected = ["success", "failure", "success", "failure", "failure", "failure", "failure"]
        self.assertTrue(wait_until(lambda: len(channel.events) >= len(expected)))
        time.sleep(0.2)
        self.assertEqual(without_data(channel.events), expected)
        channel.shutdown_write()
        self.assertEqual(channel.recv_exit_status(), 0)

    def test_refusal_with_its_reason(self):
        """OpenSSH's client shows it only if it does not come together with the end."""
        gateway = self.gateway(refusal="Peergate: not today")
        for args in (["true"], ["-s", "sftp"], ["-tt", "true"]):
            result = self.ssh(gateway, *args)
            self.assertEqual(result.returncode, 255)
            self.assertIn(b"Peergate: not today", result.stdout + result.stderr)
        client = self.client(gateway)
        channel = client.channel()
        client.request(channel, "exec", True, "true")
        client.request(channel, "keepalive@openssh.com", True)
        self.assertTrue(wait_until(lambda: "close" in channel.events))
        self.assertEqual(channel.events, ["stderr", "failure", "eof", "close"])
        # Others go on meanwhile, and afterwards.
        client.global_message("keepalive@openssh.com")
        self.assertTrue(wait_until(lambda: client.answers == ["success"]))

    def test_terminal_resized_while_its_program_is_started(self):
        client = self.client(self.gateway(start_delay=0.5))
        channel = client.channel()
        channel.get_pty(width=80, height=24)
        client.request(channel, "exec", True, "sleep 1; stty size")
        for width in range(90, 190):
            client.request(channel, "window-change", False, width, 40, 0, 0)
        self.assertEqual(read_all(channel.recv).split(), [b"40", b"189"])

    def test_flood_of_requests_ends_the_connection(self):
        client = self.client(self.gateway(start_delay=1))
        channel = client.channel()
        client.request(channel, "exec", True, "cat")
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):  # it may end in between
            for _ in range(100):
                client.request(channel, "no-such@request", True)
        self.assertTrue(wait_until(lambda: not client.is_active()))

    def test_no_more_sessions(self):
        client = self.client()
        first = client.channel()
        client.global_message("no-more-sessions@openssh.com", False)
        first.exec_command("cat")
        with self.assertRaises(paramiko.ChannelException):
            client.channel()
        first.shutdown_write()
        self.assertEqual(first.recv_exit_status(), 0)

    def test_no_more_sessions_right_behind_one(self):
        """As OpenSSH's client does it: the session that was asked for before is let in."""
        self.assertEqual(self.ssh(self.gateway(), "echo in").stdout, b"in\n")

    # ---- a person is asked first ----

    def held(self, gateway, *args):
        """A client with a person before it, who waits; (process, its connection)."""
        options = ["-o", "LogLevel=INFO", "-o", "BatchMode=no", *self.ssh_options(gateway)]  # the first counts
        client = subprocess.Popen(["ssh", *options, *args[:-1], "alice@127.0.0.1", args[-1]], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        self.assertTrue(wait_until(lambda: gateway.connections and gateway.connections[-1].held.is_set()))
        return client, gateway.connections[-1]

    def test_check_passed(self):
        gateway = self.gateway(check="123-456", grace=2)
        client, connection = self.held(gateway, "cat; exit 3")
        time.sleep(4)  # longer than the login grace
        self.assertIsNone(client.poll())
        connection.verdict(True, "Peergate: welcome")
        out, err = client.communicate(b"in", LIMIT)
        self.assertEqual((out, client.returncode), (b"in", 3), err)
        # In the banner, and once more for clients that do not show banners.
        self.assertEqual(err.count(b"https://coord.example/check/123-456"), 2)
        self.assertEqual(err.count(b"123-456"), 4)
        self.assertIn(b"Peergate: a check is needed\r\n", err)
        self.assertIn(b"Peergate: welcome", err)

    def test_check_not_passed(self):
        gateway = self.gateway(check="123-456")
        client, connection = self.held(gateway, "true")
        began = time.monotonic()
        connection.verdict(False, "Peergate: it was denied")
        _, err = client.communicate(b"", LIMIT)
        self.assertEqual(client.returncode, 255)
        self.assertIn(b"Peergate: it was denied", err)
        self.assertIn(b"Permission denied", err)
        self.assertLess(time.monotonic() - began, 10)

    def test_check_changes_its_words(self):
        gateway = self.gateway(check="123-456")
        client, connection = self.held(gateway, "true")
        for code in ("111-111", "222-222"):
            connection.check(code)
            time.sleep(0.5)
        connection.verdict(True)
        _, err = client.communicate(b"", LIMIT)
        self.assertEqual(client.returncode, 0)
        self.assertEqual([err.count(code) for code in (b"123-456", b"111-111", b"222-222")], [4, 4, 4])

    def test_check_of_a_client_that_goes_away(self):
        gateway = self.gateway(check="123-456")
        client, connection = self.held(gateway, "true")
        client.kill()
        self.assertTrue(wait_until(lambda: connection.net.poll() is not None))

    def test_check_in_batch_mode(self):
        """Nobody is there: it fails at once, and says why."""
        gateway = self.gateway(check="123-456")
        began = time.monotonic()
        result = subprocess.run(["ssh", "-o", "LogLevel=INFO", *self.ssh_options(gateway), "alice@127.0.0.1", "true"],
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual(result.returncode, 255)
        self.assertIn(b"https://coord.example/check/123-456", result.stderr)
        self.assertIn(b"agentctl check-login", result.stderr)
        self.assertLess(time.monotonic() - began, 10)
        self.assertFalse(gateway.connections[-1].held.is_set())

    def test_check_and_a_client_that_does_not_wait(self):
        """It is no held login: the login grace goes on."""
        gateway = self.gateway(check="123-456", grace=2)
        transport = paramiko.Transport(("127.0.0.1", gateway.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=LIMIT)
        with self.assertRaises(paramiko.BadAuthenticationType) as refusal:
            transport.auth_none("alice")
        self.assertEqual(refusal.exception.allowed_types, ["keyboard-interactive", "password"])
        self.assertIn(b"123-456", transport.get_banner())
        self.assertTrue(wait_until(lambda: not transport.is_active()))
        self.assertFalse(gateway.connections[-1].held.is_set())

    def test_check_passed_before_the_client_waits(self):
        gateway = self.gateway(check="123-456")
        transport = paramiko.Transport(("127.0.0.1", gateway.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=LIMIT)
        with self.assertRaises(paramiko.BadAuthenticationType):
            transport.auth_none("alice")
        gateway.connections[-1].verdict(True)
        time.sleep(0.5)
        prompts = []
        transport.auth_interactive("alice", lambda *shown: prompts.append(shown) or [])
        self.assertTrue(transport.is_authenticated())
        self.assertEqual(prompts, [("", "", [])])

    def test_check_and_a_client_out_of_turn(self):
        """Answers that nobody asked for, and requests without end, close the connection."""
        gateway = self.gateway(check="123-456")
        for kind, fields, times in ((61, [0], 1), (50, ["alice", "ssh-connection", "keyboard-interactive", "", ""], 20),
                                    (50, ["alice", "ssh-connection", "none"], 20),
                                    (50, ["alice", "ssh-connection", "password", False, "x"], 20)):
            client = Transport(gateway.port, login=False)
            self.addCleanup(client.close)
            with self.assertRaises(paramiko.BadAuthenticationType):
                client.auth_none("alice")
            with contextlib.suppress(EOFError, OSError, paramiko.SSHException), \
                    mock.patch.dict(paramiko.auth_handler.AuthHandler._client_handler_table, {60: lambda *_: None}):
                for _ in range(times - 1):
                    client.send(kind, *fields)
                time.sleep(0.5)
                self.assertIsNone(gateway.connections[-1].net.poll(), kind)
                client.send(kind, *fields)
            self.assertTrue(wait_until(lambda: gateway.connections[-1].net.poll() is not None), kind)

    # ---- new keys ----

    def rekeyed(self, gateway, *options):
        # After each megabyte, and what is under way by then: a window of up to 6 MiB, on a slow machine.
        least = 4
        blob = os.urandom(24_000_000)
        path = self.work / "blob"
        path.write_bytes(blob)
        up = self.ssh(gateway, *options, "sha256sum", input=blob)
        self.assertEqual((up.stdout.split()[:1], up.stderr), ([digest(blob).encode()], b""))
        self.assertGreaterEqual(gateway.connections[-1].n_signatures, least)
        down = self.ssh(gateway, *options, f"cat {path}")
        self.assertEqual((digest(down.stdout), down.stderr), (digest(blob), b""))
        self.assertGreaterEqual(gateway.connections[-1].n_signatures, least)
        both = self.ssh(gateway, *options, "tee /dev/stderr; exit 9", input=blob)
        self.assertEqual((digest(both.stdout), digest(both.stderr), both.returncode), (digest(blob), digest(blob), 9))
        self.assertGreaterEqual(gateway.connections[-1].n_signatures, least)

    def test_rekey_by_size(self):
        for cipher in ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"):
            self.rekeyed(self.gateway(rekey=(1 << 20, 0)), "-c", cipher)

    def test_rekey_by_the_client(self):
        self.rekeyed(self.gateway(), "-o", "RekeyLimit=1M")

    def test_rekey_by_both_at_once(self):
        self.rekeyed(self.gateway(rekey=(1 << 20, 0)), "-o", "RekeyLimit=1M")

    def test_rekey_by_time_with_keepalives(self):
        gateway = self.gateway(rekey=(0, 1))
        result = self.ssh(gateway, "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2",
                          "for i in 1 2 3 4 5; do echo $i; sleep 1.2; done; sleep 3.5; exit 4")
        self.assertEqual((result.stdout.split(), result.returncode, result.stderr), ([b"1", b"2", b"3", b"4", b"5"], 4, b""))
        self.assertGreaterEqual(gateway.connections[-1].n_signatures, 4)

    def test_no_rekey_without_need(self):
        gateway = self.gateway(rekey=(0, 0))
        self.assertEqual(self.ssh(gateway, "head -c 3000000 /dev/zero | sha256sum").returncode, 0)
        self.assertEqual(gateway.connections[-1].n_signatures, 1)

    # ---- files ----

    def test_copies(self):
        gateway = self.gateway()
        there = pathlib.Path(self.work / "there")
        there.mkdir()
        blob = os.urandom(5_000_000)
        source, back = self.work / "source", self.work / "back"
        source.write_bytes(blob)
        shell = subprocess.list2cmdline(["ssh", *self.ssh_options(gateway)])
        copies = {
            "scp -O": lambda a, b: ["scp", *self.ssh_options(gateway), "-O", a, b],
            "scp -s": lambda a, b: ["scp", *self.ssh_options(gateway), "-s", a, b],
            "rsync": lambda a, b: ["rsync", "-e", shell, a, b],
        }
        for name, argv in copies.items():
            target = there / name.replace(" ", "")
            subprocess.run(argv(source, f"alice@127.0.0.1:{target}"), check=True, timeout=LIMIT, capture_output=True)
            self.assertEqual(digest(target.read_bytes()), digest(blob), name)
            subprocess.run(argv(f"alice@127.0.0.1:{target}", back), check=True, timeout=LIMIT, capture_output=True)
            self.assertEqual(digest(back.read_bytes()), digest(blob), name)
            back.unlink()

    def test_unknown_subsystem(self):
        client = self.client()
        channel = client.channel()
        for name in ("netconf", "", "sftp ", "/bin/sh"):
            client.request(channel, "subsystem", True, name)
        self.assertTrue(wait_until(lambda: len(channel.events) == 4))
        self.assertEqual(channel.events, ["failure"] * 4)
        channel.exec_command("exit 3")
        self.assertEqual(channel.recv_exit_status(), 3)


def main():
    global BUILD
    namespace.set_up_gateway()
    BUILD = re.search(r'"(.*)"', pathlib.Path(sys.argv[3]).read_text())[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)


if __name__ == "__main__":
    main()
