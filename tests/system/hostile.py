"""Requests for the coordinator as nobody well-behaved sends them: machines of our own making, and bytes as they are
given. Nothing here knows pytest."""
import base64
import hashlib
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

# Sends each of the requests on a connection of its own; standard input: {"address", "port", "requests": [base64]}.
# Prints a list of [what came back as base64, how it ended].
SEND = """
import base64, json, socket, ssl, sys
todo = json.load(sys.stdin)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
answers = []
for request in todo['requests']:
    came, ended = b'', 'closed'
    with context.wrap_socket(socket.create_connection((todo['address'], todo['port']), 20)) as s:
        s.settimeout(20)
        try:
            s.sendall(base64.b64decode(request))
            while True:
                data = s.recv(65536)
                if not data:
                    break
                came += data
        except OSError as error:
            ended = str(error) or type(error).__name__
    answers.append([base64.b64encode(came).decode(), ended])
json.dump(answers, sys.stdout)
"""


class Answer:
    def __init__(self, raw, ended):
        self.raw, self.ended = raw, ended
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.status = int(head[9:12]) if head.startswith(b"HTTP/1.") else None
        self.headers = {name.lower(): value for name, value in
                        re.findall(r"^([^:\r\n]+): ([^\r\n]*)\r?$", head.decode("latin-1"), re.M)}

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r} {self.ended}>"

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["error"]["code"] if self.status else None

    @property
    def message(self):
        return self.json()["error"]["message"]


def exchange(host, address, port, requests):
    """Send the requests (bytes) from the host, one after the other; returns an Answer for each."""
    todo = {"address": address, "port": port, "requests": [base64.b64encode(r).decode() for r in requests]}
    said = host.run(["python3", "-I", "-S", "-c", SEND], input=json.dumps(todo), check=True, timeout=120)
    return [Answer(base64.b64decode(raw), ended) for raw, ended in json.loads(said.stdout)]


def request(method, path, body=b"", headers=(), version="HTTP/1.1", length=True):
    """A request with nothing unusual about it but what it is told."""
    lines = [f"{method} {path} {version}", "Host: coordinator", "Connection: close", *headers]
    if length and (body or method in ("POST", "PUT")):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Machine:
    """A machine key, and what it signs (coord/PROTOCOL-signatures.md)."""

    def __init__(self, coordinator, epoch):
        self.coordinator, self.epoch = coordinator, epoch
        self.nonce = int(time.time() * 1000)
        self.folder = tempfile.TemporaryDirectory()
        self.key = Path(self.folder.name) / "key.pem"
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "ed25519", "-out", self.key], check=True)
        public = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True,
                                stdout=subprocess.PIPE).stdout
        self.id = "pgm:" + base64url(public[-32:])

    def sign(self, text):
        path = Path(self.folder.name) / "text"
        path.write_text(text)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", path], check=True,
                              stdout=subprocess.PIPE).stdout

    def headers(self, path, body=b"", keyid=None, coordinator=None, epoch=None, created=None, nonce=None):
        """The fields that make a POST a signed one; anything else than the truth on request."""
        self.nonce += 1
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        audience = f"{coordinator or self.coordinator}.{epoch or self.epoch}"
        parameters = ('("@method" "@path" "@query" "content-digest" "peergate-coordinator")'
                      f';created={int(created or time.time())};nonce="{nonce or self.nonce}"'
                      f';keyid="{keyid or self.id}";alg="ed25519"')
        signature = self.sign(f'"@method": POST\n"@path": {path}\n"@query": ?\n"content-digest": {digest}\n'
                              f'"peergate-coordinator": {audience}\n"@signature-params": {parameters}')
        return [f"Content-Digest: {digest}", f"Peergate-Coordinator: {audience}", f"Signature-Input: pg={parameters}",
                f"Signature: pg=:{base64.b64encode(signature).decode()}:"]

    def request(self, path, body=b"{}", **lies):
        return request("POST", path, body, self.headers(path, body, **lies))
