"""Hosts for system tests and demos: each a booted Debian in namespaces, joined by a bridge.

A host has its own systemd, journal, network, users and files (an overlay over the machine's
root image and, where asked, over the staged tree of Peergate).  It shares the kernel.
This runs inside the machine that tests/vm/run starts; see guest/main there for what is prepared.

    with core_hosts() as hosts:
        hosts.server.run("systemctl is-system-running")

Every wait has a limit.  Nothing here knows pytest: contrib/demo uses it, too.
"""
import array
import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path
from types import SimpleNamespace

MACHINE = Path("/run/vm")
ROOT = MACHINE / "root"
STAGE = MACHINE / "stage"
CORES = Path(os.environ.get("PEERGATE_OUT", "/out")) / "cores"
HOSTEXEC = Path(__file__).resolve().parent.parent / "vm/hostexec"
# Quiet figures under emulation, times four.
BOOT_TIMEOUT = 120
STOP_TIMEOUT = 40
RUN_TIMEOUT = 60
MAX_SHOWN = 4000


class HostError(Exception):
    """The machine or a host did not do what it should."""


class CommandError(subprocess.CalledProcessError):
    """A command failed; unlike its base, it says what the command said."""

    def __str__(self):
        said = "".join(f"\n--- {name}\n{_shown(text)}" for name, text in
                       (("stdout", self.stdout), ("stderr", self.stderr)) if text)
        return super().__str__() + said


class TimedOut(HostError):
    """A wait came to its end; the text has what was seen until then."""


def _shown(text):
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return text if len(text) <= MAX_SHOWN else "[…]" + text[-MAX_SHOWN:]


