"""Names of the mesh: found by every program, through the NSS module, in step with the map."""
import json

import pytest

from hosts import wait_for
from mesh import NETMAP


def lookup(node, what, database="ahosts", user=None):
    """The first words of getent's lines; none when the name is not found."""
    result = node.host.run(["getent", database, what], user=user)
    assert result.returncode in (0, 2), result.stderr
    return sorted({line.split()[0] for line in result.stdout.splitlines()})


def apply_changed(mesh, node, change):
    """Put a map in force that change() has been at."""
    content = mesh.map_for(node)
    change(content)
    mesh.put(node, content)
    wait_for(lambda: mesh.status(node).get("generation") == content["generation"], 20,
             f"{node.name}: map {content['generation']} in force", 0.1)


@pytest.mark.parametrize("name", ["server", "server.mesh.example", "SERVER.Mesh.Example", "server.mesh.example."])
def test_a_peer_is_found_by_name(mesh, name):
    # (root's runtime directory or not: the file is for everybody.)
    assert lookup(mesh.laptop, name, user="nobody") == sorted(mesh.server.addresses)
    first = mesh.laptop.host.run(["getent", "ahosts", name]).stdout.splitlines()[0]
    assert first.split()[-1] == "server.mesh.example"


def test_addresses_lead_back_to_names(mesh):
    host = mesh.laptop.host
    assert host.run(["getent", "hosts", mesh.server.ip4]).stdout.split() == [mesh.server.ip4, "server.mesh.example", "server"]
    for address in mesh.server.ip6, mesh.laptop.ip6:
        assert host.run(["getent", "hosts", address]).stdout.split()[0] == address
    assert lookup(mesh.laptop, "100.64.0.77", "hosts") == []


def test_this_host_is_found_too(mesh):
    assert lookup(mesh.laptop, "laptop.mesh.example") == sorted(mesh.laptop.addresses)


@pytest.mark.parametrize("name", ["nobody", "nobody.mesh.example", "server.example", "a.server.mesh.example"])
def test_other_names_are_not_answered(mesh, name):
    assert lookup(mesh.laptop, name) == []


def test_failure_of_dns_stays_a_failure_of_dns(mesh):
    """No name server answers here: programs that would ask again later still hear so."""
    script = "import socket\ntry: socket.getaddrinfo('host.invalid', 22)\nexcept socket.gaierror as e: print(e.errno == socket.EAI_AGAIN)"
    assert mesh.laptop.host.run(["python3", "-I", "-c", script]).stdout == "True\n"


def test_names_follow_the_map(mesh):
    def rename(content):
        for peer in content["peers"]:
            peer["name"] = "gate" if peer["name"] == "server" else peer["name"]

    apply_changed(mesh, mesh.laptop, rename)
    assert lookup(mesh.laptop, "server") == lookup(mesh.laptop, "server.mesh.example") == []
    assert lookup(mesh.laptop, "gate") == sorted(mesh.server.addresses)
    # The host key has moved along: no question.
    result = mesh.ssh("root@gate id -un")
    assert (result.stdout, result.stderr) == ("root\n", "")

    mesh.absent = {"server"}
    mesh.apply(mesh.laptop)
    assert lookup(mesh.laptop, "gate") == lookup(mesh.laptop, "server") == []
    assert lookup(mesh.laptop, mesh.server.ip4, "hosts") == []


def test_names_go_on_without_the_agent(mesh):
    host = mesh.laptop.host
    host.run("systemctl stop peergate-agent", check=True)
    try:
        assert lookup(mesh.laptop, "server") == sorted(mesh.server.addresses)
        assert mesh.ssh("root@server id -un").stdout == "root\n"
    finally:
        host.run("systemctl start peergate-agent", check=True)
    host.run("rm /run/peergate/names")
    assert lookup(mesh.laptop, "server") == []
    mesh.apply(mesh.laptop)
    assert lookup(mesh.laptop, "server") == sorted(mesh.server.addresses)


def test_wrong_answer_before_ours_gets_nobody_in(mesh):
    """What DNS could do: the name leads to another host, which cannot show the right host key."""
    host, lanhost = mesh.laptop.host, mesh.hosts.lanhost
    before = host.read("/etc/hosts")
    host.write("/etc/hosts", before + f"{lanhost.ip4} server.mesh.example server\n")
    try:
        for name in "server", "server.mesh.example":
            assert lookup(mesh.laptop, name) == [lanhost.ip4]
            result = host.run(f"ssh -o ConnectTimeout=20 root@{name} id")
            assert result.returncode == 255
            assert "Host key verification failed" in result.stderr
    finally:
        host.write("/etc/hosts", before)


@pytest.mark.parametrize("name,strict", [("server", "true"), ("server.mesh.example", "true"), ("lanhost.lan", "ask")])
def test_ssh_knows_hosts_of_the_mesh_from_others(mesh, name, strict):
    shown = mesh.laptop.host.run(["ssh", "-G", name], check=True).stdout
    assert f"\nstricthostkeychecking {strict}\n" in shown
    assert ("/run/peergate/ssh_known_hosts" in shown) == (strict == "true")


def test_files_are_readable_and_whole(mesh):
    """Two files, one map: what has a name has an address."""
    host = mesh.laptop.host
    assert host.run("stat -c '%U %a' /run/peergate/names").stdout == "peergate 644\n"
    labels = {line.split()[0] for line in host.read("/run/peergate/names").splitlines()[1:] if " " in line.strip()}
    known = {line.split(",")[0] for line in host.read("/run/peergate/ssh_known_hosts").splitlines() if line[0] != "#"}
    assert labels == known | {"laptop"}
    assert {p["name"] for p in json.loads(host.read(NETMAP))["peers"]} == known
