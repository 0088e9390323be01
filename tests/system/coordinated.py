"""The hosts of mesh.Mesh with a coordinator: it runs on the server, which is a host of the mesh as well.

Whoever uses this puts mesh.Mesh's map files back in the end: coordinated() does. Nothing here knows
pytest: contrib/demo uses it, too.
"""
import contextlib
import json

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


# As coordctl does, but says at what time the coordinator had accepted it, to the millisecond.
PUT = """
import socket, sys, time
text = open(sys.argv[1], 'rb').read()
s = socket.socket(socket.AF_UNIX)
s.connect('/run/peergate-coord/admin.sock')
s.sendall(b'PUT /v1/admin/policy HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n'
          b'Content-Length: %d\\r\\n\\r\\n' % len(text) + text)
said = s.recv(12)
print(time.time())
sys.exit(said != b'HTTP/1.1 200')
"""


class Coordinated:
    def __init__(self, mesh):
        self.mesh, self.host = mesh, mesh.server.host
        self.url = f"https://{self.host.ip4}:{PORT}"

    def ctl(self, command, check=True, **kwargs):
        return self.host.run(f"coordctl {command}", check=check, **kwargs)

    def ask(self, command):
        return json.loads(self.ctl(f"{command} --json").stdout)

    # setting up

    def start(self, *later):
        """A coordinator, people, a policy; all hosts join, but for those that are to do so later."""
        self._make_certificate()
        self.ctl(f"init --domain mesh.example --url {self.url} --listen 0.0.0.0:{PORT} "
                 "--certificate /etc/peergate/coord.pem --private-key /etc/peergate/coord.key")
        self.host.run("systemctl start peergate-coord", check=True)
        self.host.wait_active("peergate-coord")
        for login in PEOPLE.values():
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
                -addext subjectAltName=IP:{self.host.ip4} -keyout coord.key -out coord.pem
            chgrp peergate-coord coord.key && chmod 640 coord.key""", check=True)

    def prepare(self, node):
        """From a map file to a coordinator, not enrolled yet."""
        node.host.run("systemctl stop peergate-agent", check=True)
        node.host.write(CA, self.host.read("/etc/peergate/coord.pem"))
        node.host.write(CONFIG, f"CAFile={CA}\n")
        node.host.run("systemctl start peergate-agent", check=True)
        node.host.wait_active("peergate-agent")

    def auth_key(self, node):
        login = PEOPLE.get(node.name)
        whose = f"--user {login}" if login else "--tag tag:prod"
        return self.ask(f"authkeys create {whose}")["key"]

    def join(self, node):
        """Enrol with an auth key; wait until the map is there."""
        node.host.write("/root/auth-key", self.auth_key(node) + "\n", mode=0o600)
        ssh = " --ssh" if node is self.mesh.server else ""
        node.host.run(f"agentctl up --coordinator {self.url} --auth-key-file /root/auth-key{ssh}", check=True, timeout=120)
        self.learn(node)

    def learn(self, node):
        """What the node was given."""
        said = next(n for n in self.ask("nodes list")["nodes"] if n["name"] == node.name)
        node.id, (node.ip4, node.ip6) = said["id"], said["addresses"]
        wait_for(lambda: self.mesh.status(node).get("generation"), 30, f"{node.name}: a map")

    def stop(self):
        """Back to map files."""
        for number, node in enumerate(self.mesh.nodes, 1):
            node.host.run("agentctl logout --accept-risk=lose-ssh; systemctl stop peergate-agent; rm -f /var/lib/peergate/*")
            node.id, node.ip4, node.ip6 = f"n{number}", f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}"
            node.generation = 0
        self.host.run("systemctl stop peergate-coord; rm -rf /var/lib/peergate-coord /etc/peergate/coord*")
        self.mesh.start()
        self.mesh.changed = True

    # policy

    def set_policy(self, ssh=SSH_RULE, options=""):
        """Returns what coordctl said."""
        self.host.write("/root/policy.hujson", POLICY % ssh)
        return self.ctl(f"policy set {options} /root/policy.hujson")

    def put_policy(self, ssh=SSH_RULE):
        """The same; returns the time when the coordinator answered that it is in force."""
        self.host.write("/root/policy.hujson", POLICY % ssh)
        said = self.host.run(["python3", "-I", "-S", "-c", PUT, "/root/policy.hujson"], check=True)
        return float(said.stdout)

    def wait_reachable(self, node):
        """Node and server know one another, by name too."""
        wait_for(lambda: node.host.run("nc -z -w 2 server 22").returncode == 0, 60, f"{node.name} reaches the server", 0.5)

    def connected(self, node):
        return any(n["name"] == node.name and n["online"] for n in self.ask("nodes list")["nodes"])

    def wait_connected(self, *nodes, timeout=90):
        for node in nodes or self.mesh.nodes:
            wait_for(lambda node=node: self.connected(node), timeout, f"{node.name} is connected", 0.5)


@contextlib.contextmanager
def coordinated(mesh):
    it = Coordinated(mesh)
    try:
        yield it.start()
    finally:
        it.stop()
