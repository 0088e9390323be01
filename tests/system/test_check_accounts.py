"""Logins that a person has to confirm, whole, with built-in accounts: ssh, gateway, agent, coordinator, and curl as the
browser. With a real provider and a real browser: test_sso.py."""
import contextlib
import time

import pytest
from checked import DENIED, PASSWORD, PERSON, Person, ask_everybody, ceiling, held, let_in, script, turned_away
from coordinated import coordinated
from hosts import wait_for

pytestmark = pytest.mark.limit(300)
# A hundred take minutes under emulation; so many it is in unit/test-link-coord.c.
MANY = 30


@pytest.fixture(scope="module")
def coord(mesh_once):
    with coordinated(mesh_once) as coord:
        coord.wait_connected()
        yield coord


@pytest.fixture(scope="module")
def alice(coord):
    return Person(coord, "alice@example.com")


@pytest.fixture(scope="module")
def bob(coord):
    return Person(coord, "bob@example.com")


@pytest.fixture
def always(coord):
    """Everybody is asked, each time."""
    ask_everybody(coord, "always")


def expect_nothing_held(coord):
    """Neither by the coordinator nor by the gateway."""
    wait_for(lambda: coord.metric("checks_held") == 0, 30, "no host waits for an answer")
    wait_for(lambda: coord.host.run("pgrep -f ^peergate-sshgw-'(monitor|net)'").returncode, 60, "no process of the gateway's")


def test_asked_each_time(coord, alice, always):
    """What was confirmed a moment ago does not count; a script fails at once, and says why."""
    asked = set()
    for _ in range(2):
        with held(coord) as login:
            asked.add(login.url)
            wait_for(lambda: coord.metric("checks_held") == 1, 30, "the server waits for the answer")
            assert alice.open(login.url) == 200 and "No login waits" not in alice.page
            alice.approve(login)
            let_in(login)
            refused = script(coord)
            assert refused.returncode == 255 and "needs a check that it is you" in refused.stderr, refused.stderr
    assert len(asked) == 2


def test_only_its_owner_and_only_there(coord, alice, bob, always):
    """Not who has the link, not a form from elsewhere, not a browser that somebody left signed in."""
    with held(coord) as login:
        assert bob.open(login.url) == 403
        assert "This is not for you" in bob.page and login.code not in bob.page and "alice" not in bob.page
        assert bob.browser.post(login.url, answer="yes", password=PASSWORD) == 403
        assert alice.open(login.url) == 200
        assert alice.browser.post(login.url, answer="yes", password=PASSWORD) == 400
        assert alice.answer(login, password="") == 403
        assert alice.answer(login, password="wrong") == 403
        assert login.poll() is None
        alice.approve(login)
        let_in(login)
    assert coord.events("check.approve")[-1]["actor"] == "alice@example.com"


def test_denied(coord, alice, always):
    with held(coord) as login:
        assert alice.answer(login, "no") == 200 and "It was turned away" in alice.page
        turned_away(login, DENIED)
    expect_nothing_held(coord)
    # There is no way back.
    assert alice.open(login.url) == 200 and "It was turned away" in alice.page


def test_nobody_answers(coord, alice, always):
    with ceiling(coord.mesh.hosts, "CheckTimeout=5s"), held(coord) as login:
        turned_away(login, "Peergate: nobody confirmed the login in time")
    expect_nothing_held(coord)


def test_client_goes_away(coord, alice, always):
    began = time.time()
    with held(coord) as login:
        login.kill()
    expect_nothing_held(coord)
    # Its page says so, and a yes that comes now lets nobody in.
    assert alice.open(login.url) == 200 and "No login waits at the moment" in alice.page
    alice.approve(login)
    assert not coord.host.journal(since=began, grep="Accepted login")
    assert script(coord).returncode == 255


def test_rule_goes(coord, alice, always):
    with held(coord) as login:
        alice.open(login.url)
        coord.set_policy(ssh="")
        # The host knows by its map, the coordinator by its policy: whoever is first says so.
        turned_away(login, "no SSH rule lets alice@example.com|no rule lets people log in from laptop to server as root")
    expect_nothing_held(coord)


