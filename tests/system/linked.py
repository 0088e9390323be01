"""Hosts with the coordinator of tests/coordinator, which runs in the machine that they are in.

It lets every node see every other one, and log in by one SSH rule. Its own promises are tested elsewhere.
"""
import contextlib
import json
import subprocess
from pathlib import Path

from hosts import wait_for

PROGRAM = Path(__file__).resolve().parents[2] / "build/gcc/tests/coordinator/test-coordinator"
ADDRESS, PORT = "192.0.2.254", 8080
URL = f"http://{ADDRESS}:{PORT}"
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=no"


class Coordinator:
    def __init__(self, directory):
        key = directory / "coordinator.key"
        self.process = subprocess.Popen([PROGRAM, str(PORT), key], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"
        self.key = key.read_text().strip()
        self.auth_key = f"pgauth.id.secret.{self.key}"

    def say(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().strip()

    def counts(self):
        return {name: int(n) for name, n in (pair.split("=") for pair in self.say("counts").split())}

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def link(host):
    return status(host)["link"]


def status(host):
    return json.loads(host.run("agentctl status --json").stdout)


def wait_state(host, state, timeout=40):
    wait_for(lambda: link(host)["state"] == state, timeout, f"{host.name}: {state}")


def pings(host, address, count=1):
    return host.run(f"ping -c {count} -W 5 {address}").returncode == 0


def clean(host):
    host.run("systemctl disable --now peergate-agent peergate-sshgw.socket")
    host.run("/usr/libexec/peergate/peergate-agent --down; rm -rf /var/lib/peergate /run/peergate"
             " /etc/peergate/sshgw.conf /etc/peergate/agent.conf /root/auth.key")


@contextlib.contextmanager
def linked(directory, *members):
    """A coordinator that the members, of which the first is the server, are to join."""
    coordinator = Coordinator(directory)
    for host in members:
        host.write("/etc/peergate/agent.conf", f"Coordinator={URL}\nInsecureHTTP=yes\n")
        host.write("/root/auth.key", coordinator.auth_key + "\n", mode=0o600)
        host.run("systemctl enable --now --quiet peergate-agent", check=True)
    members[0].write("/etc/peergate/sshgw.conf", "SSH=yes\nPermitRootLogin=yes\n")
    members[0].run("systemctl enable --now --quiet peergate-sshgw.socket", check=True)
    try:
        yield coordinator
    finally:
        coordinator.close()
        for host in members:
            clean(host)
