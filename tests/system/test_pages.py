"""The coordinator's pages, with curl as the browser: a link sets a password, a link lets a device in."""
import re

import pytest
from browser import Browser
from coordinated import coordinated
from hosts import wait_for

LOGIN, PASSWORD = "bob@example.com", "correct horse battery"


@pytest.fixture(scope="module")
def coord(mesh_once):
    with coordinated(mesh_once) as it:
        yield it


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
