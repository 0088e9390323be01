#!/usr/bin/env python3
"""The session executable for real: root, PAM, terminals, login records.

Plays the monitor. Runs itself in a mount namespace with accounts, PAM service, devpts and utmp of its
own, so that nothing of the machine is changed. Exit status 77 (skipped) where that is not possible.

usage: session_native.py EXECUTABLE PAM_SERVICE_FILE
"""
import os
import pwd
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

import namespace
from messages import (ACCOUNT, ACCOUNT_RESULT, ALLOWED, CLOSE, CLOSED, EXEC, EXITED, HANGUP, LOGIN, LOGOUT, OPEN, OPENED, REFUSED,
                      SFTP, SHELL, START, STARTED, START_FAILED, UNDECIDED, receive, send, text, u32)
from waiting import stop, wait_until

UID, GID, EXTRA_GID, PAM_GID = 4242, 4242, 4243, 4244
CGROUP = "/sys/fs/cgroup"
CLIENT, CONNECTION = "100.64.0.2 5555 22", "100.64.0.2 5555 100.64.0.1 22"


# ---- the namespace ----

def run(*argv):
    subprocess.run(argv, check=True)


def append(path, text):
    with open(path, "a", encoding="ascii") as f:
        f.write(text)


def set_up_namespace(work, pam_service):
    home = work / "home"
    for name in ("alice", "quiet"):
        (home / name).mkdir(parents=True)
        os.chown(home / name, UID if name == "alice" else UID + 1, GID)
    work.chmod(0o755)
    (home / "quiet/.hushlogin").touch()
    shutil.copy("/bin/bash", work / "shell")
    accounts = {
        "pg-alice": (UID, f"{home}/alice", "/bin/bash", "19000:0:99999:7:::"),
        "pg-quiet": (UID + 1, f"{home}/quiet", "/bin/sh", "19000:0:99999:7:::"),
        "pg-expired": (UID + 2, "/", "/bin/sh", "19000:0:99999:7::10:"),
        "pg-nologin": (UID + 3, "/", "/usr/sbin/nologin", "19000:0:99999:7:::"),
        "pg-oldpw": (UID + 5, "/no/such/home", "/bin/sh", "0:0:99999:7:::"),
        "pg-gone": (UID + 6, "/", f"{work}/shell", "19000:0:99999:7:::"),
    }
    # All of /etc: files mounted one by one would come off when somebody renames over them outside.
    shutil.copytree("/etc", work / "etc", symlinks=True)
    run("mount", "--bind", work / "etc", "/etc")
    for name, (uid, directory, shell, age) in accounts.items():
        append("/etc/passwd", f"{name}:x:{uid}:{GID}::{directory}:{shell}\n")
        append("/etc/shadow", f"{name}:!:{age}\n")
    append("/etc/group", f"pg-alice:x:{GID}:\npg-extra:x:{EXTRA_GID}:pg-alice\n"
                         f"pg-pam:x:{PAM_GID}:\n")
    append("/etc/security/group.conf", "peergate;*;pg-alice;Al0000-2400;pg-pam\n")
    append("/etc/pam.d/common-auth", "auth optional pam_group.so\n")
    append("/etc/security/limits.conf", "pg-alice hard nofile 777\n")
    append("/etc/pam.d/common-session", "session optional pam_umask.so umask=027\n")
    append("/etc/environment", "PG_PAM=set\nLC_PG_PAM=server\nLD_PG=no\nHOME=/no\n")
    append("/etc/motd", "\033[32mWelcome\033[0m to the test\033[2J\n")

    hook = work / "hook"
    hook.write_text(f'#!/bin/sh\necho "$PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY $SSH_CONNECTION"'
                    f' >>{work}/hook.log\n')
    hook.chmod(0o755)
    shutil.copy(pam_service, "/etc/pam.d/peergate")
    append("/etc/pam.d/peergate", f"session optional pam_exec.so {hook}\n")

    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("mount", "-t", "tmpfs", "tmpfs", "/var/log")
    for path in ("/run/utmp", "/var/log/wtmp", "/var/log/lastlog"):
        pathlib.Path(path).touch()
    run("mount", "-t", "devpts", "-o", "newinstance,gid=5,mode=620,ptmxmode=666", "devpts",
        "/dev/pts")
    run("mount", "--bind", "/dev/pts/ptmx", "/dev/ptmx")
    run("mount", "-t", "cgroup2", "none", CGROUP)


