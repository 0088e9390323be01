"""Logins of the tests: how they begin, which processes they have, how long these live, and what is changed for a while."""
import contextlib
import time

from hosts import wait_for
from mesh import login_processes

PAM = "/etc/pam.d/peergate"

# Waits for the last of some processes, looking every few milliseconds; prints when it was gone.
WATCH = """
import os, sys, time
pids = [int(a) for a in sys.argv[1:]]
print('watching', flush=True)
end = time.time() + 15
while time.time() < end:
    pids = [p for p in pids if os.path.exists(f'/proc/{p}')]
    if not pids:
        print(f'gone {time.time()}')
        sys.exit()
    time.sleep(0.005)
sys.exit(f'still there: {pids}')
"""


def client(mesh, command, user="alice"):
    """An ssh from the laptop that says "ready" and then runs the command."""
    process = mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", f"{user}@server", f"echo ready; {command}"])
    process.out.read_until("ready")
    return process


def session_pids(mesh, account, *needles):
    """The processes of the account's sessions, once each needle is the command line of one."""
    def found():
        processes = login_processes(mesh.server.host, account)
        if all(any(needle in line for line in processes.values()) for needle in needles):
            return processes
        return None

    processes = wait_for(found, 20, f"processes {needles} of {account}")
    # The leader closes the PAM session; it belongs to root and goes last.
    return [pid for pid, line in processes.items() if "leader" not in line]


def nothing_left(mesh, account):
    server = mesh.server.host
    wait_for(lambda: not login_processes(server, account), 10, f"end of the processes of {account}")
    wait_for(lambda: account not in server.run("loginctl list-sessions --no-legend").stdout, 10, "end of the session")
    wait_for(lambda: account not in server.run("who").stdout, 10, "utmp")


def gone_after(host, pids, change):
    """Make the change, which says when it was made; returns the seconds from there to the end of the last process."""
    with host.popen(["python3", "-I", "-S", "-c", WATCH, *map(str, pids)]) as watcher:
        watcher.out.read_until("watching")
        began = change()
        assert watcher.wait(30) == 0, watcher.err.read_rest()
        return float(watcher.out.read_until(r"gone ([0-9.]+)")[1]) - began


def revoke_and_wait(mesh, pids):
    """Take alice's SSH rule away; returns the seconds until the processes were gone."""
    mesh.ssh_rules["server"] = []
    content = mesh.map_for(mesh.server)
    return gone_after(mesh.server.host, pids, lambda: mesh.put(mesh.server, content))


def wake_tunnel(mesh):
    """A peer that was away and is back takes WireGuard some seconds to shake hands with again."""
    mesh.ssh("alice@server true", check=True)


def in_a_while(seconds):
    """A time in the maps' form, and the same as a number."""
    when = int(time.time()) + seconds
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)), when


@contextlib.contextmanager
def added(host, path, text):
    """A file with some more text for a while; without it before, it is gone afterwards."""
    was_there = host.run(["test", "-e", path]).returncode == 0
    before = host.read(path) if was_there else ""
    host.write(path, before + text)
    try:
        yield
    finally:
        if was_there:
            host.write(path, before)
        else:
            host.run(["rm", path], check=True)
