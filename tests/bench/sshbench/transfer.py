"""Bytes through a session: counted, timed from the first one, and what they cost the server."""
import fcntl
import os
import select
import subprocess
import time

from . import cgroups, world

BLOCK = 1 << 20
TIMEOUT = 120


class Session:
    """An ssh whose command has said "go"; ends, with its command, at the end of the context."""

    def __init__(self, command, wait=True, stderr=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        for fd in (self.stdin, self.stdout):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, BLOCK)
        if wait:
            self.wait_for_go()

    def wait_for_go(self):
        said = b""
        while not said.endswith(b"\n"):
            said += self.read(1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def read(self, n):
        if not select.select([self.stdout], [], [], TIMEOUT)[0]:
            raise world.Failure("nothing comes from the server")
        data = os.read(self.stdout, n)
        if not data:
            raise world.Failure("the connection ended early")
        return data

    def drain(self):
        while select.select([self.stdout], [], [], 0.05)[0]:
            os.read(self.stdout, BLOCK)

    def write(self, data):
        data = memoryview(data)
        while data:
            data = data[os.write(self.stdin, data):]


def _cost_since(server, pids, before):
    return cgroups.cpu_seconds(pids) - before


def down(server, cipher, size):
    """Return: seconds from the first byte to the last, CPU seconds of the server."""
    command = f"echo go; read x; dd if=/dev/zero bs=256k count={size >> 18} status=none; read x"
    with Session(server.ssh("-c", cipher, command=command)) as session, open("/dev/null", "wb") as null:
        pids = server.processes()
        before = cgroups.cpu_seconds(pids)
        session.write(b"\n")
        session.read(1)
        began, left = time.perf_counter(), size - 1
        while left > 0:
            n = os.splice(session.stdout, null.fileno(), min(left, BLOCK))
            if n == 0:
                raise world.Failure("the download ended early")
            left -= n
        seconds = time.perf_counter() - began
        return seconds, _cost_since(server, pids, before)


def up(server, cipher, size):
    """The same in the other direction; the last byte has been read by the command."""
    command = f"echo go; dd of=/dev/null bs=1M count={size >> 20} iflag=fullblock status=none; echo done; read x"
    block = bytes(BLOCK)
    with Session(server.ssh("-c", cipher, command=command)) as session:
        pids = server.processes()
        before = cgroups.cpu_seconds(pids)
        began = time.perf_counter()
        for _ in range(size // BLOCK):
            session.write(block)
        session.read(1)
        seconds = time.perf_counter() - began
        return seconds, _cost_since(server, pids, before)


def run(server, cipher, size, way):
    return down(server, cipher, size) if way == "down" else up(server, cipher, size)


# -- sftp


def _batch(server, commands):
    began = time.perf_counter()
    result = subprocess.run(server.sftp(), input=commands, text=True, capture_output=True, timeout=TIMEOUT)
    return result.returncode == 0, time.perf_counter() - began


def has_sftp(server):
    return _batch(server, "pwd\n")[0]


def sftp(server, way, size):
    """Seconds for one file, without those for connecting."""
    home = server.home
    remote, local = home / "remote", home / "local"
    source = remote if way == "get" else local
    with open(source, "wb") as f:
        f.write(bytes(size))
    for path in (remote, local):
        path.touch()
        os.chown(path, world.UID, world.UID)
    connected = _batch(server, "pwd\n")[1]
    ok, seconds = _batch(server, f"get {remote} {local}\n" if way == "get" else f"put {local} {remote}\n")
    for path in (remote, local):
        if path.stat().st_size != size:
            ok = False
        path.unlink()
    if not ok:
        raise world.Failure(f"sftp {way} failed on {server.name}")
    return seconds - connected
