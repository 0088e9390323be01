"""All pages of the coordinator as people come by them: each is looked at (look.py), from the narrowest phone to a wide screen."""
import base64
import hashlib
import hmac
import subprocess
import time

import pytest
from programs import BUILD, free_port

ALICE, BOB = "alice@example.com", "bob@example.com"
PASSWORD = "correct horse battery"
NOBODYS = "a" * 26  # an id of nothing


class Pages:
    """serve.c: a coordinator in memory, with people, devices, and things that wait for an answer."""

    def __init__(self, *arguments):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([BUILD / "tests/sso/serve", str(port), *arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.paths = {}
        while "set-password" not in self.paths:
            self._read()

    def _read(self):
        line = self.process.stdout.readline()
        assert line, "the coordinator did not start"
        name, path = line.split()
        self.paths[name] = path
        return self.url + path

    def __getitem__(self, name):
        return self.url + self.paths[name]

    def ask(self):
        """A login waits from now on. Return: where it is answered."""
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        return self._read()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0, "the coordinator ended badly"


@pytest.fixture
def pages(request):
    pages = Pages(*getattr(request, "param", ()))
    yield pages
    pages.end()


def sign_in(person, pages, login=ALICE, password=PASSWORD):
    if "/login" not in person.url:
        person.open(pages.url + "/login")
    person.fill(login=login, password=password)
    person.press("Sign in")


@pytest.fixture
def alice(pages, person):
    sign_in(person, pages)
    return person


def totp(secret, step):
    """RFC 6238, as in coord/accounts/totp.h."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset:offset + 4], 'big') & 0x7fffffff) % 1000000:06}"


def test_password_by_link(pages, person):
    person.open(pages["set-password"])
    person.look("set-password", "Set your password")
    # Browsers refuse it before the coordinator can.
    person.driver.execute_script("document.querySelector('form').noValidate = true")
    person.fill(password="short", again="short")
    person.press("Set the password")
    person.look("set-password-refused", "Set your password")
    person.fill(password=PASSWORD, again=PASSWORD)
    person.press("Set the password")
    person.look("set-password-done", "Your password is set")
    person.open(pages["set-password"])
    person.look("set-password-used", "This link is of no use")


def test_sign_in_and_out(pages, person):
    person.open(pages["enrol"])
    person.look("login-for-a-device", "Sign in")
    sign_in(person, pages, password="wrong")
    person.look("login-wrong", "Sign in")
    sign_in(person, pages)
    assert person.url == pages["enrol"]
    person.press("Sign out")
    person.look("login", "Sign in")


def test_what_is_not_for_you(pages, person):
    person.open(pages["check"])
    sign_in(person, pages, BOB)
    person.look("check-not-for-you", "This is not for you")
    person.open(pages.url)
    person.look("home-empty", "Your devices")
    person.open(pages.url + "/admin/nodes")
    person.look("admin-refused", "This page is not for you")


def test_devices(pages, alice):
    alice.look("home", "Your devices")
    alice.unfold("Lock it out")
    alice.look("home-lock-out", "Your devices")
    alice.open(pages["enrol"])
    alice.look("enrol", "Add this device?")
    alice.press("Yes, it is mine")
    alice.look("enrol-done", "It is in")
    alice.open(pages["enrol-no"])
    alice.press("No, turn it away")
    alice.look("enrol-turned-away", "It was turned away")
    alice.open(f"{pages.url}/a/{NOBODYS}")
    alice.look("enrol-no-such-link", "This link is of no use")


def test_checks(pages, alice):
    """Who has signed in since the login was asked for needs no more than a yes."""
    alice.open(pages["check"])
    alice.look("check-fresh", "Is this login yours?")
    alice.press("Let it in")
    alice.look("check-let-in", "It is let in")
    alice.open(pages["check-many"])
    alice.look("check-many", "Is this login yours?")
    alice.press("Turn it away")
    alice.look("check-turned-away", "It was turned away")
    alice.open(f"{pages.url}/check/{NOBODYS}")
    alice.look("check-ran-out", "Nothing waits here any more")


def test_check_that_needs_the_password(pages, alice):
    """Who signed in before the login was asked for."""
    alice.open(pages["check"])
    alice.press("Let it in")
    alice.open(pages.ask())
    alice.look("check", "Is this login yours?")
    alice.fill(password="wrong")
    alice.press("Let it in")
    alice.look("check-wrong-password", "Is this login yours?")
    alice.fill(password=PASSWORD)
    alice.press("Let it in")
    alice.look("check-let-in-by-password", "It is let in")


def test_code_of_an_app(pages, alice):
    alice.open(pages.url + "/code")
    alice.look("code", "Ask for a code as well")
    secret = alice.driver.find_element("name", "secret").get_attribute("value")
    step = int(time.time()) // 30
    alice.fill(code=totp(secret, step - 10), password=PASSWORD)
    alice.press("Use it from now on")
    alice.look("code-wrong", "Ask for a code as well")
    alice.fill(code=totp(secret, step), password=PASSWORD)
    alice.press("Use it from now on")
    alice.open(pages.url + "/code")
    alice.look("code-set", "A code is asked for")
    alice.press("Sign out")
    sign_in(alice, pages)
    alice.look("login-code", "Enter the code of your app")
    # No code is good twice; one of the next half minute is good already.
    alice.fill(code=totp(secret, step + 1))
    alice.press("Sign in")
    alice.look("home-with-code", "Your devices")


def test_pages_of_who_looks_after_it(pages, alice):
    for name in ("Nodes", "Policy", "Events"):
        alice.open(f"{pages.url}/admin/{name.lower()}")
        alice.look(f"admin-{name.lower()}", name)
    alice.open(pages["node"])
    alice.look("admin-node", "db1")


def test_no_such_page(pages, person):
    person.open(pages.url + "/nonsense")
    person.look("no-such-page", "There is no such page")


@pytest.mark.parametrize("pages", [["provider"]], indirect=True)
def test_provider_that_does_not_answer(pages, person):
    person.open(pages.url + "/login")
    person.look("login-with-provider", "Sign in")
    person.press("Continue with Example Corp")
    person.look("provider-down", "Signing in is not possible there at the moment")
