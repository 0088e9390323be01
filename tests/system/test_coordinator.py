"""Hosts that join a coordinator: enrolment, policy, keys; what happens while it is away."""
import json
import time

import pytest
from coordinated import CONFIG, coordinated
from hosts import wait_for
from logins import client, gone_after, session_pids
from mesh import login_processes
from pace import WITHIN


@pytest.fixture(scope="module")
def coord_once(mesh_once):
    with coordinated(mesh_once) as coord:
        yield coord


@pytest.fixture
def coord(coord_once):
    """Everything is up and joined, and the first policy in force."""
    yield coord_once
    coord_once.host.run("systemctl start peergate-coord", check=True)
    coord_once.set_policy()


def generation(mesh, node):
    return mesh.status(node)["generation"]


def test_hosts_that_joined_reach_one_another(coord):
    mesh = coord.mesh
    said = mesh.ssh("root@server id -u")
    assert said.stdout == "0\n" and said.stderr == ""
    assert mesh.ssh("alice@server.mesh.example id -un").stdout == "alice\n"
    refused = mesh.ssh("root@server id", node=mesh.phone)
    assert refused.returncode == 255 and "no SSH rule lets bob@example.com" in refused.stderr


def test_approval(coord):
    """Without an auth key somebody has to say yes; "up" waits for it, and goes on at once."""
    mesh, phone = coord.mesh, coord.mesh.phone
    phone.host.run("agentctl logout --accept-risk=lose-ssh", check=True)
    coord.ctl("nodes delete phone")
    with phone.host.popen(["agentctl", "up", "--coordinator", coord.url]) as up:
        code = up.out.read_until(r"coordctl nodes approve ([A-Z0-9-]+)", 60)[1]
        coord.ctl(f"nodes approve {code} --user bob@example.com")
        assert up.wait(30) == 0, up.err.read_rest()
    coord.learn(phone)
    wait_for(lambda: "no SSH rule lets bob@example.com" in mesh.ssh("root@server id", node=phone).stderr, 30,
             "the phone reaches the server")


def test_policy_change_ends_sessions(coord):
    took = []
    for _ in range(5):
        with client(coord.mesh, "sleep 5000"):
            pids = session_pids(coord.mesh, "alice", "sleep 5000")
            took.append(gone_after(coord.host, pids, lambda: coord.put_policy(ssh="")))
        coord.set_policy()
        wait_for(lambda: coord.mesh.ssh("root@server true").returncode == 0, 20, "alice may log in again")
    print(f"from the policy's acceptance to the last process gone: worst {1000 * max(took):.0f} ms")
    assert max(took) < WITHIN


def test_policy_that_is_not_confirmed_comes_back(coord):
    coord.set_policy(ssh="", options="--confirm-within 5s")
    assert coord.mesh.ssh("root@server true").returncode == 255
    wait_for(lambda: coord.mesh.ssh("root@server true").returncode == 0, 60, "the policy before is in force again", 1)


def test_refused_policy_changes_nothing(coord):
    before = coord.ctl("policy get").stdout
    coord.host.write("/root/bad.hujson", '{"acls": [{"action": "accept", "src": ["group:nobody"], "dst": ["*:*"]}]}\n')
    said = coord.ctl("policy set /root/bad.hujson", check=False)
    assert said.returncode == 1 and "group:nobody" in said.stdout + said.stderr
    assert coord.ctl("policy get").stdout == before


def test_rotation_under_a_session(coord):
    """A new node key: addresses stay, and so does the session."""
    mesh = coord.mesh
    before = mesh.laptop.host.run("agentctl pubkey", check=True).stdout
    with client(mesh, "cat") as ssh:
        mesh.laptop.host.run("agentctl login", check=True, timeout=120)
        wait_for(lambda: mesh.laptop.host.run("agentctl pubkey").stdout != before, 30, "another key")
        ssh.stdin.write(b"still here\n")
        ssh.stdin.flush()
        ssh.out.read_until("still here", 60)
    assert mesh.laptop.ip4 in json.dumps(coord.ask("nodes list"))


