"""What both servers find: addresses, an account, keys, configuration; and the servers themselves."""
import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import cgroups
from .priority import set_priority

SELF, PEER = "100.64.0.1", "100.64.0.2"  # both on lo; the gateway's own, and where clients come from
USER, UID = "peergate-bench", 59999
SYSTEM_ACCOUNTS = {"_sshgw": 59998, "peergate": 59997}  # as systemd-sysusers makes them
SOURCE = Path(__file__).resolve().parents[3]
PROGRAMS = {"peergate-sshgw": "listener", "peergate-sshgw-keys": "keys", "peergate-sshgw-monitor": "monitor",
            "peergate-sshgw-net": "net", "peergate-sshgw-session": "session"}
SHARED = {"peergate-sshgw", "peergate-sshgw-keys"}  # one for all connections


class Failure(Exception):
    """The measurement cannot go on; the text says why."""


def _run(*command, **kwargs):
    subprocess.run([str(word) for word in command], check=True, **kwargs)


# -- files


def _place(build, name):
    """A directory that the programs of this build know."""
    return Path(re.search(rf'^#define {name} "(.*)"$', (build / "peergate-config.h").read_text(), re.M)[1])


def sysconf_dir(build):
    return _place(build, "PEERGATE_SYSCONFDIR")


def _libexec_dir(build):
    return _place(build, "PEERGATE_LIBEXECDIR")


def _existing(directory):
    """It, or the closest one above it that there is."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


def _topmost(directories):
    return [path for path in directories if not any(other in path.parents for other in directories)]


def _scratch_over(scratch, directory):
    """Writing below this directory stays in memory."""
    work = scratch / "over" / str(directory).strip("/").replace("/", "-")
    for name in ("upper", "work"):
        (work / name).mkdir(parents=True)
    _run("mount", "-t", "overlay", "overlay", "-o",
         f"lowerdir={directory},upperdir={work}/upper,workdir={work}/work", directory)


def _add_account(name, uid, home):
    for file, line in (("passwd", f"{name}:x:{uid}:{uid}::{home}:/bin/sh"), ("group", f"{name}:x:{uid}:"),
                       ("shadow", f"{name}:*:19000:0:99999:7:::")):
        with open(f"/etc/{file}", "a") as f:
            f.write(line + "\n")


def _make_files(scratch, build):
    # In memory: sftp's files as well, so that no disk is measured.
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "none", scratch)
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
    written = {Path("/etc"), Path("/var/log"), _existing(sysconf_dir(build)), _existing(_libexec_dir(build))}
    for directory in _topmost(written):
        _scratch_over(scratch, directory)
    own = "/run/sshd", "/run/peergate-sshgw/empty", "/run/peergate", sysconf_dir(build), _libexec_dir(build)
    for directory in own:
        Path(directory).mkdir(parents=True, exist_ok=True)
    for file in ("/run/utmp", "/var/log/wtmp", "/var/log/lastlog"):
        Path(file).write_bytes(b"")
    # SSH_ASKPASS and the like have no business here, nor does the machine's nologin.
    Path("/etc/nologin").unlink(missing_ok=True)
    shutil.copy(SOURCE / "contrib/pam/peergate", "/etc/pam.d/peergate")


def _make_accounts(scratch):
    home = scratch / "home"
    home.mkdir()
    _add_account(USER, UID, home)
    present = {entry.pw_name for entry in pwd.getpwall()}
    for name, uid in SYSTEM_ACCOUNTS.items():
        if name not in present:
            _add_account(name, uid, "/nonexistent")
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch / "key")
    (home / ".ssh").mkdir(mode=0o700)
    shutil.copy(scratch / "key.pub", home / ".ssh/authorized_keys")
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, UID, UID)


def _make_host_keys(directory):
    """The kinds that Debian makes; both servers load all three for each connection."""
    directory.mkdir(exist_ok=True)
    for kind in ("ed25519", "ecdsa", "rsa"):
        file = directory / f"ssh_host_{kind}_key"
        file.unlink(missing_ok=True)
        _run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file, input=b"y\n")


# -- network


def _make_network():
    _run("ip", "link", "set", "lo", "up")
    for address in (SELF, PEER):
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")


def set_delayed_ack(on):
    """On is the kernel's default. Concerns connections made from now on, of client and server."""
    for address in (SELF, PEER):
        _run("ip", "route", "replace", "table", "local", "local", address, "dev", "lo",
             *(() if on else ("quickack", "1")))


