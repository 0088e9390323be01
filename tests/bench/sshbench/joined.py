"""The agent as a member of a mesh, whose coordinator is the one for tests (tests/coordinator): checks need one."""
import json
import os
import socket
import subprocess
import time
from pathlib import Path

from . import cgroups, world

PORT = 8080
LIMIT = 60


def _call(path, method, more=False, **parameters):
    """One of the agent's methods. Return: its first answer."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(LIMIT)
        s.connect(str(path))
        call = {"method": f"io.peergate.Agent.{method}", "parameters": parameters, "more": more}
        s.sendall(json.dumps(call).encode() + b"\0")
        answer = b""
        while b"\0" not in answer:
            piece = s.recv(1 << 16)
            if not piece:
                raise world.Failure(f"the agent did not answer {method}")
            answer += piece
    answer = json.loads(answer.split(b"\0")[0])
    if "error" in answer:
        raise world.Failure(f"the agent refused {method}: {answer}")
    return answer["parameters"]


def _wait_until(true, what):
    deadline = time.monotonic() + LIMIT
    while not true():
        if time.monotonic() > deadline:
            raise world.Failure(what)
        time.sleep(0.05)


class Coordinator:
    def __init__(self, stack, scratch, build, log):
        key = scratch / "coordinator.key"
        self.process = world.start(stack, cgroups.Group(scratch, "coordinator"),
                                   [build / "tests/coordinator/test-coordinator", str(PORT), key], log, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        self._expect("ready")
        self.auth_key = f"pgauth.id.secret.{key.read_text().strip()}"

    def _expect(self, answer):
        line = self.process.stdout.readline().strip()
        if answer not in line:
            raise world.Failure(f"the coordinator said '{line}' instead of '{answer}'")
        return line

    def say(self, line, answer="done"):
        self.process.stdin.write(line + "\n")
        return self._expect(answer)

    def checks(self, which):
        """Those that the agent waits for ("held"), or has asked for so far ("check")."""
        return int(dict(pair.split("=") for pair in self.say("counts", "held=").split())[which])


class Agent:
    """This host's, and the coordinator that has the policy; a second agent makes the clients' address a peer's."""

    def __init__(self, stack, scratch, build, log):
        self.coordinator = Coordinator(stack, scratch, build, log)
        (world.sysconf_dir(build) / "agent.conf").write_text(f"Coordinator=http://127.0.0.1:{PORT}\nInsecureHTTP=yes\n")
        self.group = cgroups.Group(scratch, "agent")
        self.runtime = Path("/run/peergate")
        world.start_agent(stack, self.group, scratch / "agent", self.runtime, build, log)
        self._join(self.runtime, "server", world.SELF)
        peer = scratch / "peer-runtime"
        world.start_agent(stack, cgroups.Group(scratch, "peer"), scratch / "peer", peer, build, log)
        self._join(peer, "laptop", world.PEER)
        _wait_until(lambda: self.status()["peers"] == 1, "the agent has not heard of its peer")
        self.coordinator.say("forwarding")

    def _join(self, runtime, name, address):
        path = runtime / "agent-root.sock"
        _wait_until(path.exists, "the agent does not come up")
        _call(path, "Up", more=True, authKey=self.coordinator.auth_key, hostname=name, ssh=True)
        _wait_until(lambda: _call(path, "Status").get("addresses") == [address], f"the agent does not become {address}")

    def status(self):
        return _call(self.runtime / "agent-root.sock", "Status")

    def set_rule(self, action):
        """What the one SSH rule does: "accept", "check"."""
        before = self.status()["generation"]
        self.coordinator.say(f"rule {action}")
        _wait_until(lambda: self.status()["generation"] > before, "the agent does not get the new policy")
