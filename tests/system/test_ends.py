"""Ends: each says why where somebody is there to read it, and leaves nothing that it does not spare on purpose.

One login for each of them, all at the same time, each with an account of its own: that tells their leftovers apart.
"""
import json
import re
import time
from typing import NamedTuple

import pytest
from absence import ceiling
from hosts import TimedOut, wait_for
from linked import pings
from mesh import SSH, login

FORWARDING = {"agent": False, "local": True, "remote": True}
# Beyond the idle timeout, and only then nothing more.
TALK = "for i in $(seq 30); do echo $i; sleep 0.5; done; exec cat"
# When systemd ends it, it has time to say so.
ASKED = """setsid sh -c 'trap "" HUP; trap "echo asked >~/asked; exit" TERM
while :; do sleep 0.2; done' </dev/null >/dev/null 2>&1 & exec cat"""


class End(NamedTuple):
    notice: str = None  # on the terminal, behind "Peergate: "; a regular expression
    status: int = 255  # of ssh; None: it is not asked
    spared: bool = False  # what the login left running goes on
    record: dict = {}  # in the journal
    rule: dict = {}
    node: str = "laptop"
    then: str = "exec cat"


ENDS = {
    "killed": End("access was revoked: ended by an operator", record={"EVENT": "revocation", "REASON": "operator"}),
    "revoked": End("access was revoked", record={"EVENT": "revocation", "REASON": "policy"}),
    "logout": End(status=0, spared=True, record={"EVENT": "connection-ended", "END_REASON": "the client closed it"}),
    "client": End(status=None, spared=True, record={"EVENT": "connection-ended", "OUTCOME": "logged-in"}),
    "expiry": End("(access was revoked|the right to be logged in here has run out)",
                  record={"EVENT": "connection-ended", "OUTCOME": "logged-in"}),
    # Whatever flows.
    "duration": End("the maximum duration of a session is over", rule={"max_duration": "20s"},
                    record={"EVENT": "duration", "REASON": "maximum-duration"}, then="while echo; do sleep 0.2; done"),
    "idle": End("nothing was sent or received for 8 s", rule={"idle_timeout": "8s"}, then=TALK, spared=True,
                record={"EVENT": "idle", "REASON": "idle-timeout"}),
    "away": End(status=None, spared=True, node="phone", record={"EVENT": "connection-ended"}),
}
# Their ends have tests of their own.
OTHERS = {
    "lost": End(spared=True, node="phone"),
    "asleep": End(node="phone"),
    "shutdown": End(then=ASKED),
    "forgotten": End(status=None, spared=True, record={
        "EVENT": "connection-ended", "END_REASON": "the peer is there, but does not answer on this connection any more"}),
}

# One line for each thing that is left; $1: the account; $2: port and $3: path of its listeners; $4: the monitor of its
# connection; then that one's children. The manager of a user's own services is systemd's, and goes ten seconds after the
# last session.
LOOK = r"""
account=$1 port=$2 path=$3 monitor=$4; shift 4
for pid in $(pgrep -u $account); do
    grep -qs /user@ /proc/$pid/cgroup || [ ! -e /proc/$pid ] || echo "process $(tr '\0' ' ' </proc/$pid/cmdline)"
done
[ ! -e /proc/$monitor ] || echo monitor
for pid; do
    [ ! -e /proc/$pid ] || echo "child $(tr '\0' ' ' </proc/$pid/cmdline)"
    [ ! -e /sys/fs/cgroup/system.slice/peergate-sshgw.service/login-$pid ] || echo cgroup
done
for scope in /sys/fs/cgroup/user.slice/user-$(id -u $account).slice/session-*.scope; do
    [ ! -e $scope ] || echo "cgroup $scope"
done
for pty in $(find /dev/pts -user $account); do echo "pty $pty"; done
ss -Hltn "sport = :$port" | sed 's/^/listener /'
ss -Hlx src $path | sed 's/^/unix /'
[ ! -e $path ] || echo path
who | sed -n "s/^$account /utmp &/p"
loginctl list-sessions --no-legend | sed -n "/ $account /s/^/session /p"
agentctl ssh-sessions list --json | sed -n "s/.*\"localUser\": *\"$account\".*/lease/p"
"""
EVERYTHING = {"process", "monitor", "child", "cgroup", "pty", "listener", "unix", "path", "utmp", "session", "lease"}
# What is left running on purpose goes on by the right of the login, whose monitor holds it.
SPARED = {"process", "monitor", "cgroup", "session", "lease"}


