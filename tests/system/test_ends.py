"""Ends: each says why where somebody is there to read it, and leaves nothing that it does not spare on purpose.

One login for each of them, all at the same time, each with an account of its own: that tells their leftovers apart.
"""
import contextlib
import re
import time
from typing import NamedTuple

import pytest
from absence import ceiling
from echoes import echo, listeners
from hosts import wait_for
from leftovers import EVERYTHING, FORWARDING, SPARED, Login, seen
from linked import pings
from mesh import SSH, login
from records import check_who, events, of, whole_story

# Beyond the idle timeout, and only then nothing more.
TALK = "for i in $(seq 30); do echo $i; sleep 0.5; done; exec cat"
# Where somebody talks like that.
TALKS = 4799
# When systemd ends it, it has time to say so.
ASKED = """setsid sh -c 'trap "" HUP; trap "echo asked >~/asked; exit" TERM
while :; do sleep 0.2; done' </dev/null >/dev/null 2>&1 & exec cat"""
# Without a session.
FORWARD_ONLY = ("-N",)
FORWARD_TALK = ("-o", "ClearAllForwardings=no", "-W", f"127.0.0.1:{TALKS}")


class End(NamedTuple):
    notice: str = None  # on the terminal, behind "Peergate: "; a regular expression
    why: str = None  # END_REASON in the journal
    event: str = None  # the record before that, with this as its
    reason: str = None
    status: int = 255  # of ssh; None: it is not asked
    spared: bool = False  # what the login left running goes on
    rule: dict = {}
    node: str = "laptop"
    then: str = "exec cat"
    options: tuple = None  # of an ssh that only forwards


OVER = End("the right to be logged in here has run out", "the lease has run out", "expiry", "lease-expired")
DURATION = End("the maximum duration of a session is over", "maximum duration is over", "duration", "maximum-duration",
               rule={"max_duration": "40s"})
IDLE = End("nothing was sent or received for 8 s, which the SSH rule allows", "it was idle for too long", "idle",
           "idle-timeout", rule={"idle_timeout": "8s"}, spared=True)
REVOKED = End("access was revoked: ", "the agent revoked the lease", "revocation")
ENDS = {
    "killed": REVOKED._replace(notice=REVOKED.notice + "ended by an operator", reason="operator"),
    "revoked": REVOKED._replace(notice=REVOKED.notice + r"the SSH rules do not let alice@example\.com .* as user .urevoked",
                                reason="policy"),
    "logout": End(why="the client closed it", status=0, spared=True),
    "client": End(why="the client closed it", status=None, spared=True),
    "expiry": OVER,
    "forward-expiry": OVER._replace(options=FORWARD_ONLY),
    "idle": IDLE._replace(then=TALK),
    "forward-idle": IDLE._replace(options=FORWARD_TALK),
    "away": End(why="the connection was lost", status=None, spared=True, node="phone"),
    # Whatever flows.
    "duration": DURATION._replace(then="while echo; do sleep 0.2; done"),
    "forward-duration": DURATION._replace(options=FORWARD_ONLY),
}
# Their ends have tests of their own.
OTHERS = {
    "lost": End(spared=True, node="phone"),
    "asleep": End(node="phone"),
    "shutdown": End(then=ASKED),
    "forgotten": End(why="the peer is there, but does not answer on this connection any more", status=None, spared=True),
}
# Records of which there is one, where it was not the client who ended it.
HOW = {"revocation", "expiry", "duration", "idle", "shutdown"}


