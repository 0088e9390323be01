"""Logins under a rule that says "check": held until a person has confirmed them, or refused with the reason.

The coordinator is that of tests/coordinator (linked.py); what a person does in a browser, the test tells it.
"""
import contextlib
import re
import time

import pytest
from checked import ceiling
from hosts import wait_for
from linked import SSH, linked, pings, wait_state
from records import of, whole_story

SERVER = "root@100.64.0.1"
# As a person uses it; a person has no time-outs.
PERSON = "-o LogLevel=INFO -o StrictHostKeyChecking=no -o ConnectTimeout=60"
pytestmark = pytest.mark.limit(240)


@pytest.fixture(scope="module")
def coordinator(hosts, tmp_path_factory):
    with linked(tmp_path_factory.mktemp("coordinator"), hosts.server, hosts.laptop) as coordinator:
        for host, options in ((hosts.server, "--ssh"), (hosts.laptop, "")):
            host.run(f"agentctl up --auth-key-file /root/auth.key {options}", check=True, timeout=120)
        wait_for(lambda: pings(hosts.laptop, "100.64.0.1"), 40, "the laptop reaches the server")
        yield coordinator


@pytest.fixture
def check(hosts, coordinator):
    """A coordinator whose rule says "check", and which remembers nobody."""
    coordinator.say("forget")
    set_rule(hosts, coordinator, "check")
    yield coordinator
    coordinator.say("lapse")


def set_rule(hosts, coordinator, action):
    coordinator.say(f"rule {action}")
    shown = action if action != "none" else "unruled"
    wait_for(lambda: f'"{shown}"' in hosts.server.run("agentctl ssh-policy show --json").stdout, 30, f"rule: {action}")


def expect_page(reader):
    """What the person is shown; the code."""
    number = reader.read_until(r"^  Open +https://coord\.example/check/(\d+)\r?$")[1]
    assert reader.read_until(r"^  Code +(\S+)\r?$")[1] == f"100-{number}"
    return f"100-{number}"


@contextlib.contextmanager
def held(hosts, check, command=f"ssh {PERSON} {SERVER} 'echo in as $(id -un); cat; exit 3'"):
    """A login that waits for the person, with all that it takes on the way."""
    n = check.counts()["held"]
    with hosts.laptop.popen(command) as login:
        login.code = expect_page(login.err)
        # Once more, for clients that do not show banners.
        login.err.read_until(rf"^Waiting for https://coord\.example/check/\d+ \(code {login.code}\)")
        wait_for(lambda: check.counts()["held"] == n + 1, 30, "the long poll of the server's agent")
        assert login.poll() is None
        yield login


def expect_refusal(login, text):
    login.err.read_until(f"Peergate: {text}")
    assert "Permission denied" in login.err.read_rest()
    assert login.wait() == 255


def test_confirmed(hosts, check):
    began = time.time()
    with held(hosts, check) as login:
        assert check.say("pass") == "done"
        login.out.read_until("in as root")
        login.stdin.write(b"through\n")
        login.out.read_until("through")
        login.stdin.close()
        assert login.wait() == 3
    assert hosts.server.journal(since=began, grep=r"SSH of n2 .* waits for a person .*: " + login.code)
    assert hosts.server.journal(since=began, grep=r"was passed after \d+ s: by password, at 2027-01-15")
    assert hosts.server.journal(since=began, grep=r"Accepted login of alice@example.com .* after a check of \d+ s")
    # It is remembered, for scripts as well: nobody is asked.
    again = hosts.laptop.run(f"{SSH} {SERVER} id -un")
    assert (again.stdout, again.returncode) == ("root\n", 0), again.stderr
    assert "coord.example" not in again.stderr


def test_longer_than_other_logins_may_take(hosts, check):
    with ceiling(hosts, "LoginGraceTime=10s"), held(hosts, check) as login:
        time.sleep(15)
        assert login.poll() is None
        check.say("pass")
        login.out.read_until("in as root")


def test_file_copies_wait_as_well(hosts, check):
    hosts.laptop.write("/tmp/file", "content\n")
    for number, command in enumerate(("scp {0} /tmp/file {1}:/tmp/copy0", "scp -O {0} /tmp/file {1}:/tmp/copy1",
                                      "rsync -e 'ssh {0}' /tmp/file {1}:/tmp/copy2")):
        check.say("forget")
        with held(hosts, check, command.format(PERSON, SERVER)) as copy:
            check.say("pass")
            assert copy.wait() == 0, copy.err.read_rest()
        assert hosts.server.read(f"/tmp/copy{number}") == "content\n"


def test_a_script_fails_at_once(hosts, check):
    began = time.monotonic()
    script = hosts.laptop.run(f"{SSH} {SERVER} id", timeout=120)
    assert script.returncode == 255 and script.stdout == ""
    assert re.search(r"^  Open +https://coord.example/check/\d+\r?$", script.stderr, re.M), script.stderr
    assert "agentctl check-login" in script.stderr and "Permission denied" in script.stderr
    # Ten times what it takes, and far below what a person is given.
    assert time.monotonic() - began < 60
    wait_for(lambda: check.counts()["held"] == 0, 30, "the agent does not ask any more")
    # Done beforehand, it is let in.
    with hosts.laptop.popen("agentctl check-login root@server") as ctl:
        expect_page(ctl.out)
        check.say("pass")
        ctl.out.read_until(r"Confirmed at 2027-01-15T08:00:00Z \(password\)")
        assert ctl.wait() == 0
    assert hosts.laptop.run(f"{SSH} {SERVER} id -un").stdout == "root\n"


