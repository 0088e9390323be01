#!/usr/bin/env python3
"""The exchange of keys: what the network process bears during the first, and a gibibyte, after which there is another.

The monitor's part is played by gateway.py, as for net_native.py.

usage: kex_native.py NET SESSION BUILD_HEADER
"""
import contextlib
import subprocess

import net_native
import paramiko
from gateway import EXIT_BROKEN
from ssh_packet import packet
from waiting import LIMIT, wait_until

IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, EXT_INFO, KEXINIT, NEWKEYS, KEXDH_INIT = 2, 3, 4, 5, 7, 20, 21, 30
BOTH = frozenset({"in", "out"})


class Client(paramiko.Transport):
    """Says something besides during the first key exchange.

    strict  it offers strict key exchange (OpenSSH's PROTOCOL, section 1.10)
    resets  the directions in which it counts packets anew after new keys
    before  kind of the packet of its own before which it says that
    """

    def __init__(self, port, strict, resets=None, before=None, message=None):
        super().__init__(("127.0.0.1", port))
        self.resets = (BOTH if strict else set()) if resets is None else resets
        self.before, self.message = before, message
        self.handshake_timeout = self.banner_timeout = self.auth_timeout = LIMIT
        if strict:
            self._preferred_kex += ("kex-strict-c-v00@openssh.com",)
        self.read_message, self.packetizer.read_message = self.packetizer.read_message, self._read_message

    def _read_message(self):
        """It is the server that is to end the connection, not paramiko because of such an answer."""
        kind = UNIMPLEMENTED
        while kind == UNIMPLEMENTED:
            kind, message = self.read_message()
        return kind, message

    def _send_message(self, message):
        kind = message.asbytes()[0]
        if kind == self.before:
            self.before = None
            super()._send_message(self.message)
        super()._send_message(message)
        if kind == NEWKEYS and "out" in self.resets:
            self.packetizer._Packetizer__sequence_number_out = 0

    def _activate_inbound(self):
        super()._activate_inbound()
        if "in" in self.resets:
            self.packetizer._Packetizer__sequence_number_in = 0

    def works(self):
        """Then nothing is under way any more: paramiko cannot answer while keys are exchanged."""
        channel = self.open_session(timeout=LIMIT)
        channel.exec_command("echo in")
        works = channel.makefile().read() == b"in\n" and wait_until(lambda: channel.closed)
        self.global_request("keepalive@openssh.com")
        return works

    def gets_in(self):
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self.start_client(timeout=LIMIT)
            self.auth_none("alice")
            return self.works()
        return False


class KexTest(net_native.NativeTest):
    # ---- during the first ----

    # What RFC 4253 allows during a key exchange (sections 7.1, 11), and strict key exchange does not.
    BORNE = [packet(IGNORE, "x" * 100), packet(DEBUG, True, "text", ""), packet(UNIMPLEMENTED, 0), packet(200, "none")]
    # Other things, among them all that packets.c, auth_packets.c and rekey_packets.c would see before libssh.
    FORBIDDEN = [packet(SERVICE_REQUEST, "ssh-userauth"), packet(EXT_INFO, 0), packet(61, 0),
                 packet(50, "alice", "ssh-connection", "none"), packet(80, "no-more-sessions@openssh.com", True),
                 packet(90, "session", 0, 1 << 15, 1 << 15), packet(91, 0, 0, 0, 0), packet(92, 0, 1, "", ""),
                 packet(94, 0, "data"), packet(95, 0, 1, "data"),
                 packet(98, 0, "pty-req", True, "xterm", 80, 24, 0, 0, "")]
    # Before its first packet, in the middle, and when the server has sent all of its own.
    MOMENTS = (KEXINIT, KEXDH_INIT, NEWKEYS)

    def gets_in(self, gateway, strict, **options):
        client = Client(gateway.port, strict, **options)
        try:
            return client.gets_in()
        finally:
            client.close()

    def is_refused(self, gateway):
        """The server has ended it, and nobody was asked for anything."""
        connection = gateway.connections.pop()
        ended = wait_until(lambda: connection.net.poll() is not None)
        connection.close()
        self.assertTrue(ended)
        self.assertEqual((connection.net.returncode, connection.asked), (EXIT_BROKEN, []))
        return True

    def test_strict(self):
        """Who offers it may say nothing besides, at no moment."""
        gateway = self.gateway()
        for before in self.MOMENTS:
            for message in self.BORNE + self.FORBIDDEN:
                what = (before, message.asbytes())
                self.assertFalse(self.gets_in(gateway, True, before=before, message=message), what)
                self.assertTrue(self.is_refused(gateway), what)
        self.assertTrue(self.gets_in(gateway, True))

    def test_not_strict(self):
        """Who does not may say what does no harm."""
        gateway = self.gateway()
        for before in self.MOMENTS:
            for message in self.BORNE:
                what = (before, message.asbytes())
                self.assertTrue(self.gets_in(gateway, False, before=before, message=message), what)
            for message in self.FORBIDDEN:
                what = (before, message.asbytes())
                self.assertFalse(self.gets_in(gateway, False, before=before, message=message), what)
                self.assertTrue(self.is_refused(gateway), what)

    def test_packets_are_counted_anew(self):
        """From 0 after all new keys, in both directions, and only where strict key exchange was offered."""
        gateway = self.gateway()
        for strict in (True, False):
            for resets in (BOTH, {"in"}, {"out"}, set()):
                expected = resets == (BOTH if strict else set())
                self.assertEqual(self.gets_in(gateway, strict, resets=resets), expected, (strict, resets))

    def test_after_the_first(self):
        """Further ones bear what they always did; and packets are counted anew in each."""
        for strict in (True, False):
            client = Client(self.gateway().port, strict)
            self.addCleanup(client.close)
            self.assertTrue(client.gets_in())
            for message in self.BORNE[:2]:
                client._send_message(message)
                client.before, client.message = NEWKEYS, message
                client.renegotiate_keys()
                self.assertIsNone(client.before)
                self.assertTrue(client.works())

    # ---- after a gibibyte ----

    def test_more_than_a_gibibyte(self):
        """Both ways at once, of what does not repeat itself. With the first cipher, it is the client's limit, too."""
        stream = f"head -c {(1 << 30) + (32 << 20)} /dev/zero | openssl enc -aes-128-ctr -K {'1' * 32} -iv {'0' * 32}"
        script = self.work / "script"
        script.write_text(f"{stream} & exec >&-; cmp - <({stream}) >&2 && wait\n")
        gateway = self.gateway()
        for cipher in ("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"):
            argv = ["ssh", *self.ssh_options(gateway), "-c", cipher, "alice@127.0.0.1", f"exec bash {script}"]
            with open(self.work / "said", "w+", encoding="utf-8") as said, \
                    subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as there, \
                    subprocess.Popen(["bash", script], stdin=there.stdout, stdout=there.stdin, stderr=said) as here:
                there.stdin.close()
                there.stdout.close()
                try:
                    ended = all(process.wait(2 * LIMIT) == 0 for process in (here, there))
                finally:
                    here.kill()
                    there.kill()
                said.seek(0)
                self.assertEqual((said.read(), ended), ("", True), cipher)
            self.assertGreaterEqual(gateway.connections[-1].n_signatures, 2, cipher)


if __name__ == "__main__":
    net_native.main()
