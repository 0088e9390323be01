"""The hosts of mesh.Mesh with a coordinator: it runs on the server, which is a host of the mesh as well.

Whoever uses this puts mesh.Mesh's map files back in the end: coordinated() does. Nothing here knows
pytest: contrib/demo uses it, too.
"""
import contextlib
import json
import re

from hosts import wait_for

PORT = 8443
PEOPLE = {"laptop": "alice@example.com", "phone": "bob@example.com"}
CONFIG, CA = "/etc/peergate/agent.conf", "/etc/peergate/coord-ca.pem"
# What mesh.Mesh.reset_policy() says in maps.
POLICY = """{
	// Who may reach what.
	"tagOwners": { "tag:prod": ["alice@example.com"] },
	"acls": [
		{ "action": "accept", "src": ["alice@example.com"], "dst": ["tag:prod:22,8000-8099"] },
		{ "action": "accept", "src": ["alice@example.com"], "proto": "icmp", "dst": ["tag:prod:*"] },
		{ "action": "accept", "src": ["bob@example.com"], "dst": ["tag:prod:22"] },
	],
	"ssh": [
		%s
	],
}
"""
SSH_RULE = """{ "action": "accept", "src": ["alice@example.com"], "dst": ["tag:prod"],
		  "users": ["root", "autogroup:nonroot"] },"""


# As coordctl does, but says when it asked, and when the coordinator had accepted it. A file's name for each policy.
PUT = """
import socket, sys, time
for path in sys.stdin:
    text = open(path.strip(), 'rb').read()
    s = socket.socket(socket.AF_UNIX)
    s.connect('/run/peergate-coord/admin.sock')
    asked = time.time()
    s.sendall(b'PUT /v1/admin/policy HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n'
              b'Content-Length: %d\\r\\n\\r\\n' % len(text) + text)
    said = s.recv(12)
    print(said[9:], asked, time.time(), flush=True)
"""
CERTIFICATE, PRIVATE_KEY = "/etc/peergate/coord.pem", "/etc/peergate/coord.key"