def test_denied(hosts, check):
    with held(hosts, check) as login:
        check.say("deny")
        expect_refusal(login, "the login was denied on the page of its check")


def test_nobody_answers(hosts, check):
    with ceiling(hosts, "CheckTimeout=5s"), held(hosts, check) as login:
        expect_refusal(login, "nobody confirmed the login in time")
    wait_for(lambda: check.counts()["held"] == 0, 30, "the agent does not ask any more")
    # The coordinator has a limit of its own.
    with held(hosts, check) as login:
        check.say("lapse")
        expect_refusal(login, "nobody confirmed the login in time")


def test_the_client_goes_away(hosts, check):
    began = time.time()
    with held(hosts, check) as login:
        login.kill()
        wait_for(lambda: check.counts()["held"] == 0, 30, "the agent does not ask any more")
    records = whole_story(hosts.server, began, EVENT="check", CHECK="ended with the connection")
    assert all(r["PEER"] == "100.64.0.2" and r["SSH_USER"] == "root" for r in of("check", records))
    assert [(r["CHECK"], r.get("CODE")) for r in of("check", records)] == [("has begun", login.code),
                                                                        ("ended with the connection", None)]
    of("connection-ended", records, OUTCOME="no-login", END_REASON="the client closed it")
    # A yes that comes now lets nobody in; it counts for the next login.
    check.say("pass")
    assert not hosts.server.journal(since=began, grep="Accepted login")


def test_the_right_is_taken_away(hosts, check):
    with held(hosts, check) as login:
        set_rule(hosts, check, "none")
        expect_refusal(login, "no SSH rule lets alice@example.com")
    wait_for(lambda: check.counts()["held"] == 0, 30, "the agent does not ask any more")


def test_no_check_is_asked_for_any_more(hosts, check):
    with held(hosts, check) as login:
        set_rule(hosts, check, "accept")
        login.out.read_until("in as root")


def test_a_session_outlives_the_rule_that_wants_checks(hosts, check):
    set_rule(hosts, check, "accept")
    with hosts.laptop.popen(f"{SSH} {SERVER} 'echo in; cat'") as session:
        session.out.read_until("in")
        set_rule(hosts, check, "check")
        hosts.server.run("systemctl restart peergate-agent", check=True)
        session.stdin.write(b"still here\n")
        session.out.read_until("still here")


def test_the_coordinator_is_away(hosts, check):
    check.say("stop")
    wait_state(hosts.server, "backoff")
    try:
        login = hosts.laptop.run(f"ssh {PERSON} {SERVER} id", timeout=120)
        assert login.returncode == 255
        assert "needs a check that you are there, and the coordinator cannot be reached" in login.stderr
    finally:
        check.say("start")
        wait_state(hosts.server, "connected", 90)


def test_the_coordinator_is_restarted_meanwhile(hosts, check):
    with held(hosts, check) as login:
        check.say("stop")
        time.sleep(5)
        assert login.poll() is None
        check.say("start")
        wait_for(lambda: check.counts()["held"] == 1, 60, "the agent asks again")
        check.say("pass")
        login.out.read_until("in as root")
    for host in (hosts.server, hosts.laptop):
        wait_state(host, "connected", 90)


def test_the_agent_is_restarted_meanwhile(hosts, check):
    with held(hosts, check) as login:
        hosts.server.run("systemctl restart peergate-agent", check=True)
        # The next agent asks anew, and the person is shown where.
        assert expect_page(login.err) != login.code
        wait_for(lambda: check.counts()["held"] == 1, 60, "the agent asks again")
        check.say("pass")
        login.out.read_until("in as root")


def test_so_many_and_no_more(hosts, check):
    began = time.time()
    with ceiling(hosts, "MaxHeldLoginsPerPeer=2", "MaxUnauthenticatedPerPeer=2", reload=True):
        with held(hosts, check) as one, held(hosts, check) as two:
            with hosts.laptop.popen(f"ssh {PERSON} {SERVER} id") as three:
                expect_refusal(three, "too many logins wait for a check on this host already")
            hosts.server.wait_journal(since=began, grep="it has 2 of MaxHeldLoginsPerPeer= already")
            # One answer for all that wait, and nobody else was locked out by them.
            check.say("pass")
            for login in (one, two):
                login.out.read_until("in as root")
            assert hosts.laptop.run(f"{SSH} {SERVER} id -un").stdout == "root\n"


def test_explained(hosts, check):
    told = hosts.server.run("agentctl ssh-policy explain laptop root")
    assert told.returncode == 1
    assert told.stdout.startswith("check: laptop can log in on server as root, once a person has confirmed it")
