"""What tests need in which a program of Peergate goes away, and comes back, at a moment of their choice."""
import contextlib

from hosts import wait_for

# Joins stdin and stdout with the server: what the client says waits for /tmp/go; /tmp/greeted says
# that the server has spoken first. So a login can be held where its monitor has just been started.
RELAY = """
import os, select, socket, sys, time
server = socket.create_connection((sys.argv[1], 22), 20)
os.write(1, server.recv(4096))
open('/tmp/greeted', 'w').close()
while not os.path.exists('/tmp/go'):
    time.sleep(0.02)
while True:
    for ready in select.select([0, server], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else server.recv(65536)
        if not data:
            sys.exit()
        if ready == 0:
            server.sendall(data)
        else:
            os.write(1, data)
"""


class Held:
    """An ssh whose monitor was started, and which says nothing until let_go()."""

    def __init__(self, mesh, command, user="alice"):
        self.host = mesh.laptop.host
        self.host.write("/tmp/relay.py", RELAY)
        self.host.run("rm -f /tmp/go /tmp/greeted", check=True)
        proxy = f"python3 -I -S /tmp/relay.py {mesh.server.ip4}"
        self.process = self.host.popen(["ssh", "-o", "BatchMode=yes", "-o", f"ProxyCommand={proxy}",
                                        f"{user}@server", command])
        wait_for(lambda: self.host.run("test -e /tmp/greeted").returncode == 0, 30, "the gateway's greeting")

    def let_go(self):
        self.host.run("touch /tmp/go", check=True)

    def result(self, timeout=60):
        """(exit status, stdout, stderr)"""
        status = self.process.wait(timeout)
        return status, self.process.out.read_rest(), self.process.err.read_rest()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.close()


def main_pid(host, unit):
    return int(host.run(["systemctl", "show", "-p", "MainPID", "--value", unit], check=True).stdout)


def kill(host, unit, sig):
    host.run(f"kill -{sig} {main_pid(host, unit)}", check=True)


@contextlib.contextmanager
def drop_in(host, unit, text):
    """Other settings for a unit; it is restarted with them, and once more without."""
    folder = f"/etc/systemd/system/{unit}.service.d"
    host.run(f"mkdir -p {folder}", check=True)
    host.write(f"{folder}/test.conf", text)
    host.run(f"systemctl daemon-reload && systemctl restart {unit}", check=True)
    try:
        yield
    finally:
        host.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart {unit}", check=True)


@contextlib.contextmanager
def ceiling(mesh, *lines):
    """Further lines of the server's sshgw.conf: for connections that begin now."""
    usual = "SSH=yes\nPermitRootLogin=yes\n"
    mesh.server.host.write("/etc/peergate/sshgw.conf", usual + "".join(f"{line}\n" for line in lines))
    try:
        yield
    finally:
        mesh.server.host.write("/etc/peergate/sshgw.conf", usual)


def still_there(process):
    """The session behind it (a cat) answers."""
    process.stdin.write(b"still here\n")
    process.out.read_until("still here", 30)
