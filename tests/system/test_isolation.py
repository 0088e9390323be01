"""Promises 2 and 3: nobody gets in by another way, and the host's own sshd is left alone."""
import json

import pytest
from absence import main_pid
from hosts import wait_for

READ_BANNER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
s.settimeout(3)
if len(sys.argv) > 3:
    s.setsockopt(0 if s.family == socket.AF_INET else 41, 15 if s.family == socket.AF_INET else 78, 1)  # FREEBIND
    s.bind((sys.argv[3], 0))
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print(s.recv(100).split(b'\\r')[0].decode() or 'closed')
except TimeoutError:
    print('silence')
except OSError as error:
    print(type(error).__name__)
"""


def banner(host, address, port, source=None):
    """What a TCP connection from the host gets: an SSH version, closed, silence, or an error's name."""
    extra = [source] if source else []
    return host.run(["python3", "-I", "-S", "-c", READ_BANNER, address, str(port), *extra], check=True).stdout.strip()


def unreached(answer):
    return answer in ("silence", "ConnectionRefusedError", "OSError", "closed", "ConnectionResetError")


@pytest.fixture
def routed(mesh):
    """The LAN host sends packets for mesh addresses to the server: as anybody there can."""
    lanhost = mesh.hosts.lanhost
    lanhost.run(f"ip route replace 100.64.0.0/10 via {mesh.hosts.server.ip4}; "
                f"ip -6 route replace fd7a:115c:a1e0::/48 via {mesh.hosts.server.ip6}", check=True)
    return lanhost


@pytest.mark.parametrize("family", ["ip4", "ip6"])
def test_from_the_lan(mesh, routed, family):
    server = mesh.hosts.server
    assert banner(routed, getattr(mesh.server, family), 22) == "silence"
    assert banner(routed, getattr(mesh.server, family), 2022) in ("silence", "ConnectionRefusedError")
    assert banner(routed, getattr(server, family), 2022) == "ConnectionRefusedError"
    # Its own sshd is what it was.
    assert banner(routed, getattr(server, family), 22).startswith("SSH-2.0-OpenSSH")


@pytest.mark.parametrize("family,bits", [("ip4", 32), ("ip6", 128)])
def test_spoofed_peer_address_from_the_lan(mesh, routed, family, bits):
    laptop, server = getattr(mesh.laptop, family), getattr(mesh.server, family)
    routed.run(f"ip addr add {laptop}/{bits} dev lo", check=True)
    try:
        assert banner(routed, server, 22, source=laptop) == "silence"
    finally:
        routed.run(f"ip addr del {laptop}/{bits} dev lo", check=True)


SEND_FRAME = """
import socket, struct, sys
mac, source, target, port = bytes.fromhex(sys.argv[1].replace(':', '')), *sys.argv[2:4], int(sys.argv[4])
addresses = b''.join(socket.inet_pton(socket.AF_INET6, a) for a in (source, target))
udp = struct.pack('!HHHH', 9, port, 12, 0) + b'hey!'
words = addresses + struct.pack('!II', len(udp), 17) + udp
total = sum(struct.unpack('!%dH' % (len(words) // 2), words))
total = (total & 0xffff) + (total >> 16)
udp = udp[:6] + struct.pack('!H', ~(total + (total >> 16)) & 0xffff) + udp[8:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
s.send(mac + s.getsockname()[4] + b'\\x86\\xdd' + struct.pack('!IHBB', 6 << 28, len(udp), 17, 64) + addresses + udp)
"""

HEAR_DATAGRAM = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', int(sys.argv[1])))
s.settimeout(float(sys.argv[2]))
print('listening', flush=True)
try:
    print(s.recvfrom(100)[1][0])
except TimeoutError:
    print('silence')
"""


@pytest.mark.parametrize("target,heard", [("mesh", "silence"), ("lan", "own")])
def test_own_source_address_from_the_lan(mesh, target, heard):
    """IPv6 takes packets from the wire that claim to be from this host: that opens no mesh address.

    To the server's LAN address the same frame arrives: it is a good one, and not ours to drop."""
    server, lanhost = mesh.hosts.server, mesh.hosts.lanhost
    mac = server.run("cat /sys/class/net/eth0/address", check=True).stdout.strip()
    with server.popen(["python3", "-I", "-S", "-c", HEAR_DATAGRAM, "4242", "5"]) as listener:
        listener.out.read_until("listening")
        lanhost.run(["python3", "-I", "-S", "-c", SEND_FRAME, mac, server.ip6,
                     mesh.server.ip6 if target == "mesh" else server.ip6, "4242"], check=True)
        assert listener.out.read_rest().strip() == (server.ip6 if heard == "own" else heard)


@pytest.mark.parametrize("family,loopback", [("ip4", "127.0.0.1"), ("ip6", "::1")])
def test_from_the_host_itself(mesh, family, loopback):
    server, own = mesh.hosts.server, getattr(mesh.server, family)
    # The listener is there, and its monitor hangs up before a word of SSH.
    assert banner(server, loopback, 2022) in ("closed", "ConnectionResetError")
    assert banner(server, loopback, 2022, source=own) in ("closed", "ConnectionResetError")
    assert banner(server, own, 2022) == "ConnectionRefusedError"
    assert banner(server, own, 22).startswith("SSH-2.0-OpenSSH")
    assert unreached(banner(server, own, 22, source=getattr(mesh.laptop, family)))