def test_coordinator_killed_and_back(coord):
    """Sessions do not notice; agents connect again, and are told what has changed, not everything."""
    mesh = coord.mesh
    coord.wait_connected()
    with client(mesh, "cat") as ssh:
        coord.host.run("systemctl kill -s KILL peergate-coord", check=True)
        time.sleep(1)
        coord.host.wait_active("peergate-coord")
        coord.wait_connected()
        ssh.stdin.write(b"still here\n")
        ssh.stdin.flush()
        ssh.out.read_until("still here", 30)
    assert coord.metric('maps_total{type="full"}') == 0


def test_boots_while_the_coordinator_is_away(coord):
    """The last map is in force again, and its rights; revocation waits for the coordinator."""
    mesh = coord.mesh
    coord.wait_connected()
    coord.host.run("systemctl stop peergate-coord", check=True)
    for node in (mesh.server, mesh.laptop):
        node.host.run("systemctl restart peergate-agent", check=True)
        node.host.wait_active("peergate-agent")
    wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 60, "alice gets in by the last map", 1)
    coord.host.run("systemctl start peergate-coord", check=True)
    coord.wait_connected()


def test_key_expires_while_the_coordinator_is_away(coord):
    mesh = coord.mesh
    coord.wait_connected()
    with client(mesh, "sleep 5000"):
        session_pids(mesh, "alice", "sleep 5000")
        expiry = int(time.time()) + 15
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expiry))
        coord.ctl(f"nodes set-expiry laptop {when}")
        wait_for(lambda: str(expiry) in mesh.server.host.run("agentctl peers --json").stdout, 10, "the server knows", 0.5)
        coord.host.run("systemctl stop peergate-coord", check=True)
        wait_for(lambda: not login_processes(mesh.server.host, "alice"), 40, "the session ends by itself", 0.5)
    assert mesh.ssh("root@server true").returncode == 255
    coord.host.run("systemctl start peergate-coord", check=True)
    mesh.laptop.host.write("/root/auth-key", coord.auth_key(mesh.laptop) + "\n", mode=0o600)
    mesh.laptop.host.run("agentctl login --auth-key-file /root/auth-key", check=True, timeout=120)
    wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 60, "and with a new key she is back", 1)


@pytest.mark.limit(420)
def test_map_grows_too_old(coord):
    """MaxMapAge=: a host that hears nothing from the coordinator lets nobody in any more, and ends who is in."""
    mesh, server = coord.mesh, coord.mesh.server.host
    before = server.read(CONFIG)
    coord.wait_connected()
    try:
        server.write(CONFIG, before + "MaxMapAge=2m\n")
        server.run("systemctl restart peergate-agent", check=True)
        coord.wait_connected(mesh.server)
        coord.wait_reachable(mesh.laptop)
        with client(mesh, "sleep 5000"):
            session_pids(mesh, "alice", "sleep 5000")
            coord.host.run("systemctl stop peergate-coord", check=True)
            wait_for(lambda: not login_processes(server, "alice"), 200, "the session has ended", 2)
        assert mesh.ssh("-o ConnectTimeout=5 root@server true").returncode == 255
        said = server.run("agentctl status; agentctl doctor").stdout
        assert "there is no map in force, the mesh is blocked: nothing was heard from" in said
        assert "the coordinator can be reached" in said
        # Nor does the agent go on with what is on disk.
        server.run("systemctl restart peergate-agent", check=True)
        server.wait_active("peergate-agent")
        assert "longer than the 120 s" in server.run("agentctl status").stdout
        coord.host.run("systemctl start peergate-coord", check=True)
        wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 90, "alice gets in again", 1)
    finally:
        server.write(CONFIG, before)
        coord.host.run("systemctl start peergate-coord", check=True)
        server.run("systemctl restart peergate-agent", check=True)
        server.wait_active("peergate-agent")
        coord.wait_connected()


