"""When each of some processes ended, by pidfds: without asking again and again."""
import contextlib
import fcntl
import os
import resource
import select
import time

from .priority import set_priority


@contextlib.contextmanager
def urgent():
    """Whoever looks must not wait for a processor: what it sees would be late."""
    set_priority(0, -20)
    try:
        yield
    finally:
        set_priority(0, 0)


class StillThere(Exception):
    """Processes that should be gone run."""


SELECTABLE = 1024  # descriptors that select(2) takes: left to those who use it


def _open_high(pid):
    low = os.pidfd_open(pid)
    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, SELECTABLE)
    finally:
        os.close(low)


class Ends:
    def __init__(self, pids):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.fds = {_open_high(pid): pid for pid in pids}
        self.at = {}
        self.poll = select.epoll()
        for fd in self.fds:
            self.poll.register(fd, select.EPOLLIN)

    def wait(self, timeout):
        deadline = time.monotonic() + timeout
        while self.fds and time.monotonic() < deadline:
            for fd, _ in self.poll.poll(1):
                self.at[self.fds.pop(fd)] = time.monotonic()
                os.close(fd)
        self.poll.close()
        if self.fds:
            raise StillThere(f"{len(self.fds)} processes still run {timeout} s after their right was revoked")

    def last(self, pids):
        """CLOCK_MONOTONIC, in seconds."""
        return max(self.at[pid] for pid in pids)
