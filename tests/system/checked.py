"""Logins under a rule that says "check", with the coordinator that there is (coordinated.py); and somebody who has an
account there, and curl as the browser."""
import base64
import contextlib
import hmac
import html
import re
import struct
import time

from browser import Browser
from coordinated import CERTIFICATE

RULE = """{ "action": "check", "src": ["alice@example.com", "bob@example.com"], "dst": ["tag:prod"], "users": ["root"],
		  "checkPeriod": "%s" },"""
# As a person uses it; a person has no time-outs.
PERSON = "ssh -o LogLevel=INFO -o ConnectTimeout=100"
PASSWORD = "correct horse battery"
GATEWAY = "SSH=yes\nPermitRootLogin=yes\n"
DENIED = "Peergate: the login was denied on the page of its check"


@contextlib.contextmanager
def ceiling(hosts, *lines, reload=False):
    """Further lines of sshgw.conf; reload: that the listener is to know."""
    apply = "systemctl reload-or-restart peergate-sshgw.service" if reload else "true"
    hosts.server.write("/etc/peergate/sshgw.conf", GATEWAY + "".join(line + "\n" for line in lines))
    hosts.server.run(apply, check=True)
    try:
        yield
    finally:
        hosts.server.write("/etc/peergate/sshgw.conf", GATEWAY)
        hosts.server.run(apply, check=True)


def ask_everybody(coord, period):
    """A rule that says "check" for that long, and nobody is remembered."""
    coord.set_policy(ssh=RULE % period)
    for login in coord.people.values():
        coord.ctl(f"checks revoke {login}")
    coord.wait_connected()


@contextlib.contextmanager
def held(coord, node=None, command="root@server 'echo in as $(id -un); cat'"):
    """A login that waits for its person: .url and .code are what the terminal shows."""
    with (node or coord.mesh.laptop).host.popen(f"{PERSON} {command}") as login:
        login.url = login.err.read_until(rf"Open +({re.escape(coord.url)}/check/\w+)", 60)[1]
        login.code = login.err.read_until(r"Code +(\d{3}-\d{3})", 10)[1]
        login.err.read_until(rf"^Waiting for \S+ \(code {login.code}\)", 60)
        yield login


def let_in(login):
    login.out.read_until("in as root", 90)


def turned_away(login, text):
    """With that reason, and not as a failure of the connection."""
    login.err.read_until(text, 60)
    assert "Permission denied" in login.err.read_rest()
    assert login.wait() == 255


def script(coord, node=None):
    """What a script gets that may ask nobody."""
    return coord.mesh.ssh("root@server id -u", node=node)


class Person:
    """Somebody with a built-in account, who sets their password by the link that was sent to them."""

    def __init__(self, coord, login):
        self.coord, self.login = coord, login
        self.browser = Browser(coord.host, CERTIFICATE, jar=f"/root/jar-{login}")
        link = re.search(r"https://\S+/set-password/\S+", coord.ctl(f"users password-link {login}").stdout)[0]
        assert self.browser.open(link) == 200
        assert self.submit(link[len(coord.url):], password=PASSWORD, again=PASSWORD) == 200

    @property
    def page(self):
        return self.browser.page

    def submit(self, path, **fields):
        return self.browser.submit(self.coord.url, path, **fields)

    def sign_out(self):
        """Somebody at a browser that has never been here."""
        self.browser = Browser(self.coord.host, CERTIFICATE, jar=f"/root/jar-{self.login}")

    def open(self, url):
        """Signs in on the way, if need be."""
        status = self.browser.open(url)
        if "<h1>Sign in</h1>" in self.page:
            status = self.submit("/login", login=self.login, password=PASSWORD)
        return status

    def answer(self, login, answer="yes", **fields):
        """What the page of the login's check asks for besides is filled in."""
        assert self.open(login.url) == 200 and login.code in self.page, self.page
        if 'name="password"' in self.page:
            fields.setdefault("password", PASSWORD)
        return self.submit(login.url[len(self.coord.url):], answer=answer, **fields)

    def approve(self, login, **fields):
        assert self.answer(login, **fields) == 200 and "It is let in" in self.page, self.page

    def set_up_app(self):
        """Codes are asked for from now on."""
        self.open(self.coord.url + "/code")
        app = App(html.unescape(re.search(r'name="secret" value="([^"]+)"', self.page)[1]))
        assert self.submit("/code", code=app.fresh(), password=PASSWORD) == 200, self.page
        return app


class App:
    """Of the codes that are good at a time (RFC 6238) it shows the oldest that was not shown before."""

    def __init__(self, secret):
        self.key, self.shown = base64.b32decode(secret + "=" * (-len(secret) % 8)), 0

    def fresh(self):
        # The one of the step before is good, too, but not for long.
        self.shown = max(int(time.time() + 20) // 30 - 1, self.shown + 1)
        time.sleep(max(0, (self.shown - 1) * 30 - time.time()))
        return self.again()

    def again(self):
        """The one that was shown last."""
        digest = hmac.digest(self.key, struct.pack(">Q", self.shown), "sha1")
        at = digest[-1] & 15
        return "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7fffffff) % 1000000)
