"""Logins that a person has to confirm, whole: ssh on one side, a real browser on the other, in between agent, gateway,
coordinator and a real OpenID provider. The browser runs outside the machine (robot_client.py)."""
import contextlib
import os
import re
import time
from datetime import datetime

import pytest
from coordinated import PORT, coordinated
from hosts import wait_for
from robot_client import robot

NAME, PASSWORD = "coord.example", "correct horse battery"
RULE = """{ "action": "check", "src": ["alice@example.com"], "dst": ["tag:prod"], "users": ["root"], "checkPeriod": "%s" },"""
PERSON = "ssh -o LogLevel=INFO -o ConnectTimeout=100"
pytestmark = [
    pytest.mark.limit(300),
    pytest.mark.skipif("PEERGATE_ROBOT" not in os.environ, reason="there is no browser with --no-vm"),
]


@pytest.fixture(scope="module")
def coord(mesh_once):
    with coordinated(mesh_once, name=NAME) as coord:
        yield coord


@pytest.fixture(scope="module")
def people(coord):
    """The browser, outside; the coordinator knows the provider there as "corp"."""
    with robot(coord.host, PORT) as people:
        coord.host.run("mkdir -p /etc/peergate/oidc.d", check=True)
        coord.host.write("/etc/peergate/corp.secret", "secret of peergate\n", mode=0o640)
        coord.host.run("chgrp peergate-coord /etc/peergate/corp.secret", check=True)
        coord.host.write("/etc/peergate/oidc.d/corp.conf", f"Issuer={people.issuer}\nClientId=peergate\nTitle=Example Corp\n"
                         "ClientSecretFile=/etc/peergate/corp.secret\nRefreshTokens=offline-access\nRefreshEvery=2s\n")
        coord.host.run("systemctl restart peergate-coord", check=True)
        coord.host.wait_active("peergate-coord")
        coord.wait_connected()
        yield people
        coord.host.run("rm -rf /etc/peergate/oidc.d /etc/peergate/corp.secret")


@pytest.fixture
def always(coord):
    """Everybody is asked, each time."""
    coord.set_policy(ssh=RULE % "always")
    coord.ctl("checks revoke alice@example.com", check=False)
    coord.wait_connected()


@contextlib.contextmanager
def held(coord, command="root@server 'echo in as $(id -un); cat'", client=PERSON):
    """A login that waits for its person: .url and .code are what the terminal shows."""
    with coord.mesh.laptop.host.popen(f"{client} {command}") as login:
        login.url = login.err.read_until(r"Open +(https://coord\.example:8443/check/\w+)", 60)[1]
        login.code = login.err.read_until(r"Code +(\d{3}-\d{3})", 10)[1]
        yield login


def at_provider(person, login="alice"):
    person.fill(login=login, password="any")
    page = person.press("Sign-in")
    return person.press("Continue") if "Authorize" in page else page


def test_confirmed_with_the_provider(coord, people, always):
    """Held; signed in, confirmed: the shell appears."""
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        alice.press("Continue with Example Corp")
        at_provider(alice)
        wait_for(lambda: login.code in alice.text, 30, "the page of the check")
        alice.look("check")
        assert "root on server" in alice.text and "laptop" in alice.text
        assert login.poll() is None
        assert "It is let in" in alice.press("Let it in")
        alice.look("check-done")
        login.out.read_until("in as root", 60)
    event = coord.events("check.approve")[-1]
    assert event["actor"] == "alice@example.com" and "max_age" in str(event), event


def test_signed_in_is_not_enough(coord, people, always):
    """Whose browser is signed in still has to show that somebody is there: the provider asks again, and says when."""
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        assert "Show that it is you" in alice.text
        alice.press("Show that it is you with Example Corp")
        at_provider(alice)
        wait_for(lambda: login.code in alice.text, 30, "the page of the check")
        alice.press("Let it in")
        login.out.read_until("in as root", 60)


def test_turned_away(coord, people, always):
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        assert "It was turned away" in alice.press("Turn it away")
        assert login.wait(60) == 255
        assert re.search(r"Peergate: .*(turned|said no|denied)", login.err.read_rest()), "the reason"


def test_somebody_else(coord, people, always):
    """The link alone is worth nothing."""
    bob = people.person("bob")
    with held(coord) as login:
        bob.open(login.url)
        bob.press("Continue with Example Corp")
        at_provider(bob, "bob")
        wait_for(lambda: "This is not for you" in bob.text, 30, "bob is told")
        bob.look("check-not-yours")
        assert login.poll() is None


