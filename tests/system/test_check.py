"""--check and netmap check: what is wrong, or what would change, before it is in force."""
import contextlib
import json
import re
import time

import pytest

from hosts import wait_for
from mesh import NETMAP

AGENT = "/usr/libexec/peergate/peergate-agent"
GATEWAY = "/usr/libexec/peergate/peergate-sshgw"


def check_map(mesh, content, user=None, options=""):
    mesh.server.host.write("/tmp/new.json", content if isinstance(content, str) else json.dumps(content))
    return mesh.server.host.run(f"agentctl {options} netmap check /tmp/new.json", user=user)


def changed_map(mesh):
    """As the one in force, but bob may log in, and alice may neither as root nor to the web ports."""
    content = mesh.map_for(mesh.server)
    content["packet_filter"] = [rule for rule in content["packet_filter"] if "acls[1]" not in rule["origin"]]
    content["ssh_rules"] = [
        {**content["ssh_rules"][0], "users": {"*": "="}},
        {"principals": mesh.phone.addresses, "users": {"bob": "bob"}, "action": "accept", "origin": "ssh[1] line 32"},
    ]
    return content


@pytest.mark.parametrize("user", [None, "nobody"])
def test_what_a_map_would_change(mesh, user):
    before = mesh.status(mesh.server)
    result = check_map(mesh, changed_map(mesh), user=user)
    assert (result.returncode, result.stderr) == (0, "")
    text = result.stdout
    assert text.startswith("/tmp/new.json: good\n")
    assert f"Compared with generation {before['generation']}, which is in force:" in text
    assert "  laptop\n    - tcp 8000-8099 (acls[1] line 15)\n" in text
    assert "  laptop\n    - root (ssh[0] line 31)\n" in text
    assert "  phone\n    + bob (ssh[1] line 32)\n" in text
    # Nothing has changed.
    assert mesh.status(mesh.server) == before


def test_which_sessions_would_end(mesh):
    with mesh.laptop.host.popen("ssh -o BatchMode=yes root@server 'echo in; cat'") as root, \
            mesh.laptop.host.popen("ssh -o BatchMode=yes alice@server 'echo in; cat'") as alice:
        root.out.read_until("in")
        alice.out.read_until("in")
        text = check_map(mesh, changed_map(mesh)).stdout
        assert "SSH sessions that would end\n  - alice@example.com (laptop) as root: " in text
        assert "(laptop) as alice" not in text
        # And so it is, once the map is in force.
        mesh.put(mesh.server, changed_map(mesh))
        assert root.wait(20) == 255
        alice.stdin.write(b"still here\n")
        alice.out.read_until("still here")


def test_for_programs(mesh):
    found = json.loads(check_map(mesh, changed_map(mesh), options="--json").stdout)
    assert found["good"] and found["changes"]["reach"][0]["who"] == ["laptop"]
    assert found["changes"]["peers"] == {"added": [], "removed": [], "changed": []}


def test_the_map_in_force_changes_nothing(mesh):
    result = mesh.server.host.run(f"agentctl netmap check {NETMAP}")
    assert result.returncode == 0 and "It says the same as generation" in result.stdout


def test_a_map_that_would_be_refused(mesh):
    content = changed_map(mesh)
    content["peers"][0]["addresses"] = ["192.0.2.77"]
    result = check_map(mesh, content)
    assert (result.returncode, result.stdout) == (1, "")
    assert "/tmp/new.json: peers[0].addresses[0]: 192.0.2.77 is no address of the mesh" in result.stderr
    content = changed_map(mesh)
    content["generation"] = 0
    assert "generation: 0 is older than" in check_map(mesh, content).stderr
    content = changed_map(mesh)
    content["peers"][0]["node_key"] = mesh.server.key
    assert "has this node's own key" in check_map(mesh, content).stderr
    # And this is what the agent says of it as well.
    began = time.time()
    mesh.put(mesh.server, {**content, "generation": content["generation"] + 1})
    mesh.server.host.wait_journal(unit="peergate-agent", since=began, grep="has this node's own key")


