"""The measurements: each takes turns between the two servers and keeps every sample."""
import contextlib
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from . import cgroups, crowd, forwarding, longlink, revocation, transfer, world

CIPHERS = {"aes128-gcm": "aes128-gcm@openssh.com", "chacha20": "chacha20-poly1305@openssh.com"}
N_IDLE = (10, 100)
N_PARALLEL = 8
N_AT_ONCE = 200


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
    """A, B, B, A, A, B...: neither always comes after the other, nor beside what is left of it."""
    for i in range(n):
        for server in servers if i % 2 == 0 else reversed(servers):
            for each in servers:
                each.wait_until_idle()
            yield server


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


def at_once(servers, agent, quick):
    n = 20 if quick else N_AT_ONCE
    result = Result(f"{n} logins at once, until the last", "s", ("<=", 1.0))
    for server in _interleaved(2 if quick else 5, servers):
        result.add(server, crowd.logins(server, n))
    yield result


def _both_ways(servers, prefix, cipher, size, n, run):
    """run(server, cipher, size, way): seconds, CPU seconds."""
    for way in ("down", "up"):
        speed = Result(f"{prefix} {way}", "MB/s", (">=", 1.0))
        cost = Result(f"{prefix} {way}, server CPU", "s/GiB", ("<=", 1.0))
        for server in _interleaved(n, servers):
            seconds, cpu = run(server, cipher, size, way)
            speed.add(server, size / seconds / 1e6)
            cost.add(server, cpu * (1 << 30) / size)
        yield speed
        yield cost


def throughput(servers, agent, quick):
    for label, cipher in CIPHERS.items():
        yield from _both_ways(servers, label, cipher, (64 if quick else 1024) << 20, 2 if quick else 5, transfer.run)


def forwarded(servers, agent, quick):
    yield from _both_ways(servers, "-L, aes128-gcm", CIPHERS["aes128-gcm"], (64 if quick else 1024) << 20,
                          2 if quick else 5, forwarding.run)


def long_link(servers, agent, quick):
    size = (16 if quick else 256) << 20
    with longlink.far_away(agent.build, 50) as prefix:
        for server in servers:
            server.prefix = prefix
        yield from _both_ways(servers, "100 ms away, aes128-gcm", CIPHERS["aes128-gcm"], size, 2 if quick else 5, transfer.run)
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
    for n in N_IDLE[:1] if quick else N_IDLE:
        result = Result(f"PSS per idle session, {n} sessions", "KiB", ("<=", 0.7))
        for server in _interleaved(1 if quick else 3, servers):
            with contextlib.ExitStack() as stack:
                for _ in range(n):
                    stack.enter_context(transfer.Session(server.ssh(command="echo go; exec cat")))
                result.add(server, cgroups.pss_kib(server.connection_processes()) / n)
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


PARTS = {"latency": latency, "rate": rate, "at-once": at_once, "throughput": throughput, "forwarding": forwarded,
         "longlink": long_link, "sftp": sftp, "memory": memory, "echo": echo, "revocation": revoke}


def run(parts, servers, agent, quick):
    results = []
    for name in parts:
        _say(name)
        results += PARTS[name](servers, agent, quick)
    return results
