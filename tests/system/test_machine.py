"""The test machine itself: what every other system test takes for granted."""
import re
import subprocess
import time
from pathlib import Path

import hosts as machine
import pytest


@pytest.fixture(scope="module")
def key(hosts):
    """An SSH key pair on the laptop; its public half may log in to the server as alice."""
    hosts.laptop.run("mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519", check=True)
    hosts.server.add_user("alice", authorized_key=hosts.laptop.read("/root/.ssh/id_ed25519.pub"))
    server_key = hosts.server.read("/etc/ssh/ssh_host_ed25519_key.pub")
    hosts.laptop.write("/root/.ssh/known_hosts", "".join(f"{a} {server_key}" for a in (hosts.server.ip4, "server.lan")))


@pytest.mark.parametrize("name", ["server", "laptop", "phone", "lanhost"])
def test_host_runs_systemd(hosts, name):
    host = getattr(hosts, name)
    assert (host.run("systemctl is-system-running").stdout.strip(), host.failed_units()) == ("running", [])
    assert host.run("hostname").stdout == f"{name}\n"
    assert host.read("/etc/machine-id").strip() == host.machine_id


def test_lan_in_both_families(hosts):
    for address in (hosts.server.ip4, hosts.server.ip6, "server.lan"):
        hosts.lanhost.run(["ping", "-c1", "-W5", address], check=True)
        subprocess.run(["ping", "-c1", "-W5", address if ":" in address else hosts.server.ip4], check=True)
    hosts.lanhost.unplug()
    assert hosts.lanhost.run(["ping", "-c1", "-W1", hosts.server.ip4]).returncode
    hosts.lanhost.plug()
    hosts.lanhost.run(["ping", "-c1", "-W5", hosts.server.ip4], check=True)


def test_kernel_wireguard(hosts):
    ends = [(hosts.server, "100.64.0.1", "fd00:1::1"), (hosts.laptop, "100.64.0.2", "fd00:1::2")]
    public = {}
    for host, ip4, ip6 in ends:
        host.run("umask 077; wg genkey >/root/wg.key; ip link add wgtest type wireguard", check=True)
        public[host] = host.run("wg pubkey </root/wg.key", check=True).stdout.strip()
    for (host, ip4, ip6), (peer, peer4, peer6) in (ends, ends[::-1]):
        host.run(f"""wg set wgtest listen-port 51820 private-key /root/wg.key peer {public[peer]} \
            allowed-ips {peer4}/32,{peer6}/128 endpoint {peer.ip4}:51820
            ip addr add {ip4}/10 dev wgtest; ip addr add {ip6}/64 dev wgtest nodad; ip link set wgtest up""", check=True)
    hosts.laptop.run("ping -c1 -W10 100.64.0.1 && ping -c1 -W10 fd00:1::1", check=True)
    assert int(hosts.server.run("wg show wgtest latest-handshakes", check=True).stdout.split()[1]) > 0
    for host, _, _ in ends:
        host.run("ip link del wgtest; rm /root/wg.key", check=True)


def test_nft_tproxy_loads(hosts):
    hosts.server.run(["nft", "-f", "-"], check=True, input="""
        table inet machinetest {
            chain divert {
                type filter hook prerouting priority mangle; policy accept;
                iifname "mesh0" ip daddr 100.64.0.1 tcp dport 22 tproxy ip to 127.0.0.1:2022 accept
                iifname "mesh0" ip6 daddr fd00:1::1 tcp dport 22 tproxy ip6 to [::1]:2022 accept
            }
        }
        """)
    assert "tproxy ip6 to [::1]:2022" in hosts.server.run("nft list table inet machinetest", check=True).stdout
    assert "machinetest" not in hosts.laptop.run("nft list ruleset", check=True).stdout
    hosts.server.run("nft delete table inet machinetest", check=True)