def wait_for(condition, timeout=30, what="condition", interval=0.2):
    """Call condition() until it returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimedOut(f"not within {timeout} s: {what}")
        time.sleep(interval)


def _ip(*args):
    result = subprocess.run(["ip", *args], text=True, capture_output=True)
    if result.returncode:
        raise HostError(f"ip {shlex.join(args)}: {result.stderr.strip()}")


# -- programs inside a host


def _send(sock, message, fds=()):
    sock.sendmsg([json.dumps(message).encode()],
                 [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


class Status:
    """A running program's process id in its host, and the way to learn of its end."""

    def __init__(self, host, request, fds, timeout=RUN_TIMEOUT):
        self._host = host
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.returncode = None
        self.what = request.get("argv") or request["op"]
        with theirs:
            host.ask(request, [theirs.fileno(), *fds])
        self._sock.settimeout(timeout)
        fds = array.array("i")
        data, ancillary, _, _ = self._sock.recvmsg(1000, socket.CMSG_SPACE(fds.itemsize))
        if not data:
            raise HostError(f"{host.name}: gone while starting {self.what}")
        for _, _, content in ancillary:
            fds.frombytes(content)
        self.pid = json.loads(data)["pid"]
        self.master = fds[0] if fds else None

    def poll(self):
        return self.wait(0) if self.returncode is None and self._readable(0) else self.returncode

    def _readable(self, timeout):
        return bool(select.select([self._sock], [], [], timeout)[0])

    def wait(self, timeout=RUN_TIMEOUT):
        """The exit status (negative: the signal); TimeoutExpired leaves the program running."""
        if self.returncode is None:
            if not self._readable(timeout):
                raise subprocess.TimeoutExpired(self.what, timeout)
            data = self._sock.recv(1000)
            self._sock.close()
            # A host that was stopped takes its programs along.
            self.returncode = json.loads(data)["status"] if data else -signal.SIGKILL
        return self.returncode

    def kill(self, sig=signal.SIGKILL):
        """Signal the program's process group."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                self._host.ask({"op": "kill", "pid": self.pid, "sig": int(sig)})


class Reader:
    """What comes out of a descriptor, to be waited for piece by piece."""

    def __init__(self, fd, what):
        self.fd = fd
        self.what = what
        self.text = ""  # everything that came so far
        self._seen = 0  # up to here it was asked for
        self._pending = b""
        self._ended = False
        os.set_blocking(fd, False)

    def _read_some(self, timeout):
        if not select.select([self.fd], [], [], max(timeout, 0))[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: the other side of a pty is closed
            data = b""
        self._ended = not data
        self._pending += data
        # A character may have been cut in two: its first bytes wait for the rest.
        text = self._pending.decode(errors="ignore" if not self._ended else "replace")
        cut = len(self._pending) - len(text.encode())
        if cut > 3 or self._ended:
            text, cut = self._pending.decode(errors="replace"), 0
        self._pending = self._pending[len(self._pending) - cut:] if cut else b""
        self.text += text

    def drain(self):
        """Take what is there without waiting; return everything that came so far."""
        while not self._ended and select.select([self.fd], [], [], 0)[0]:
            self._read_some(0)
        return self.text

    def read_until(self, pattern, timeout=RUN_TIMEOUT):
        """Wait for a regular expression; return the match and go on behind it."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern, re.M).search(self.text, self._seen)
            if found:
                self._seen = found.end()
                return found
            left = deadline - time.monotonic()
            if self._ended or left <= 0:
                why = "the output ended" if self._ended else f"not within {timeout} s"
                raise TimedOut(f"{self.what}: {why}: /{pattern}/; got\n{_shown(self.text[self._seen:])}")
            self._read_some(left)

    def read_rest(self, timeout=RUN_TIMEOUT):
        """Wait for the end of the output; return what came since the last match."""
        deadline = time.monotonic() + timeout
        while not self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"{self.what}: no end of output within {timeout} s; got\n"
                               f"{_shown(self.text[self._seen:])}")
            self._read_some(left)
        rest, self._seen = self.text[self._seen:], len(self.text)
        return rest

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Process(Status):
    """A program with pipes: .stdin (binary file), .out and .err (Reader)."""

    def __init__(self, host, request):
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        try:
            super().__init__(host, request, theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        self.stdin = os.fdopen(pipes[0][1], "wb", buffering=0)
        self.out = Reader(pipes[1][0], f"{host.name}: {self.what}: stdout")
        self.err = Reader(pipes[2][0], f"{host.name}: {self.what}: stderr")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.close()

    def close(self):
        self.stdin.close()
        self.out.close()
        self.err.close()


class Pty(Status, Reader):
    """A program on a terminal of its host."""

    def __init__(self, host, request):
        Status.__init__(self, host, request, [])
        Reader.__init__(self, self.master, f"{host.name}: {self.what}: terminal")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.close()

    def send(self, text):
        data = text.encode()
        while data:
            if not select.select([], [self.fd], [], RUN_TIMEOUT)[1]:
                raise TimedOut(f"{self.what}: takes no input")
            data = data[os.write(self.fd, data):]

    def sendline(self, text=""):
        self.send(text + "\r")

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


# -- the network between the hosts


class Lan:
    """A bridge; the machine itself (and with it the tests) is on it, too."""

    def __init__(self, name="lan0", ip4="192.0.2.254/24", ip6="2001:db8::fe/64"):
        self.name, self.ip4, self.ip6 = name, ip4, ip6

    def start(self):
        _ip("link", "add", self.name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        _ip("addr", "add", self.ip4, "dev", self.name)
        _ip("addr", "add", self.ip6, "dev", self.name, "nodad")
        _ip("link", "set", self.name, "up")
        return self

    def stop(self):
        _ip("link", "del", self.name)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


# -- hosts


def _own_cgroup():
    """The delegated cgroup below which the hosts live: the parent of the runner's."""
    own = re.search(r"^0::(.*)$", Path("/proc/self/cgroup").read_text(), re.M)[1]
    return Path("/sys/fs/cgroup") / own.lstrip("/") / ".."


def _mount_overlay(target, layers, upper, work):
    for path in (target, upper, work):
        path.mkdir(parents=True, exist_ok=True)
    lower = ":".join(str(layer) for layer in layers)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir={lower},upperdir={upper},workdir={work}", str(target)], check=True)


def _peergate_layers():
    """The lower layers of a host with Peergate, top first; the stage's system users are made once."""
    if not STAGE.is_dir():
        raise HostError("no stage: run the machine with --stage DIR, or use Host(peergate=False)")
    users = MACHINE / "users"
    if not users.is_dir():
        merged = MACHINE / "users.root"
        _mount_overlay(merged, [STAGE, ROOT], MACHINE / "users.new", MACHINE / "users.work")
        try:
            subprocess.run(["systemd-sysusers", f"--root={merged}"], check=True)
        finally:
            subprocess.run(["umount", str(merged)], check=True)
        (MACHINE / "users.new").rename(users)
    return [users, STAGE, ROOT]


class Host:
    """One host.

    name      also its hostname and, as NAME.lan, its name in every host's /etc/hosts
    ip4, ip6  its LAN addresses, without prefix length
    peergate  lay the stage over its root
    sshd      run Debian's own ssh.service
    audit     let its programs tell the kernel's audit subsystem, as on a machine of its own
    enable    units to enable before the first boot
    """

    known = {}  # the LAN's names, for /etc/hosts: name -> (ip4, ip6)

    def __init__(self, name, ip4, ip6, lan, peergate=True, sshd=False, audit=False, enable=()):
        if not re.fullmatch(r"[a-z][a-z0-9]{0,9}", name):
            raise ValueError(f"host name {name!r}: at most ten small letters and digits")
        self.name, self.ip4, self.ip6, self.lan = name, ip4, ip6, lan
        self.peergate, self.audit = peergate, audit
        self.enable = [*enable, *(["ssh.service"] if sshd else [])]
        self.machine_id = hashlib.md5(f"peergate test host {name}".encode()).hexdigest()
        self.dir = MACHINE / "hosts" / name
        self.root = self.dir / "root"
        self.leader = None  # process id of its systemd, seen from the machine
        self.cgroup = None  # its cgroup, seen from the machine
        self._nspawn = None
        self._notify = None
        self._exec = None
        self._exec_server = None
        self._stopping = False
        Host.known[name] = (ip4, ip6)

    # starting and stopping

    def start(self):
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self):
        """Begin to boot; wait_ready() sees to the end of it. Several hosts boot side by side."""
        if not self.root.is_dir():
            self._make_root()
        self._plug_in()
        self._start_nspawn()

    def _make_root(self):
        layers = _peergate_layers() if self.peergate else [ROOT]
        _mount_overlay(self.root, layers, self.dir / "upper", self.dir / "work")
        etc = self.root / "etc"
        (etc / "machine-id").write_text(self.machine_id + "\n")
        (etc / "hostname").write_text(self.name + "\n")
        names = "".join(f"{ip4} {name}.lan\n{ip6} {name}.lan\n" for name, (ip4, ip6) in Host.known.items())
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {self.name}\n{names}")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{self.name}",
                        "-f", etc / "ssh/ssh_host_ed25519_key"], check=True)
        if self.enable:
            subprocess.run(["systemctl", f"--root={self.root}", "--quiet", "enable", *self.enable], check=True)

    def _plug_in(self):
        """A fresh network namespace: like a reboot, this takes every link with it."""
        veth = f"v-{self.name}"
        _ip("netns", "add", self.name)
        _ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", veth, "master", self.lan.name, "up")
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "addr", "add", f"{self.ip4}/24", "dev", "eth0")
        _ip("-n", self.name, "addr", "add", f"{self.ip6}/64", "dev", "eth0", "nodad")

    def _start_nspawn(self):
        self.cgroup = _own_cgroup().resolve() / f"host-{self.name}"
        self.cgroup.mkdir(exist_ok=True)
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(path))
        env = {**os.environ, "NOTIFY_SOCKET": str(path), "SYSTEMD_NSPAWN_LOCK": "0",
               "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
               # as on any host, root may set the network's sysctls; the rest is the machine's
               "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        if self.audit:  # systemd-nspawn's filter refuses such sockets, whatever else it is told to allow
            env["SYSTEMD_SECCOMP"] = "0"
        # A normal host's root has all capabilities, and logins must find themselves as there.
        command = ["systemd-nspawn", "--quiet", "--boot", "--notify-ready=yes", "--keep-unit",
                   "--register=no", "--settings=no", "--directory", self.root, "--machine", self.name,
                   "--uuid", self.machine_id, f"--network-namespace-path=/run/netns/{self.name}",
                   "--capability=all", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
                   "--console=pipe"]
        with open(self.dir / "console", "ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.cgroup, *command],
                env=env, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True)

    def wait_ready(self, timeout=BOOT_TIMEOUT):
        deadline = time.monotonic() + timeout
        ready = False
        while not (ready and self.leader):
            if self._nspawn.poll() is not None:
                raise HostError(f"{self.name}: ended while booting:\n{self._console()}")
            if time.monotonic() > deadline:
                raise TimedOut(f"{self.name}: not booted within {timeout} s:\n{self._console()}")
            if not select.select([self._notify], [], [], 0.2)[0]:
                continue
            message = self._notify.recv(4096).decode()
            ready = ready or "READY=1" in message.splitlines()
            leader = re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", message, re.M)
            if leader:
                self.leader = int(leader[1])
        self._start_exec_server()

    def _start_exec_server(self):
        self._exec, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        procs = self.cgroup / "payload/init.scope/cgroup.procs"
        with theirs, open(HOSTEXEC, "rb") as script:
            self._exec_server = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', procs,
                 "nsenter", "-t", str(self.leader), "-r", "-m", "-u", "-i", "-n", "-p", "-C", "--no-fork", "--",
                 "/usr/bin/python3", "-I", "-S", "-", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=script, stdout=subprocess.DEVNULL,
                start_new_session=True)
        self._exec.settimeout(RUN_TIMEOUT)
        if self._exec.recv(100) != b"ready":
            raise HostError(f"{self.name}: cannot run programs in it")

    def ask(self, message, fds=()):
        if not self._exec:
            raise HostError(f"{self.name}: not running")
        _send(self._exec, message, fds)

    def _console(self):
        return _shown((self.dir / "console").read_bytes())

    def begin_stop(self):
        # nspawn passes the first signal on as "shut down", and takes a second for "at once".
        if self._nspawn and self._nspawn.poll() is None and not self._stopping:
            self._stopping = True
            self._nspawn.terminate()

    def stop(self, timeout=STOP_TIMEOUT):
        """Shut down; files are kept for another start(). A host that will not is killed, and reported."""
        self.begin_stop()
        clean = self._wait_end(timeout)
        self.crash()
        if not clean:
            raise TimedOut(f"{self.name}: not shut down within {timeout} s:\n{self._console()}")

    def _wait_end(self, timeout):
        try:
            self._nspawn and self._nspawn.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def crash(self):
        """Pull the plug."""
        if self._exec:
            self._exec.close()
            self._exec = None
        if self.cgroup and self.cgroup.is_dir():
            (self.cgroup / "cgroup.kill").write_text("1")
            self._nspawn.wait(STOP_TIMEOUT)
            self._exec_server and self._exec_server.wait(STOP_TIMEOUT)
            wait_for(lambda: "populated 0" in (self.cgroup / "cgroup.events").read_text(),
                     STOP_TIMEOUT, f"{self.name}: end of its processes")
            for path, _, _ in os.walk(self.cgroup, topdown=False):
                os.rmdir(path)
        if self._notify:
            self._notify.close()
        self._notify = self._nspawn = self._exec_server = self.leader = None
        self._stopping = False
        if Path("/run/netns", self.name).exists():
            # The namespace may outlive its name for a moment: the bridge's port goes now.
            with contextlib.suppress(HostError):
                _ip("link", "del", f"v-{self.name}")
            _ip("netns", "del", self.name)

    def reboot(self):
        self.stop()
        self.start()

    def remove(self):
        """After stop(): give up the files; the journal is kept for the results."""
        subprocess.run(["umount", str(self.root)], check=True)
        journal = self.dir / "upper/var/log/journal"
        if journal.is_dir():
            (MACHINE / "journal").mkdir(exist_ok=True)
            journal.rename(MACHINE / "journal" / f"{self.name}")
        shutil.rmtree(self.dir)
        Host.known.pop(self.name, None)

    def unplug(self):
        """Cut the host off its LAN."""
        _ip("link", "set", f"v-{self.name}", "nomaster")

    def plug(self):
        _ip("link", "set", f"v-{self.name}", "master", self.lan.name)

    # programs and files

    def _request(self, cmd, user, env, cwd):
        argv = ["/bin/sh", "-c", cmd] if isinstance(cmd, str) else [str(c) for c in cmd]
        return {"op": "exec", "argv": argv, "user": user, "env": env, "cwd": cwd}

    def run(self, cmd, user=None, timeout=RUN_TIMEOUT, check=False, input=None, env=None, cwd=None,
            text=True):
        """Run a command (text: by /bin/sh) to its end; return subprocess.CompletedProcess.

        Output goes to memory, not through pipes: a program left behind in the background
        does not hold the call.
        """
        data = input.encode() if isinstance(input, str) else input or b""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(os.fdopen(os.memfd_create(n), "r+b")) for n in ("in", "out", "err")]
            files[0].write(data)
            files[0].seek(0)
            process = Status(self, self._request(cmd, user, env, cwd), [f.fileno() for f in files])

            def results():
                for f in files[1:]:
                    f.seek(0)
                    content = f.read()
                    yield content.decode(errors="replace") if text else content

            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = results()
                raise TimedOut(f"{self.name}: not done within {timeout} s: {cmd}\n"
                               f"--- stdout\n{_shown(out)}\n--- stderr\n{_shown(err)}") from None
            out, err = results()
        if check and status:
            raise CommandError(status, f"{self.name}: {cmd}", out, err)
        return subprocess.CompletedProcess(cmd, status, out, err)

    def popen(self, cmd, user=None, env=None, cwd=None):
        """Start a program with pipes; see Process."""
        return Process(self, self._request(cmd, user, env, cwd))

    def pty(self, cmd, user=None, env=None, cwd=None, rows=24, columns=80):
        """Start a program on a terminal; see Pty."""
        env = {"TERM": "xterm-256color", **(env or {})}
        return Pty(self, {**self._request(cmd, user, env, cwd), "pty": [rows, columns]})

    def write(self, path, content, mode=0o644, owner="root"):
        """Replace a file in one step; owner is USER or USER:GROUP."""
        data = content.encode() if isinstance(content, str) else content
        with os.fdopen(os.memfd_create("content"), "r+b") as f:
            f.write(data)
            f.seek(0)
            self._file({"op": "write", "path": str(path), "mode": mode, "owner": owner}, f.fileno())

    def read(self, path, text=True):
        with os.fdopen(os.memfd_create("content"), "r+b") as f:
            self._file({"op": "read", "path": str(path)}, f.fileno())
            f.seek(0)
            content = f.read()
        return content.decode(errors="replace") if text else content

    def _file(self, request, fd):
        status = Status(self, request, [fd]).wait(RUN_TIMEOUT)
        if status > 0:
            raise OSError(status, os.strerror(status), f"{self.name}:{request['path']}")
        if status:
            raise HostError(f"{self.name}: {request['op']} {request['path']}: killed by signal {-status}")

    def add_user(self, name, shell="/bin/bash", uid=None, groups=(), authorized_key=None):
        args = ["useradd", "-m", "-s", shell, *(["-u", uid] if uid else []),
                *(["-G", ",".join(groups)] if groups else []), name]
        self.run(args, check=True)
        if authorized_key:
            self.write(f"/home/{name}/.ssh/authorized_keys", authorized_key, 0o600, name)
            self.run(["chown", "-R", f"{name}:", f"/home/{name}/.ssh"], check=True)

    # the journal and units

    def journal(self, unit=None, since=None, grep=None, **fields):
        """Journal entries as dictionaries, oldest first.

        since: what time.time() said; grep: regular expression for MESSAGE; fields: exact matches,
        as in journal(PEER="laptop").
        """
        args = ["-o", "json", "--all", "--no-pager", *([f"--unit={unit}"] if unit else []),
                *([f"--since=@{since:.6f}"] if since else []), *(f"{k}={v}" for k, v in fields.items())]
        out = self.run(["sh", "-c", 'journalctl --sync; exec journalctl "$@"', "sh", *args], check=True).stdout
        entries = [json.loads(line) for line in out.splitlines()]
        if since:
            # When the clock was ahead for a while, what came then is not of now, and journalctl does not find its way.
            entries = [e for e in entries if since <= int(e["__REALTIME_TIMESTAMP"]) / 1e6 <= time.time() + 1]
        if grep:
            entries = [e for e in entries if re.search(grep, str(e.get("MESSAGE", "")))]
        return entries

    def wait_journal(self, timeout=30, **match):
        """Wait for an entry that journal(**match) would return; return the first."""
        return wait_for(lambda: self.journal(**match), timeout, f"{self.name}: journal entry {match}", 0.5)[0]

    def wait_active(self, unit, timeout=RUN_TIMEOUT):
        state = None

        def settled():
            nonlocal state
            state = self.run(["systemctl", "is-active", unit]).stdout.strip()
            return state in ("active", "failed")

        with contextlib.suppress(TimedOut):
            wait_for(settled, timeout)
        if state != "active":
            status = self.run(["systemctl", "status", "-n", "30", "--no-pager", "--full", unit]).stdout
            raise HostError(f"{self.name}: {unit} is {state}, not active\n{_shown(status)}")

    def take_core(self, program, pid):
        """Of a program that a test made dump its core: one that is left over fails the whole run (tests/vm/run)."""
        core = CORES / f"{self.name}.{program}.{pid}"
        if CORES.is_dir():  # else this is somebody's own machine (--no-vm), and cores are its own affair
            wait_for(core.exists, 30, f"{self.name}: a core dump of {program}, process {pid}")
            core.unlink()

    def failed_units(self):
        out = self.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"], check=True).stdout
        return [line.split()[0] for line in out.splitlines() if line.strip()]


