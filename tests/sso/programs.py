"""Peergate's own programs on this machine, each with folders of its own: a coordinator, and an agent without a kernel."""
import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("PEERGATE_BUILD", "build/dev")).resolve()


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, timeout=30, what="condition"):
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)
    return result


class Program:
    """Started and ended as often as one likes; its files stay."""

    def __init__(self, folder, command):
        self.folder, self.program, self.process = folder, command, None
        for name in ("state", "run"):
            (folder / name).mkdir(parents=True)

    def start(self):
        log = open(self.folder / "log", "a")
        self.process = subprocess.Popen(self.program, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={
            **os.environ, "STATE_DIRECTORY": str(self.folder / "state"), "RUNTIME_DIRECTORY": str(self.folder / "run")})
        wait_for(self.is_there, 20, f"{self.program[0]} answers")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    @property
    def log(self):
        return (self.folder / "log").read_text()


class Coordinator(Program):
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "etc/coord.conf"
        super().__init__(folder, [BUILD / "coord/server/peergate-coord", "--config", self.config])
        (folder / "etc/oidc.d").mkdir(parents=True)
        self._init()

    def is_there(self):
        return self.run("status").returncode != 3

    def _init(self):
        """coordctl hands the files to an account that this machine need not have: here it is root by another name."""
        passwd = self.folder / "passwd"
        passwd.write_text(Path("/etc/passwd").read_text() + "peergate-coord:x:0:0::/:/usr/sbin/nologin\n")
        subprocess.run(["unshare", "--mount", "sh", "-c", f'mount --bind {passwd} /etc/passwd && exec "$@"', "sh",
                        BUILD / "coord/ctl/coordctl", "init", "--domain", "mesh.example", "--url", self.url,
                        "--listen", f"127.0.0.1:{self.port}", "--config", self.config, "--state-dir", self.folder / "state"],
                       check=True, stdout=subprocess.DEVNULL)

    def run(self, *arguments, input=None):
        """coordctl, whatever it says."""
        return subprocess.run([BUILD / "coord/ctl/coordctl", *map(str, arguments), "--socket", self.folder / "run/admin.sock"],
                              text=True, capture_output=True, input=input)

    def ctl(self, *arguments, input=None):
        said = self.run(*arguments, input=input)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def ask(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json"))

    def events(self, action):
        lines = self.ctl("events", "--json").splitlines()
        return [event for event in map(json.loads, lines) if event["action"] == action]

    def add_provider(self, name, issuer, client="peergate", **settings):
        secret = self.folder / f"etc/{name}.secret"
        secret.write_text(f"secret of {client}\n")
        lines = {"Issuer": issuer, "ClientId": client, "ClientSecretFile": secret, **settings}
        (self.folder / f"etc/oidc.d/{name}.conf").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))


class Agent(Program):
    def __init__(self, folder, coordinator):
        self.coordinator = coordinator
        super().__init__(folder, [BUILD / "tests/bench/bench-agent", "--config", folder / "agent.conf"])
        (folder / "agent.conf").write_text("InsecureHTTP=yes\n")

    def is_there(self):
        return self.run("status").returncode in (0, 1)

    def agentctl(self, *arguments):
        return [BUILD / "agent/ctl/agentctl", *map(str, arguments), "--socket", self.folder / "run/agent.sock"]

    def run(self, *arguments):
        return subprocess.run(self.agentctl(*arguments), text=True, capture_output=True)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    @contextlib.contextmanager
    def begin(self, *arguments):
        """A command that waits for a person: what it says can be read while it does."""
        process = subprocess.Popen(self.agentctl(*arguments), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