def own_group():
    """The cgroup v2 group that we are in."""
    line = next(l for l in pathlib.Path("/proc/self/cgroup").read_text().splitlines() if l.startswith("0::"))
    return pathlib.Path(CGROUP + line[3:])


def remove_group(group):
    if group.exists():
        wait_until(lambda: "populated 0" in (group / "cgroup.events").read_text())
        group.rmdir()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in
                pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def is_alive(pid):
    try:
        return status_of(pid)["State"][0] != "Z"
    except FileNotFoundError:
        return False


def read_all(fd, timeout=10):
    out = b""
    while select.select([fd], [], [], timeout)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:  # EIO: the terminal's other side is gone
            break
        if not piece:
            break
        out += piece
    return out.decode(errors="replace").replace("\r\n", "\n")


def utmp_entries(path):
    """(type, pid, line, id, user, host) of each entry."""
    form = struct.Struct("hi32s4s32s256shhiii4i20x")
    data = pathlib.Path(path).read_bytes()
    entries = []
    for at in range(0, len(data), form.size):
        kind, pid, *strings = form.unpack_from(data, at)[:6]
        entries.append((kind, pid, *(s.rstrip(b"\0").decode() for s in strings)))
    return entries


def put_lastlog(case, uid, when, host):
    """As another login program would have left it; there is none after the test."""
    path = pathlib.Path("/var/log/lastlog")
    with path.open("r+b") as f:
        f.seek(292 * uid)
        f.write(struct.pack("i32s256s", when, b"pts/9", host))
    case.addCleanup(path.write_bytes, b"")