def make(scratch, build):
    _make_files(scratch, build)
    _make_network()
    _make_accounts(scratch)
    _make_host_keys(Path("/etc/ssh"))
    _make_host_keys(scratch / "sshd")


# -- servers


class Server:
    def __init__(self, name, group, programs, port, process, scratch):
        self.name, self.group, self.programs, self.port = name, group, programs, port
        self.process = process
        self.home = scratch / "home"
        known = scratch / f"known_hosts.{name}"
        key = "/etc/ssh" if name == "gateway" else scratch / "sshd"
        public = " ".join(Path(f"{key}/ssh_host_ed25519_key.pub").read_text().split()[:2])
        host = SELF if port == 22 else f"[{SELF}]:{port}"
        known.write_text(f"{host} {public}\n")
        self.options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}",
                        "-o", "GlobalKnownHostsFile=none", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
                        "-o", "KexAlgorithms=curve25519-sha256", "-o", "HostKeyAlgorithms=ssh-ed25519",
                        "-o", f"BindAddress={PEER}", "-i", str(scratch / "key"), "-o", f"Port={port}"]
        self.target = f"{USER}@{SELF}"
        self.prefix = []  # of the clients' commands: where they are

    def ssh(self, *arguments, command):
        return [*self.prefix, "ssh", *self.options, *arguments, self.target, command]

    def sftp(self):
        return ["sftp", "-q", *self.options, "-c", "aes128-gcm@openssh.com", "-b", "-", self.target]

    def ssh_line(self):
        return shlex.join(self.ssh(command="")[:-1])

    def processes(self):
        """Its own, all of them."""
        return cgroups.own_processes(self.group, self.programs)

    def connection_processes(self):
        """Those that there are for each connection."""
        per_connection = cgroups.own_processes(self.group, self.programs - SHARED)
        return [pid for pid in per_connection if pid != self.process.pid]

    def wait_until_idle(self):
        """Until the connections before have gone altogether."""
        deadline = time.monotonic() + 20
        while self.connection_processes():
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} still has processes of connections that have ended")
            time.sleep(0.02)

    def wait_until_it_serves(self):
        deadline = time.monotonic() + 20
        while True:
            result = subprocess.run(self.ssh(command="true"), stdin=subprocess.DEVNULL, text=True, capture_output=True)
            if result.returncode == 0:
                return
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failure(f"{self.name} does not let {USER} in: {result.stderr.strip()}")
            time.sleep(0.1)


def start(stack, group, command, log, **kwargs):
    def on_exit():
        process.terminate()
        process.wait()

    process = subprocess.Popen([str(word) for word in command], preexec_fn=group.enter,
                               **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **kwargs})
    stack.callback(on_exit)
    return process


