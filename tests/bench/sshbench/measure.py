"""The measurements: each takes turns between the two servers and keeps every sample."""
import contextlib
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from . import cgroups, longlink, revocation, transfer, world

CIPHERS = {"aes128-gcm": "aes128-gcm@openssh.com", "chacha20": "chacha20-poly1305@openssh.com"}
N_IDLE = 10
N_PARALLEL = 8


@dataclass
class Result:
    what: str
    unit: str
    target: tuple = None  # ("<=" or ">=", ratio of gateway to sshd; without sshd: the value itself)
    middle: callable = statistics.median
    samples: dict = field(default_factory=lambda: {"sshd": [], "gateway": []})
    note: str = ""

    def add(self, server, value):
        self.samples[server.name].append(value)

    def value(self, name):
        return self.middle(self.samples[name]) if self.samples[name] else None

    def ratio(self):
        ours, theirs = self.value("gateway"), self.value("sshd")
        return ours / theirs if ours is not None and theirs else None

    def verdict(self):
        reached = self.ratio() if self.samples["sshd"] else self.value("gateway")
        if not self.target or reached is None:
            return ""
        sign, bound = self.target
        return "PASS" if (reached <= bound if sign == "<=" else reached >= bound) else "short"


def _say(text):
    print(f"gateway: {text}", file=sys.stderr, flush=True)


def _run(command, **kwargs):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **kwargs)


def _interleaved(n, servers):
    """A, B, B, A, A, B...: neither always comes after the other."""
    for i in range(n):
        yield from servers if i % 2 == 0 else reversed(servers)


# -- the parts


def latency(servers, agent, quick):
    for delayed, target in ((True, ("<=", 0.35)), (False, None)):
        result = Result("ssh host true" if delayed else "ssh host true, no delayed ACK", "ms", target)
        world.set_delayed_ack(delayed)
        for server in _interleaved(8 if quick else 40, servers):
            began = time.perf_counter()
            _run(server.ssh(command="true"))
            result.add(server, 1000 * (time.perf_counter() - began))
        yield result
    world.set_delayed_ack(True)


def rate(servers, agent, quick):
    n = 60 if quick else 240
    result = Result(f"connections, {N_PARALLEL} parallel", "1/s", (">=", 2.0))
    numbers = "".join(f"{i}\n" for i in range(n))
    for server in _interleaved(2 if quick else 5, servers):
        began = time.perf_counter()
        subprocess.run(["xargs", "-P", str(N_PARALLEL), "-n", "1", *server.ssh(command="true")], check=True,
                       input=numbers, text=True)
        result.add(server, n / (time.perf_counter() - began))
    yield result


def throughput(servers, agent, quick):
    size = (64 if quick else 1024) << 20
    for label, cipher in CIPHERS.items():
        for way, run in (("down", transfer.down), ("up", transfer.up)):
            speed = Result(f"{label} {way}", "MB/s", (">=", 1.0))
            cost = Result(f"{label} {way}, server CPU", "s/GiB", ("<=", 1.0))
            for server in _interleaved(2 if quick else 5, servers):
                seconds, cpu = run(server, cipher, size)
                speed.add(server, size / seconds / 1e6)
                cost.add(server, cpu * (1 << 30) / size)
            yield speed
            yield cost


def long_link(servers, agent, quick):
    size = (16 if quick else 64) << 20
    labels = {way: Result(f"aes128-gcm {way}, 100 ms away", "MB/s", (">=", 1.0)) for way in ("down", "up")}
    with longlink.far_away(agent.build, 50) as prefix:
        for server in servers:
            server.prefix = prefix
        for way, run in (("down", transfer.down), ("up", transfer.up)):
            for server in _interleaved(2 if quick else 5, servers):
                seconds, _ = run(server, CIPHERS["aes128-gcm"], size)
                labels[way].add(server, size / seconds / 1e6)
            yield labels[way]
    for server in servers:
        server.prefix = []


def sftp(servers, agent, quick):
    size = (64 if quick else 512) << 20
    for way in ("get", "put"):
        result = Result(f"sftp {way}", "MB/s", (">=", 1.0))
        for server in _interleaved(2 if quick else 5, servers):
            if not transfer.has_sftp(server):
                result.note = f"not supported by {server.name}"
                continue
            result.add(server, size / transfer.sftp(server, way, size) / 1e6)
        yield result


def memory(servers, agent, quick):
    result = Result(f"PSS per idle session, {N_IDLE} sessions", "KiB", ("<=", 0.7))
    for server in _interleaved(1 if quick else 3, servers):
        with contextlib.ExitStack() as stack:
            for _ in range(N_IDLE):
                stack.enter_context(transfer.Session(server.ssh(command="echo go; exec cat")))
            result.add(server, cgroups.pss_kib(server.connection_processes()) / N_IDLE)
    yield result


def echo(servers, agent, quick):
    result = Result("keystroke echo in a terminal", "us")
    n = 60 if quick else 300
    with contextlib.ExitStack() as stack:
        sessions = [(server, stack.enter_context(transfer.Session(server.ssh("-tt", command="echo go; exec cat"))))
                    for server in servers]
        for i in range(n):
            for server, session in sessions if i % 2 else reversed(sessions):
                key = b"x" if i % 60 else b"\n"
                began = time.perf_counter()
                session.write(key)
                session.read(1)
                result.add(server, 1e6 * (time.perf_counter() - began))
                if key == b"\n":
                    session.drain()
    yield result


def revoke(servers, agent, quick):
    """sshd has nothing like it."""
    for n in revocation.SESSIONS:
        label = f"revocation, {n} session{'s' if n > 1 else ''}, worst"
        gone = Result(f"{label}: users' processes gone", "ms", ("<=", 300) if n == 200 else None, max)
        all_gone = Result(f"{label}: connections gone", "ms", None, max)
        for _ in range(2 if quick else 20):
            users, everything = revocation.once(servers[1], agent, n)
            gone.add(servers[1], users)
            all_gone.add(servers[1], everything)
        yield gone
        yield all_gone


PARTS = {"latency": latency, "rate": rate, "throughput": throughput, "longlink": long_link, "sftp": sftp, "memory": memory, "echo": echo,
         "revocation": revoke}


def run(parts, servers, agent, quick):
    results = []
    for name in parts:
        _say(name)
        results += PARTS[name](servers, agent, quick)
    return results
