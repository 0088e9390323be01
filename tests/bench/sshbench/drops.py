"""Connections that are dropped wherever they are: what does the gateway keep of them?"""
import contextlib
import logging
import os
import socket
import struct
import threading
import time
from pathlib import Path

import paramiko

from . import cgroups, world

N_PARALLEL = 4  # below MaxUnauthenticatedPerPeer=
TIMEOUT = 60
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is not sent yet is thrown away, the other side gets a RST
MAX_GROWTH_KIB = 512  # of listener and keys process, over all of a stage
USER_PROCESS = 7  # utmp(5)


class Silent(paramiko.Transport):
    """Says nothing when it is dropped."""

    def drop(self):
        self.active = False
        self.packetizer.close()
        self.sock.close()


# -- stages: each is given a connection, comes as far as its name says, and returns what keeps it there


def connected(sock):
    return None


def version(sock):
    sock.sendall(b"SSH-2.0-drops\r\n")


def kexinit(sock):
    version(sock)
    lists = (b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2, b"", b"")
    payload = b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(x)) + x for x in lists) + bytes(5)
    padding = 8 - (5 + len(payload)) % 8 + 8
    sock.sendall(struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding))
    read_some(sock)


def after_kex(sock):
    transport = Silent(sock)
    transport.start_client(timeout=TIMEOUT)
    return transport


def service(sock):
    transport = after_kex(sock)
    message = paramiko.Message()
    message.add_byte(b"\x05")
    message.add_string("ssh-userauth")
    transport._send_message(message)
    return transport


def asked(sock):
    """The answer of the agent and of PAM is on its way."""
    transport = service(sock)
    message = paramiko.Message()
    message.add_byte(b"\x32")
    for text in (world.USER, "ssh-connection", "none"):
        message.add_string(text)
    transport._send_message(message)
    return transport


def logged_in(sock):
    transport = after_kex(sock)
    transport.auth_none(world.USER)
    return transport


def starting(sock):
    """A program on a terminal, and not a moment's wait for it."""
    transport = logged_in(sock)
    channel = transport.open_session(timeout=TIMEOUT)
    message = paramiko.Message()
    message.add_byte(b"\x62")
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string("sleep 300")
    channel.get_pty()
    transport._send_user_message(message)
    return transport


def running(sock):
    transport = logged_in(sock)
    channel = transport.open_session(timeout=TIMEOUT)
    channel.get_pty()
    channel.exec_command("echo up; sleep 300")
    channel.settimeout(TIMEOUT)
    if not channel.recv(2):
        raise world.Failure("a program did not start")
    return transport


def forwarding(sock):
    transport = logged_in(sock)
    transport.open_channel("direct-tcpip", ("127.0.0.1", target.port), ("127.0.0.1", 1), timeout=TIMEOUT)
    return transport


STAGES = {f.__name__: f for f in (connected, version, kexinit, after_kex, service, asked, logged_in, starting, running,
                                  forwarding)}


def read_some(sock):
    if not sock.recv(4096):
        raise world.Failure("the gateway closed a connection by itself")


class Target:
    """What forwarded connections go to."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._wait, args=[connection], daemon=True).start()

    @staticmethod
    def _wait(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1)


target = None


# -- what is there


def _fds(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def _utmp():
    data = Path("/run/utmp").read_bytes()
    return sum(struct.unpack_from("h", data, at)[0] == USER_PROCESS for at in range(0, len(data), 384))


def _own_kib(pids):
    """Memory that is nobody else's: of what is shared, each one's part depends on how many there are."""
    return sum(int(line.split()[1]) for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
               if line.startswith("Private_Dirty:"))


def state(gateway, shared):
    return {"processes": len(gateway.group.pids()), "fds": _fds(shared),
            "cgroups": sum(1 for _ in os.walk(gateway.group.path)), "utmp": _utmp(), "own KiB": _own_kib(shared)}


def _settle(gateway, shared, before):
    """What it takes for the last ones to be gone; then what is left."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        after = state(gateway, shared)
        if all(after[key] <= before[key] for key in after if key != "own KiB"):
            return after
        time.sleep(0.1)
    return state(gateway, shared)


# -- dropping


def _connect():
    sock = socket.create_connection((world.SELF, 22), TIMEOUT, source_address=(world.PEER, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _drop_one(stage, with_reset):
    sock = _connect()
    transport = None
    try:
        if with_reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport = STAGES[stage](sock)
    finally:
        if transport:
            transport.drop()
        sock.close()


def _drop_surely(stage, with_reset):
    """Those before may be going still, and with them there are too many. Return: what went wrong all the same."""
    for _ in range(20):
        try:
            return _drop_one(stage, with_reset)
        except (OSError, EOFError, paramiko.SSHException, world.Failure) as error:
            text = f"{type(error).__name__}: {error}"
            time.sleep(0.05)
    return text


def _drop(stage, count):
    """Return: what went wrong on the client's side."""
    numbers, trouble = iter(range(count)), []
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            if text := _drop_surely(stage, i % 2):
                trouble.append(text)

    threads = [threading.Thread(target=work) for _ in range(N_PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return trouble


def run(gateway, count, file):
    """A table of what each stage left behind. Return: whether that is nothing."""
    global target
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    target = Target()
    print("| dropped | connections | refused | 1/s | processes | fds | cgroups | utmp | own KiB before | after |", file=file)
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|", file=file)
    clean = True
    while gateway.connection_processes():
        time.sleep(0.1)
    shared = cgroups.own_processes(gateway.group, world.SHARED)
    before = state(gateway, shared)
    _drop("running", 20)  # what is allocated once, is by now
    before = _settle(gateway, shared, before)
    for stage in STAGES:
        began = time.monotonic()
        trouble = _drop(stage, count)
        rate = count / (time.monotonic() - began)
        after = _settle(gateway, shared, before)
        left = {key: after[key] - before[key] for key in after}
        print(f"| {stage} | {count} | {len(trouble)} | {rate:.0f} | {left['processes']} | {left['fds']} | {left['cgroups']} | "
              f"{left['utmp']} | {before['own KiB']} | {after['own KiB']} |", file=file, flush=True)
        for text in sorted(set(trouble))[:3]:
            print(f"    {trouble.count(text)} times {text}", file=file, flush=True)
        grown = left.pop("own KiB") > MAX_GROWTH_KIB
        clean &= not grown and not any(value > 0 for value in left.values()) and len(trouble) < count / 100
        before = after
    return clean