@pytest.mark.limit(600)
def test_many_logins_of_one_person(coord, alice, always):
    """One page, one answer, and all are in."""
    laptop, server = coord.mesh.laptop.host, coord.mesh.server.host
    options = f"MaxHeldLoginsPerPeer={MANY}", f"MaxUnauthenticatedPerPeer={MANY}", "LoginGraceTime=5m"
    with ceiling(coord.mesh.hosts, *options, reload=True), many_logins(laptop, server) as many:
        began, wall = time.monotonic(), time.time()
        many.start()
        held_after = time.monotonic() - began
        assert many.count("sort -u *.err | grep -c '^  Code'") == 1, "one code for all"
        many.url, many.code = many.shown("Open"), many.shown("Code")
        asked = [check["logins"] for check in coord.ask("checks list")["waiting"] if check["code"] == many.code]
        assert len(asked) == 1 and len(asked[0]) == 1, asked
        # Each asks anew now and then.
        wait_for(lambda: coord.metric("checks_held") == MANY, 30, "all of them are held")
        processes = server.run("pgrep -fc ^peergate-sshgw-'(monitor|net)'").stdout
        assert int(processes) == 2 * MANY
        memory = pss_of_gateway(server)
        alice.approve(many)
        answered = time.monotonic()
        wait_for(lambda: len(server.journal(since=wall, grep="Accepted login")) == MANY, 120, "all are let in", 2)
        # What takes time then is logind.
        wait_for(lambda: many.count("cat *.out | grep -cx 0") == MANY, 240, "all have done their work", 2)
        took = time.monotonic() - answered
        print(f"{MANY} held after {held_after:.0f} s, {memory / MANY:.0f} KiB each; done {took:.0f} s after the answer")
        # Two processes for each, most of whose memory is the libraries' and shared.
        assert memory < MANY * 8 * 1024
        wait_for(lambda: many.count("cat *.status | grep -cx 0") == MANY, 60, "all have ended well", 2)
    expect_nothing_held(coord)


class Many:
    """So many ssh at a time, which a host starts in batches: it is slow."""

    def __init__(self, host):
        self.host = host

    def start(self, batch=15):
        for last in range(batch, MANY + 1, batch):
            self.host.run(f"""
                mkdir -p /tmp/many && cd /tmp/many
                for i in $(seq {last - batch + 1} {last}); do
                    ({PERSON} -o KexAlgorithms=curve25519-sha256 root@server 'id -u' </dev/null >$i.out 2>$i.err
                     echo $? >$i.status) &
                done""", check=True)
            wait_for(lambda last=last: self.count("grep -l '^Waiting for' *.err | wc -l") == last, 120, f"{last} wait", 2)

    def count(self, command):
        return int(self.host.run(f"cd /tmp/many && {command}").stdout)

    def shown(self, what):
        """By the first of them, as by all others."""
        return self.host.run(f"sed -n 's/^  {what} *//p' /tmp/many/1.err", check=True).stdout.strip()


@contextlib.contextmanager
def many_logins(host, server):
    """Without a manager of systemd's that comes and goes with them."""
    server.run("loginctl enable-linger root", check=True)
    try:
        yield Many(host)
    finally:
        host.run("pkill -f KexAlgorithms=curve25519; rm -rf /tmp/many")
        server.run("loginctl disable-linger root")


def pss_of_gateway(host):
    """KiB."""
    return int(host.run("for pid in $(pgrep -f ^peergate-sshgw-'(monitor|net)'); do grep ^Pss: /proc/$pid/smaps_rollup; done"
                        " | awk '{ kib += $2 } END { print kib }'", check=True).stdout)


def test_remembered_for_the_period_and_codes_of_an_app(coord, bob):
    """Within the period nobody is asked, after it they are, and by then a code is asked for as well."""
    phone = coord.mesh.phone
    ask_everybody(coord, "1m")
    with held(coord, phone) as login:
        bob.approve(login)
        approved = time.monotonic()
        let_in(login)
    assert script(coord, phone).stdout == "0\n"
    app = bob.set_up_app()
    time.sleep(max(0, approved + 61 - time.monotonic()))
    assert "needs a check that it is you" in script(coord, phone).stderr
    with held(coord, phone) as login:
        assert bob.answer(login) == 403, "there is no code"
        assert bob.answer(login, code=app.again()) == 403, "the code was used"
        assert login.poll() is None
        bob.approve(login, code=app.fresh())
        let_in(login)
    event = coord.events("check.approve")[-1]
    assert event["actor"] == "bob@example.com" and "password+totp" in str(event), event
    # And for signing in, at a browser that was never here.
    bob.sign_out()
    assert bob.open(coord.url + "/") == 200 and "Enter the code of your app" in bob.page
    assert bob.submit("/login/code", code=app.again()) == 403, "the code was used"
    assert bob.submit("/login/code", code=app.fresh()) == 200 and "Your devices" in bob.page