class Login:
    """On a terminal, with listeners, and with two processes that are out of reach of its end."""

    def __init__(self, mesh, name, number):
        self.name, self.end, self.server = name, {**ENDS, **OTHERS}[name], mesh.server.host
        self.account, self.port = f"u{name}", 4800 + number
        self.path = f"/home/{self.account}/forwarded"
        self.lease, self.monitor, self.children, self.client_port = None, None, [], None
        self.node = getattr(mesh, self.end.node)
        self.stays = [f"sleep {self.port}.1", f"sleep {self.port}.2"]
        self.ssh = None

    def start(self):
        command = f"setsid sh -c 'setsid {self.stays[0]} </dev/null >/dev/null 2>&1 &'; " \
                  f"nohup {self.stays[1]} </dev/null >/dev/null 2>&1 & echo ready $SSH_CONNECTION.; {self.end.then}"
        self.ssh = self.node.host.pty([
            *SSH.split(), "-tt", "-o", "ExitOnForwardFailure=yes", "-R", f"{self.port}:127.0.0.1:9",
            "-R", f"{self.path}:127.0.0.1:9", f"{self.account}@server", command])

    def wait_ready(self):
        self.client_port = self.ssh.read_until(r"ready \S+ (\d+) \S+ 22\.", 90)[1]
        listed = json.loads(self.server.run("agentctl ssh-sessions list --json", check=True).stdout)["sessions"]
        (self.lease, self.monitor), = ((s["leaseId"], s["monitor"]) for s in listed if s["localUser"] == self.account)
        self.children = self.server.run(f"pgrep -P {self.monitor}", check=True).stdout.split()

    def look(self):
        """What there is of it: one text for each thing, which begins with the sort."""
        return self.server.run(["sh", "-c", LOOK, "sh", self.account, self.port, self.path, self.monitor,
                                *self.children], check=True).stdout.splitlines()

    def sorts(self):
        return {line.split()[0] for line in self.look()}

    def only_left(self, allowed):
        """Wait until there is nothing else, and return that."""
        left = []

        def gone():
            left[:] = self.look()
            return all(line.split()[0] in allowed for line in left)

        try:
            wait_for(gone, 40, "")
        except TimedOut:
            pytest.fail(f"left of {self.name}:\n" + "\n".join(left))
        return left

    def check(self):
        if self.end.notice:
            self.ssh.read_until(f"Peergate: {self.end.notice}", 60)
        if self.end.status is not None:
            assert self.ssh.wait(30) == self.end.status, self.ssh.drain()
        if self.end.spared:
            left = self.only_left(SPARED)
            # bash takes a moment to end of its HUP.
            wait_for(lambda: self.programs() == self.stays, 10, f"{self.stays} and nothing else; there was {left}")
            self.server.run(["pkill", "-u", self.account, "-x", "sleep"], check=True)
        self.only_left(set())

    def programs(self):
        return sorted(line.split(" ", 1)[1].strip() for line in self.look() if line.startswith("process"))


class Ends:
    def __init__(self, mesh):
        self.mesh, self.server, self.began = mesh, mesh.server.host, time.time()
        self.logins = {name: Login(mesh, name, i) for i, name in enumerate([*ENDS, *OTHERS])}
        self.cut_off = None

    def put_rules(self, without=(), **expiry):
        self.mesh.ssh_rules["server"] = [
            login(one.node, {one.account: one.account}, f"ssh[{i}] line {31 + i}", forwarding=FORWARDING,
                  rule_expires=expiry.get(name), **one.end.rule)
            for i, (name, one) in enumerate(self.logins.items()) if name not in without]
        self.mesh.apply(self.mesh.server)

    def start(self):
        accounts = " ".join(one.account for one in self.logins.values())
        self.server.run(f"for a in {accounts}; do id -u $a >/dev/null 2>&1 || useradd -m -s /bin/bash $a; done", check=True)
        self.put_rules()
        # Those that begin to end when they have begun come last.
        timed = ["duration", "idle"]
        with ceiling(self.mesh, "KeepaliveInterval=1s"):
            self.log_in([name for name in self.logins if name not in [*timed, "away"]])
            self.log_in(timed)
        with ceiling(self.mesh, "KeepaliveInterval=1s", "MaxPeerAbsence=10s"):
            self.log_in(["away"])

    def log_in(self, names):
        for name in names:
            self.logins[name].start()
        for name in names:
            self.logins[name].wait_ready()

    def begin(self):
        """Idle and duration come by themselves, and others from elsewhere."""
        logins = self.logins
        self.unplug()
        self.forget(logins["forgotten"])
        self.new_handshake()
        self.server.run(["agentctl", "ssh-sessions", "kill", logins["killed"].lease], check=True)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
        self.put_rules(without=["revoked"], expiry=soon)
        logins["client"].ssh.kill()
        logins["logout"].ssh.send("\x04")

    def unplug(self):
        self.mesh.phone.host.unplug()
        self.cut_off = time.monotonic()

    def plug(self):
        self.mesh.phone.host.plug()

    def forget(self, one):
        """Its host drops what it gets, and sends nothing, as one does that knows nothing of the connection."""
        one.node.host.run(f"""nft -f - <<.
table inet forgotten {{
    chain input {{ type filter hook input priority 0; tcp sport 22 tcp dport {one.client_port} drop; }}
    chain output {{ type filter hook output priority 0; tcp sport {one.client_port} tcp dport 22 drop; }}
}}
.""", check=True)

    def new_handshake(self):
        """The laptop's agent puts the peer back."""
        laptop = self.mesh.laptop.host
        laptop.run(f"wg set mesh0 peer {self.mesh.server.key} remove", check=True)
        wait_for(lambda: pings(laptop, self.mesh.server.ip4), 60, "the server's answer")

    def stop(self):
        self.plug()
        for one in self.logins.values():
            if one.ssh:
                one.ssh.kill()
                one.ssh.close()
        self.mesh.laptop.host.run("nft delete table inet forgotten")


