"""The coordinator speaks plain HTTP on the loopback, and nginx or Caddy TLS in front of it."""
import time

import pytest
from coordinated import CA, coordinated
from hosts import wait_for
from logins import client, gone_after, session_pids
from pace import WITHIN
from proxies import BARE_PORT, ERRORS, Caddy, Nginx

READ_TIMEOUT = 60  # nginx's proxy_read_timeout, unless it is told otherwise


@pytest.fixture(scope="module")
def coord_once(mesh_once):
    with coordinated(mesh_once, proxy=Nginx()) as coord:
        yield coord


@pytest.fixture
def coord(coord_once):
    yield coord_once
    coord_once.set_policy()


@pytest.fixture(scope="module")
def behind_caddy(coord_once):
    """From here on: another proxy at the same address."""
    coord_once.proxy.stop(coord_once.host)
    coord_once.proxy = Caddy()
    coord_once.proxy.start(coord_once.host)
    return coord_once


def enrolled_from(coord, node):
    """Where the audit log says that the node enrolled from."""
    return [event["from"] for event in coord.events("node.enrol") if event["object"] == node.id]


def policy_change_takes(coord):
    wait_for(lambda: coord.mesh.ssh("root@server true").returncode == 0, 20, "the usual policy is in force")
    with client(coord.mesh, "sleep 5000"):
        pids = session_pids(coord.mesh, "alice", "sleep 5000")
        took = gone_after(coord.host, pids, lambda: coord.put_policy(ssh=""))
    print(f"from the policy's acceptance to the last process gone: {1000 * took:.0f} ms")
    return took


def lost(node, since):
    return node.host.journal(unit="peergate-agent", since=since, grep="backoff")


def test_nginx_hosts_join_and_log_in(coord):
    mesh = coord.mesh
    assert mesh.ssh("root@server id -u").stdout == "0\n"
    assert "no SSH rule lets bob@example.com" in mesh.ssh("root@server id", node=mesh.phone).stderr
    coord.wait_connected()


def test_nginx_says_who_asks(coord):
    mesh = coord.mesh
    for node in mesh.nodes:
        assert enrolled_from(coord, node) == [node.host.ip4]
    nodes = {node["name"]: node for node in coord.ask("nodes list")["nodes"]}
    assert nodes["laptop"]["seen"] == mesh.laptop.host.ip4 and not nodes["laptop"]["behind_nat"]


def test_nginx_that_does_not_say_who_asks(coord):
    """Told nothing but where to pass requests: all works, but every host seems to be the proxy, and that is said."""
    phone = coord.mesh.phone
    assert "reverse proxy" not in coord.ctl("status").stdout
    coord.join_again(phone, f"https://{coord.host.ip4}:{BARE_PORT}")
    assert enrolled_from(coord, phone) == ["127.0.0.1"]
    assert "a reverse proxy does not hand on Host" in coord.ctl("status").stdout
    wait_for(lambda: "no SSH rule lets bob@example.com" in coord.mesh.ssh("root@server id", node=phone).stderr, 30,
             "the phone reaches the server")


def test_nginx_stream_outlives_its_time_limit(coord):
    """Nothing changes for longer than nginx waits for a byte: it hears the keepalives."""
    mesh, began = coord.mesh, time.time()
    coord.wait_connected()
    before = coord.metric("streams_started_total")
    time.sleep(READ_TIMEOUT + 5)
    assert coord.metric("streams_started_total") == before
    assert not any(lost(node, began) for node in mesh.nodes)
    assert "timed out" not in coord.host.read(ERRORS)
    # And still says what is new, at once.
    assert policy_change_takes(coord) < WITHIN


def test_nginx_passes_on_what_is_held(coord):
    """Somebody has to say yes, and takes a while."""
    phone = coord.mesh.phone
    phone.host.run("agentctl logout --accept-risk=lose-ssh", check=True)
    coord.ctl("nodes delete phone")
    with phone.host.popen(["agentctl", "up", "--coordinator", coord.url]) as up:
        code = up.out.read_until(r"coordctl nodes approve ([A-Z0-9-]+)", 60)[1]
        coord.ctl(f"nodes approve {code} --user bob@example.com")
        assert up.wait(30) == 0, up.err.read_rest()
    coord.learn(phone)
    assert coord.events("node.ask")[-1]["from"] == phone.host.ip4


def status_by_api_key(coord, node):
    key = coord.ask("apikeys create --scope nodes:read")["key"]
    said = node.host.run(f"curl -sS --cacert {CA} -H 'Authorization: Bearer {key}' -w '%{{http_code}}' "
                         f"-o /dev/null {coord.url}/v1/admin/nodes", check=True)
    return said.stdout


def test_nginx_says_that_it_spoke_tls(coord):
    """Without that an API key would be taken for one that was sent in the clear."""
    assert status_by_api_key(coord, coord.mesh.laptop) == "200"


def test_caddy_takes_over(coord, behind_caddy):
    """Agents connect through it by themselves, and go on where they were."""
    coord.wait_connected()
    assert coord.metric('resumes_total{type="full"}') == 0
    assert policy_change_takes(coord) < WITHIN


def test_caddy_host_joins(coord, behind_caddy):
    phone = coord.mesh.phone
    coord.join_again(phone)
    assert enrolled_from(coord, phone) == [phone.host.ip4]
    assert status_by_api_key(coord, phone) == "200"
    wait_for(lambda: "no SSH rule lets bob@example.com" in coord.mesh.ssh("root@server id", node=phone).stderr, 30,
             "the phone reaches the server")
