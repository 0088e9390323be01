"""A Peergate mesh on the core hosts: keys, maps, accounts, names.

server runs the gateway; laptop is alice's, phone is bob's. Maps are files (Netmap=FILE); change
`mesh.filter`, `mesh.ssh_rules` or `mesh.absent` and call apply() on the hosts that should know.
Nothing here knows pytest: contrib/demo uses it, too.
"""
import copy
import json
import re
import time

from hosts import CommandError, HostError, wait_for

DOMAIN = "mesh.example"
PREFIX4, PREFIX6 = "100.64.0.0/10", "fd7a:115c:a1e0::/48"
NETMAP = "/etc/peergate/netmap.json"
USERS = {"alice@example.com": {"name": "Alice"}, "bob@example.com": {"name": "Bob"}}
# libnss_peergate(8)
USE_NAMES = r"sed -i '/^hosts:/{/peergate/!s/\( resolve.*\)\?$/ peergate\1/}' /etc/nsswitch.conf"
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20"


class Node:
    """One host of the mesh and what the maps say of it."""

    def __init__(self, host, number, user=None, tags=()):
        self.host, self.name, self.id = host, host.name, f"n{number}"
        self.ip4, self.ip6 = f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"
        self.user, self.tags = user, list(tags)
        self.key = None
        self.key_expiry = None
        self.generation = 0

    @property
    def addresses(self):
        return [self.ip4, self.ip6]

    def host_key(self):
        fields = self.host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
        return " ".join(fields[:2])

    def as_peer(self):
        return {"id": self.id, "name": self.name, "addresses": self.addresses, "node_key": self.key,
                "endpoints": [f"{self.host.ip4}:51820"], "keepalive": 0, "user": self.user,
                "tags": self.tags, "routes": [], "ssh_host_keys": [self.host_key()],
                "key_expiry": self.key_expiry}

    def as_self(self, ssh):
        return {"id": self.id, "name": self.name, "addresses": self.addresses, "user": self.user,
                "tags": self.tags, "key_expiry": None, "ssh": ssh, "routes": []}


def accept(node, to, ports, origin, proto=(6,)):
    """A packet filter entry: node may reach `to` on these ports (first, last)."""
    return {"src": node.addresses, "proto": list(proto), "origin": origin,
            "dst": [{"ip": address, "ports": list(ports)} for address in to.addresses]}


def login(node, users, origin, action="accept", **fields):
    """An SSH rule: node may log in as these users ({"asked for": "account"})."""
    return {"principals": node.addresses, "users": users, "action": action, "origin": origin, **fields}


