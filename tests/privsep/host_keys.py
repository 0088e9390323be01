"""Host keys of the gateway player: what they are called, and how they sign (sshgw/keys)."""
import base64

import messages as m
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SHA256, SHA512 = 2, 4  # enum ssh_digest_e


def mpint(value):
    return m.text(value.to_bytes(value.bit_length() // 8 + 1, "big"))


class HostKey:
    """kind: "ed25519", "ecdsa" or "rsa"."""

    def __init__(self, kind):
        make = {"ed25519": Ed25519PrivateKey.generate, "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
                "rsa": lambda: rsa.generate_private_key(65537, 3072)}
        self.kind, self._key = kind, make[kind]()
        self.line = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        self.blob = base64.b64decode(self.line.split()[1])

    def sign(self, digest, data):
        """The signature blob, RFC 4253 section 6.6."""
        if self.kind == "ed25519":
            name, signature = "ssh-ed25519", self._key.sign(data)
        elif self.kind == "ecdsa":
            name = "ecdsa-sha2-nistp256"
            signature = b"".join(map(mpint, decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))))
        else:
            name, sha = {SHA256: ("rsa-sha2-256", hashes.SHA256()), SHA512: ("rsa-sha2-512", hashes.SHA512())}[digest]
            signature = self._key.sign(data, padding.PKCS1v15(), sha)
        return m.text(name) + m.text(signature)
