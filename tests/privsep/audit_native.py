#!/usr/bin/env python3
"""The algorithms that the network process offers: what ssh-audit(1) says of them, and whether they work.

usage: audit_native.py NET SESSION BUILD_HEADER
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import namespace

if not shutil.which("ssh-audit"):
    print("needs ssh-audit")
    sys.exit(77)
namespace.enter()

from gateway import Gateway
from waiting import LIMIT

ALL_KEYS = ("ed25519", "ecdsa", "rsa")
CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes128-ctr"]
MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"]
STRICT = "kex-strict-s-v00@openssh.com"

# What it finds all the same, and why that is not mended.
KNOWN = {
    ("warn", "mac", "hmac-sha2-256"): "libssh2 before 1.11 (Debian's curl) and older dropbear have nothing better",
    ("warn", "kex", STRICT): "no algorithm, but the sign of strict key exchange, which is newer than this ssh-audit",
}


def findings(text):
    """{(level, kind, algorithm)}: ssh-audit(1) puts further ones below the algorithm's name."""
    found, about = set(), None
    for line in text.splitlines():
        about = re.match(r"\((\w+)\) (\S+)", line) or about
        level = re.search(r"(?:--|`-) \[(\w+)\] ", line)
        if level:
            found.add((level[1], about[1], about[2]))
    return found


class AuditTest(unittest.TestCase):
    def gateway(self, **options):
        gateway = Gateway(*sys.argv[1:3], BUILD, **options)
        self.addCleanup(gateway.close)
        return gateway

    def audit(self, gateway, *options):
        argv = ["ssh-audit", "--no-colors", *options, "-p", str(gateway.port), "127.0.0.1"]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False).stdout

    def ssh(self, gateway, *options):
        argv = ["ssh", *options, "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                "-o", "UserKnownHostsFile=/dev/null", "-p", str(gateway.port), "alice@127.0.0.1", "echo in"]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)

    def test_nothing_is_wrong(self):
        text = self.audit(self.gateway(keys=ALL_KEYS))
        found = findings(text)
        # It has looked at all of them.
        self.assertLessEqual({("info", "kex", "curve25519-sha256"), ("info", "key", "rsa-sha2-512"),
                              ("info", "enc", "aes128-gcm@openssh.com"), ("info", "mac", MACS[0])}, found)
        self.assertEqual({finding for finding in found if finding[0] != "info"}, set(KNOWN), text)

    def test_what_is_offered(self):
        said = json.loads(self.audit(self.gateway(keys=ALL_KEYS), "-j"))
        self.assertEqual([kex["algorithm"] for kex in said["kex"]],
                         ["curve25519-sha256", "curve25519-sha256@libssh.org", STRICT])
        self.assertEqual([key["algorithm"] for key in said["key"]], ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"])
        self.assertEqual((said["enc"], said["mac"]), (CIPHERS, MACS))

    def test_all_of_them_work(self):
        gateway = self.gateway(keys=ALL_KEYS)
        for cipher in CIPHERS:
            for mac in MACS if cipher.endswith("-ctr") else MACS[:1]:
                result = self.ssh(gateway, "-c", cipher, "-m", mac)
                self.assertEqual((result.stdout, result.stderr), ("in\n", ""), (cipher, mac))
        for kex in ("curve25519-sha256", "curve25519-sha256@libssh.org"):
            self.assertEqual(self.ssh(gateway, "-o", f"KexAlgorithms={kex}").stdout, "in\n")
        for key in ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"):
            self.assertEqual(self.ssh(gateway, "-o", f"HostKeyAlgorithms={key}").stdout, "in\n")

    def test_what_is_not_offered(self):
        gateway = self.gateway(keys=ALL_KEYS)
        for option in ("HostKeyAlgorithms=ssh-rsa", "HostKeyAlgorithms=ecdsa-sha2-nistp256", "Ciphers=aes128-cbc",
                       "MACs=hmac-sha1", "KexAlgorithms=ecdh-sha2-nistp256", "KexAlgorithms=diffie-hellman-group14-sha256"):
            options = ["-o", "LogLevel=INFO", "-o", option] + (["-o", "Ciphers=aes128-ctr"] if option.startswith("MACs") else [])
            result = self.ssh(gateway, *options)
            self.assertEqual((result.stdout, result.returncode), ("", 255), option)
            self.assertIn("no matching", result.stderr)

    def test_hosts_with_one_key(self):
        """Also with nothing but an ECDSA key a host can be reached."""
        for kind, algorithm in (("ed25519", "ssh-ed25519"), ("rsa", "rsa-sha2-256"), ("ecdsa", "ecdsa-sha2-nistp256")):
            gateway = self.gateway(keys=(kind,))
            known = pathlib.Path(namespace.WORK) / "known"
            known.write_text(f"[127.0.0.1]:{gateway.port} {gateway.keys[0].line}\n")
            result = self.ssh(gateway, "-o", f"HostKeyAlgorithms={algorithm}")
            self.assertEqual((result.stdout, result.stderr), ("in\n", ""), kind)
            argv = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
            self.assertEqual(self.ssh(gateway, *argv).stdout, "in\n", kind)


if __name__ == "__main__":
    namespace.set_up_gateway()
    BUILD = re.search(r'"(.*)"', pathlib.Path(sys.argv[3]).read_text())[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