class Mesh:
    def __init__(self, hosts):
        self.hosts = hosts
        self.server = Node(hosts.server, 1, tags=["tag:prod"])
        self.laptop = Node(hosts.laptop, 2, user="alice@example.com")
        self.phone = Node(hosts.phone, 3, user="bob@example.com")
        self.nodes = [self.server, self.laptop, self.phone]
        self.changed = False  # since the policy of reset_policy() was in force
        self.reset_policy()

    def reset_policy(self):
        """Alice may log in to the server as root and as a plain user; Bob only reaches its port."""
        server, laptop, phone = self.server, self.laptop, self.phone
        self.absent = set()
        self.filter = {
            "server": [accept(laptop, server, (22, 22), "acls[0] line 14"),
                       accept(laptop, server, (8000, 8099), "acls[1] line 15"),
                       accept(laptop, server, (0, 65535), "acls[2] line 16", proto=(1, 58)),
                       accept(phone, server, (22, 22), "acls[3] line 17")],
            "laptop": [accept(server, laptop, (9000, 9099), "acls[4] line 18")],
            "phone": [],
        }
        self.ssh_rules = {
            "server": [login(laptop, {"root": "root", "*": "="}, "ssh[0] line 31")],
            "laptop": [],
            "phone": [],
        }

    def reset(self):
        """Back to the policy above, everywhere.

        A host that does not take its map is started over, lest every test that follows fails as well; then this
        fails, with what the host's journal says.
        """
        self.reset_policy()
        for node in self.nodes:
            node.key_expiry = None
        trouble = [text for text in map(self._trouble_with, self.nodes) if text]
        if trouble:
            # Others have to learn the keys of those that were started over.
            for node in self.nodes:
                self.apply(node)
        self.changed = False
        if trouble:
            raise HostError("\n".join(trouble))

    def _trouble_with(self, node):
        """Apply the node's map; starts it over if that fails, and returns what was wrong."""
        try:
            self.apply(node)
        except (HostError, CommandError) as error:
            text = f"{node.name} was started over: {error}\n{self._state_of(node)}"
            print(text)
            self.start_over(node)
            return text
        return None

    def _state_of(self, node):
        """For people: what the agent says, and what its journal has last."""
        return node.host.run("agentctl status 2>&1; systemctl status peergate-agent --no-pager --full --lines 0 2>&1;"
                             " journalctl --no-pager --lines 40 --unit peergate-agent").stdout

    # setting up

    def start(self):
        for node in self.nodes:
            self.prepare(node)
        for node in self.nodes:
            self._wait_started(node)
        for node in self.nodes:
            self.apply(node)
        self.hosts.server.wait_active("peergate-sshgw.socket")
        return self

    def start_over(self, node):
        """A new node of the host, whatever has become of the former one."""
        node.host.run(f"""
            systemctl kill -s KILL peergate-agent; systemctl stop peergate-agent
            rm -rf /etc/systemd/system/peergate-agent.service.d /var/lib/peergate/* {NETMAP}
            systemctl reset-failed""", timeout=120)
        self.prepare(node)  # which makes systemd read its units anew
        self._wait_started(node)

    def _wait_started(self, node):
        node.host.wait_active("peergate-agent")
        node.key = node.host.run("agentctl pubkey", check=True).stdout.strip()

    def prepare(self, node):
        host = node.host
        host.run(USE_NAMES, check=True)
        host.write("/etc/peergate/agent.conf", f"Netmap={NETMAP}\n")
        if node is self.server:
            host.write("/etc/peergate/sshgw.conf", "SSH=yes\nPermitRootLogin=yes\n")
            if host.run("id alice").returncode:
                host.add_user("alice")
            host.run("systemctl enable --now peergate-sshgw.socket", check=True)
        host.run("systemctl enable --quiet --now --no-block peergate-agent", check=True)

    # maps

    def map_for(self, node):
        absent = self.absent | {node.name}
        node.generation += 1
        return {
            "type": "full", "version": 1, "for": node.id, "session": "file", "seq": 1,
            "generation": node.generation,
            "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "self": node.as_self(ssh=node is self.server),
            "mesh": {"domain": DOMAIN, "prefixes": [PREFIX4, PREFIX6]},
            "users": USERS,
            "peers": [n.as_peer() for n in self.nodes if n.name not in absent],
            "packet_filter": copy.deepcopy(self.filter[node.name]),
            "ssh_rules": copy.deepcopy(self.ssh_rules[node.name]),
        }

    def put(self, node, content):
        """Replace the map file as an editor does: in one step. Returns the time of the rename."""
        node.host.write(NETMAP + ".new", content if isinstance(content, str) else json.dumps(content, indent=1))
        self.changed = True
        # One process: nothing else may lie between the rename and the clock.
        script = f"import os, time; os.rename('{NETMAP}.new', '{NETMAP}'); print(time.time())"
        return float(node.host.run(["python3", "-I", "-S", "-c", script], check=True).stdout)

    def apply(self, node):
        """Put the node's map in place and wait until it is in force. Returns the time it was put."""
        content = self.map_for(node)
        when = self.put(node, content)
        wait_for(lambda: self.status(node).get("generation") == content["generation"], 20,
                 f"{node.name}: map {content['generation']} in force", 0.1)
        return when

    def status(self, node):
        result = node.host.run("agentctl status --json")
        if result.returncode > 1:
            raise HostError(f"{node.name}: agentctl status: {result.stderr}")
        return json.loads(result.stdout)

    # logins

    def ssh(self, args, node=None, user=None, **kwargs):
        """A stock ssh from the laptop (or another node), which must not ask anything."""
        host = (node or self.laptop).host
        return host.run(f"{SSH} {args}", user=user, **kwargs)


def login_processes(host, account):
    """What runs in the session scopes of an account: {pid: command line}."""
    uid = host.run(["id", "-u", account], check=True).stdout.strip()
    found = host.run(f"""
        for scope in /sys/fs/cgroup/user.slice/user-{uid}.slice/session-*.scope; do
            [ -e $scope ] || continue
            for pid in $(cat $scope/cgroup.procs); do
                echo "$pid $(tr '\\0' ' ' </proc/$pid/cmdline)"
            done
        done""", check=True).stdout
    return dict(re.findall(r"^(\d+) (.*)$", found, re.M))