def test_ssh_login_is_a_logind_session(hosts, key):
    began = time.time()
    hosts.server.wait_active("ssh")
    alice = hosts.server.run("id -u alice", check=True).stdout.strip()
    with hosts.laptop.pty("ssh -tt alice@server.lan") as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("echo uid=$(cat /proc/self/loginuid) cgroup=$(cat /proc/self/cgroup) tty=$(tty)")
        seen = terminal.read_until(r"uid=(\d+) cgroup=0::(\S+) tty=(\S+)\r")
        assert seen[1] == alice
        assert re.fullmatch(rf"/user\.slice/user-{alice}\.slice/session-\d+\.scope", seen[2])
        assert seen[3].startswith("/dev/pts/")
        assert "alice" in hosts.server.run("loginctl list-sessions --no-legend").stdout
        scope = f"/sys/fs/cgroup{seen[2]}"
        # Peergate's way to end a session must work in the hosts.
        hosts.server.run(f"echo 1 >{scope}/cgroup.freeze; echo 0 >{scope}/cgroup.freeze; echo 1 >{scope}/cgroup.kill",
                         check=True)
        assert terminal.wait() == 255
    hosts.server.wait_journal(unit="ssh", since=began, grep="Accepted publickey for alice", _COMM="sshd")
    machine.wait_for(lambda: "alice" not in hosts.server.run("loginctl list-sessions --no-legend").stdout,
                     what="end of alice's session")


def test_programs_in_hosts(hosts, key):
    server = hosts.server
    result = server.run("cat; echo error >&2; exit 3", input="text\n")
    assert (result.returncode, result.stdout, result.stderr) == (3, "text\n", "error\n")
    assert server.run("id -un; pwd; echo $HOME", user="alice").stdout == "alice\n/home/alice\n/home/alice\n"
    with pytest.raises(machine.CommandError, match="because"):
        server.run("echo because >&2; false", check=True)
    with pytest.raises(machine.TimedOut, match="so far"):
        server.run("echo so far; sleep 60", timeout=1)
    assert server.run("sleep 60 & echo back").stdout == "back\n"
    with server.popen("while read x; do echo got $x; done; exit 4") as process:
        process.stdin.write(b"one\n")
        process.out.read_until("got one")
        process.stdin.close()
        assert process.wait() == 4
    with server.popen("sleep 60") as process:
        process.kill()
        assert process.wait() == -9
    with server.pty("trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.1; done", rows=30, columns=100) as p:
        p.read_until("30 100")
        p.resize(40, 120)
        p.read_until("40 120")
    server.write("/tmp/new/file", "content", 0o640, "alice")
    assert server.read("/tmp/new/file") == "content"
    assert server.run("stat -c '%a %U %G' /tmp/new/file").stdout == "640 alice alice\n"
    with pytest.raises(FileNotFoundError):
        server.read("/none")


def test_journal_fields(hosts):
    began = time.time()
    hosts.phone.run(["logger", "--journald"], input="MESSAGE=hello\nPEER=laptop\n", check=True)
    assert hosts.phone.wait_journal(since=began, PEER="laptop")["MESSAGE"] == "hello"
    assert hosts.laptop.journal(since=began, PEER="laptop") == []


def test_failed_unit_is_reported(hosts):
    hosts.phone.write("/run/systemd/system/broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    hosts.phone.run("systemctl start broken")
    with pytest.raises(machine.HostError, match="broken is failed"):
        hosts.phone.wait_active("broken")
    assert hosts.phone.failed_units() == ["broken.service"]
    hosts.phone.run("systemctl reset-failed", check=True)


def test_reboot_keeps_files_and_loses_links(hosts):
    hosts.phone.write("/etc/kept", "kept")
    hosts.phone.run("ip link add gone type dummy", check=True)
    began = time.time()
    hosts.phone.reboot()
    assert hosts.phone.read("/etc/kept") == "kept"
    assert hosts.phone.run("ip link show gone").returncode
    hosts.phone.run(["ping", "-c1", "-W5", hosts.server.ip6], check=True)
    assert hosts.phone.journal(since=began, grep="Startup finished")


def test_host_leaves_nothing(hosts):
    host = machine.Host("guest", "192.0.2.9", "2001:db8::9", hosts.lan, peergate=False)
    host.start()
    # Escaped from everything but the cgroup, and deaf to all but SIGKILL.
    host.run("setsid sh -c 'trap \"\" TERM HUP; sleep 3333; :' </dev/null >/dev/null 2>&1 &")
    cgroup = host.cgroup
    host.crash()
    host.remove()
    assert not cgroup.exists() and not host.dir.exists()
    assert "guest" not in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
    assert "v-guest" not in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout
    assert str(host.dir) not in Path("/proc/mounts").read_text()
    assert subprocess.run(["pgrep", "-f", "sleep 3333"]).returncode == 1