def start_all(hosts):
    """Boot hosts side by side."""
    for host in hosts:
        host.spawn()
    for host in hosts:
        host.wait_ready()


def stop_all(hosts):
    """Shut hosts down side by side and remove them; raises the first trouble, after all are gone."""
    trouble = []
    for host in hosts:
        host.begin_stop()
    for host in hosts:
        try:
            host.stop()
        except Exception as error:
            trouble.append(error)
            host.crash()
        host.remove()
    if trouble:
        raise trouble[0]


@contextlib.contextmanager
def core_hosts(enable=()):
    """The LAN most tests need: server, laptop and phone with Peergate, lanhost without."""
    with Lan() as lan:
        hosts = SimpleNamespace(
            lan=lan,
            server=Host("server", "192.0.2.1", "2001:db8::1", lan, sshd=True, audit=True, enable=enable),
            laptop=Host("laptop", "192.0.2.2", "2001:db8::2", lan, enable=enable),
            phone=Host("phone", "192.0.2.3", "2001:db8::3", lan, enable=enable),
            lanhost=Host("lanhost", "192.0.2.4", "2001:db8::4", lan, peergate=False, sshd=True),
        )
        hosts.all = [hosts.server, hosts.laptop, hosts.phone, hosts.lanhost]
        try:
            start_all(hosts.all)
            yield hosts
        finally:
            stop_all(hosts.all)
