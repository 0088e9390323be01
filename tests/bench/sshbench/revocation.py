"""From the change of the map to the last process gone, and the last connection closed.

Without WireGuard and packet filter: what they add is measured in the test machine (revocation).
"""
import contextlib
import os
import select
import time

from . import cgroups, transfer, world

SESSIONS = (1, 50, 200)
TIMEOUT = 30
AT_ONCE = 8  # logins under way; the listener takes 10 of one peer


def _open_sessions(server, stack, n):
    """n connections, each with a command that runs."""
    command = server.ssh(command="echo go; exec sleep 4711")
    waiting = []
    for _ in range(n):
        waiting.append(stack.enter_context(transfer.Session(command, wait=False)))
        if len(waiting) >= AT_ONCE:
            waiting.pop(0).wait_for_go()
    for session in waiting:
        session.wait_for_go()


def _split(server):
    """What runs for clients: (the users' own processes, the gateway's of the connections)."""
    own = set(server.processes())
    return [pid for pid in server.group.pids() if pid not in own and pid != server.process.pid], own


@contextlib.contextmanager
def _urgent():
    """Whoever looks must not wait for a processor: what it sees would be late."""
    cgroups.set_priority(0, -20)
    yield
    cgroups.set_priority(0, 0)


class Ends:
    """When each of some processes ended."""

    def __init__(self, pids):
        self.fds = {os.pidfd_open(pid): pid for pid in pids}
        self.at = {}
        self.poll = select.epoll()
        for fd in self.fds:
            self.poll.register(fd, select.EPOLLIN)

    def wait(self):
        deadline = time.monotonic() + TIMEOUT
        while self.fds and time.monotonic() < deadline:
            for fd, _ in self.poll.poll(1):
                self.at[self.fds.pop(fd)] = time.monotonic()
                os.close(fd)
        if self.fds:
            raise world.Failure(f"{len(self.fds)} processes still run {TIMEOUT} s after their right was revoked")

    def last(self, pids):
        return max(self.at[pid] for pid in pids)


def once(server, agent, n):
    """Return: ms until the last process of a user was gone, and until everything was."""
    agent.put_map(ssh_allowed=True)
    server.wait_until_it_serves()
    with contextlib.ExitStack() as stack:
        _open_sessions(server, stack, n)
        users, own = _split(server)
        if len(users) < n:
            raise world.Failure(f"{len(users)} processes of {n} sessions found")
        ends = Ends([*users, *own])
        with _urgent():
            began = agent.put_map(ssh_allowed=False)
            ends.wait()
    return 1000 * (ends.last(users) - began), 1000 * (ends.last([*users, *own]) - began)
