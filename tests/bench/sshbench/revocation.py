"""From the change of the map to the last process gone, and the last connection closed.

Without WireGuard and packet filter: what they add is measured in the test machine (revocation).
"""
import contextlib
import subprocess

from . import transfer, world
from .ends import Ends, urgent

SESSIONS = (1, 50, 200)
TIMEOUT = 30
AT_ONCE = 8  # logins under way; the listener takes 10 of one peer


def _open_sessions(server, stack, n):
    """n connections, each with a command that runs."""
    command = server.ssh(command="echo go; exec sleep 4711")
    waiting = []
    for _ in range(n):
        waiting.append(stack.enter_context(transfer.Session(command, wait=False, stderr=subprocess.DEVNULL)))
        if len(waiting) >= AT_ONCE:
            waiting.pop(0).wait_for_go()
    for session in waiting:
        session.wait_for_go()


def _split(server):
    """What runs for clients: (the users' own processes, the gateway's of the connections)."""
    own = set(server.processes())
    return [pid for pid in server.group.pids() if pid not in own], server.connection_processes()


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
        with urgent():
            began = agent.put_map(ssh_allowed=False)
            ends.wait(TIMEOUT)
    return 1000 * (ends.last(users) - began), 1000 * (ends.last([*users, *own]) - began)
