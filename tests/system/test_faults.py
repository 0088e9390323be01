"""What fails on a host, and what is lost by it: nothing. Each has its message, and what was in force stays."""
import contextlib
import json
import time

import pytest
from hosts import wait_for

MESSAGES = {
    "kept": "Could not keep the map on disk for the next start, continuing: No space left on device",
    "known": "Could not write /run/peergate/ssh_known_hosts, continuing with the old one: ",
}


def logged_in(mesh):
    ssh = mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "echo ready; cat"])
    ssh.out.read_until("ready")
    return ssh


def still_there(ssh):
    ssh.stdin.write(b"still here\n")
    ssh.out.read_until("still here")


def in_force(mesh, generation):
    return mesh.status(mesh.server).get("generation") == generation


@contextlib.contextmanager
def small_file_systems(mesh, *dirs):
    """The agent's directories become small file systems of their own."""
    host = mesh.server.host
    stop, start = "systemctl stop peergate-agent", "systemctl start peergate-agent"
    host.run(stop, check=True)
    for path in dirs:
        host.run(f"cp -a {path} /root/kept; mount -t tmpfs -o size=256k,mode=755 small {path}; cp -aT /root/kept {path}; "
                 "rm -r /root/kept", check=True)
    host.run(start, check=True)
    try:
        wait_for(lambda: mesh.status(mesh.server).get("generation"), 20, "the agent")
        yield
    finally:
        host.run(stop, check=True)
        for path in dirs:
            host.run(f"mount -o remount,rw {path}; rm -f {path}/filler; cp -a {path} /root/kept; umount {path}; "
                     f"cp -aT /root/kept {path}; rm -r /root/kept", check=True)
        host.run(start, check=True)
        wait_for(lambda: mesh.status(mesh.server).get("generation"), 20, "the agent")


@pytest.mark.limit(300)
def test_full_disk(mesh):
    """The map is in force all the same; files stay whole, and follow when there is room."""
    host, dirs = mesh.server.host, ("/var/lib/peergate", "/run/peergate")
    contents = "sha256sum /run/peergate/names /run/peergate/ssh_known_hosts"
    kept = "/var/lib/peergate/netmap.json"
    with small_file_systems(mesh, *dirs), logged_in(mesh) as ssh:
        before = host.run(contents, check=True).stdout
        for path in dirs:
            host.run(f"cat /dev/zero >{path}/filler; true")
        began = time.time()
        mesh.absent = {"phone"}
        mesh.apply(mesh.server)
        generation = mesh.server.generation
        assert mesh.phone.key not in host.run("wg show mesh0 peers", check=True).stdout
        host.wait_journal(unit="peergate-agent", since=began, grep=MESSAGES["kept"])
        # The map before this one would bring the phone back.
        assert host.run(f"test -e {kept}").returncode
        host.wait_journal(unit="peergate-agent", since=began, grep=MESSAGES["known"] + "No space left")
        assert host.run(contents, check=True).stdout == before
        assert host.run(f"find {' '.join(dirs)} -name '*.tmp'", check=True).stdout == ""
        still_there(ssh)
        assert mesh.ssh("root@server id -un").stdout == "root\n"
        for path in dirs:
            host.run(f"rm {path}/filler", check=True)
        wait_for(lambda: f"Generation={generation}\n" in host.read("/var/lib/peergate/map.state"), 90, "the generation")
        wait_for(lambda: f'"generation":{generation},' in host.run(f"cat {kept}").stdout, 90, "the map on disk")
        wait_for(lambda: "phone" not in host.read("/run/peergate/ssh_known_hosts"), 90, "known_hosts")
        assert "phone" not in host.read("/run/peergate/names")
        still_there(ssh)


@pytest.mark.limit(300)
def test_read_only_runtime_directory(mesh):
    host = mesh.server.host
    with small_file_systems(mesh, "/run/peergate"), logged_in(mesh) as ssh:
        host.run("mount -o remount,ro /run/peergate", check=True)
        began = time.time()
        mesh.absent = {"phone"}
        mesh.apply(mesh.server)
        host.wait_journal(unit="peergate-agent", since=began, grep=MESSAGES["known"] + "Read-only file system")
        assert "phone" in host.read("/run/peergate/ssh_known_hosts")
        still_there(ssh)
        assert mesh.ssh("root@server id -un").stdout == "root\n"
        host.run("mount -o remount,rw /run/peergate", check=True)
        wait_for(lambda: "phone" not in host.read("/run/peergate/ssh_known_hosts"), 90, "known_hosts")


