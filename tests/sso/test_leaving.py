"""People who leave their provider, which tells by not taking their refresh token any more; every second here."""
import time

import pytest
from browser import browser
from programs import wait_for
from test_oidc import sign_in

ALICE = "alice@example.com"
MORE = {"Scopes": "openid email profile groups", "GroupsClaim": "groups", "RefreshTokens": "offline-access", "RefreshEvery": "1s"}


@pytest.fixture(scope="module")
def asked(coordinator, idp):
    """"corp" gives other tokens each time, "other" the same; both are asked about people."""
    coordinator.stop()
    coordinator.add_provider("corp", idp.issuer, Title="Example Corp", **MORE)
    coordinator.add_provider("other", idp.issuer, client="peergate-es", Title="Other", SigningAlgorithm="ES256", **MORE)
    coordinator.start()
    yield idp


@pytest.fixture
def alice(coordinator, asked, person):
    """Signed in; at the end she is there again."""
    sign_in(person, coordinator, asked)
    yield person
    asked.come("alice")


def renewals(coordinator):
    return coordinator.ask("status")["renewals"]


def user(coordinator, login=ALICE):
    return coordinator.ask("users", "show", login)


def known(coordinator):
    lines = coordinator.ctl("metrics").splitlines()
    return int(next(line for line in lines if line.startswith('peergate_coord_renewals_total{result="known"}')).split()[1])


def is_asked_again(coordinator, times=2):
    before = known(coordinator)
    wait_for(lambda: known(coordinator) >= before + times, what="the provider is asked again")


def is_gone(coordinator, login=ALICE):
    return user(coordinator, login)["gone_from"]


@pytest.mark.parametrize("provider", ["Example Corp", "Other"])
def test_known_still(coordinator, asked, person, provider):
    """Tokens that change, and such as stay: both are taken again and again."""
    sign_in(person, coordinator, asked, provider=provider)
    assert "noticed here within" in person.text
    person.look("leaving-is-noticed")
    is_asked_again(coordinator, 3)
    assert not is_gone(coordinator) and renewals(coordinator)["failing"] == 0
    assert user(coordinator)["identities"][0]["noticed_within"] == 1
    assert "noticed within 1 s" in coordinator.ctl("users", "show", ALICE)


def test_secrets_are_nowhere(coordinator, alice):
    """Of the token there is nothing in the clear: in the store's file, its backup, listings, log."""
    is_asked_again(coordinator)
    listed = coordinator.ctl("users", "show", ALICE, "--json") + coordinator.ctl("events", "--json") + coordinator.log
    assert "sealed" not in listed and "refresh_token" not in listed


def test_left(coordinator, asked, alice, agent):
    """All that was theirs ends, and is there again after a sign-in, but for the device."""
    key = coordinator.ctl("authkeys", "create", "--user", ALICE).strip()
    key_file = agent.folder / "auth-key"
    key_file.write_text(f"{key}\n")
    key_file.chmod(0o600)
    up = agent.run("up", "--coordinator", coordinator.url, "--auth-key-file", key_file)
    assert up.returncode == 0, up.stderr
    assert not user(coordinator)["nodes"][0]["expired"]
    is_asked_again(coordinator)
    asked.leave("alice")
    wait_for(lambda: is_gone(coordinator) == asked.issuer, what="alice is gone")
    assert user(coordinator)["nodes"][0]["expired"] and not user(coordinator)["sessions"]
    said = coordinator.events("user.gone")[-1]
    assert said["actor"] == "coordinator" and said["object"] == ALICE and "invalid_grant" in said["details"], said
    assert "gone" in coordinator.ctl("users", "list")
    alice.open(coordinator.url)
    assert "Your devices" not in alice.text

    asked.come("alice")
    with browser() as again:
        sign_in(again, coordinator, asked)
        assert "Your devices" in again.text and "agentctl login" in again.text
        again.look("back-again")
    assert not is_gone(coordinator) and user(coordinator)["nodes"][0]["expired"]
    assert coordinator.events("user.back")[-1]["object"] == ALICE


def test_resumed_by_an_operator(coordinator, asked, alice):
    asked.leave("alice")
    wait_for(lambda: is_gone(coordinator), what="alice is gone")
    coordinator.ctl("users", "resume", ALICE)
    assert not is_gone(coordinator) and not user(coordinator)["suspended"]
    assert user(coordinator)["identities"][0]["noticed_within"] is None


def test_provider_is_away(coordinator, asked, alice):
    """Nothing is known then, and nothing changes."""
    is_asked_again(coordinator)
    with asked.away():
        wait_for(lambda: renewals(coordinator)["failing"] == 1, what="it cannot be asked")
        assert "cannot be asked" in renewals(coordinator)["problem"]
        assert "cannot be asked about 1 of 1" in coordinator.ctl("status")
        time.sleep(3)
        assert not is_gone(coordinator)
    wait_for(lambda: renewals(coordinator)["failing"] == 0, what="it can be asked again")


def test_groups_change(coordinator, asked, alice):
    asked.tell(groups=["night shift"])
    wait_for(lambda: "night shift" in coordinator.ctl("users", "show", ALICE), what="her new group")
    asked.tell()
    wait_for(lambda: "night shift" not in coordinator.ctl("users", "show", ALICE), what="her groups")


def test_coordinator_starts_anew(coordinator, asked, alice):
    coordinator.stop()
    coordinator.start()
    is_asked_again(coordinator)
    asked.leave("alice")
    wait_for(lambda: is_gone(coordinator), what="alice is gone")


def test_left_after_signing_out(coordinator, asked, alice):
    """Nobody keeps it from being noticed by signing out everywhere first."""
    coordinator.ctl("users", "sign-out", ALICE)
    is_asked_again(coordinator)
    asked.leave("alice")
    wait_for(lambda: is_gone(coordinator), what="alice is gone")


@pytest.mark.parametrize("command", ["unbind", "suspend"])
def test_token_is_given_back(coordinator, asked, alice, command):
    before = asked.revoked()
    assert renewals(coordinator)["kept"] == 1
    coordinator.ctl("users", command, ALICE)
    wait_for(lambda: renewals(coordinator)["kept"] == 0, what="the token is forgotten")
    assert asked.revoked() == before + 1
    coordinator.ctl("users", "resume", ALICE)
    alice.open(coordinator.url)
    assert "Your devices" not in alice.text
