"""A provider that lies. It speaks OpenID Connect as the real one does, asks nobody anything, and hands out whatever
token a test wants: what no sound provider ever sends."""
import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode(value):
    return base64url(json.dumps(value).encode())


class Key:
    def __init__(self, kid):
        self.kid, self.private = kid, rsa.generate_private_key(65537, 2048)

    def sign(self, text):
        return self.private.sign(text, padding.PKCS1v15(), SHA256())

    def as_jwk(self):
        numbers = self.private.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                "n": base64url(numbers.n.to_bytes(256, "big")), "e": base64url(numbers.e.to_bytes(3, "big"))}

    def as_pem(self):
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Liar:
    """telling(lie): the tokens are what lie(liar, claims) makes of the true claims."""

    def __init__(self, port):
        self.issuer = f"http://127.0.0.1:{port}"
        self.key, self.other_key = Key("first"), Key("first")
        self.asked = {}  # what the coordinator last sent a browser with
        self.lie = Liar.honest

    @contextlib.contextmanager
    def telling(self, lie):
        self.lie = lie
        yield
        self.lie = Liar.honest

    # tokens

    def honest(self, claims):
        return self.token(claims)

    def token(self, claims, key=None, **header):
        head = {"alg": "RS256", "typ": "JWT", "kid": self.key.kid, **header}
        text = f"{encode(head)}.{encode(claims)}"
        return f"{text}.{base64url((key or self.key).sign(text.encode()))}"

    def unsigned(self, claims, alg="none"):
        return f"{encode({'alg': alg, 'typ': 'JWT'})}.{encode(claims)}."

    def signed_by_our_public_key(self, claims):
        """The oldest trick: the public half, which everybody has, taken for a password."""
        text = f"{encode({'alg': 'HS256', 'typ': 'JWT', 'kid': self.key.kid})}.{encode(claims)}"
        return f"{text}.{base64url(hmac.digest(self.key.as_pem(), text.encode(), hashlib.sha256))}"

    def tampered(self, claims, **changes):
        head, _, signature = self.token(claims).split(".")
        return f"{head}.{encode({**claims, **changes})}.{signature}"

    # what it answers

    def describe(self):
        return {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/auth", "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys", "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"]}

    def send_back(self, query):
        self.asked = {name: values[0] for name, values in parse_qs(query).items()}
        return f"{self.asked['redirect_uri']}?{urlencode({'code': 'x', 'state': self.asked['state'], 'iss': self.issuer})}"

    def answer_code(self):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.asked["client_id"], "sub": "alice", "email": "alice@example.com",
                  "email_verified": True, "iat": now, "exp": now + 600, "auth_time": now, "nonce": self.asked["nonce"]}
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.lie(self, claims)}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        liar, url = self.server.liar, urlsplit(self.path)
        if url.path == "/auth":
            self.send_response(302)
            self.send_header("Location", liar.send_back(url.query))
            self.end_headers()
        elif url.path == "/keys":
            self._answer({"keys": [liar.key.as_jwk()]})
        else:
            self._answer(liar.describe())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.liar.answer_code())

    def _answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def liar(port):
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.liar = Liar(port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.liar
        server.shutdown()