@pytest.fixture(scope="module")
def ends(mesh_once):
    all_ends = Ends(mesh_once)
    try:
        all_ends.start()
        # What cannot be found cannot be missed.
        assert all_ends.logins["asleep"].sorts() == EVERYTHING
        all_ends.begin()
        yield all_ends
    finally:
        all_ends.stop()


@pytest.mark.parametrize("name", ENDS)
def test_leaves_nothing(ends, name):
    one = ends.logins[name]
    one.check()
    ends.server.wait_journal(since=ends.began, LOCAL_USER=one.account, **one.end.record)
    if name == "idle":
        assert "\n30" in one.ssh.text


def test_client_that_forgot_its_connection(ends):
    """WireGuard says that its host is there. Those that answer, and one that sleeps (see below), are left alone."""
    one = ends.logins["forgotten"]

    def is_over():
        ends.new_handshake()
        return "child" not in one.sorts()

    wait_for(is_over, 120, "the end of a connection that is answered no more", 1)
    one.check()
    ends.server.wait_journal(since=ends.began, LOCAL_USER=one.account, **one.end.record)
    assert not ends.server.run(f"ss -Htn 'dport = :{one.client_port}'", check=True).stdout
    assert all(ends.logins[name].sorts() >= EVERYTHING for name in ("shutdown", "asleep"))


def test_client_that_sleeps(ends):
    """Far longer than the probes, of which the kernel by itself takes nine without an answer for the end."""
    one = ends.logins["asleep"]
    time.sleep(max(0, ends.cut_off + 25 - time.monotonic()))
    ends.plug()
    one.ssh.sendline("still here")
    one.ssh.read_until(r"still here\s+still here", 60)
    one.ssh.send("\x04")
    assert one.ssh.wait(30) == 0, one.ssh.drain()


def test_client_that_lost_its_connection(ends):
    """It answers that it knows of none; nobody has to say anything first."""
    one = ends.logins["lost"]
    ends.unplug()
    one.node.host.run(f"ss --no-header --kill 'dport = :22 and sport = :{one.client_port}'", check=True)
    assert one.ssh.wait(60) == 255
    assert one.sorts() == EVERYTHING
    ends.plug()
    one.check()


def test_shutdown(ends):
    """People are told and let go while the host still has a network; programs are asked, as those of other logins."""
    server, laptop, one = ends.server, ends.mesh.laptop.host, ends.logins["shutdown"]
    refused = server.run("systemctl stop peergate-sshgw-shutdown.service")
    assert refused.returncode and "may be requested by dependency only" in refused.stderr
    with laptop.popen(f"exec {SSH} -v -N {one.account}@server") as tunnel:
        tunnel.err.read_until("Entering interactive session")
        began = time.time()
        server.begin_stop()
        one.ssh.read_until("Peergate: this host is shutting down", 30)
        assert one.ssh.wait(10) == 255
        assert tunnel.wait(10) == 255
        assert "Peergate: this host is shutting down" in tunnel.err.read_rest()
    server.stop()
    server.start()
    server.wait_active("peergate-agent")
    assert server.read(f"/home/{one.account}/asked") == "asked\n"
    for event in ({"EVENT": "shutdown"}, {"EVENT": "connection-ended", "END_REASON": "the host shuts down"}):
        assert len(server.journal(since=began, LOCAL_USER=one.account, **event)) == 2
    assert re.search(rf"^{one.account}\s+pts/\d+\s.* - \d\d:\d\d", server.run(["last", "-w", one.account]).stdout, re.M)
    # Other processes may have these numbers now.
    assert not one.sorts() - {"monitor", "child"}
    # The laptop learns by the first packet that its tunnel's other end is a new one.
    server.run(f"ping -c 1 -W 1 {ends.mesh.laptop.ip4}")
    assert ends.mesh.ssh(f"{one.account}@server id -un").stdout == f"{one.account}\n"
    assert server.run("systemctl is-active peergate-sshgw-shutdown.service").stdout == "active\n"
