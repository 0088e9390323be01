"""Logins that a person has to confirm, whole: ssh on one side, a real browser on the other, in between agent, gateway,
coordinator and a real OpenID provider. The browser runs outside the machine (robot_client.py)."""
import os
import re
import time
from datetime import datetime

import pytest
from checked import DENIED, PASSWORD, PERSON, RULE, ask_everybody, held, let_in, script, turned_away
from coordinated import PORT, coordinated
from hosts import wait_for
from logins import client, gone_after, session_pids
from pace import WITHIN
from robot_client import robot

NAME = "coord.example"
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
        # The same one by another file, which reads groups and keeps no tokens.
        coord.host.write("/etc/peergate/oidc.d/staff.conf", f"Issuer={people.issuer}\nClientId=peergate\nTitle=Staff\n"
                         "ClientSecretFile=/etc/peergate/corp.secret\nScopes=openid email profile groups\n"
                         "GroupsClaim=groups\nGroup=group:engineering Engineering Team\n")
        coord.host.run("systemctl restart peergate-coord", check=True)
        coord.host.wait_active("peergate-coord")
        coord.wait_connected()
        yield people
        coord.host.run("rm -rf /etc/peergate/oidc.d /etc/peergate/corp.secret")


@pytest.fixture
def always(coord):
    """Everybody is asked, each time."""
    ask_everybody(coord, "always")


def at_provider(person, login="alice", button="Continue with Example Corp"):
    """From the coordinator's page to the provider's last."""
    person.press("Show that it is you with Example Corp" if "Show that" in person.text else button)
    person.fill(login=login, password="any")
    page = person.press("Sign-in")
    return person.press("Continue") if "Authorize" in page else page


def answer(person, login, button="Let it in"):
    """Once they have signed in: the login's page, with its code."""
    wait_for(lambda: login.code in person.text, 30, "the page of the check")
    return person.press(button)


def test_confirmed_with_the_provider(coord, people, always):
    """Held; signed in, confirmed: the shell appears."""
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        at_provider(alice)
        wait_for(lambda: login.code in alice.text, 30, "the page of the check")
        alice.look("check")
        assert "root on server" in alice.text and "laptop" in alice.text
        assert login.poll() is None
        assert "It is let in" in answer(alice, login)
        alice.look("check-done")
        let_in(login)
    event = coord.events("check.approve")[-1]
    assert event["actor"] == "alice@example.com" and "max_age" in str(event), event


def test_signed_in_is_not_enough(coord, people, always):
    """Whose browser is signed in still has to show that somebody is there: the provider asks again, and says when."""
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        assert "Show that it is you" in alice.text
        at_provider(alice)
        answer(alice, login)
        let_in(login)


def test_provider_has_new_keys(coord, people, always):
    """Others than at the sign-in before, which the coordinator has kept."""
    alice = people.person("alice")
    for change in (lambda: None, people.rotate_keys):
        with held(coord) as login:
            change()
            alice.open(login.url)
            at_provider(alice)
            answer(alice, login)
            let_in(login)


def test_turned_away(coord, people, always):
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        assert "It was turned away" in alice.press("Turn it away")
        turned_away(login, DENIED)


def test_somebody_else(coord, people, always):
    """The link alone is worth nothing; whose login it is can still answer."""
    alice, bob = people.person("alice"), people.person("bob")
    with held(coord) as login:
        bob.open(login.url)
        at_provider(bob, "bob")
        wait_for(lambda: "This is not for you" in bob.text, 30, "bob is told")
        bob.look("check-not-yours")
        assert login.poll() is None
        alice.open(login.url)
        at_provider(alice)
        answer(alice, login)
        let_in(login)


def test_answers_that_are_not_for_this_sign_in(coord, people, always):
    """Another browser's, a forged one, one that was used: none is taken, and the login goes on to wait."""
    alice, mallory = people.person("alice"), people.person("mallory")
    with held(coord) as login:
        with people.held():
            callbacks = {}
            for person, name in (mallory, "mallory"), (alice, "alice"):
                person.open(login.url)
                at_provider(person, name)
                callbacks[name] = person.text.strip()
        for wrong in callbacks["mallory"], re.sub(r"state=[^&]*", "state=" + "A" * 43, callbacks["alice"]):
            assert "belongs to no sign-in" in alice.open(wrong)
        alice.open(login.url)
        assert "Let it in" not in alice.text.splitlines() and login.poll() is None
        alice.open(callbacks["alice"])
        assert login.code in alice.text
        assert "belongs to no sign-in" in alice.open(callbacks["alice"])
        alice.open(login.url)
        answer(alice, login)
        let_in(login)


def test_provider_and_coordinator_are_away(coord, people, always):
    """The browser says what there is to do; ssh goes on to wait, for as long as it may."""
    alice = people.person("alice")

    def sign_in_and_stay():
        with people.held():
            alice.open(login.url)
            at_provider(alice)
            return alice.text.strip()

    with held(coord) as login:
        callback = sign_in_and_stay()
        with people.away():
            assert "cannot be asked for a token" in alice.open(callback)
        callback = sign_in_and_stay()
        coord.host.run("systemctl kill -s KILL peergate-coord", check=True)
        coord.host.wait_active("peergate-coord")
        with people.away():
            # Whatever was begun before is begun anew; what the provider says of itself has to be asked for.
            assert "belongs to no sign-in" in alice.open(callback)
            alice.open(login.url)
            page = alice.press("Show that it is you with Example Corp")
            assert "Signing in is not possible there at the moment" in page
            alice.look("check-provider-away")
        assert login.poll() is None
        alice.open(login.url)
        at_provider(alice)
        answer(alice, login)
        let_in(login)


