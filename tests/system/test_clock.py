"""Somebody sets the wall clock: what expires goes by the new time, both ways."""
import contextlib
import time

import pytest
from hosts import wait_for
from logins import client, in_a_while, session_pids, wake_tunnel
from mesh import login_processes


def set_clock(seconds):
    """Forward, or back; of the machine, and so of all its hosts."""
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


@contextlib.contextmanager
def clock_ahead(seconds):
    set_clock(seconds)
    try:
        yield
    finally:
        set_clock(-seconds)


@pytest.fixture(autouse=True)
def fresh_tunnels(mesh):
    """A handshake of the future makes WireGuard refuse those of the present: it knows the newest time."""
    yield
    for node in mesh.nodes:
        node.host.run("systemctl stop peergate-agent; ip link del mesh0; systemctl start peergate-agent", check=True)
    wait_for(lambda: mesh.ssh("-o ConnectTimeout=5 alice@100.64.0.1 true").returncode == 0, 60, "a login")


def has_peer(mesh):
    return mesh.laptop.key in mesh.server.host.run("wg show mesh0 peers", check=True).stdout


def test_key_that_a_wrong_clock_expired(mesh):
    """By a clock that is two hours ahead the key has expired; when it is put right, it has not."""
    wake_tunnel(mesh)
    mesh.laptop.key_expiry, _ = in_a_while(3600)
    mesh.apply(mesh.server)
    server, began = mesh.server.host, time.time()
    with client(mesh, "sleep 4750"):
        session_pids(mesh, "alice", "sleep 4750")
        with clock_ahead(7200):
            wait_for(lambda: not login_processes(server, "alice"), 15, "end of the session")
            wait_for(lambda: not has_peer(mesh), 15, "removal of the peer")
        # No new map, no restart: the clock alone.
        wait_for(lambda: has_peer(mesh), 15, "return of the peer")
    assert server.journal(since=began, grep="The wall clock was set")
    wait_for(lambda: mesh.ssh("-o ConnectTimeout=5 alice@100.64.0.1 id -un").stdout == "alice\n", 60, "a login")


def test_lease_by_the_clock_while_the_agent_is_away(mesh):
    """The monitor's own timer goes by the clock as well: nobody else is there."""
    wake_tunnel(mesh)
    mesh.laptop.key_expiry, _ = in_a_while(3600)
    mesh.apply(mesh.server)
    server = mesh.server.host
    with client(mesh, "sleep 4751") as ssh:
        session_pids(mesh, "alice", "sleep 4751")
        server.run("systemctl stop peergate-agent", check=True)
        try:
            with clock_ahead(-7200):
                time.sleep(2)
                assert login_processes(server, "alice")
            with clock_ahead(7200):
                wait_for(lambda: not login_processes(server, "alice"), 15, "end of the session")
                ssh.err.read_until("has run out", 15)
        finally:
            server.run("systemctl start peergate-agent", check=True)
