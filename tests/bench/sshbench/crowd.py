"""Many clients at the same moment."""
import subprocess
import time

from . import world


def logins(server, n):
    """Seconds until the last of so many clients that start together is done."""
    began = time.perf_counter()
    clients = [subprocess.Popen(server.ssh(command="true"), stdin=subprocess.DEVNULL) for _ in range(n)]
    failed = sum(client.wait() != 0 for client in clients)
    if failed:
        raise world.Failure(f"{failed} of {n} logins at once failed on {server.name}")
    return time.perf_counter() - began
