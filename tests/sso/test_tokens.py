"""Tokens that no sound provider sends (liar.py), before the whole coordinator: nobody is signed in by one, no check is
passed by one, and the page and the journal say what was wrong."""
import re
import time

import pytest
from browser import browser
from liar import Liar, liar
from programs import Agent, free_port

HOUR = 3600
# What is wrong: the token, and the reason. claims: over the true ones; None: left out.
LIES = {
    "alg none": (Liar.unsigned, 'is signed by "none"; RS256 was agreed'),
    "RS256, not signed": (lambda p, c: p.unsigned(c, alg="RS256"), "signature is wrong"),
    "public key as a password": (Liar.signed_by_our_public_key, 'is signed by "HS256"; RS256 was agreed'),
    "claims changed": (lambda p, c: p.tampered(c, sub="mallory"), "signature is wrong"),
    "somebody else's key": (lambda p, c: p.token(c, key=p.other_key), "signature is wrong"),
    "unknown key": (lambda p, c: p.token(c, kid="second"), "a key that the provider does not have"),
    "extensions": (lambda p, c: p.token(c, crit=["exp"]), "demands extensions"),
    "no token": (lambda p, c: "x.y", "has not three parts"),
    "expired": (lambda p, c: p.token({**c, "iat": c["iat"] - 2 * HOUR, "exp": c["exp"] - HOUR}), "has expired"),
    "from the future": (lambda p, c: p.token({**c, "iat": c["iat"] + HOUR, "exp": c["exp"] + HOUR}), "from the future"),
    "another audience": (lambda p, c: p.token({**c, "aud": "somebody-else"}), 'not for us ("aud")'),
    "others as well": (lambda p, c: p.token({**c, "aud": ["peergate", "somebody-else"]}), '("azp")'),
    "another issuer": (lambda p, c: p.token({**c, "iss": "https://evil.example"}), "another issuer's"),
    "another request": (lambda p, c: p.token({**c, "nonce": "x" * 43}), "not the answer to this request"),
    "nobody": (lambda p, c: p.token({**c, "sub": ""}), "does not say who it is"),
}


@pytest.fixture(scope="module")
def provider(coordinator):
    with liar(free_port()) as provider:
        coordinator.stop()
        coordinator.add_provider("liar", provider.issuer, Title="Liar")
        coordinator.start()
        yield provider


@pytest.fixture(scope="module")
def alice():
    """One browser for all that signs nobody in."""
    with browser() as alice:
        yield alice


@pytest.fixture(scope="module")
def laptop(coordinator, tmp_path_factory):
    """alice's; without a kernel."""
    agent = Agent(tmp_path_factory.mktemp("laptop"), coordinator)
    agent.start()
    key = coordinator.ask("authkeys", "create", "--user", "alice@example.com")["key"]
    said = agent.run("up", "--coordinator", coordinator.url, "--auth-key", key)
    assert said.returncode == 0, said.stderr
    yield agent
    agent.stop()


def sign_in(coordinator, person):
    person.open(coordinator.url)
    person.press("Continue with Liar")


def page_of(asking):
    """Where agentctl check-login says that somebody has to confirm it."""
    return next(found for found in (re.search(r"http://\S+/check/\w+", line) for line in asking.stdout) if found)[0]


@pytest.mark.parametrize("lie", LIES)
def test_nobody_is_signed_in(coordinator, provider, alice, lie):
    token, why = LIES[lie]
    with provider.telling(token):
        sign_in(coordinator, alice)
    assert "You were not signed in" in alice.text and why in alice.text
    assert re.search(rf"liar: a person could not sign in: .*{re.escape(why)}", coordinator.log)
    alice.open(coordinator.url)
    assert "Your devices" not in alice.text


def test_check_is_not_passed(coordinator, provider, person, laptop):
    """Nor by a sound token, if nobody has signed in for it: the provider has to say when that was."""
    with laptop.begin("check-login") as asking:
        url = page_of(asking)
        for changes, why in (({"auth_time": int(time.time()) - HOUR}, '("auth_time" is old)'),
                             ({"auth_time": None}, "no sound"), ({"auth_time": "now"}, "no sound")):
            with provider.telling(lambda p, c, changes=changes: p.token({**c, **changes})):
                person.open(url)
                person.press("Continue with Liar")
            assert provider.asked["max_age"] == "0" and provider.asked["prompt"] == "login"
            assert "You were not signed in" in person.text and why in person.text
        with provider.telling(lambda p, c: p.token({k: v for k, v in c.items() if k != "auth_time"})):
            person.open(url)
            person.press("Continue with Liar")
        assert "does not say when the person signed in" in person.text
        waiting = coordinator.ask("checks", "list")
        assert len(waiting["waiting"]) == 1 and not waiting["checks"] and asking.poll() is None
        # The truth is good enough.
        person.open(url)
        person.press("Continue with Liar")
        person.press("Let it in")
        assert asking.wait(20) == 0
    assert coordinator.ask("checks", "list")["checks"][0]["method"] == "oidc:liar"
    assert coordinator.events("check.approve")[-1]["actor"] == "alice@example.com"


def test_old_sign_in_is_good_for_signing_in(coordinator, provider, person, laptop):
    """But the next check asks again, and does not take it."""
    with provider.telling(lambda p, c: p.token({**c, "auth_time": c["iat"] - HOUR})):
        sign_in(coordinator, person)
        assert "Your devices" in person.text
        coordinator.ctl("checks", "revoke", "alice@example.com")
        with laptop.begin("check-login") as asking:
            url = page_of(asking)
            person.open(url)
            person.press("Show that it is you with Liar")
            assert '("auth_time" is old)' in person.text
            person.open(url)
            assert "Let it in" not in person.text.splitlines(), "no such button"
            assert coordinator.ask("checks", "list")["waiting"]