def test_period_counts_when_it_is_asked(coord, people):
    """What was confirmed is good for as long as the rule says now, not as long as it said then."""
    ask_everybody(coord, "1h")
    alice = people.person("alice")
    with held(coord) as login:
        alice.open(login.url)
        at_provider(alice)
        answer(alice, login)
        let_in(login)
    assert script(coord).stdout == "0\n"
    time.sleep(6)
    coord.set_policy(ssh=RULE % "5s")
    assert "needs a check that it is you" in script(coord).stderr


def test_with_a_password_and_remembered(coord, people):
    """Built-in accounts; one check is good for all logins from the device for a while, scripts included."""
    ask_everybody(coord, "1h")
    link = re.search(r"https://\S+/set-password/\S+", coord.ctl("users password-link alice@example.com").stdout)[0]
    alice = people.person("alice with a password")
    alice.open(link)
    alice.look("set-password")
    alice.fill(password=PASSWORD, again=PASSWORD)
    alice.press("Set the password")
    refused = script(coord)
    assert refused.returncode == 255 and "needs a check that it is you" in refused.stderr, refused.stderr
    with held(coord) as first, held(coord) as second:
        assert (first.url, first.code) == (second.url, second.code)
        alice.open(first.url)
        alice.fill(login="alice@example.com", password=PASSWORD)
        alice.press("Sign in")
        assert first.code in alice.text
        alice.press("Let it in")
        let_in(first)
        let_in(second)
    assert script(coord).stdout == "0\n"
    coord.ctl("checks revoke laptop")
    assert script(coord).returncode == 255


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
        let_in(login)


def test_beforehand(coord, people):
    """agentctl check-login, then ssh asks nothing."""
    ask_everybody(coord, "1h")
    alice = people.person("alice with a password")
    with coord.mesh.laptop.host.popen(["agentctl", "check-login", "server"]) as asking:
        url = asking.out.read_until(r"(https://coord\.example:8443/check/\w+)", 60)[1]
        alice.open(url)
        alice.fill(password=PASSWORD)
        alice.press("Let it in")
        assert asking.wait(60) == 0
    assert script(coord).stdout == "0\n"


def test_group_of_the_provider(coord, people):
    """Who is in a group there may what the policy gives it; a sign-in that says otherwise ends sessions at once."""
    coord.set_policy(ssh="""{ "action": "accept", "src": ["group:engineering"], "dst": ["tag:prod"],
                             "users": ["autogroup:nonroot"] },""")
    assert coord.mesh.ssh("alice@server true").returncode == 255

    def sign_in(browser, *groups):
        people.tell(groups=groups)
        alice = people.person(browser)
        alice.open(coord.url)
        at_provider(alice, button="Continue with Staff")
        wait_for(lambda: "Your devices" in alice.text, 30, "alice is signed in")
        return time.time()

    try:
        sign_in("alice of the team", "everyone", "Engineering Team")
        wait_for(lambda: coord.mesh.ssh("alice@server true").returncode == 0, 20, "alice may log in")
        with client(coord.mesh, "sleep 5000"):
            pids = session_pids(coord.mesh, "alice", "sleep 5000")
            took = gone_after(coord.host, pids, lambda: sign_in("alice who has left the team", "everyone"))
    finally:
        people.tell()
    print(f"from the page after the sign-in to the last process gone: {1000 * took:.0f} ms")
    assert took < WITHIN
    refused = coord.mesh.ssh("alice@server true")
    assert refused.returncode == 255 and "no SSH rule lets alice@example.com" in refused.stderr


def test_person_leaves_the_provider(coord, people):
    """It is noticed when the provider is asked the next time, which ends what is open; who is back logs in anew."""
    coord.set_policy()
    alice = people.person("alice who leaves")
    alice.open(coord.url)
    at_provider(alice)
    wait_for(lambda: "noticed here within" in alice.text, 30, "her devices")
    server = coord.mesh.server.host
    with coord.mesh.laptop.host.popen(f"{PERSON} root@server 'echo in as $(id -un); exec sleep 5001'") as login:
        login.out.read_until("in as root", 60)
        known = coord.metric('renewals_total{result="known"}')
        wait_for(lambda: coord.metric('renewals_total{result="known"}') > known + 1, 60, "she is known still, again and again")
        assert login.poll() is None
        people.leave("alice")
        # The client is cut off with its device, and need not see the end.
        wait_for(lambda: server.run(["pgrep", "-xf", "sleep 5001"]).returncode == 1, 60, "the end of what was open")
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
    back = people.person("alice who is back")
    back.open(coord.url)
    at_provider(back)
    wait_for(lambda: "agentctl login" in back.text, 30, "what she has to do")
    assert coord.mesh.ssh("-o ConnectTimeout=5 root@server true").returncode == 255
    coord.join(coord.mesh.laptop)
    coord.wait_reachable(coord.mesh.laptop)
    assert coord.mesh.ssh("root@server id -u").stdout == "0\n"
