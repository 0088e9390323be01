#!/usr/bin/env python3
"""How clients are let in, or not, by the network process for real: paramiko's, OpenSSH's, and bare messages.

The monitor's part is played by gateway.py, as for net_native.py.

usage: auth_native.py NET SESSION BUILD_HEADER
"""
import pathlib
import queue
import re
import signal
import subprocess
import sys
import time
import unittest

import namespace

try:
    import paramiko
except ImportError:
    print("needs paramiko (Debian: python3-paramiko)")
    sys.exit(77)
namespace.enter()

from gateway import EXIT_CLOSED, Gateway
from ssh_packet import packet
from waiting import LIMIT, stop, wait_until

SERVICE_REQUEST, USERAUTH_REQUEST, FAILURE, SUCCESS, BANNER, PK_OK, RESPONSE = 5, 50, 51, 52, 53, 60, 61
INFO_REQUEST = PK_OK  # both are 60
DEFAULT, PASSWORD_ONLY, NOTHING_ELSE = ["publickey", "keyboard-interactive", "password"], \
    ["keyboard-interactive", "password"], ["keyboard-interactive"]


class Bare(paramiko.Transport):
    """A client that sends what it is told to, and keeps the answers as they come."""

    def __init__(self, port):
        super().__init__(("127.0.0.1", port))
        self.answers, self.banners = queue.Queue(), []
        kinds = (FAILURE, SUCCESS, PK_OK)
        self._handler_table = {**self._handler_table, 6: lambda *_: self.answers.put((6, None)),
                               BANNER: lambda _, message: self.banners.append(message.get_text()),
                               **{kind: self._keep(kind) for kind in kinds}}
        self.auth_handler = paramiko.auth_handler.AuthHandler(self)
        self.auth_handler._client_handler_table = {}  # ours are these
        self.start_client(timeout=LIMIT)
        self.send(SERVICE_REQUEST, "ssh-userauth")
        assert self.answer() == (6, None)

    def _keep(self, kind):
        def keep(_, message):
            if kind == SUCCESS:
                self.authenticated = True
            self.answers.put((kind, message))
        return keep

    def is_authenticated(self):
        return self.authenticated

    def send(self, kind, *fields):
        self._send_message(packet(kind, *fields))

    def request(self, method, *fields, user="alice", service="ssh-connection"):
        self.send(USERAUTH_REQUEST, user, service, method, *fields)

    def answer(self, timeout=LIMIT):
        return self.answers.get(timeout=timeout)

    def failure(self):
        """The methods that a failure names."""
        kind, message = self.answer()
        assert kind == FAILURE, kind
        return message.get_list()


KEYS = [paramiko.RSAKey.generate(2048), paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate(bits=521)]


