"""Connections that are dropped wherever they are: what do gateway and agent keep of them?"""
import contextlib
import functools
import logging
import multiprocessing
import os
import selectors
import socket
import struct
import sys
import time
from pathlib import Path

import paramiko

from . import cgroups, stages, world
from .joined import Agent

N_PARALLEL = 8
PATIENCE = 60  # seconds that the last ones may take to be gone
IMPATIENCE = 5  # once something has stayed for good, which may be so at every stage
MAX_GROWTH_KIB = 512  # of listener and keys process, or of the agent, over all of a stage
REPORT_EVERY = 10  # seconds
USER_PROCESS = 7  # utmp(5)
LISTENING = "0A"  # proc(5), net/tcp


# -- what is there


def _fds(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def _utmp():
    data = Path("/run/utmp").read_bytes()
    return sum(struct.unpack_from("h", data, at)[0] == USER_PROCESS for at in range(0, len(data), 384))


def _listeners():
    """In this network namespace, where programs of the user's listen by themselves nowhere."""
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    return sum(line.split()[3] == LISTENING for table in tables for line in table)


def _is_users(path):
    try:
        return path.lstat().st_uid == world.UID
    except FileNotFoundError:
        return False  # /tmp is everybody's


def _files(home):
    """Of the user's: sockets, and the directories that they are in. The file with the keys of displays is there to stay."""
    return sum(_is_users(path) for path in (*home.iterdir(), *Path("/tmp").iterdir()) if path.name != ".Xauthority")


def _own_kib(pids):
    """Memory that is nobody else's: of what is shared, each one's part depends on how many there are."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


class Watched:
    """The gateway, and the agent that it asks."""

    def __init__(self, gateway, agent):
        self.gateway, self.agent = gateway, agent
        gateway.wait_until_idle()
        self.shared = cgroups.own_processes(gateway.group, world.SHARED)
        self.patience, self.before = PATIENCE, self.state()

    def state(self):
        agents = self.agent.group.pids()
        return {"processes": len(self.gateway.group.pids()), "fds": _fds(self.shared),
                "cgroups": sum(1 for _ in os.walk(self.gateway.group.path)), "utmp entries": _utmp(),
                "listeners": _listeners(), "files": _files(self.gateway.home),
                "agent's processes": len(agents), "agent's fds": _fds(agents),
                "leases": self.agent.status()["sessions"], "checks": self.agent.coordinator.checks("held")}

    def memory(self):
        return {"gateway": _own_kib(self.shared), "agent": _own_kib(self.agent.group.pids())}

    def settle(self):
        """What it takes for the last ones to be gone. Return: what there is then and was not before."""
        deadline = time.monotonic() + self.patience
        while True:
            after = self.state()
            left = {what: after[what] - n for what, n in self.before.items() if after[what] > n}
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.before = after
        if left:
            self.patience = IMPATIENCE
        return left


# -- dropping: in processes of their own, whose keys and ciphers use all processors


def _drop_one(stage, number, target, home):
    connection = stages.Connection(number, target, home)
    try:
        stage(connection)
    finally:
        connection.drop()


def _drop_surely(stage, target, home, number):
    """Those before may be going still, and with them there are too many. Return: what went wrong all the same."""
    for _ in range(20):
        try:
            return _drop_one(stage, number, target, home)
        except (OSError, EOFError, paramiko.SSHException, world.Failure) as error:
            text = f"{type(error).__name__}: {error}"
            time.sleep(0.05)
    return text


def _take_connections(listener):
    """What forwarded connections go to: each lasts as long as the other end wants."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                elif not _has_more(key.fileobj):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


def _has_more(connection):
    with contextlib.suppress(OSError):
        return bool(connection.recv(4096))
    return False


class Clients:
    def __init__(self, stack, home):
        processes = multiprocessing.get_context("fork")
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        self.target, self.home = listener.getsockname()[1], home
        server = processes.Process(target=_take_connections, args=[listener], daemon=True)
        server.start()
        stack.callback(server.terminate)
        self.pool = stack.enter_context(processes.Pool(N_PARALLEL))

    def drop(self, stage, count, on_dropped=lambda: None):
        """Return: what went wrong on the client's side."""
        work = functools.partial(_drop_surely, stage, self.target, self.home)
        trouble = []
        for text in self.pool.imap_unordered(work, range(count)):
            on_dropped()
            if text:
                trouble.append(text)
        return trouble


# -- what is told


class Progress:
    """On standard error, since it may take long."""

    def __init__(self, seconds, count):
        """seconds: what one connection of each stage took so far, of those that are to come."""
        self.seconds, self.count = seconds, count

    def begin(self, stage):
        self.stage, self.n, self.began = stage, 0, time.monotonic()
        self.told = self.began
        del self.seconds[stage]
        self.later = sum(self.seconds.values()) * self.count

    def dropped(self):
        self.n += 1
        now = time.monotonic()
        if now - self.told < REPORT_EVERY:
            return
        self.told = now
        each = (now - self.began) / self.n
        left = each * (self.count - self.n)
        print(f"gateway: {self.stage.__name__}: {self.n} of {self.count}, {1 / each:.0f}/s, {left / 60:.1f} min left; "
              f"with the stages after it {(left + self.later) / 60:.0f} min", file=sys.stderr, flush=True)

    def rate(self):
        return self.n / (time.monotonic() - self.began)


def _grown(before, after):
    return any(after[who] - before[who] > MAX_GROWTH_KIB for who in before)


def _listed(left):
    return ", ".join(f"{n} {what}" for what, n in left.items()) or "nothing"


def _run_stage(stage, watched, clients, progress, file):
    """A row of the table. Return: whether nothing is left."""
    before, checks = watched.memory(), watched.agent.coordinator.checks("check")
    progress.begin(stage)
    trouble = clients.drop(stage, progress.count, progress.dropped)
    rate = progress.rate()
    if stage in stages.CHECKED and watched.agent.coordinator.checks("check") < checks + progress.count - len(trouble):
        raise world.Failure(f"{stage.__name__}: the coordinator was not asked for a check each time")
    left, after = watched.settle(), watched.memory()
    sizes = " | ".join(f"{before[who]} | {after[who]}" for who in before)
    print(f"| {stage.__name__} | {progress.count} | {len(trouble)} | {rate:.0f} | {_listed(left)} | {sizes} |",
          file=file, flush=True)
    for text in sorted(set(trouble))[:3]:
        print(f"    {trouble.count(text)} times {text}", file=file, flush=True)
    return not left and not _grown(before, after) and len(trouble) <= progress.count // 100


def _run(watched, clients, count, chosen, file):
    seconds = {}
    set_rule = Rule(watched.agent)
    for stage in chosen:  # what is allocated once, is by now
        set_rule(stage)
        began = time.monotonic()
        clients.drop(stage, N_PARALLEL)
        seconds[stage] = (time.monotonic() - began) / N_PARALLEL
    watched.settle()
    progress, clean = Progress(seconds, count), True
    print("| dropped | connections | failed | 1/s | left | gateway's own KiB before | after | agent's before | after |",
          file=file)
    print("|---|--:|--:|--:|---|--:|--:|--:|--:|", file=file)
    for stage in chosen:
        set_rule(stage)
        clean &= _run_stage(stage, watched, clients, progress, file)
    return clean


class Rule:
    """Of the policy, as each stage needs it."""

    def __init__(self, agent):
        self.agent, self.action = agent, "accept"

    def __call__(self, stage):
        wanted = "check" if stage in stages.CHECKED else "accept"
        if wanted != self.action:
            self.agent.set_rule(wanted)
            self.action = wanted


def _chosen(names):
    """The stages of these names, in their order; all of them if there is no name."""
    if unknown := set(names) - {stage.__name__ for stage in stages.STAGES}:
        raise world.Failure(f"there is no stage {', '.join(sorted(unknown))}; there are "
                            f"{', '.join(stage.__name__ for stage in stages.STAGES)}")
    return [stage for stage in stages.STAGES if not names or stage.__name__ in names]


def run(scratch, build, count, names, file):
    """A table of what each stage left behind, or those of these names. Return: whether that is nothing."""
    chosen = _chosen(names)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    with contextlib.ExitStack() as stack:
        clients = Clients(stack, scratch / "home")
        gateway, agent = stack.enter_context(world.gateway(scratch, build, Agent))
        return _run(Watched(gateway, agent), clients, count, chosen, file)