class Ending(Login):
    def __init__(self, mesh, name, number):
        self.end = {**ENDS, **OTHERS}[name]
        super().__init__(getattr(mesh, self.end.node), mesh.server.host, f"u{name}", number, self.end.then)
        self.rule = f"ssh[{number}] line {31 + number}"
        if self.end.options:
            self.stays = []

    def start(self):
        if self.end.options:
            self.open(*self.end.options)
        else:
            super().start()

    def wait_ready(self):
        if not self.end.options:
            super().wait_ready()
            return
        wait_for(lambda: listeners(self.server, self.port), 90, f"the port of {self.account}")
        self.find()

    def check(self):
        if self.end.notice:
            self.ssh.read_until(f"Peergate: {self.end.notice}", 60)
        if self.end.status is not None:
            assert self.ssh.wait(30) == self.end.status, self.ssh.drain()
        if self.end.spared:
            left = self.only_left(SPARED)
            # bash takes a moment to end of its HUP.
            wait_for(lambda: self.programs() == self.stays, 10, f"{self.stays} and nothing else; there was {left}")
            if self.stays:
                self.server.run(["pkill", "-u", self.account, "-x", "sleep"], check=True)
        self.only_left(set())

    def check_records(self, began):
        records = whole_story(self.server, began, EVENT="decision", LOCAL_USER=self.account)
        of("connection-ended", records, OUTCOME="logged-in", END_REASON=self.end.why)
        assert [event for event in events(records) if event in HOW] == ([self.end.event] if self.end.event else [])
        if self.end.event:
            of(self.end.event, records, REASON=self.end.reason)
        check_who(records[1:], self.node, self.rule, self.account)
        return records


class Ends:
    def __init__(self, mesh):
        self.mesh, self.server, self.began = mesh, mesh.server.host, time.time()
        self.logins = {name: Ending(mesh, name, i) for i, name in enumerate([*ENDS, *OTHERS])}
        self.cut_off = None
        self.stack = contextlib.ExitStack()

    def put_rules(self, without=(), **expiry):
        self.mesh.ssh_rules["server"] = [
            login(one.node, {one.account: one.account}, one.rule, forwarding=FORWARDING,
                  rule_expires=expiry.get(name), **one.end.rule)
            for name, one in self.logins.items() if name not in without]
        self.mesh.apply(self.mesh.server)

    def start(self):
        accounts = " ".join(one.account for one in self.logins.values())
        self.server.run(f"for a in {accounts}; do id -u $a >/dev/null 2>&1 || useradd -m -s /bin/bash $a; done", check=True)
        self.put_rules()
        self.stack.enter_context(seen(self.server, self.mesh.laptop.host, self.mesh.phone.host))
        self.stack.enter_context(echo(self.server, "TCP", TALKS, program=TALK))
        # Those that begin to end when they have begun come last.
        timed = [name for name, one in self.logins.items() if one.end.rule]
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
        logins["killed"].kill()
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
        self.put_rules(without=["revoked"], **{name: soon for name, one in logins.items() if one.end.event == "expiry"})
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
            one.close()
        self.mesh.laptop.host.run("nft delete table inet forgotten")
        self.stack.close()


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
    records = one.check_records(ends.began)
    if "idle" in name:
        assert "\n30" in one.ssh.text
    if name == "forward-idle":
        forwarded, = of("forward-ended", records, FORWARD="local", TARGET=f"127.0.0.1:{TALKS}")
        assert int(forwarded["DURATION_USEC"]) > 15000000


def test_client_that_forgot_its_connection(ends):
    """WireGuard says that its host is there. Those that answer, and one that sleeps (see below), are left alone."""
    one = ends.logins["forgotten"]

    def is_over():
        ends.new_handshake()
        return "child" not in one.sorts()

    wait_for(is_over, 120, "the end of a connection that is answered no more", 1)
    one.check()
    one.check_records(ends.began)
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
    for event in ({"EVENT": "shutdown", "REASON": "shutdown"},
                  {"EVENT": "connection-ended", "END_REASON": "the host shuts down"}):
        assert len(server.journal(since=began, LOCAL_USER=one.account, **event)) == 2
    assert re.search(rf"^{one.account}\s+pts/\d+\s.* - \d\d:\d\d", server.run(["last", "-w", one.account]).stdout, re.M)
    # Other processes may have these numbers now.
    assert not one.sorts() - {"monitor", "child"}
    # The laptop learns by the first packet that its tunnel's other end is a new one.
    server.run(f"ping -c 1 -W 1 {ends.mesh.laptop.ip4}")
    assert ends.mesh.ssh(f"{one.account}@server id -un").stdout == f"{one.account}\n"
    assert server.run("systemctl is-active peergate-sshgw-shutdown.service").stdout == "active\n"