def test_full_disk_keeps_nobody_from_logging_in(mesh):
    """wtmp and lastlog cannot be written: sshd lets people in then, too."""
    host = mesh.server.host
    files = [f for f in ("/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp") if host.run(["test", "-e", f]).returncode == 0]
    for path in files:
        host.run(["mount", "--bind", "/dev/full", path], check=True)
    try:
        with mesh.laptop.host.pty("ssh alice@server") as terminal:
            terminal.read_until(r"\$ $")
            terminal.sendline("exit 3")
            assert terminal.wait() == 3
    finally:
        for path in files:
            host.run(["umount", path], check=True)


@contextlib.contextmanager
def no_more_descriptors(host, pid):
    """The process may have no file open beyond those it has."""
    usual = host.run(f"prlimit --pid {pid} --nofile --noheadings --raw -o SOFT", check=True).stdout.strip()
    # The lowest number that is free: the limit is about numbers.
    host.run(f"n=0; while [ -e /proc/{pid}/fd/$n ]; do n=$((n + 1)); done; prlimit --pid {pid} --nofile=$n:", check=True)
    try:
        yield
    finally:
        host.run(f"prlimit --pid {pid} --nofile={usual}:", check=True)


def test_agent_without_descriptors(mesh):
    host = mesh.server.host
    pid = host.run("systemctl show -P MainPID peergate-agent", check=True).stdout.strip()
    with logged_in(mesh) as ssh:
        began = time.time()
        with no_more_descriptors(host, pid):
            content = mesh.map_for(mesh.server)
            content["peers"] = [p for p in content["peers"] if p["name"] != "phone"]
            mesh.put(mesh.server, json.dumps(content))
            host.wait_journal(unit="peergate-agent", since=began, grep="netmap.json: cannot be opened: Too many open files")
            assert host.run("timeout 3 agentctl status").returncode
            host.wait_journal(unit="peergate-agent", since=began, grep="Could not accept a connection at the agent's socket")
            # In force as before.
            assert mesh.phone.key in host.run("wg show mesh0 peers", check=True).stdout
            still_there(ssh)
        # Nobody touches the file again.
        wait_for(lambda: in_force(mesh, content["generation"]), 60, "the map that was put meanwhile", 0.5)
        assert mesh.phone.key not in host.run("wg show mesh0 peers", check=True).stdout
        assert host.run("systemctl show -P MainPID peergate-agent", check=True).stdout.strip() == pid
        still_there(ssh)
        assert mesh.ssh("root@server id -un").stdout == "root\n"


def test_gateway_without_descriptors(mesh):
    host = mesh.server.host
    assert mesh.ssh("root@server id -un").stdout == "root\n"
    pid = host.run("systemctl show -P MainPID peergate-sshgw.service", check=True).stdout.strip()
    with logged_in(mesh) as ssh:
        began = time.time()
        with no_more_descriptors(host, pid), \
                mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "root@server", "id -un"]) as late:
            host.wait_journal(unit="peergate-sshgw", since=began, grep="Could not accept a connection, pausing for a second")
            still_there(ssh)
            time.sleep(3)
            # It waits, and does not spin.
            assert len(host.journal(unit="peergate-sshgw", since=began, grep="pausing for a second")) < 8
            assert late.poll() is None
            host.run(f"prlimit --pid {pid} --nofile=1024:", check=True)
            assert late.out.read_until("root", 30)
        assert host.run("systemctl show -P MainPID peergate-sshgw.service", check=True).stdout.strip() == pid
        still_there(ssh)


def test_gateway_port_is_taken(mesh):
    """Whoever has the port is told of, gets no connection of the mesh, and open sessions go on."""
    host = mesh.server.host
    with logged_in(mesh) as ssh:
        host.run("systemctl stop peergate-sshgw.socket peergate-sshgw.service", check=True)
        try:
            with host.popen("nc -v -n -lk 127.0.0.1 2022") as thief:
                thief.err.read_until("Listening")
                began = time.time()
                assert host.run("systemctl start peergate-sshgw.socket").returncode
                host.wait_journal(since=began, grep="127.0.0.1:2022.*Address already in use")
                result = mesh.ssh("-o ConnectTimeout=4 root@100.64.0.1 id")
                assert result.returncode == 255 and "timed out" in result.stderr
                assert "Connection received" not in thief.err.drain() and thief.out.drain() == ""
                still_there(ssh)
        finally:
            host.run("systemctl reset-failed peergate-sshgw.socket; systemctl start peergate-sshgw.socket", check=True)
        still_there(ssh)
        assert mesh.ssh("root@server id -un").stdout == "root\n"
