"""Signing in with a real OpenID provider, in a real browser."""
import re

from browser import browser


def at_provider(person, idp, login):
    """From the provider's first page to its last."""
    assert person.url.startswith(idp.issuer), person.text
    person.fill(login=login, password="any")
    person.press("Sign-in")
    if "Authorize" in person.text:
        person.press("Continue")
    person.wait(lambda _: "/interaction" not in person.url, "the provider has done its part")


def sign_in(person, coordinator, idp, login="alice", provider="Example Corp"):
    person.open(coordinator.url)
    person.press(f"Continue with {provider}")
    at_provider(person, idp, login)


def test_sign_in(coordinator, idp, person):
    sign_in(person, coordinator, idp)
    assert "alice@example.com" in person.text
    assert person.url == f"{coordinator.url}/"
    person.look("devices")
    said = coordinator.events("user.sign-in")[-1]
    assert said["result"] == "ok" and said["actor"] == "alice@example.com", said
    assert "oidc:corp" in str(said), said


def test_other_algorithm(coordinator, idp, person):
    """ES256; the same issuer and subject are the same person."""
    sign_in(person, coordinator, idp, provider="Other")
    assert "alice@example.com" in person.text


def answer_held_back(person, coordinator, idp, login="alice"):
    """The URL that the provider sends the browser back to, which does not go there."""
    person.open(coordinator.url)
    person.press("Continue with Example Corp")
    with idp.held():
        at_provider(person, idp, login)
        return person.text.strip()


def test_callback_cannot_be_used_twice(coordinator, idp, person):
    callback = answer_held_back(person, coordinator, idp)
    person.open(callback)
    assert "Your devices" in person.text
    person.open(callback)
    assert "belongs to no sign-in" in person.text


def test_forged_state(coordinator, idp, person):
    person.open(coordinator.url)
    person.press("Continue with Example Corp")
    person.open(f"{coordinator.url}/oidc/callback/corp?code=x&state={'A' * 43}&iss={idp.issuer}")
    assert "belongs to no sign-in" in person.text
    person.look("forged-state")
    person.open(coordinator.url)
    assert "Your devices" not in person.text


def test_answer_of_another_browser(coordinator, idp, person):
    """Who is sent a link with somebody else's code and state is not signed in as them."""
    with browser() as attacker:
        callback = answer_held_back(attacker, coordinator, idp, login="mallory")
    person.open(callback)
    assert "belongs to no sign-in" in person.text


def test_other_issuer_in_the_answer(coordinator, idp, person):
    callback = answer_held_back(person, coordinator, idp)
    person.open(re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fevil.example", callback))
    assert "another provider" in person.text


def test_no_issuer_in_the_answer(coordinator, idp, person):
    """A provider that says that it names itself in its answers does so in all of them."""
    callback = answer_held_back(person, coordinator, idp)
    person.open(re.sub(r"&iss=[^&]*", "", callback))
    assert "does not say which provider it is from" in person.text


def test_forged_code(coordinator, idp, person):
    callback = answer_held_back(person, coordinator, idp)
    person.open(re.sub(r"code=[^&]*", "code=forged", callback))
    assert "did not take the code" in person.text
    person.look("forged-code")


def test_provider_goes_away(coordinator, idp, person):
    callback = answer_held_back(person, coordinator, idp)
    with idp.away():
        person.open(callback)
    assert "cannot be asked for a token" in person.text
    person.look("provider-away")
    # Where the provider still knows who it is.
    person.open(coordinator.url)
    person.press("Continue with Example Corp")
    person.wait(lambda _: person.url == f"{coordinator.url}/", "signed in")
    assert "Your devices" in person.text


def test_person_who_declines(coordinator, idp, person):
    person.open(coordinator.url)
    person.press("Continue with Example Corp")
    person.press("[ Cancel ]")
    person.wait(lambda _: not person.url.startswith(idp.issuer), "back from the provider")
    assert "did not agree" in person.text
    person.look("declined")


def test_provider_has_new_keys(coordinator, idp, person):
    idp.rotate_keys()
    sign_in(person, coordinator, idp)
    assert "Your devices" in person.text


def test_address_that_is_not_verified(coordinator, idp, person):
    """It is no proof of being that person: alice@example.com stays who she was."""
    idp.tell(email="alice@example.com", email_verified=False)
    sign_in(person, coordinator, idp, login="mallory")
    idp.tell()
    assert "Your devices" not in person.text
    person.look("not-verified")