class Login:
    """A leader that we started, and what it has opened."""

    person = "alice@example.com"

    def __init__(self, executable):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        exe = os.open(executable, os.O_PATH)
        # As a service is started: SIGPIPE ignored, and something blocked besides.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(theirs.fileno(), 103)
            os.dup2(exe, 104)
            null = os.open("/dev/null", os.O_RDWR)
            for fd, place in ((null, 0), (null, 1), (2, 2), (103, 3), (104, 4)):
                os.dup2(fd, place)
            os.execv("/proc/self/fd/4", ["peergate-sshgw-session", BUILD, "leader"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        theirs.close()
        os.close(exe)
        self.leader, self.user, self.user_pid, self.motd = ours, None, 0, ""
        self.exit_status = None

    def make_scope(self):
        """As the monitor does (sshgw/scope.h). Return: the group."""
        group = own_group() / f"login-{self.pid}"
        group.mkdir()
        (group / "cgroup.procs").write_text(str(self.pid))
        return group

    def account(self, name, uid=None):
        """Ask for the account as the monitor does, with the ids that it found (or others)."""
        try:
            found = pwd.getpwnam(name)
            ids = struct.pack(">II", found.pw_uid if uid is None else uid, found.pw_gid)
        except KeyError:
            ids = bytes(8)
        send(self.leader, ACCOUNT, text(name) + ids + text("100.64.0.2") + text("ssh-0123abcd") + text(self.person))
        kind, reader, _ = receive(self.leader)
        assert kind == ACCOUNT_RESULT
        return reader.u8(), reader.text()

    def open(self, name="pg-alice"):
        verdict, why = self.account(name)
        assert verdict == ALLOWED, why
        self.user, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        send(self.leader, OPEN, text(CLIENT) + text(CONNECTION), [theirs.fileno()])
        theirs.close()
        kind, reader, _ = receive(self.leader)
        assert kind == OPENED
        opened = reader.u8()
        self.motd = reader.text()
        assert opened, self.motd
        self.user_pid = int(pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text())
        return self

    def start(self, command=None, pty=False, channel=1, env=(), modes=b"\0", agent=0, x11=0, kind=None):
        payload = u32(channel) + bytes([kind or (EXEC if command is not None else SHELL)])
        payload += text(command or "") + bytes([pty])
        if pty:
            payload += text("xterm") + u32(100) + u32(40) + u32(0) + u32(0) + text(modes)
        payload += u32(agent) + u32(x11) + u32(len(env)) + b"".join(text(n) + text(v) for n, v in env)
        send(self.user, START, payload)
        kind, reader, fds = receive(self.user)
        assert kind == STARTED, (hex(kind), reader.u32(), reader.text())
        assert (reader.u32(), reader.u8()) == (channel, len(fds))
        assert len(fds) == (1 if pty else 3)
        return fds

    def exited(self, channel=1):
        """(by signal, value, core dumped)"""
        kind, reader, _ = receive(self.user)
        assert kind == EXITED, hex(kind)
        assert reader.u32() == channel
        return reader.u8(), reader.u32(), reader.u8()

    def run(self, command, **options):
        fds = self.start(command, **options)
        if len(fds) == 3:
            os.close(fds[0])
        out = [read_all(fd) for fd in (fds if len(fds) == 1 else fds[1:])]
        status = self.exited()
        for fd in fds if len(fds) == 1 else fds[1:]:
            os.close(fd)
        return (*out, status)

    def wait(self, timeout=10):
        def gone():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_status = status
            return pid != 0
        if self.exit_status is None:
            assert wait_until(gone, timeout), "the leader does not end"
        return self.exit_status

    def close(self):
        if self.exit_status is None and self.leader.fileno() >= 0:
            send(self.leader, CLOSE)
        status = self.wait()
        for sock in (self.leader, self.user):
            if sock:
                sock.close()
        return status


class SessionTest(unittest.TestCase):
    def login(self, name="pg-alice"):
        login = Login(sys.argv[1]).open(name)
        self.addCleanup(lambda: self.assertEqual(login.close(), 0))
        return login

    # ---- account ----

    def refused(self, name, expected=REFUSED):
        login = Login(sys.argv[1])
        self.addCleanup(lambda: self.assertEqual(login.close(), 0))
        verdict, why = login.account(name)
        self.assertEqual(verdict, expected)
        return why

    def test_account_refusals(self):
        self.assertIn("no account 'pg-nobody'", self.refused("pg-nobody"))
        self.assertIn("no account '4242'", self.refused("4242"))
        self.assertIn("expired", self.refused("pg-expired"))

    def test_nologin_file_keeps_out_all_but_root(self):
        nologin = pathlib.Path("/run/nologin")
        nologin.write_text("Maintenance until noon\n")
        self.addCleanup(nologin.unlink)
        self.assertIn("Maintenance until noon", self.refused("pg-alice", CLOSED))
        self.login("root")

    def test_sftp_of_an_account_without_a_shell(self):
        """Whether its shell matters is for the monitor to say; PAM's account rules hold as for others."""
        server = pathlib.Path(namespace.WORK) / "server"
        server.write_text('#!/bin/sh\necho "$0 $# $SHELL $(ps -o comm= -p $PPID)"; readlink /proc/$$/fd/1; cat\n')
        server.chmod(0o755)
        login = self.login("pg-nologin")
        fds = login.start(str(server), kind=SFTP)
        os.write(fds[0], b"request")
        os.close(fds[0])
        said = read_all(fds[1]).split("\n")
        self.assertEqual(said[0], f"{server} 0 /usr/sbin/nologin sshgw-user")
        self.assertTrue(said[1].startswith("pipe:"))
        self.assertEqual(said[2:], ["request"])
        self.assertEqual((read_all(fds[2]), login.exited()), ("", (0, 0, 0)))
        # A shell would not let anybody do anything.
        self.assertIn("not available", login.run("id")[0])

    def test_pam_module_that_does_not_work_is_no_verdict(self):
        service = pathlib.Path("/etc/pam.d/peergate")
        whole = service.read_text()
        self.addCleanup(service.write_text, whole)
        service.write_text("account required pam_no_such_module.so\n" + whole)
        self.refused("pg-alice", UNDECIDED)

    def test_password_due_for_change_is_no_refusal(self):
        login = self.login("pg-oldpw")
        self.assertNotIn("password", login.motd)
        out, err, status = login.run("pwd")
        self.assertEqual((out, status), ("/\n", (0, 0, 0)))
        self.assertEqual(err, "Could not chdir to home directory /no/such/home: "
                              "No such file or directory\n")

    # ---- the journal ----

    def records_of(self, login, name):
        """What the leader has told the journal in its own protocol, of a login that it refuses."""
        folder = pathlib.Path("/run/systemd/journal")
        folder.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, folder.parent)
        info = os.fstat(2)
        os.environ["JOURNAL_STREAM"] = f"{info.st_dev}:{info.st_ino}"
        self.addCleanup(os.environ.pop, "JOURNAL_STREAM")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(str(folder / "socket"))
            journal.settimeout(10)
            self.assertFalse(login().account(name)[0])
            return dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines() if "=" in line)

    def test_records_are_as_those_of_the_monitor(self):
        def start(person=Login.person):
            login = Login(sys.argv[1])
            login.person = person
            self.addCleanup(lambda: self.assertEqual(login.close(), 0))
            return login

        fields = self.records_of(start, "pg-noshell")
        self.assertEqual({name: fields.get(name) for name in ("CONNECTION", "PEER", "LOCAL_USER", "USER")},
                         {"CONNECTION": "ssh-0123abcd", "PEER": "100.64.0.2", "LOCAL_USER": "pg-noshell",
                          "USER": "alice@example.com"})
        self.assertNotIn("PEER_ADDRESS", fields)
        self.doCleanups()
        self.assertNotIn("USER", self.records_of(lambda: start(""), "pg-noshell"))

    # ---- what a login looks like ----

    def test_motd(self):
        motd = self.login().motd
        self.assertIn("\033[32mWelcome\033[0m to the test?[2J\n", motd)
        self.assertNotIn("Last login", motd)  # the first

    def test_last_login(self):
        """As sshd tells it: behind the message of the day, and not to who wants quiet."""
        put_lastlog(self, UID, 1795741323, b"laptop\033[2J")
        put_lastlog(self, UID + 1, 1795741323, b"laptop")
        when = time.strftime("%a %b %e %T %Y", time.localtime(1795741323))
        self.assertTrue(self.login().motd.endswith(f"to the test?[2J\nLast login: {when} from laptop?[2J\n"))
        self.assertEqual(self.login("pg-quiet").motd, "")
        pathlib.Path("/var/log/lastlog").unlink()
        self.assertNotIn("Last login", self.login().motd)

    def test_long_motd_is_cut(self):
        motd = pathlib.Path("/etc/motd")
        self.addCleanup(motd.write_text, motd.read_text())
        append(motd, "A very long message of the day.\n" * 1000)
        put_lastlog(self, UID, 1, b"x" * 256)
        motd = self.login().motd
        self.assertRegex(motd, r"\[\.\.\.\]\nLast login: .{24} from x{256}\n$")
        self.assertLessEqual(len(motd), 2048)  # what the monitor takes

    def test_process_is_the_users_and_inherits_nothing(self):
        login = self.login()
        for pid in (login.user_pid, int(login.run("echo $$; sleep 0.3")[0] or 0)):
            self.assertTrue(pid)
        status = status_of(login.user_pid)
        self.assertEqual(status["Uid"].split(), [str(UID)] * 4)
        self.assertEqual(status["Gid"].split(), [str(GID)] * 4)
        self.assertEqual(sorted(status["Groups"].split()), [str(g) for g in (GID, EXTRA_GID, PAM_GID)])
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapPrm"], 16), 0)
        fds = {int(p.name): os.readlink(p)
               for p in pathlib.Path(f"/proc/{login.user_pid}/fd").iterdir()}
        self.assertEqual([fds.pop(fd) for fd in (0, 1, 2)], ["/dev/null"] * 3)
        self.assertTrue(fds.pop(3).startswith("socket:"))
        self.assertEqual(list(fds.values()), ["anon_inode:[signalfd]"])

        out, _, _ = login.run("grep -E 'Sig(Blk|Ign)|Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' "
                              "/proc/self/status; umask; cat /proc/self/oom_score_adj; pwd; "
                              "ls /proc/self/fd | tr '\\n' ' '")
        self.assertRegex(out, r"SigBlk:\t0{16}\n")
        self.assertRegex(out, r"SigIgn:\t0{16}\n")
        self.assertRegex(out, r"CapEff:\t0{16}\n")
        self.assertIn(f"CapBnd:\t{status_of('self')['CapBnd']}\n", out)
        self.assertIn("NoNewPrivs:\t0\nSeccomp:\t0\n0027\n0\n", out)
        self.assertRegex(out, r"/home/alice\n0 1 2 3 $")  # 3: the directory that ls reads

    def test_environment(self):
        login = self.login()
        out, _, _ = login.run("env", env=[("LC_PG", "x"), ("HOME", "/evil"),
                                          ("LC_PG_PAM", "client")])
        env = dict(line.split("=", 1) for line in out.splitlines())
        for ignored in ("PWD", "SHLVL", "_", "LANG", "LANGUAGE", "MOTD_SHOWN"):
            env.pop(ignored, None)
        self.assertRegex(env.pop("PATH"), "^/usr/local/bin:/usr/bin:/bin")
        self.assertEqual(env, {
            "USER": "pg-alice", "LOGNAME": "pg-alice", "HOME": f"{namespace.WORK}/home/alice",
            "SHELL": "/bin/bash", "SSH_CLIENT": CLIENT, "SSH_CONNECTION": CONNECTION,
            "LC_PG": "x", "LC_PG_PAM": "server", "PG_PAM": "set"})

    def test_what_pam_does_to_the_process(self):
        login = self.login()
        out, _, _ = login.run("ulimit -Hn; cat /proc/self/loginuid; echo; "
                              "cut -d' ' -f6 /proc/$$/stat")
        nofile, loginuid, sid = out.split()
        self.assertEqual(nofile, "777")
        with open("/proc/self/loginuid", encoding="ascii") as own:
            if own.read() == "4294967295":  # else this machine's own login is in the way
                self.assertEqual(loginuid, str(UID))
        self.assertNotIn(int(sid), (login.pid, login.user_pid))

    # ---- sessions ----

    def test_shell_on_terminal(self):
        login = self.login()
        master, = login.start(pty=True)
        os.write(master, b"stty -echo; stty size; tty; echo $TERM $SSH_TTY $0; "
                         b"stat -c '%U %G %a' $(tty); ls /proc/self/fd | tr '\\n' ' '; "
                         b"exit 42\n")
        out = read_all(master)
        os.close(master)
        self.assertIn("40 100\n", out)
        line = re.search(r"\n(/dev/pts/\d+)\nxterm (\S+) -bash\n", out)
        self.assertTrue(line, out)
        self.assertEqual(line[1], line[2])
        self.assertIn("\npg-alice tty 620\n", out)
        self.assertIn("\n0 1 2 3 ", out)
        self.assertEqual(login.exited(), (0, 42, 0))

    def test_terminal_modes(self):
        modes = bytes([53]) + u32(0) + bytes([3]) + u32(8) + bytes([129]) + u32(19200) + b"\0"
        out, status = self.login().run("stty -a", pty=True, modes=modes)
        self.assertEqual(status, (0, 0, 0))
        self.assertIn(" -echo ", out)
        self.assertIn("erase = ^H;", out)
        self.assertIn("speed 19200 baud", out)

    def test_terminal_is_the_controlling_one(self):
        login = self.login("pg-quiet")  # dash: bash would take the terminal by itself
        master, = login.start("echo ready; exec sleep 100", pty=True)
        self.assertEqual(os.read(master, 100).strip(), b"ready")
        os.write(master, b"\x03")
        self.assertEqual(login.exited()[:2], (1, signal.SIGINT))
        os.close(master)

    def test_pipes(self):
        login = self.login()
        stdin, stdout, stderr = login.start("cat; echo error >&2; exit 7")
        os.write(stdin, b"through")
        os.close(stdin)
        self.assertEqual((read_all(stdout), read_all(stderr)), ("through", "error\n"))
        self.assertEqual(login.exited(), (0, 7, 0))
        for fd in (stdout, stderr):
            os.close(fd)

    def test_death_by_signal(self):
        self.assertEqual(self.login().run("kill -TERM $$")[2], (1, signal.SIGTERM, 0))

    def test_shell_that_vanished(self):
        login = self.login("pg-gone")
        shell = pathlib.Path(namespace.WORK) / "shell"
        shell.rename(f"{shell}.away")
        self.addCleanup(lambda: pathlib.Path(f"{shell}.away").rename(shell))
        _, err, status = login.run("true")
        self.assertEqual(err, f"{shell}: No such file or directory\n")
        self.assertEqual(status, (0, 127, 0))

    def test_many_sessions(self):
        login = self.login()
        fds = {c: login.start("read x; exit $x", channel=c) for c in range(64)}
        payload = u32(64) + bytes([EXEC]) + text("true") + b"\0" + u32(0) + u32(0) + u32(0)
        send(login.user, START, payload)
        kind, reader, _ = receive(login.user)
        self.assertEqual((kind, reader.u32()), (START_FAILED, 64))
        for channel in fds:
            os.write(fds[channel][0], b"%d\n" % channel)
            self.assertEqual(login.exited(channel), (0, channel, 0))
            for fd in fds[channel]:
                os.close(fd)
        self.assertEqual(login.run("true", pty=True)[1], (0, 0, 0))
        self.assertEqual(sorted(os.listdir(f"/proc/{login.user_pid}/fd")), list("01234"))

    # ---- ends ----

    def test_hangup(self):
        login = self.login()
        for pty in (False, True):
            fds = login.start("trap 'exit 9' HUP; echo ready; while :; do sleep 0.05; done",
                              pty=pty)
            self.assertEqual(os.read(fds[0 if pty else 1], 100).strip(), b"ready")
            if pty:  # the kernel's work
                os.close(fds.pop())
            send(login.user, HANGUP, u32(1))
            self.assertEqual(login.exited()[:2], (0, 9))
            for fd in fds:
                os.close(fd)
        send(login.user, HANGUP, u32(1))  # is gone already: no harm
        self.assertEqual(login.run("true")[2], (0, 0, 0))

    def test_close_hangs_up_but_spares_nohup(self):
        login = self.login()
        out, _, _ = login.run("nohup sleep 30 >/dev/null 2>&1 </dev/null & echo $!")
        spared = int(out)
        self.addCleanup(os.kill, spared, signal.SIGKILL)
        _, stdout, _ = login.start("echo $$; exec sleep 30")
        doomed = int(os.read(stdout, 100))
        login.user.close()
        self.assertEqual(login.wait(), 0)  # the user process ends with its channel
        self.assertTrue(wait_until(lambda: not is_alive(doomed)))
        self.assertTrue(is_alive(spared))

    def test_user_process_killed_ends_the_login(self):
        login = self.login()
        os.kill(login.user_pid, signal.SIGKILL)
        self.assertEqual(login.wait(), 0)

    def test_user_process_that_ignores_everything(self):
        login = self.login()
        stop(login.user_pid)
        before = time.monotonic()
        self.assertEqual(login.close(), 0)
        self.assertLess(time.monotonic() - before, 4)
        self.assertFalse(is_alive(login.user_pid))

    def test_leader_ends_on_sigterm_and_eof(self):
        log = pathlib.Path(namespace.WORK) / "hook.log"
        for end in (lambda l: os.kill(l.pid, signal.SIGTERM), lambda l: l.leader.close()):
            log.unlink(missing_ok=True)
            login = self.login()
            end(login)
            self.assertEqual(login.wait(), 0)
            self.assertFalse(is_alive(login.user_pid))
            self.assertEqual(log.read_text().splitlines(), [
                f"{when} pg-alice 100.64.0.2 ssh {CONNECTION}"
                for when in ("open_session", "close_session")])

    def left_running(self, moved=False):
        """A login in a group of its own, or moved to another by PAM, and a program that it left."""
        login = Login(sys.argv[1])
        group = login.make_scope()
        self.addCleanup(remove_group, group)
        login.open()
        if moved:
            group = own_group() / f"session-{login.pid}"
            group.mkdir()
            self.addCleanup(remove_group, group)
            for pid in (login.pid, login.user_pid):
                (group / "cgroup.procs").write_text(str(pid))
        out, _, _ = login.run("setsid sleep 30 >/dev/null 2>&1 </dev/null & echo $!")
        self.assertTrue(is_alive(int(out)))
        return login, int(out)

    def test_monitor_gone(self):
        """Nothing goes on: there is no lease. PAM's session is closed all the same."""
        log = pathlib.Path(namespace.WORK) / "hook.log"
        for moved in (False, True):
            log.unlink(missing_ok=True)
            login, left = self.left_running(moved)
            login.leader.close()
            self.assertEqual(login.wait(), 0)
            self.assertTrue(wait_until(lambda: not is_alive(left)), moved)
            self.assertFalse(is_alive(login.user_pid))
            self.assertEqual([line.split()[0] for line in log.read_text().splitlines()],
                             ["open_session", "close_session"])

    def test_monitor_gone_while_the_login_closes(self):
        """Until the leader is gone it is the leader that sees to it."""
        login, left = self.left_running()
        stop(login.user_pid)  # the end takes two seconds
        send(login.leader, CLOSE)
        time.sleep(0.5)
        login.leader.close()
        self.assertEqual(login.wait(), 0)
        self.assertTrue(wait_until(lambda: not is_alive(left)))

    def test_messages_out_of_order_kill_what_runs(self):
        login, left = self.left_running()
        send(login.leader, OPEN)
        self.assertNotEqual(login.wait(), 0)
        self.assertTrue(wait_until(lambda: not is_alive(left)))

    def test_what_is_left_running_is_the_monitors_to_kill(self):
        login, left = self.left_running()
        self.assertEqual(login.close(), 0)
        self.assertTrue(is_alive(left))
        os.kill(left, signal.SIGKILL)

    def test_account_that_changed_meanwhile(self):
        login = Login(sys.argv[1])
        self.addCleanup(login.close)
        verdict, why = login.account("pg-alice", uid=UID + 1)
        self.assertEqual(verdict, UNDECIDED)
        self.assertIn("changed while it was looked up", why)

    def test_another_build_is_refused(self):
        global BUILD
        ours, BUILD = BUILD, "0.0.1-0123456789abcdef"
        try:
            login = Login(sys.argv[1])
        finally:
            BUILD = ours
        self.addCleanup(login.close)
        self.assertEqual(os.waitstatus_to_exitcode(login.wait()), 3)

    def test_messages_out_of_order_end_the_login(self):
        for messages in ([OPEN], [LOGIN], [0x999], [ACCOUNT_RESULT]):
            login = Login(sys.argv[1])
            self.addCleanup(login.close)
            for kind in messages:
                send(login.leader, kind)
            self.assertNotEqual(login.wait(), 0, messages)

    # ---- login records ----

    def test_records(self):
        login = self.login()
        out, _ = login.run("tty; sleep 0.2", pty=True)
        master, = login.start("tty; sleep 100", pty=True)
        line = os.read(master, 100).decode().strip().removeprefix("/dev/")
        send(login.leader, LOGIN, text(line))
        entry = (7, login.pid, line, line[-4:], "pg-alice", "100.64.0.2")
        self.assertTrue(wait_until(lambda: entry in utmp_entries("/run/utmp")))
        send(login.leader, LOGOUT, text(line))
        dead = (8, login.pid, line, line[-4:], "", "")
        self.assertTrue(wait_until(lambda: dead in utmp_entries("/run/utmp")))
        send(login.leader, LOGIN, text(line))
        self.assertTrue(wait_until(lambda: entry in utmp_entries("/run/utmp")))
        os.close(master)
        login.close()
        self.assertIn(dead, utmp_entries("/run/utmp"))
        kinds = [e[0] for e in utmp_entries("/var/log/wtmp") if e[2] == line]
        self.assertEqual(kinds[-4:], [7, 8, 7, 8])
        lastlog = pathlib.Path("/var/log/lastlog").read_bytes()[292 * UID:]
        self.assertEqual(lastlog[4:36].rstrip(b"\0").decode(), line)
        self.assertEqual(lastlog[36:292].rstrip(b"\0"), b"100.64.0.2")


if __name__ == "__main__":
    namespace.enter()
    set_up_namespace(pathlib.Path(namespace.WORK), sys.argv[2])
    BUILD = re.search(r'"(.*)"', pathlib.Path(sys.argv[3]).read_text())[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