class AuthTest(unittest.TestCase):
    def gateway(self, **options):
        gateway = Gateway(*sys.argv[1:3], BUILD, **options)
        self.addCleanup(gateway.close)
        return gateway

    def transport(self, gateway):
        transport = paramiko.Transport(("127.0.0.1", gateway.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=LIMIT)
        return transport

    def bare(self, gateway):
        client = Bare(gateway.port)
        self.addCleanup(client.close)
        return client

    def works(self, transport):
        channel = transport.open_session(timeout=LIMIT)
        channel.exec_command("echo in; exit 3")
        return channel.makefile().read() == b"in\n" and channel.recv_exit_status() == 3

    def closed(self, gateway):
        return wait_until(lambda: gateway.connections[-1].net.poll() is not None)

    # ---- the policy agrees: whatever they have ----

    def test_methods(self):
        gateway = self.gateway()
        ways = [lambda t: t.auth_none("alice"), lambda t: t.auth_password("alice", "", fallback=False),
                lambda t: t.auth_password("alice", "x" * 70000, fallback=False)]
        ways += [lambda t, key=key: t.auth_publickey("alice", key) for key in KEYS]
        for i, way in enumerate(ways):
            transport = self.transport(gateway)
            way(transport)
            self.assertTrue(self.works(transport), i)
            self.assertEqual(gateway.connections[-1].asked, ["alice"], i)

    def test_interactive(self):
        transport, shown = self.transport(self.gateway()), []
        transport.auth_interactive("alice", lambda *what: shown.append(what) or [])
        self.assertEqual(shown, [("", "", [])])
        self.assertTrue(self.works(transport))

    def test_answers_that_nobody_asked_for(self):
        """More of them than questions: they are not looked at."""
        client = self.bare(self.gateway())
        client.request("keyboard-interactive", "", "")
        self.assertEqual(client.answer()[0], INFO_REQUEST)
        client.send(RESPONSE, 3, "a", "b", "c")
        self.assertEqual(client.answer()[0], SUCCESS)

    def test_keys_that_nobody_knows(self):
        """Any name, any bytes, any signature; the answer to an offer repeats the offer."""
        for algorithm, key in (("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)), ("ssh-dss", b"key"),
                               ("sk-ssh-ed25519-cert-v01@openssh.com", b"\xff" * 9000), ("", b"")):
            client = self.bare(self.gateway())
            client.request("publickey", False, algorithm, key)
            kind, message = client.answer()
            self.assertEqual((kind, message.get_text(), message.get_string()), (PK_OK, algorithm, key))
            client.request("publickey", True, algorithm, key, b"no signature")
            self.assertEqual(client.answer()[0], SUCCESS)
            self.assertTrue(self.works(client))

    def test_an_offer_is_no_login(self):
        """Who goes no further has the time of every login, although the policy agreed."""
        gateway = self.gateway(grace=2)
        client = self.bare(gateway)
        client.request("publickey", False, "ssh-ed25519", b"key")
        self.assertEqual(client.answer()[0], PK_OK)
        time.sleep(0.5)
        self.assertIsNone(gateway.connections[-1].net.poll())
        self.assertTrue(self.closed(gateway))

    def test_offers_without_end(self):
        gateway = self.gateway()
        client = self.bare(gateway)
        for _ in range(20):
            client.request("publickey", False, "ssh-ed25519", b"key")
            self.assertEqual(client.answer()[0], PK_OK)
        self.assertIsNone(gateway.connections[-1].net.poll())
        client.request("publickey", False, "ssh-ed25519", b"key")
        self.assertTrue(self.closed(gateway))

    def test_other_methods(self):
        """They fail, and so does another service; the monitor is not asked for that."""
        gateway = self.gateway()
        client = self.bare(gateway)
        for method, fields in (("gssapi-with-mic", (1, "oid")), ("gssapi-with-mic", (0x7fffffff,)), ("", ()),
                               ("hostbased", ("a", "b", "c", "d", "e")), ("publickey", (False, "a", "b" * 16385))):
            client.request(method, *fields)
            self.assertEqual(client.failure(), DEFAULT)
        client.request("none", service="ssh-userauth")
        self.assertEqual(client.failure(), DEFAULT)
        self.assertEqual(gateway.connections[-1].asked, [])
        client.request("password", False, "x")
        self.assertEqual(client.answer()[0], SUCCESS)

    def test_who_does_not_wait(self):
        """Two requests at once: one answer each, in their order."""
        gateway = self.gateway(agrees=None)
        client = self.bare(gateway)
        client.request("none")
        client.request("password", False, "x")
        self.assertEqual(client.failure(), DEFAULT)
        connection = gateway.connections[-1]
        self.assertTrue(wait_until(lambda: connection.asked == ["alice"]))
        connection.verdict(True)
        self.assertEqual(client.answer()[0], SUCCESS)
        self.assertEqual(connection.asked, ["alice"])
        self.assertTrue(self.works(client))

    def test_passwords_are_not_kept(self):
        """Neither in the process that has been sent one, nor in what it says."""
        secret = b"wrong horse, battery 4711"
        gateway = self.gateway(check="123-456")
        client = self.bare(gateway)
        client.request("password", False, secret)
        self.assertTrue(wait_until(lambda: gateway.connections[-1].held.is_set()))
        pid = gateway.connections[-1].net.pid
        found = []
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps.read(), re.M):
                start, size = int(start, 16), int(end, 16) - int(start, 16)
                if size < 256 << 20:  # a sanitiser's own are larger
                    memory.seek(start)
                    content = memory.read(size)
                    found += [word for word in (secret, b"alice") if word in content]
        self.assertEqual(set(found), {b"alice"})
        gateway.connections[-1].verdict(True)
        self.assertEqual(client.answer()[0], SUCCESS)
        self.assertEqual(gateway.connections[-1].log, [])

    # ---- the session is opened when the client is done ----

    WAYS = {"none": (), "password": (False, "x"), "publickey": (True, "ssh-ed25519", b"key", b"signature")}

    def finish(self, client, method):
        """All that the client has to say for it."""
        if method == "keyboard-interactive":
            client.request(method, "", "")
            self.assertEqual(client.answer()[0], INFO_REQUEST)
            client.send(RESPONSE, 0)
        else:
            client.request(method, *self.WAYS[method])

    def test_not_before(self):
        """Neither for a question or an offer, nor for "none" that is to fail."""
        gateway = self.gateway()
        client = self.bare(gateway)
        client.request("none", user="alice+password")
        self.assertEqual(client.failure(), PASSWORD_ONLY)
        client.request("publickey", False, "ssh-ed25519", b"key", user="alice+password")
        self.assertEqual(client.answer()[0], PK_OK)
        client.request("keyboard-interactive", "", "", user="alice+password")
        self.assertEqual(client.answer()[0], INFO_REQUEST)
        time.sleep(0.5)
        self.assertEqual(gateway.connections[-1].logged_in, 0)
        client.send(RESPONSE, 0)
        self.assertEqual(client.answer()[0], SUCCESS)
        self.assertEqual(gateway.connections[-1].logged_in, 1)

    def test_success_waits_for_it(self):
        for method, seconds in (("password", 4), ("publickey", 0.3), ("keyboard-interactive", 0.3)):
            gateway = self.gateway(opens=None, grace=3)
            client = self.bare(gateway)
            self.finish(client, method)
            connection = gateway.connections[-1]
            self.assertTrue(wait_until(lambda connection=connection: connection.logged_in))
            # What comes now is too late, and the session may take longer than the login.
            client.request("password", False, "y")
            time.sleep(seconds)
            self.assertTrue(client.answers.empty(), method)
            connection.opened()
            self.assertEqual(client.answer()[0], SUCCESS)
            self.assertTrue(self.works(client))
            self.assertTrue(client.answers.empty())
            self.assertEqual(connection.logged_in, 1)

    def test_none_does_not_wait(self):
        """While PAM does its work, the client goes on."""
        gateway = self.gateway(opens=None)
        client = self.bare(gateway)
        client.request("none")
        self.assertEqual(client.answer()[0], SUCCESS)
        gateway.connections[-1].opened()
        self.assertTrue(self.works(client))
        self.assertEqual(gateway.connections[-1].logged_in, 1)

    def test_it_cannot_be_opened(self):
        for method in ("password", "publickey", "keyboard-interactive"):
            gateway = self.gateway(opens="Peergate: no home")
            client = self.bare(gateway)
            self.finish(client, method)
            self.assertEqual(client.failure(), NOTHING_ELSE)
            self.assertEqual(client.banners, ["Peergate: no home\r\n"])
            client.request("password", False, "x")
            self.assertEqual(client.failure(), NOTHING_ELSE)
            self.assertTrue(self.closed(gateway))
            self.assertEqual(gateway.connections[-1].logged_in, 1)

    def test_opened_for_nobody(self):
        """The monitor does not say so before it was told that the client is in."""
        gateway = self.gateway()
        client = self.bare(gateway)
        client.request("publickey", False, "ssh-ed25519", b"key")
        self.assertEqual(client.answer()[0], PK_OK)
        gateway.connections[-1].opened()
        self.assertTrue(self.closed(gateway))
        self.assertFalse(client.authenticated)

    # ---- it does not ----

    def test_refused(self):
        gateway = self.gateway(agrees=False)
        for method, fields in (("none", ()), ("password", (False, "x")), ("publickey", (False, "a", "b")),
                               ("publickey", (True, "a", "b", "c")), ("keyboard-interactive", ("", ""))):
            client = self.bare(gateway)
            client.request(method, *fields)
            self.assertEqual(client.failure(), NOTHING_ELSE)
            self.assertEqual(client.banners, ["Peergate: not you\r\n"])
            # Nor by anything else.
            for again in ("none", "password", "publickey", "keyboard-interactive"):
                client.request(again, True, "a", "b", "c")
                self.assertEqual(client.failure(), NOTHING_ELSE)
            self.assertTrue(self.closed(gateway))
            self.assertEqual(gateway.connections[-1].asked, ["alice"])

    def test_refused_by_the_way(self):
        """The lease may be taken back between an offer and its signature."""
        gateway = self.gateway(agrees=None)
        client = self.bare(gateway)
        client.request("publickey", False, "ssh-ed25519", b"key")
        self.assertTrue(wait_until(lambda: gateway.connections[-1].asked))
        gateway.connections[-1].verdict(False, "Peergate: no more")
        self.assertEqual(client.failure(), NOTHING_ELSE)
        client.request("publickey", True, "ssh-ed25519", b"key", b"signature")
        self.assertEqual(client.failure(), NOTHING_ELSE)

    # ---- names ----

    def test_another_user(self):
        """As with sshd: who one is, is said once."""
        for agrees in (True, None):
            gateway = self.gateway(agrees=agrees)
            client = self.bare(gateway)
            client.request("publickey", False, "ssh-ed25519", b"key")
            self.assertTrue(wait_until(lambda: gateway.connections[-1].asked))
            client.request("publickey", True, "ssh-ed25519", b"key", b"signature", user="root")
            self.assertTrue(self.closed(gateway))
            self.assertEqual(gateway.connections[-1].asked, ["alice"])
            self.assertFalse(client.authenticated)
            # The client reads it in its own time.
            self.assertTrue(wait_until(lambda client=client: client.banners ==
                                       ["Peergate: another user needs another connection\r\n"]), client.banners)

    def test_answer_that_comes_too_late(self):
        """The monitor's, to a connection that was given up in the same moment, is no breach of what they agreed."""
        for answer in (lambda connection: connection.verdict(True), lambda connection: connection.check("ABCD-EFGH")):
            gateway = self.gateway(agrees=None)
            client = self.bare(gateway)
            client.request("none")
            self.assertTrue(wait_until(lambda: gateway.connections[-1].asked))
            connection = gateway.connections[-1]
            stop(connection.net.pid)
            client.request("none", user="root")
            answer(connection)
            connection.net.send_signal(signal.SIGCONT)
            self.assertTrue(self.closed(gateway))
            self.assertEqual(connection.net.returncode, EXIT_CLOSED)

    def test_names_that_are_none(self):
        for user in (b"alice\0root", "x" * 257):
            gateway = self.gateway()
            client = self.bare(gateway)
            client.request("none", user=user)
            self.assertTrue(self.closed(gateway))
            self.assertEqual(gateway.connections[-1].asked, [])

    def test_names_with_plus(self):
        for user, account in (("a+b", "a+b"), ("+password", "+password"), ("alice+", "alice+"), ("", ""),
                              ("alice+Password", "alice+Password"), ("alice+password ", "alice+password "),
                              ("password", "password"), ("x" * 256, "x" * 256)):
            gateway = self.gateway()
            transport = self.transport(gateway)
            transport.auth_none(user)
            self.assertTrue(transport.is_authenticated())
            self.assertEqual(gateway.connections[-1].asked, [account])

    def test_asks_for_a_password(self):
        for user, account in (("alice+password", "alice"), ("a+b+password", "a+b"), ("0+password", "0"),
                              ("alice+password+password", "alice+password")):
            gateway = self.gateway()
            client = self.bare(gateway)
            client.request("none", user=user)
            self.assertEqual(client.failure(), PASSWORD_ONLY)
            self.assertEqual(client.banners, ["Peergate: any password will do\r\n"])
            self.assertEqual(gateway.connections[-1].asked, [account])
            client.request("password", False, "x", user=user)
            self.assertEqual(client.answer()[0], SUCCESS)
            self.assertEqual(gateway.connections[-1].asked, [account])

    def test_asks_nobody_who_is_refused(self):
        client = self.bare(self.gateway(agrees=False))
        client.request("none", user="alice+password")
        self.assertEqual(client.failure(), NOTHING_ELSE)
        self.assertEqual(client.banners, ["Peergate: not you\r\n"])
        client.request("password", False, "x", user="alice+password")
        self.assertEqual(client.failure(), NOTHING_ELSE)

    # ---- a person is asked first ----

    def test_check_holds_a_password(self):
        """Also one that comes before anything else, and longer than a login may take otherwise."""
        for first in (["none"], []):
            gateway = self.gateway(check="123-456", grace=2)
            client = self.bare(gateway)
            for method in first:
                client.request(method, user="alice+password")
                self.assertEqual(client.failure(), PASSWORD_ONLY)
            client.request("password", False, "x", user="alice+password")
            self.assertTrue(wait_until(lambda: gateway.connections[-1].held.is_set()))
            self.assertTrue(wait_until(lambda client=client: len(client.banners) == 1))
            self.assertIn("https://coord.example/check/123-456", client.banners[0])
            time.sleep(4)
            self.assertTrue(client.answers.empty())
            gateway.connections[-1].check("777-777")
            self.assertTrue(wait_until(lambda: len(client.banners) == 2))
            self.assertIn("777-777", client.banners[1])
            self.assertTrue(client.answers.empty())
            gateway.connections[-1].verdict(True)
            self.assertEqual(client.answer()[0], SUCCESS)
            self.assertTrue(self.works(client))
            self.assertEqual(gateway.connections[-1].asked, ["alice"])

    def test_check_denied_to_a_password(self):
        gateway = self.gateway(check="123-456")
        client = self.bare(gateway)
        client.request("password", False, "x")
        self.assertTrue(wait_until(lambda: gateway.connections[-1].held.is_set()))
        gateway.connections[-1].verdict(False, "Peergate: it was denied")
        self.assertEqual(client.failure(), NOTHING_ELSE)
        self.assertEqual(client.banners[-1], "Peergate: it was denied\r\n")

    def test_check_does_not_hold_a_key(self):
        """A script may well have one; it is to fail at once."""
        gateway = self.gateway(check="123-456")
        for signed in ((False, "a", "b"), (True, "a", "b", "c")):
            client = self.bare(gateway)
            client.request("publickey", *signed)
            self.assertEqual(client.failure(), PASSWORD_ONLY)
            self.assertIn("123-456", client.banners[0])
            self.assertFalse(gateway.connections[-1].held.is_set())
            # But the person who comes after it waits.
            client.request("keyboard-interactive", "", "")
            kind, message = client.answer()
            self.assertEqual(kind, INFO_REQUEST)
            self.assertEqual(message.get_text(), "")
            self.assertIn("123-456", message.get_text())
            client.send(RESPONSE, 0)
            self.assertTrue(wait_until(lambda: gateway.connections[-1].held.is_set()))
            gateway.connections[-1].verdict(True)
            self.assertEqual(client.answer()[0], SUCCESS)

    def test_check_begins_with_interactive(self):
        gateway = self.gateway(check="123-456")
        client = self.bare(gateway)
        client.request("keyboard-interactive", "", "")
        self.assertEqual(client.answer()[0], INFO_REQUEST)
        client.send(RESPONSE, 0)
        # It changes its mind: the new request is held, the answer to the old question is none any more.
        client.request("password", False, "x")
        time.sleep(0.5)
        gateway.connections[-1].verdict(True)
        self.assertEqual(client.answer()[0], SUCCESS)
        self.assertTrue(client.answers.empty())

    def test_check_passed_and_then_a_password(self):
        """Passed before the client came back; what it has to finish in begins then."""
        gateway = self.gateway(check="123-456", grace=3)
        client = self.bare(gateway)
        client.request("none", user="alice+password")
        self.assertEqual(client.failure(), PASSWORD_ONLY)
        time.sleep(2)
        gateway.connections[-1].verdict(True, "Peergate: welcome")
        time.sleep(2)
        client.request("none", user="alice+password")
        self.assertEqual(client.failure(), PASSWORD_ONLY)
        client.request("password", False, "x", user="alice+password")
        self.assertEqual(client.answer()[0], SUCCESS)
        self.assertEqual(client.banners[1:], ["Peergate: any password will do\r\n", "Peergate: welcome\r\n"])
        self.assertTrue(self.works(client))

    # ---- OpenSSH's client, which tries "none" first ----

    def ssh(self, gateway, user, *options):
        askpass = pathlib.Path(namespace.WORK) / "askpass"
        askpass.write_text("#!/bin/sh\necho \"$1\" >>\"$0.asked\"\necho whatever\n")
        askpass.chmod(0o755)
        argv = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", *options,
                "-p", str(gateway.port), f"{user}@127.0.0.1", "echo in"]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
                              env={"PATH": "/usr/bin:/bin", "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"})

    def test_openssh(self):
        result = self.ssh(self.gateway(), "alice", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR")
        self.assertEqual((result.stdout, result.stderr, result.returncode), ("in\n", "", 0))

    def test_openssh_asked_for_a_password(self):
        for methods in ("password", "keyboard-interactive"):
            result = self.ssh(self.gateway(), "alice+password", "-o", f"PreferredAuthentications={methods}")
            self.assertEqual((result.stdout, result.returncode), ("in\n", 0), result.stderr)
            self.assertIn("Peergate: any password will do", result.stderr)
        asked = (pathlib.Path(namespace.WORK) / "askpass.asked").read_text()
        self.assertEqual(asked, "alice+password@127.0.0.1's password: \n")

    def test_openssh_whose_session_cannot_be_opened(self):
        """Told in the session, or instead of it: there is the reason, and the status of an error of ssh's."""
        for user, denied in (("alice", False), ("alice+password", True)):
            result = self.ssh(self.gateway(opens="Peergate: no home"), user, "-o", "PreferredAuthentications=password")
            self.assertEqual((result.stdout, result.returncode), ("", 255), result.stderr)
            self.assertIn("Peergate: no home", result.stderr)
            self.assertEqual("Permission denied" in result.stderr, denied, result.stderr)

    def test_openssh_script_is_asked_nothing(self):
        key = pathlib.Path(namespace.WORK) / "key"
        key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        for user, options, said in (("alice+password", {}, "any password will do"), ("alice", {"check": "1-2"}, "check/1-2"),
                                    ("alice", {"agrees": False}, "Peergate: not you")):
            began = time.monotonic()
            result = self.ssh(self.gateway(**options), user, "-o", "BatchMode=yes", "-i", str(key))
            self.assertEqual((result.stdout, result.returncode), ("", 255))
            self.assertIn(said, result.stderr)
            self.assertIn("Permission denied", result.stderr)
            self.assertLess(time.monotonic() - began, 15)


if __name__ == "__main__":
    namespace.set_up_gateway()
    BUILD = re.search(r'"(.*)"', pathlib.Path(sys.argv[3]).read_text())[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
