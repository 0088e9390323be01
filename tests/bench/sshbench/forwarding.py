"""Bytes through "ssh -L": timed at both of its ends, which are here, and what they cost the server."""
import contextlib
import socket
import threading
import time

from . import cgroups, transfer, world

BLOCK = 1 << 20


def _send(sock, size):
    block = bytes(BLOCK)
    for _ in range(size // BLOCK):
        sock.sendall(block)


def _receive(sock, size):
    """Return: when the first byte was there."""
    room, began = bytearray(BLOCK), None
    while size > 0:
        n = sock.recv_into(room, min(size, BLOCK))
        if n == 0:
            raise world.Failure("the forwarded connection ended early")
        began = began or time.perf_counter()
        size -= n
    return began


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def _forwarded(server, cipher):
    """Yields the client's socket and the server's; what lies between them is up already."""
    port = _free_port()
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        forward = f"127.0.0.1:{port}:127.0.0.1:{target.getsockname()[1]}"
        stack.enter_context(transfer.Session(server.ssh(
            "-c", cipher, "-o", "ExitOnForwardFailure=yes", "-L", forward, command="echo go; exec cat")))
        near = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=transfer.TIMEOUT))
        target.settimeout(transfer.TIMEOUT)
        far = stack.enter_context(target.accept()[0])
        far.settimeout(transfer.TIMEOUT)
        yield near, far


def run(server, cipher, size, way):
    """Return: seconds from the first byte to the last, CPU seconds of the server."""
    with _forwarded(server, cipher) as (near, far):
        source, sink = (far, near) if way == "down" else (near, far)
        time.sleep(0.2)  # the gateway's process that made the connection ends
        pids = server.processes()
        before = cgroups.cpu_seconds(pids)
        sender = threading.Thread(target=_send, args=(source, size))
        sender.start()
        seconds = -_receive(sink, size) + time.perf_counter()
        sender.join()
        return seconds, cgroups.cpu_seconds(pids) - before