def _start_sshd(stack, scratch, log):
    # The name that it is started by is the name of its PAM service.
    program = scratch / "peergate"
    program.symlink_to(shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"))
    config = scratch / "sshd_config"
    config.write_text("".join(f"HostKey {scratch}/sshd/ssh_host_{kind}_key\n" for kind in ("ed25519", "ecdsa", "rsa"))
                      + f"ListenAddress {SELF}:2222\nUsePAM yes\nPidFile none\nMaxStartups 300\n"
                      "KbdInteractiveAuthentication no\nPasswordAuthentication no\nPrintMotd no\nX11Forwarding yes\n"
                      "AcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\n")
    group = cgroups.Group(scratch, "sshd")
    process = start(stack, group, [program, "-D", "-e", "-f", config], log)
    return Server("sshd", group, {"sshd"}, 2222, process, scratch)


def start_agent(stack, group, state, runtime, build, log):
    state.mkdir(mode=0o700)
    runtime.mkdir(exist_ok=True)
    # CPUWeight= of the unit, where there is no systemd: before others when it has something to say.
    process = start(stack, group, [build / "tests/bench/bench-agent"], log, start_new_session=True,
                    env={**os.environ, "STATE_DIRECTORY": str(state), "RUNTIME_DIRECTORY": str(runtime)})
    set_priority(process.pid, -15)


class Agent:
    """The agent and its map file."""

    KEY = "dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="

    def __init__(self, stack, scratch, build, log):
        self.generation, self.build = 0, build
        self.file = sysconf_dir(build) / "netmap.json"
        self.put_map()
        (sysconf_dir(build) / "agent.conf").write_text(f"Netmap={self.file}\n")
        start_agent(stack, cgroups.Group(scratch, "agent"), scratch / "agent", Path("/run/peergate"), build, log)

    def _map(self, ssh_allowed):
        rule = {"principals": [PEER], "users": {"*": "="}, "action": "accept", "origin": "ssh[0]",
                "forwarding": {"local": True}}
        return {
            "type": "full", "version": 1, "for": "n1", "generation": self.generation,
            "self": {"id": "n1", "name": "server", "addresses": [SELF], "ssh": True},
            "mesh": {"domain": "mesh.example", "prefixes": ["100.64.0.0/10"]},
            "users": {"alice@example.com": {"name": "Alice"}},
            "peers": [{"id": "n2", "name": "laptop", "addresses": [PEER], "node_key": self.KEY,
                       "user": "alice@example.com"}],
            "packet_filter": [{"src": [PEER], "proto": [6], "dst": [{"ip": SELF, "ports": [22, 22]}],
                               "origin": "acls[0]"}],
            "ssh_rules": [rule] if ssh_allowed else [],
        }

    def put_map(self, ssh_allowed=True):
        """Put a new map in place; returns when."""
        self.generation += 1
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self._map(ssh_allowed)))
        new.rename(self.file)
        return time.monotonic()


def _mount_programs(build):
    """Where the listener looks for them, from where they were built: on a disk, as installed ones."""
    for name, part in PROGRAMS.items():
        place = _libexec_dir(build) / name
        place.touch()
        _run("mount", "--bind", build / "sshgw" / part / name, place)


# systemd's part: the socket as number 3, and the variables that say so.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


def _start_gateway(stack, scratch, build, log):
    limits = ("MaxConnectionsPerPeer", "MaxUnauthenticated", "MaxUnauthenticatedPerPeer", "MaxHeldLogins",
              "MaxHeldLoginsPerPeer")
    config = ["SSH=yes", "PenaltyAfter=0", *(f"{limit}=300" for limit in limits)]
    (sysconf_dir(build) / "sshgw.conf").write_text("\n".join(config) + "\n")
    _mount_programs(build)
    group = cgroups.Group(scratch, "gateway")
    with socket.socket() as s:  # as in peergate-sshgw.socket
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        s.bind((SELF, 22))
        s.listen(128)
        command = [sys.executable, "-I", "-S", "-c", ACTIVATE, s.fileno(), _libexec_dir(build) / "peergate-sshgw"]
        process = start(stack, group, command, log, pass_fds=[s.fileno()])
    return Server("gateway", group, set(PROGRAMS), 22, process, scratch)


@contextlib.contextmanager
def _serving(scratch, start_all):
    """What start_all(stack, log) starts: servers, and last the agent."""
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(scratch / "log", "w"))
        try:
            *servers_, agent = start_all(stack, log)
            for server in servers_:
                server.wait_until_it_serves()
        except Failure as failure:
            raise Failure(f"{failure}\n{(scratch / 'log').read_text()[-3000:]}") from None
        yield *servers_, agent


def servers(scratch, build):
    """sshd and the gateway, ready to serve, and the agent."""
    def start_all(stack, log):
        agent = Agent(stack, scratch, build, log)
        return _start_sshd(stack, scratch, log), _start_gateway(stack, scratch, build, log), agent

    return _serving(scratch, start_all)


def gateway(scratch, build, make_agent):
    """The gateway, ready to serve, and another agent."""
    def start_all(stack, log):
        agent = make_agent(stack, scratch, build, log)
        return _start_gateway(stack, scratch, build, log), agent

    return _serving(scratch, start_all)