def test_gateways_own_host_key(coord):
    """Without host keys in /etc/ssh the gateway has one of its own, which peers know before they connect."""
    mesh, server = coord.mesh, coord.mesh.server.host
    coord.wait_connected()
    known = "cat /run/peergate/ssh_known_hosts"
    try:
        server.run("mkdir /root/keys && mv /etc/ssh/ssh_host_* /root/keys", check=True)
        server.run("systemctl stop peergate-sshgw.socket peergate-sshgw.service && rm -f /run/peergate-sshgw/host_keys &&"
                   " systemctl start peergate-sshgw.socket", check=True)
        own = server.run("ssh-keygen -y -f /var/lib/peergate-sshgw/ssh_host_ed25519_key", check=True).stdout.split()[1]
        wait_for(lambda: own in mesh.laptop.host.run(known).stdout, 20, "the laptop knows the gateway's key", 0.5)
        said = mesh.ssh("root@server id -u")
        assert said.stdout == "0\n" and said.stderr == ""
    finally:
        server.run("mv /root/keys/* /etc/ssh; rmdir /root/keys; rm -f /var/lib/peergate-sshgw/ssh_host_*")
        server.run("systemctl stop peergate-sshgw.socket peergate-sshgw.service; systemctl start peergate-sshgw.socket", check=True)
    wait_for(lambda: own not in mesh.laptop.host.run(known).stdout, 20, "and the machine's again", 0.5)
    assert mesh.ssh("root@server id -u").stdout == "0\n"


def test_suspended_person(coord):
    """Their sessions end, they get in by no way, and are back when they may and log in anew."""
    mesh = coord.mesh
    coord.wait_connected()
    key = coord.auth_key(mesh.laptop)
    with client(mesh, "sleep 5000"):
        pids = session_pids(mesh, "alice", "sleep 5000")
        began = time.time()
        coord.ctl("users suspend alice@example.com")
        # From before the command: it takes a while to start, and to be over.
        took = gone_after(coord.host, pids, lambda: began)
    assert took < WITHIN + 2
    assert mesh.ssh("root@server true").returncode == 255
    said = coord.ask("users show alice@example.com")
    assert said["suspended"] and [n["expired"] for n in said["nodes"]] == [True]
    mesh.laptop.host.write("/root/auth-key", key + "\n", mode=0o600)
    refused = mesh.laptop.host.run("agentctl login --auth-key-file /root/auth-key", timeout=120)
    assert refused.returncode != 0 and "revoked" in refused.stdout + refused.stderr
    refused = coord.ctl("authkeys create --user alice@example.com", check=False)
    assert refused.returncode == 1 and "alice@example.com is suspended" in refused.stderr
    assert coord.ctl("users password-link alice@example.com", check=False).returncode == 1
    coord.ctl("users resume alice@example.com")
    assert mesh.ssh("root@server true").returncode == 255
    mesh.laptop.host.write("/root/auth-key", coord.auth_key(mesh.laptop) + "\n", mode=0o600)
    mesh.laptop.host.run("agentctl login --auth-key-file /root/auth-key", check=True, timeout=120)
    wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 60, "and with a new key she is back", 1)


def test_deleted_node(coord):
    """Its sessions end, it is forgotten, and it forgets."""
    mesh = coord.mesh
    coord.wait_connected()
    with client(mesh, "sleep 5000"):
        pids = session_pids(mesh, "alice", "sleep 5000")
        began = time.time()
        coord.ctl("nodes delete laptop")
        # From before the command: it takes a while to start, and to be over.
        took = gone_after(coord.host, pids, lambda: began)
    assert took < WITHIN + 2
    wait_for(lambda: mesh.status(mesh.laptop)["link"]["state"] == "deleted", 20, "the laptop knows that it was deleted")
    assert mesh.laptop.host.run(f"ping -c 1 -W 2 {mesh.server.ip4}").returncode
    coord.join(mesh.laptop)
    wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 60, "joined anew", 1)


def test_deleted_while_away(coord):
    """Who was not there to be told is told when it is back, and does not go on by its last map."""
    mesh = coord.mesh
    coord.wait_connected()
    laptop = mesh.laptop.host
    laptop.run("systemctl stop peergate-agent", check=True)
    coord.ctl("nodes delete laptop")
    laptop.run("systemctl start peergate-agent", check=True)
    wait_for(lambda: mesh.status(mesh.laptop)["link"]["state"] == "deleted", 60, "the laptop knows that it was deleted")
    assert laptop.run("ls /var/lib/peergate").stdout.split().count("netmap.json") == 0
    assert laptop.run(f"ping -c 1 -W 2 {mesh.server.ip4}").returncode
    laptop.run("agentctl logout", check=True)
    coord.join(mesh.laptop)
    wait_for(lambda: mesh.ssh("root@server true").returncode == 0, 60, "joined anew", 1)


def test_events_tell_who_did_what(coord):
    events = coord.events()
    actions = {event["action"] for event in events}
    assert {"node.enrol", "policy.set", "user.add"} <= actions
    assert all(event["actor"] for event in events)
