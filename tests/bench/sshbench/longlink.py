"""Clients at the end of a long link: in a network namespace of their own, behind bench-delay."""
import contextlib
import subprocess

from . import world

NAME = "far"
MTU = 1420  # WireGuard's


def _ip(*words):
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def far_away(build, msec):
    """The clients' address is there, so long a way off. Yields what a command is to begin with."""
    _ip("netns", "add", NAME)
    command = [build / "tests/bench/bench-delay", str(msec), "link-here", f"/run/netns/{NAME}", "link-there"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as relay:
        try:
            if relay.stdout.readline() != b"ready\n":
                raise world.Failure("bench-delay does not start")
            _ip("address", "del", f"{world.PEER}/32", "dev", "lo")
            _ip("link", "set", "link-here", "mtu", str(MTU), "txqueuelen", "10000", "up")
            _ip("route", "add", world.PEER, "dev", "link-here", "src", world.SELF)
            there = ["-n", NAME]
            _ip(*there, "link", "set", "lo", "up")
            _ip(*there, "address", "add", f"{world.PEER}/32", "dev", "lo")
            _ip(*there, "link", "set", "link-there", "mtu", str(MTU), "txqueuelen", "10000", "up")
            _ip(*there, "route", "add", world.SELF, "dev", "link-there", "src", world.PEER)
            yield ["ip", "netns", "exec", NAME]
        finally:
            relay.kill()
            relay.wait()
            _ip("netns", "del", NAME)
            _ip("address", "replace", f"{world.PEER}/32", "dev", "lo")