def test_also_while_the_agent_is_stopped(mesh):
    host = mesh.server.host
    host.run("systemctl stop peergate-agent", check=True)
    try:
        result = check_map(mesh, changed_map(mesh))
        assert result.returncode == 0 and "    + bob (ssh[1] line 32)\n" in result.stdout
        said = host.run(f"{AGENT} --check")
        assert said.returncode == 0 and "The agent is not running" in said.stdout
    finally:
        host.run("systemctl start peergate-agent", check=True)


def test_configuration_of_the_agent(mesh):
    host = mesh.server.host
    said = host.run(f"{AGENT} --check", user="nobody")
    assert said.returncode == 0 and said.stderr == ""
    assert said.stdout.startswith(f"/etc/peergate/agent.conf: good\n{NETMAP}: good (generation ")
    assert said.stdout.endswith("The running agent has these options already.\n")
    host.write("/tmp/agent.conf", f"Netmap={NETMAP}\nListenPort=51821\n")
    said = host.run(f"{AGENT} --check /tmp/agent.conf")
    assert said.returncode == 0 and said.stdout.endswith("  ListenPort: 51820 -> 51821\n")
    host.write("/tmp/agent.conf", "\nListenPort=many\n")
    said = host.run(f"{AGENT} --check /tmp/agent.conf")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("/tmp/agent.conf:2: ListenPort: ")


@contextlib.contextmanager
def writable_by_others(host, path):
    host.run(f"chmod 666 {path}", check=True)
    try:
        yield f"{path}: others than root may write it; expected owner root and mode 0644 or less"
    finally:
        host.run(f"chmod 644 {path}", check=True)


def test_others_may_write_the_agents_configuration(mesh):
    host, began = mesh.server.host, time.time()
    with writable_by_others(host, "/etc/peergate/agent.conf") as problem:
        said = host.run(f"{AGENT} --check")
        assert (said.returncode, said.stdout, said.stderr) == (1, "", problem + "\n")
        # What runs was started when the file was root's alone.
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        host.run("systemctl restart --no-block peergate-agent", check=True)
        host.wait_journal(unit="peergate-agent", since=began, grep=re.escape(problem))
    wait_for(lambda: host.run("agentctl status").returncode == 0, 20, "the agent")
    wait_for(lambda: mesh.ssh("alice@server id -un").stdout == "alice\n", 20, "a login")


def test_others_may_write_the_gateways_configuration(mesh):
    host, began = mesh.server.host, time.time()
    host.run("systemctl start peergate-sshgw.service", check=True)
    with writable_by_others(host, "/etc/peergate/sshgw.conf") as problem:
        said = host.run(f"{GATEWAY} --check")
        assert (said.returncode, said.stdout, said.stderr) == (1, "", problem + "\n")
        assert "SSH is switched off" in mesh.ssh("alice@server id").stderr
        host.run("systemctl reload peergate-sshgw.service", check=True)
        host.wait_journal(since=began, grep="; the limits stay as they were")
        host.run("systemctl restart --no-block peergate-sshgw.service", check=True)
        host.wait_journal(since=began, grep=re.escape(problem) + "; nobody is let in until that is mended")
        wait_for(lambda: host.run("systemctl is-active peergate-sshgw.service").stdout != "active\n", 10, "no gateway")
    # Started again all by itself.
    wait_for(lambda: mesh.ssh("alice@server id -un").stdout == "alice\n", 60, "a login")


def test_configuration_of_the_gateway(mesh):
    host = mesh.server.host
    said = host.run(f"{GATEWAY} --check")
    assert said.returncode == 0
    assert said.stdout.startswith("/etc/peergate/sshgw.conf: good\nSSH through the mesh is on.\n")
    host.write("/tmp/sshgw.conf", "SSH=yes\nAllowUsers=alice carol\n")
    said = host.run(f"{GATEWAY} --check /tmp/sshgw.conf")
    assert said.returncode == 0
    assert said.stdout.endswith("warning: AllowUsers: carol: there is no such account on this host\n")
    host.write("/tmp/sshgw.conf", "SSH=perhaps\n")
    said = host.run(f"{GATEWAY} --check /tmp/sshgw.conf")
    assert said.returncode == 1 and said.stderr.startswith("/tmp/sshgw.conf:1: SSH: ")
