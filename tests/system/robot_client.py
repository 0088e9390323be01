"""The person at the browser outside the machine (tests/sso/robot.py), as the tests inside see them."""
import contextlib
import os
import subprocess
import xmlrpc.client

from hosts import wait_for

OUTSIDE = "10.0.2.100"  # as QEMU's network calls what --outward leads to


class Person:
    """alice = robot.person("alice"); alice.open(url); alice.fill(login="alice"); alice.press("Sign in")"""

    def __init__(self, proxy, name):
        self.proxy, self.name = proxy, name

    def open(self, url):
        return self.proxy.open(self.name, url)

    def fill(self, **fields):
        self.proxy.fill(self.name, fields)

    def press(self, label):
        return self.proxy.press(self.name, label)

    def look(self, name):
        """Nothing is wrong with the page; pictures of it are there for people to look at."""
        self.proxy.look(self.name, name)

    @property
    def text(self):
        return self.proxy.text(self.name)

    @property
    def url(self):
        return self.proxy.url(self.name)


class Robot:
    def __init__(self, proxy):
        self.proxy, self.issuer = proxy, proxy.issuer()

    def person(self, name):
        return Person(self.proxy, name)

    def tell(self, **claims):
        """What the provider says of everybody, over the usual claims."""
        self.proxy.tell(claims)

    def leave(self, login):
        """The provider knows this account no more."""
        self.proxy.say(f"leave {login}")

    def come(self, login):
        self.proxy.say(f"come {login}")

    def rotate_keys(self):
        self.proxy.say("rotate")

    @contextlib.contextmanager
    def away(self):
        """The provider answers nobody."""
        self.proxy.say("away")
        try:
            yield
        finally:
            self.proxy.say("back")

    @contextlib.contextmanager
    def held(self):
        """Who has signed in with the provider is not sent back: the browser shows the URL instead."""
        self.proxy.say("hold")
        try:
            yield
        finally:
            self.proxy.say("let")


@contextlib.contextmanager
def robot(coordinator, port):
    """coordinator: the host it runs on, at this port; it finds the provider at the issuer's address."""
    proxy = xmlrpc.client.ServerProxy(f"http://{OUTSIDE}:{os.environ['PEERGATE_ROBOT']}", allow_none=True)
    idp = proxy.issuer().rsplit(":", 1)[1]
    here = [relay(port, f"TCP:{coordinator.ip4}:{port}"), relay(idp, f"TCP:{OUTSIDE}:{idp}")]
    there = coordinator.popen(relay_command(f"{idp},bind=127.0.0.1", f"TCP:192.0.2.254:{idp}"))
    try:
        wait_for(lambda: coordinator.run(f"nc -z 127.0.0.1 {idp}").returncode == 0, 20, "the way to the provider")
        yield Robot(proxy)
    finally:
        there.close()
        for process in here:
            process.kill()
            process.wait()


def relay_command(listen, to):
    return ["socat", f"TCP-LISTEN:{listen},fork,reuseaddr", to]


def relay(listen, to):
    return subprocess.Popen(relay_command(listen, to))