def test_with_a_password_and_remembered(coord, people):
    """Built-in accounts; one check is good for all logins from the device for a while, scripts included."""
    coord.set_policy(ssh=RULE % "1h")
    coord.ctl("checks revoke alice@example.com", check=False)
    link = re.search(r"https://\S+/set-password/\S+", coord.ctl("users password-link alice@example.com").stdout)[0]
    alice = people.person("alice with a password")
    alice.open(link)
    alice.look("set-password")
    alice.fill(password=PASSWORD, again=PASSWORD)
    alice.press("Set the password")
    script = coord.mesh.ssh("root@server true")
    assert script.returncode == 255 and "check" in script.stderr, script.stderr
    with held(coord) as first, held(coord) as second:
        assert (first.url, first.code) == (second.url, second.code)
        alice.open(first.url)
        alice.fill(login="alice@example.com", password=PASSWORD)
        alice.press("Sign in")
        assert first.code in alice.text
        alice.press("Let it in")
        first.out.read_until("in as root", 60)
        second.out.read_until("in as root", 60)
    assert coord.mesh.ssh("root@server id -u").stdout == "0\n"
    coord.ctl("checks revoke laptop")
    assert coord.mesh.ssh("root@server true").returncode == 255


def test_coordinator_restarts_meanwhile(coord, people, always):
    alice = people.person("alice with a password")
    with held(coord) as login:
        coord.host.run("systemctl kill -s KILL peergate-coord", check=True)
        coord.host.wait_active("peergate-coord")
        coord.wait_connected()
        assert login.poll() is None
        alice.open(login.url)
        alice.fill(password=PASSWORD)
        alice.press("Let it in")
        login.out.read_until("in as root", 90)


def test_rule_goes_meanwhile(coord, people, always):
    with held(coord) as login:
        coord.set_policy(ssh="")
        assert login.wait(60) == 255
    coord.set_policy(ssh=RULE % "always")


def test_beforehand(coord, people):
    """agentctl check-login, then ssh asks nothing."""
    coord.set_policy(ssh=RULE % "1h")
    coord.ctl("checks revoke alice@example.com", check=False)
    alice = people.person("alice with a password")
    with coord.mesh.laptop.host.popen(["agentctl", "check-login", "server"]) as asking:
        url = asking.out.read_until(r"(https://coord\.example:8443/check/\w+)", 60)[1]
        alice.open(url)
        alice.fill(password=PASSWORD)
        alice.press("Let it in")
        assert asking.wait(60) == 0
    assert coord.mesh.ssh("root@server id -u").stdout == "0\n"


def test_person_leaves_the_provider(coord, people):
    """It is noticed when the provider is asked the next time, which ends what is open; who is back logs in anew."""
    coord.set_policy()
    alice = people.person("alice who leaves")
    alice.open(coord.url)
    alice.press("Continue with Example Corp")
    at_provider(alice)
    wait_for(lambda: "noticed here within" in alice.text, 30, "her devices")
    with coord.mesh.laptop.host.popen(f"{PERSON} root@server 'echo in as $(id -un); cat'") as login:
        login.out.read_until("in as root", 60)
        known = coord.metric('renewals_total{result="known"}')
        wait_for(lambda: coord.metric('renewals_total{result="known"}') > known + 1, 60, "she is known still, again and again")
        assert login.poll() is None
        people.leave("alice")
        assert login.wait(60) == 255
        ended = time.time()
    gone = coord.events("user.gone")[-1]
    assert gone["object"] == "alice@example.com" and gone["actor"] == "coordinator", gone
    # A second, on a machine that is ten times slower.
    assert ended - datetime.fromisoformat(gone["time"].replace("Z", "+00:00")).timestamp() < 10, gone
    assert coord.ask("users show alice@example.com")["gone_from"] == people.issuer
    status = wait_for(lambda: (s := coord.mesh.laptop.host.run("agentctl status")) and "agentctl login" in s.stdout and s,
                      60, "the laptop says how to get a new key")
    assert "key-expired" in status.stdout or "key has expired" in status.stdout, status.stdout

    people.come("alice")
    alice.open(coord.url)
    alice.press("Continue with Example Corp")
    at_provider(alice)
    wait_for(lambda: "agentctl login" in alice.text, 30, "what she has to do")
    assert coord.mesh.ssh("-o ConnectTimeout=5 root@server true").returncode == 255
    coord.join(coord.mesh.laptop)
    coord.wait_reachable(coord.mesh.laptop)
    assert coord.mesh.ssh("root@server id -u").stdout == "0\n"
