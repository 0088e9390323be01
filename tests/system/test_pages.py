"""The coordinator's pages, with curl as the browser: a link sets a password, a link lets a device in."""
import html
import re

import pytest
from coordinated import coordinated
from hosts import wait_for

LOGIN, PASSWORD = "bob@example.com", "correct horse battery"


@pytest.fixture(scope="module")
def coord(mesh_once):
    with coordinated(mesh_once) as it:
        yield it


class Browser:
    """On a host. Keeps cookies; fills in the forms of the page that it has."""

    def __init__(self, host, ca):
        self.host, self.page = host, ""
        self.curl = ["curl", "-sS", "--cacert", ca, "-b", "/root/jar", "-c", "/root/jar", "-w", "\n%{http_code} %{redirect_url}"]
        host.run("rm -f /root/jar")

    def _ask(self, *args):
        said = self.host.run([*self.curl, *args], check=True, timeout=60).stdout
        self.page, _, tail = said.rpartition("\n")
        status, _, where = tail.partition(" ")
        if status == "303":
            return self.open(where)
        return int(status)

    def open(self, url):
        return self._ask(url)

    def submit(self, url, path, **fields):
        """Send the form of the page that posts to the path."""
        form = re.search(rf'<form method="post" action="{re.escape(path)}">(.*?)</form>', self.page, re.S)[1]
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
            fields.setdefault(name, html.unescape(value))
        data = [arg for name, value in fields.items() for arg in ("--data-urlencode", f"{name}={value}")]
        return self._ask(*data, url + path)


def path_of(coord, url):
    assert url.startswith(coord.url + "/")
    return url[len(coord.url):]


def test_password_link_then_device(coord):
    """Nobody types a command on the coordinator: who has the link sets a password, signs in, and lets the device in."""
    phone = coord.mesh.phone
    b = Browser(coord.host, "/etc/peergate/coord.pem")
    link = re.search(r"https://\S+/set-password/\S+", coord.ctl(f"users password-link {LOGIN}").stdout)[0]
    assert b.open(link) == 200 and LOGIN in b.page
    assert b.submit(coord.url, path_of(coord, link), password=PASSWORD, again=PASSWORD) == 200
    assert b.open(link) == 404

    phone.host.run("agentctl logout --accept-risk=lose-ssh", check=True)
    coord.ctl("nodes delete phone")
    with phone.host.popen(["agentctl", "up", "--coordinator", coord.url]) as up:
        url = up.out.read_until(r"(https://\S+/a/[a-z2-7]{26})", 60)[1]
        # To sign in first, and back to the device.
        assert b.open(url) == 200 and "<h1>Sign in</h1>" in b.page
        assert b.submit(coord.url, "/login", login=LOGIN, password="wrong") == 403
        assert b.submit(coord.url, "/login", login=LOGIN, password=PASSWORD) == 200
        assert "<h1>Add this device?</h1>" in b.page and "phone" in b.page and phone.host.ip4 in b.page
        assert not any(n["name"] == "phone" for n in coord.ask("nodes list")["nodes"])
        assert b.submit(coord.url, path_of(coord, url), answer="yes") == 200 and "It is in" in b.page
        assert up.wait(30) == 0, up.err.read_rest()
    said = next(n for n in coord.ask("nodes list")["nodes"] if n["name"] == "phone")
    assert said["user"] == LOGIN
    coord.learn(phone)
    wait_for(lambda: "no SSH rule lets bob@example.com" in coord.mesh.ssh("root@server id", node=phone).stderr, 30,
             "the phone reaches the server")


def test_lock_out(coord):
    """From the page of who owns it: the device is out at once."""
    phone = coord.mesh.phone
    coord.wait_connected(phone)
    b = Browser(coord.host, "/etc/peergate/coord.pem")
    assert b.open(coord.url + "/") == 200 and "<h1>Sign in</h1>" in b.page
    assert b.submit(coord.url, "/login", login=LOGIN, password=PASSWORD) == 200
    assert "<h3>phone</h3>" in b.page and "<h3>laptop</h3>" not in b.page
    assert b.submit(coord.url, f"/devices/{phone.id}/expire") == 200
    wait_for(lambda: phone.ip4 not in coord.mesh.server.host.run("agentctl peers --json").stdout, 10, "the server knows", 0.5)


def test_restart_signs_nobody_out(coord):
    b = Browser(coord.host, "/etc/peergate/coord.pem")
    b.open(coord.url + "/login")
    assert b.submit(coord.url, "/login", login=LOGIN, password=PASSWORD) == 200
    coord.host.run("systemctl restart peergate-coord", check=True)
    coord.host.wait_active("peergate-coord")
    assert b.open(coord.url + "/") == 200 and "<h1>Your devices</h1>" in b.page
    # The form of before the restart is as good.
    assert b.submit(coord.url, "/logout") == 200
    assert b.open(coord.url + "/") == 200 and "<h1>Sign in</h1>" in b.page
