"""The agent's side of the coordinator: up, login, down, and what it does while nobody is there.

The coordinator is that of tests/coordinator (linked.py).
"""
import re

import pytest
from hosts import wait_for
from linked import SSH, URL, link, linked, pings, status, wait_state


@pytest.fixture(scope="module")
def coordinator(hosts, tmp_path_factory):
    with linked(tmp_path_factory.mktemp("coordinator"), hosts.server, hosts.laptop, hosts.phone) as coordinator:
        yield coordinator


@pytest.fixture(scope="module")
def members(hosts, coordinator):
    """100.64.0.1 is the server, .2 the laptop; the phone waits to be approved, as .3."""
    for host, options in ((hosts.server, "--ssh"), (hosts.laptop, "")):
        result = host.run(f"agentctl up --auth-key-file /root/auth.key {options}")
        assert result.returncode == 0, result.stderr
        assert f"Connected to {URL} as {host.name}.mesh.example." in result.stdout
    return hosts


def join_approved(phone, coordinator):
    with phone.popen(f"agentctl up --coordinator-key {coordinator.key}") as up:
        code = up.out.read_until(r"Code +(CODE-n\d+)\s")[1]
        assert up.poll() is None
        assert code in phone.run("agentctl status").stdout
        assert coordinator.say("approve") == "done"
        up.out.read_until("Connected to")
        assert up.wait() == 0


@pytest.fixture
def phone(members, coordinator):
    """It is a member, whichever tests came before."""
    if link(members.phone)["state"] != "connected":
        join_approved(members.phone, coordinator)
    return members.phone


def test_joins_by_auth_key(members):
    server = status(members.server)
    assert server["mapSource"] == URL and server["nodeName"] == "server"
    assert server["ssh"] and server["link"]["state"] == "connected"
    # Used, and not kept.
    assert "pgauth" not in members.server.read("/var/lib/peergate/link.json")
    wait_for(lambda: pings(members.laptop, "100.64.0.1"), 40, "the laptop reaches the server")
    login = members.laptop.run(f"{SSH} root@100.64.0.1 hostname")
    assert login.stdout == "server\n", login.stderr


def test_keys_are_the_agents_alone(members):
    for name in ("link.json", "machine.key", "node.key"):
        assert members.server.run(f"stat -c '%a %U' /var/lib/peergate/{name}").stdout == "600 peergate\n"


def test_waits_for_approval(members, coordinator):
    join_approved(members.phone, coordinator)
    wait_for(lambda: pings(members.phone, "100.64.0.1"), 40, "the phone reaches the server")


def test_says_how_it_reaches_a_peer(members):
    result = members.laptop.run("agentctl ping server")
    assert result.returncode == 0, result.stdout
    assert re.search(rf"server \(100.64.0.1\) answers in [\d.]+ ms, directly by {members.server.ip4}:51820",
                     result.stdout)
    assert members.laptop.run("agentctl ping nosuchnode").returncode == 1


def test_new_keys_under_an_open_session(members):
    """Both ends change their keys; the session does not notice."""
    with members.laptop.popen(f"{SSH} root@100.64.0.1 'echo begun; cat; echo ended'") as session:
        session.out.read_until("begun")
        for host in (members.server, members.laptop):
            before = host.run("agentctl pubkey").stdout
            result = host.run("agentctl login")
            assert result.returncode == 0, result.stdout + result.stderr
            assert host.run("agentctl pubkey").stdout != before
        session.stdin.write(b"still here\n")
        session.out.read_until("still here")
        session.stdin.close()
        session.out.read_until("ended")
        assert session.wait() == 0


def test_goes_on_without_the_coordinator(members, phone, coordinator):
    """A host that starts while nobody is there has its last map; then the stream is resumed."""
    coordinator.say("stop")
    wait_state(members.laptop, "backoff")
    members.laptop.run("systemctl restart peergate-agent", check=True)
    wait_for(lambda: status(members.laptop).get("generation"), 40, "the last map")
    assert link(members.laptop)["state"] != "connected"
    assert pings(members.laptop, "100.64.0.1", 3)
    assert members.laptop.run("agentctl status").returncode == 1
    coordinator.say("start")
    for host in (members.laptop, members.server, members.phone):
        wait_state(host, "connected", 90)
    assert pings(members.laptop, "100.64.0.1", 3)


def test_down_and_up(members, phone):
    assert members.phone.run("agentctl down").returncode == 0
    assert not pings(members.phone, "100.64.0.1")
    members.phone.run("systemctl restart peergate-agent", check=True)
    wait_state(members.phone, "down")
    assert members.phone.run("agentctl up").returncode == 0
    wait_for(lambda: pings(members.phone, "100.64.0.1"), 40, "the phone reaches the server")


def test_expired_key(members, coordinator):
    coordinator.say("expire laptop")
    wait_state(members.laptop, "key-expired")
    assert "agentctl login" in members.laptop.run("agentctl up").stdout
    assert not pings(members.laptop, "100.64.0.1")
    result = members.laptop.run("agentctl login --auth-key-file /root/auth.key")
    assert result.returncode == 0, result.stdout
    wait_for(lambda: pings(members.laptop, "100.64.0.1"), 40, "the laptop reaches the server")
    assert status(members.laptop)["addresses"] == ["100.64.0.2"]


def test_deleted_node_leaves(members, phone, coordinator):
    coordinator.say("delete phone")
    wait_state(members.phone, "deleted")
    assert "no-map" in [w["code"] for w in status(members.phone)["warnings"]]
    assert not pings(members.phone, "100.64.0.1")
    assert members.phone.run("test -e /run/peergate/names").returncode == 1
    assert link(members.server)["state"] == "connected"


def test_logout(members, coordinator):
    assert members.laptop.run("agentctl logout").returncode == 0
    assert link(members.laptop)["state"] == "unenrolled"
    assert not pings(members.laptop, "100.64.0.1")
    assert members.laptop.run("agentctl up --auth-key-file /root/auth.key").returncode == 0
    assert status(members.laptop)["addresses"] == ["100.64.0.2"]


def test_who_may(members):
    """Everybody may look; the group may go down and up; SSH is for root to switch on."""
    laptop = members.laptop
    laptop.add_user("carol")
    laptop.add_user("dave", groups=("peergate",))
    assert laptop.run("agentctl status", user="carol").returncode == 0
    assert "group peergate" in laptop.run("agentctl down", user="carol").stderr
    assert "for root" in laptop.run("agentctl up --ssh", user="dave").stderr
    assert laptop.run("agentctl up", user="dave").returncode == 0
    assert not link(laptop)["ssh"]