class Coordinated:
    def __init__(self, mesh, proxy=None, people=PEOPLE, name=None):
        """proxy: what speaks TLS in its place, see proxies.py. people: whose the hosts are; the others are tag:prod,
        and take logins. name: that it is reached by; else its address is."""
        self.mesh, self.host, self.proxy, self.people = mesh, mesh.server.host, proxy, people
        self.url, self.name = f"https://{name or self.host.ip4}:{PORT}", name

    def ctl(self, command, check=True, **kwargs):
        return self.host.run(f"coordctl {command}", check=check, **kwargs)

    def ask(self, command):
        return json.loads(self.ctl(f"{command} --json").stdout)

    # setting up

    def start(self, *later):
        """A coordinator, people, a policy; all hosts join, but for those that are to do so later."""
        self._make_certificate()
        if self.name:
            for node in self.mesh.nodes:
                node.host.run(f"echo {self.host.ip4} {self.name} >>/etc/hosts", check=True)
        tls = f" --listen 0.0.0.0:{PORT} --certificate {CERTIFICATE} --private-key {PRIVATE_KEY}"
        self.ctl(f"init --domain mesh.example --url {self.url}{'' if self.proxy else tls}")
        self.host.run("systemctl enable --quiet --now peergate-coord", check=True)
        if self.proxy:
            self.proxy.start(self.host)
        for login in self.people.values():
            self.ctl(f"users add {login}")
        self.set_policy()
        self.mesh.changed = True
        for node in self.mesh.nodes:
            self.prepare(node)
            if node not in later:
                self.join(node)
        return self

    def _make_certificate(self):
        self.host.run(f"""
            cd /etc/peergate
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=coordinator \\
                -addext subjectAltName=IP:{self.host.ip4}{f",DNS:{self.name}" if self.name else ""} -keyout coord.key -out coord.pem
            chgrp peergate-coord coord.key && chmod 640 coord.key""", check=True)

    def prepare(self, node):
        """From a map file to a coordinator, not enrolled yet."""
        node.host.run("systemctl stop peergate-agent", check=True)
        node.host.write(CA, self.host.read(CERTIFICATE))
        node.host.write(CONFIG, f"CAFile={CA}\n")
        node.host.run("systemctl start peergate-agent", check=True)
        node.host.wait_active("peergate-agent")

    def auth_key(self, node):
        login = self.people.get(node.name)
        whose = f"--user {login}" if login else "--tag tag:prod"
        return self.ask(f"authkeys create {whose}")["key"]

    def join(self, node, url=None):
        """Enrol with an auth key; wait until the map is there."""
        node.host.write("/root/auth-key", self.auth_key(node) + "\n", mode=0o600)
        ssh = "" if node.name in self.people else " --ssh"
        node.host.run(f"agentctl up --coordinator {url or self.url} --auth-key-file /root/auth-key{ssh}",
                      check=True, timeout=120)
        self.learn(node)

    def join_again(self, node, url=None):
        """As another node, the former one being no more."""
        node.host.run("agentctl logout --accept-risk=lose-ssh", check=True)
        self.ctl(f"nodes delete {node.name}")
        self.join(node, url)

    def learn(self, node):
        """What the node was given."""
        said = next(n for n in self.ask("nodes list")["nodes"] if n["name"] == node.name)
        node.id, (node.ip4, node.ip6) = said["id"], said["addresses"]
        wait_for(lambda: self.mesh.status(node).get("generation"), 30, f"{node.name}: a map")

    def stop(self):
        """Back to map files. A host's file is still there: its generation goes on from that."""
        for number, node in enumerate(self.mesh.nodes, 1):
            node.host.run("agentctl logout --accept-risk=lose-ssh")
            node.id, node.ip4, node.ip6 = f"n{number}", f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"
        self.host.run("systemctl disable --quiet --now peergate-coord; rm -rf /var/lib/peergate-coord /etc/peergate/coord*")
        if self.proxy:
            self.proxy.stop(self.host)
        for node in self.mesh.nodes:
            if self.name:
                node.host.run(f"sed '/{self.name}/d' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts", check=True)
            self.mesh.start_over(node)
        self.mesh.reset()

    def metric(self, name):
        """A number of the coordinator's; name: with its labels, as in 'maps_total{type="full"}'."""
        found = re.search(rf"^peergate_coord_{re.escape(name)} (\S+)$", self.ctl("metrics").stdout, re.M)
        return float(found[1])

    def events(self, action=None):
        events = [json.loads(line) for line in self.ctl("events --json").stdout.splitlines()]
        return [event for event in events if action in (None, event["action"])]

    # policy

    def set_policy(self, ssh=SSH_RULE, options=""):
        """Returns what coordctl said."""
        self.host.write("/root/policy.hujson", POLICY % ssh)
        return self.ctl(f"policy set {options} /root/policy.hujson")

    def put_policy(self, ssh=SSH_RULE):
        """The same; returns the time when the coordinator answered that it is in force."""
        self.host.write("/root/policy.hujson", POLICY % ssh)
        with self.policies() as put:
            return put("/root/policy.hujson")[1]

    @contextlib.contextmanager
    def policies(self):
        """To put policies into force at once: a function which takes the name of a file on the coordinator's host, and
        returns when it asked and when it was answered."""
        with self.host.popen(["python3", "-I", "-S", "-c", PUT]) as process:
            def put(path):
                process.stdin.write(path.encode() + b"\n")
                asked, answered = process.out.read_until(r"^b'200' (\S+) (\S+)$", 20).groups()
                return float(asked), float(answered)

            yield put

    def wait_reachable(self, node):
        """Node and server know one another, by name too."""
        wait_for(lambda: node.host.run("nc -z -w 2 server 22").returncode == 0, 60, f"{node.name} reaches the server", 0.5)

    def connected(self, node):
        return any(n["name"] == node.name and n["online"] for n in self.ask("nodes list")["nodes"])

    def wait_connected(self, *nodes, timeout=90):
        for node in nodes or self.mesh.nodes:
            wait_for(lambda node=node: self.connected(node), timeout, f"{node.name} is connected", 0.5)


@contextlib.contextmanager
def coordinated(mesh, **kwargs):
    it = Coordinated(mesh, **kwargs)
    try:
        yield it.start()
    finally:
        it.stop()
