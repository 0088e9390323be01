"""agentctl drops: dropped packets, sampled, and only while somebody watches."""
import json
import time

from hosts import wait_for

LOG_RULES = "nft list table inet peergate | grep -c 'log prefix' || true"


class Watch:
    """agentctl drops --json in the background; .seen: what it has told so far."""

    def __init__(self, node, user=None):
        self.host = node.host
        self.process = node.host.popen("agentctl drops --json", user=user)
        # The rules are there a moment after the call.
        wait_for(lambda: int(node.host.run(LOG_RULES).stdout) > 0, 20, "the filter logs")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.close()

    @property
    def seen(self):
        lines = self.process.out.drain().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait(self, timeout=20, **fields):
        """The first answer that has these fields."""
        def found():
            return [d for d in self.seen if all(d.get(k) == v for k, v in fields.items())]
        return wait_for(found, timeout, f"{fields} among what is told")[0]


def log_rules(node):
    return int(node.host.run(LOG_RULES).stdout)


def counter(node, comment):
    table = json.loads(node.host.run("nft -j list table inet peergate", check=True).stdout)
    return sum(e["counter"]["packets"] for entry in table["nftables"] if comment in entry.get("rule", {}).get("comment", "")
               for e in entry["rule"]["expr"] if "counter" in e)


def knock(host, address, port):
    host.run(f"nc -w1 {address} {port} </dev/null")


def test_reasons(mesh):
    server, laptop = mesh.server, mesh.laptop
    with Watch(server) as watch:
        knock(laptop.host, server.ip4, 4444)
        knock(laptop.host, server.ip6, 4444)
        for source, destination in ((laptop.ip4, server.ip4), (laptop.ip6, server.ip6)):
            drop = watch.wait(reason="no rule lets it in", source=source, destinationPort=4444)
            assert (drop["sourceNode"], drop["destination"], drop["protocol"], drop["hook"], drop["interface"]) == \
                ("laptop", destination, 6, "input", "mesh0")
            assert abs(drop["time"] / 1e6 - time.time()) < 120

        # From the LAN to a mesh address.
        lanhost = mesh.hosts.lanhost
        lanhost.run(["ip", "route", "add", f"{server.ip4}/32", "via", server.host.ip4], check=True)
        try:
            knock(lanhost, server.ip4, 22)
            drop = watch.wait(reason="mesh address from elsewhere", source=lanhost.ip4)
            assert drop["interface"] != "mesh0" and "sourceNode" not in drop
        finally:
            lanhost.run(["ip", "route", "del", f"{server.ip4}/32"], check=True)

        # From the LAN through the server into the mesh.
        server.host.run("sysctl -q net.ipv4.ip_forward=1", check=True)
        lanhost.run(["ip", "route", "add", f"{laptop.ip4}/32", "via", server.host.ip4], check=True)
        try:
            knock(lanhost, laptop.ip4, 22)
            drop = watch.wait(reason="elsewhere to mesh", destinationNode="laptop")
            assert (drop["hook"], drop["source"]) == ("forward", lanhost.ip4)
        finally:
            lanhost.run(["ip", "route", "del", f"{laptop.ip4}/32"], check=True)
            server.host.run("sysctl -q net.ipv4.ip_forward=0", check=True)

        # The gateway does not listen.
        server.host.run("systemctl stop peergate-sshgw.socket peergate-sshgw.service", check=True)
        try:
            knock(laptop.host, server.ip4, 22)
            drop = watch.wait(reason="gateway not listening", destinationPort=22)
            assert (drop["hook"], drop["sourceNode"]) == ("prerouting", "laptop")
        finally:
            server.host.run("systemctl start peergate-sshgw.socket", check=True)
    wait_for(lambda: log_rules(server) == 0, 20, "the filter logs no more")


def test_samples_and_what_is_not_shown(mesh):
    server, laptop = mesh.server, mesh.laptop
    flood = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(300):
    s.sendto(b"x", ("{server.ip4}", 5555))
"""
    laptop.host.run(["ping", "-c1", "-W10", server.ip4], check=True)
    with Watch(server) as watch:
        before = counter(server, "no rule lets it in")
        laptop.host.run(["python3", "-I", "-S", "-c", flood], check=True)

        def told():
            shown = [d for d in watch.seen if d["reason"] == "no rule lets it in"]
            return (sum(1 for d in shown if "suppressed" not in d), sum(d.get("suppressed", 0) for d in shown))

        def all_told():
            dropped = counter(server, "no rule lets it in") - before
            return dropped >= 200 and sum(told()) >= dropped - 20 and dropped
        dropped = wait_for(all_told, 30, "what is told adds up to what was dropped")
        shown, suppressed = told()
        # Ten a second: the flood may have taken some seconds.
        assert 5 <= shown <= dropped / 2 and suppressed > 0
        assert shown + suppressed <= dropped + 20


def test_only_while_somebody_watches(mesh):
    server, began = mesh.server, time.time()
    acl = "nft -a list chain inet peergate acl_0"

    def handle():
        return server.host.run(acl, check=True).stdout.split("# handle ")[-1]

    assert log_rules(server) == 0
    before = handle()
    session = mesh.laptop.host.popen("ssh -o BatchMode=yes root@server cat")
    try:
        session.stdin.write(b"one\n")
        session.out.read_until("one")
        with Watch(server), Watch(server):
            # Not made anew: what is let in goes on.
            assert handle() == before
            session.stdin.write(b"two\n")
            session.out.read_until("two")
        wait_for(lambda: log_rules(server) == 0, 20, "the filter logs no more")
        assert handle() == before
        session.stdin.write(b"three\n")
        session.out.read_until("three")
    finally:
        session.kill()
        session.close()
    assert not server.host.journal(unit="peergate-agent", since=began, grep="others changed")


def test_an_agent_that_dies_leaves_no_log_behind(mesh):
    server = mesh.server
    with Watch(server) as watch:
        server.host.run("systemctl kill -s KILL peergate-agent", check=True)
        assert watch.process.wait(20) == 3
        wait_for(lambda: log_rules(server) == 0, 40, "the next agent takes the rules away")
    server.host.wait_active("peergate-agent")


def test_for_the_group_alone(mesh):
    host = mesh.server.host
    result = host.run("agentctl drops --for 2s", user="alice")
    assert result.returncode == 1 and "group peergate" in result.stderr
    host.run("usermod -aG peergate alice", check=True)
    try:
        assert host.run("agentctl drops --for 2s", user="alice").returncode == 0
    finally:
        host.run("gpasswd -d alice peergate", check=True)


def test_lines_for_people(mesh):
    with mesh.server.host.popen("agentctl drops --for 20s") as process:
        wait_for(lambda: log_rules(mesh.server) > 0, 20, "the filter logs")
        knock(mesh.laptop.host, mesh.server.ip4, 4444)
        process.out.read_until(r"^\d\d:\d\d:\d\d  laptop \(100\.64\.0\.2\) -> 100\.64\.0\.1 tcp/4444, input mesh0: "
                               r"no rule lets it in$")