CONNECT_MANY = """
import socket, sys
made = []
for _ in range(int(sys.argv[1])):
    made.append(socket.create_connection(("127.0.0.1", 2022), timeout=10))
print(len(made))
"""


def test_programs_of_the_host_do_not_fill_the_queue(mesh):
    """There is room for many while nobody takes them out, and then they are gone."""
    server = mesh.hosts.server
    listener = main_pid(server, "peergate-sshgw.service")
    server.run(f"kill -STOP {listener}", check=True)
    try:
        made = server.run(["python3", "-I", "-S", "-c", CONNECT_MANY, "800"])
    finally:
        server.run(f"kill -CONT {listener}", check=True)
    assert made.stdout == "800\n", made.stderr
    wait_for(lambda: banner(mesh.laptop.host, mesh.server.ip4, 22) == "SSH-2.0-OpenSSH_Peergate", 30, "the gateway")


@pytest.mark.parametrize("family", ["ip4", "ip6"])
def test_peer_reaches_the_gateway_only_where_it_is(mesh, family):
    laptop = mesh.laptop.host
    assert banner(laptop, getattr(mesh.server, family), 22) == "SSH-2.0-OpenSSH_Peergate"
    assert banner(laptop, getattr(mesh.server, family), 2022) == "silence"
    assert banner(laptop, getattr(mesh.hosts.server, family), 22).startswith("SSH-2.0-OpenSSH")


def test_never_sshd_when_the_gateway_is_away(mesh):
    server = mesh.hosts.server
    server.run("systemctl stop peergate-sshgw.socket peergate-sshgw.service", check=True)
    try:
        for address in mesh.server.addresses:
            assert banner(mesh.laptop.host, address, 22) == "silence"
        dropped = server.run("nft list table inet peergate | grep 'gateway not listening'", check=True).stdout
        assert "packets 0 " not in dropped
    finally:
        server.run("systemctl start peergate-sshgw.socket", check=True)
    assert mesh.ssh("root@server id -un").stdout == "root\n"


def test_nothing_is_forwarded(mesh):
    """A peer that sends packets for the server's LAN into the tunnel gets nowhere."""
    laptop, server, lanhost = mesh.laptop.host, mesh.hosts.server, mesh.hosts.lanhost
    server.run("sysctl -qw net.ipv4.ip_forward=1", check=True)
    lanhost.run(f"ip route replace {mesh.laptop.ip4} via {server.ip4}", check=True)
    laptop.run(f"wg set mesh0 peer {mesh.server.key} allowed-ips +{lanhost.ip4}/32 2>/dev/null || "
               f"wg set mesh0 peer {mesh.server.key} allowed-ips {mesh.server.ip4}/32,{mesh.server.ip6}/128,{lanhost.ip4}/32; "
               f"ip route add {lanhost.ip4}/32 dev mesh0 src {mesh.laptop.ip4}", check=True)
    try:
        assert laptop.run(["ping", "-c2", "-W2", lanhost.ip4]).returncode == 1
        assert banner(laptop, lanhost.ip4, 22) in ("silence", "OSError")
        # And no way from the LAN into the mesh.
        lanhost.run(f"ip route replace 100.64.0.0/10 via {server.ip4}", check=True)
        assert lanhost.run(["ping", "-c2", "-W2", mesh.laptop.ip4]).returncode == 1
    finally:
        laptop.run(f"ip route del {lanhost.ip4}/32 dev mesh0; "
                   f"wg set mesh0 peer {mesh.server.key} allowed-ips {mesh.server.ip4}/32,{mesh.server.ip6}/128")
        server.run("sysctl -qw net.ipv4.ip_forward=0")


def call(host, method, parameters, user=None, more=False):
    """One varlink call to the agent, by a program of the user's own."""
    script = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect('/run/peergate/agent.sock')
s.sendall(sys.argv[1].encode() + b'\\0')
data = b''
while not data.endswith(b'\\0'):
    data += s.recv(65536) or b'\\0'
print(data.split(b'\\0')[0].decode())
"""
    message = {"method": f"io.peergate.Agent.{method}", "parameters": parameters, "more": more}
    return json.loads(host.run(["python3", "-I", "-S", "-c", script, json.dumps(message)], user=user, check=True).stdout)


def test_agent_socket_decides_for_root_only(mesh):
    server = mesh.hosts.server
    asked = {"address": mesh.laptop.ip4, "port": 1234, "localAddress": mesh.server.ip4, "sshUser": "root",
             "connection": "test"}
    for user in ("alice", "_sshgw", "peergate"):
        answer = call(server, "AuthorizeSSH", asked, user=user, more=True)
        assert "PermissionDenied" in answer["error"]
        assert "error" not in call(server, "WhoIs", {"address": mesh.laptop.ip4}, user=user)
    assert call(server, "AuthorizeSSH", asked, more=True)["parameters"]["state"] == "accept"
