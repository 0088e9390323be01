#!/usr/bin/env python3
"""Forwarding in the user process for real: as another user, on real sockets.

Plays the monitor, as session_native.py does, whose surroundings it uses.

usage: forwarding_native.py EXECUTABLE PAM_SERVICE_FILE BUILD_HEADER
"""
import contextlib
import os
import pathlib
import re
import socket
import stat
import sys
import unittest

import messages as m
import mute_fs
import namespace
import session_native
from session_native import UID, Login
from waiting import wait_until

CONNECT_FAILED = 2


def as_socket(fd):
    return socket.socket(fileno=fd)


def owner_of_port(port):
    """uid of the socket that listens or is connected at the port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].split(":")[1], 16) == port and words[3] in ("01", "0A"):
                return int(words[7])
    return None


class ForwardingTest(unittest.TestCase):
    def setUp(self):
        self.login = Login(sys.argv[1]).open("pg-alice")
        self.addCleanup(self.end)
        self.directory = pathlib.Path(namespace.WORK) / f"sockets-{self.login.pid}"
        self.directory.mkdir()
        os.chown(self.directory, UID, -1)
        self.last_id = 0

    def end(self):
        self.assertEqual(self.login.close(), 0)

    def expect(self, kind, timeout=40):
        got, reader, fds = m.receive(self.login.user, timeout)
        self.assertEqual(got, kind, hex(got or 0) + repr(reader and reader.data))
        return reader, fds

    # ---- connections ----

    def connect(self, target, port):
        """The id; the answer is yet to be received."""
        self.last_id += 1
        kind = m.FORWARD_TCP if port else m.FORWARD_UNIX
        m.send(self.login.user, m.CONNECT, m.u32(self.last_id) + bytes([kind]) + m.text(str(target)) + m.u32(port))
        return self.last_id

    def connect_process(self, path):
        """Of a connection that takes its time; the only one under way."""
        children = pathlib.Path(f"/proc/{self.login.user_pid}/task/{self.login.user_pid}/children")
        self.assertTrue(wait_until(lambda: not children.read_text()))
        self.connect(path, 0)
        self.assertTrue(wait_until(children.read_text))
        return int(children.read_text())

    def connected(self, target, port=0):
        number = self.connect(target, port)
        reader, (fd,) = self.expect(m.CONNECTED)
        self.assertEqual(reader.u32(), number)
        return as_socket(fd)

    @contextlib.contextmanager
    def full_socket(self):
        """A path where whoever connects has to wait, and the server there."""
        path = self.directory / "full"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            path.chmod(0o666)
            server.listen(0)
            with self.connected(path):
                yield path, server

    def refused(self, target, port=0):
        number = self.connect(target, port)
        reader, fds = self.expect(m.CONNECT_FAILED)
        self.assertEqual((reader.u32(), fds), (number, []))
        return reader.u32(), reader.text()

    def server(self, family=socket.AF_INET, address="127.0.0.1"):
        server = socket.create_server((address, 0), family=family)
        self.addCleanup(server.close)
        return server

    def test_connections_are_the_users(self):
        for host, family, address in (("127.0.0.1", socket.AF_INET, "127.0.0.1"), ("::1", socket.AF_INET6, "::1"),
                                      ("localhost", socket.AF_INET, "127.0.0.1")):
            with self.subTest(host=host):
                server = self.server(family, address)
                with self.connected(host, server.getsockname()[1]) as client:
                    there, (_, port, *_) = server.accept()
                    with there:
                        self.assertEqual(owner_of_port(port), UID)
                        self.assertFalse(os.get_blocking(client.fileno()))
                        self.assertEqual(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
                        there.sendall(b"down")
                        self.assertTrue(wait_until(lambda c=client: c.recv(9) == b"down"))
                        client.sendall(b"up")
                        self.assertEqual(there.recv(9), b"up")

    def test_why_a_connection_fails(self):
        server = self.server()
        port = server.getsockname()[1]
        server.close()
        self.assertEqual(self.refused("127.0.0.1", port), (CONNECT_FAILED, "Connection refused"))
        reason, why = self.refused("no-such-host.invalid", 80)
        self.assertEqual(reason, CONNECT_FAILED)
        self.assertRegex(why, "^(Name or service not known|Temporary failure in name resolution)$")
        self.assertEqual(self.refused(self.directory / "none"), (CONNECT_FAILED, "No such file or directory"))

    def test_unix_sockets_of_others_are_closed_to_the_user(self):
        path = self.directory / "roots"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            path.chmod(0o600)
            self.assertEqual(self.refused(path), (CONNECT_FAILED, "Permission denied"))
            link = self.directory / "link"
            link.symlink_to(path)
            self.assertEqual(self.refused(link), (CONNECT_FAILED, "Permission denied"))
            path.chmod(0o666)
            with self.connected(path):
                server.accept()[0].close()

    def test_nothing_else_waits_for_a_connection(self):
        with self.full_socket() as (path, server):
            number = self.connect(path, 0)  # the queue is full: it waits
            self.assertEqual(self.login.run("echo meanwhile")[0], "meanwhile\n")
            server.accept()[0].close()
            reader, (fd,) = self.expect(m.CONNECTED)
            self.assertEqual(reader.u32(), number)
            os.close(fd)

    def test_a_connection_under_way_ends_with_the_login(self):
        with self.full_socket() as (path, _):
            child = self.connect_process(path)
            os.kill(self.login.user_pid, 9)
            self.assertTrue(wait_until(lambda: not session_native.is_alive(child)))
            self.login.wait()

    # ---- listeners ----

    def listen(self, kind=m.FORWARD_TCP, address="", port=0, single=False, protocol="", cookie="", screen=0):
        self.last_id += 1
        m.send(self.login.user, m.LISTEN, m.u32(self.last_id) + bytes([kind]) + m.text(str(address)) + m.u32(port) +
               bytes([single]) + m.text(protocol) + m.text(cookie) + m.u32(screen))
        return self.last_id

    def listening(self, *args, **options):
        """(id, port)"""
        number = self.listen(*args, **options)
        if args and args[0] in (m.FORWARD_UNIX, m.FORWARD_AGENT):
            reader, _ = self.expect(m.SOCKET)
            m.send(self.login.leader, m.SOCKET_LEFT, reader.data)  # as the monitor does
            self.assertEqual(reader.u32(), number)
        reader, _ = self.expect(m.LISTENING)
        self.assertEqual(reader.u32(), number)
        return number, reader.u32()

    def not_listening(self, *args, **options):
        number = self.listen(*args, **options)
        reader, _ = self.expect(m.LISTEN_FAILED)
        self.assertEqual(reader.u32(), number)
        return reader.text()

    def incoming(self, listener):
        """(socket, address, port)"""
        reader, (fd,) = self.expect(m.INCOMING)
        self.assertEqual(reader.u32(), listener)
        self.assertGreater(reader.u32(), 0)
        return as_socket(fd), reader.text(), reader.u32()

    def next(self):
        m.send(self.login.user, m.NEXT)

    def unlisten(self, listener):
        m.send(self.login.user, m.UNLISTEN, m.u32(listener))
        self.login.run("true")  # it has been seen

    def test_ports_are_the_users(self):
        listener, port = self.listening(address="localhost")
        self.assertEqual(owner_of_port(port), UID)
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as client:
                there, address, number = self.incoming(listener)
                with there:
                    self.assertEqual((address, number), client.getsockname()[:2])
                    self.assertFalse(os.get_blocking(there.fileno()))
                    client.sendall(b"hello")
                    self.assertTrue(wait_until(lambda t=there: t.recv(9) == b"hello"))
            self.next()

    def test_addresses(self):
        for address, reachable, other in (("127.0.0.1", "127.0.0.1", "::1"), ("::1", "::1", "127.0.0.1")):
            listener, port = self.listening(address=address)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((other, port))
            socket.create_connection((reachable, port)).close()
            self.incoming(listener)[0].close()
            self.next()
        listener, port = self.listening(address="")
        for host in ("127.0.0.1", "::1", "127.0.0.2"):
            socket.create_connection((host, port)).close()
            self.incoming(listener)[0].close()
            self.next()
        self.assertIn("myhost is no address", self.not_listening(address="myhost"))

    def test_one_at_a_time(self):
        listener, port = self.listening(address="127.0.0.1")
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            self.incoming(listener)[0].close()
            with self.assertRaises(TimeoutError):
                self.expect(m.INCOMING, 0.5)
            self.next()
            self.incoming(listener)[0].close()
        self.next()

    def test_ports_that_are_not_to_be_had(self):
        server = self.server(socket.AF_INET6, "::1")
        port = server.getsockname()[1]
        # Not in one family alone, where somebody else would be taken for it in the other.
        self.assertEqual(self.not_listening(address="localhost", port=port),
                         f"bind localhost port {port}: Address already in use")
        self.assertEqual(self.refused("127.0.0.1", port)[0], CONNECT_FAILED)
        self.assertEqual(self.not_listening(address="127.0.0.1", port=99), "bind 127.0.0.1 port 99: Permission denied")

    def test_a_port_is_free_again(self):
        with self.full_socket() as (path, _):
            listener, port = self.listening(address="127.0.0.1")
            child = self.connect_process(path)
            # It has closed it: channel, its own socket, and three times /dev/null are left.
            self.assertTrue(wait_until(lambda: len(os.listdir(f"/proc/{child}/fd")) <= 5))
            self.unlisten(listener)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            self.listening(address="127.0.0.1", port=port)

    def test_unix_socket(self):
        path = self.directory / "mine"
        listener, port = self.listening(m.FORWARD_UNIX, path)
        self.assertEqual(port, 0)
        info = path.stat()
        self.assertEqual((info.st_uid, stat.S_IMODE(info.st_mode)), (UID, 0o600))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            there, address, number = self.incoming(listener)
            there.close()
            self.assertEqual((address, number), ("", 0))
        self.next()
        self.unlisten(listener)
        self.assertFalse(path.exists())

    def test_unix_socket_where_something_is(self):
        path, link = self.directory / "mine", self.directory / "link"
        path.touch()
        link.symlink_to(self.directory / "elsewhere")
        for taken in (path, link):
            self.assertEqual(self.not_listening(m.FORWARD_UNIX, taken), f"{taken}: Address already in use")
        self.assertFalse((self.directory / "elsewhere").exists())
        self.assertIn("Permission denied", self.not_listening(m.FORWARD_UNIX, "/root/mine"))

    def test_unix_socket_that_was_replaced_stays(self):
        path = self.directory / "mine"
        listener, _ = self.listening(m.FORWARD_UNIX, path)
        path.rename(self.directory / "moved")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            self.unlisten(listener)
            self.assertTrue(path.exists())

    # ---- agent, X11 ----

    def variable(self, name, **options):
        return self.login.run(f"echo ${name}", **options)[0].strip()

    def test_agent_of_one_session(self):
        self.assertEqual(self.variable("SSH_AUTH_SOCK"), "")
        listener, _ = self.listening(m.FORWARD_AGENT)
        path = pathlib.Path(self.variable("SSH_AUTH_SOCK", agent=listener))
        self.assertEqual(self.variable("SSH_AUTH_SOCK"), "")
        for place, mode in ((path, 0o600), (path.parent, 0o700)):
            info = place.stat()
            self.assertEqual((info.st_uid, stat.S_IMODE(info.st_mode)), (UID, mode))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            self.incoming(listener)[0].close()
        self.next()
        self.login.close()
        self.assertFalse(path.parent.exists())

    def test_display(self):
        listener, _ = self.listening(m.FORWARD_X11, protocol="MIT-MAGIC-COOKIE-1", cookie="00112233aaff", screen=2)
        display = self.variable("DISPLAY", x11=listener)
        number = int(re.fullmatch(r"localhost:(\d+)\.2", display)[1])
        self.assertGreaterEqual(number, 10)
        self.assertEqual(self.variable("DISPLAY"), "")
        listed = self.login.run(f"xauth list unix:{number}.2")[0]
        self.assertIn("MIT-MAGIC-COOKIE-1  00112233aaff", listed)
        socket.create_connection(("127.0.0.1", 6000 + number)).close()
        there, address, _ = self.incoming(listener)
        there.close()
        self.assertEqual(address, "127.0.0.1")
        self.next()
        self.assertEqual(self.variable("DISPLAY", x11=self.listening(
            m.FORWARD_X11, protocol="MIT-MAGIC-COOKIE-1", cookie="00")[0]), f"localhost:{number + 1}.0")

    def test_display_for_one_connection(self):
        listener, _ = self.listening(m.FORWARD_X11, single=True, protocol="MIT-MAGIC-COOKIE-1", cookie="00")
        number = int(self.variable("DISPLAY", x11=listener).removeprefix("localhost:").removesuffix(".0"))
        socket.create_connection(("127.0.0.1", 6000 + number)).close()
        self.incoming(listener)[0].close()
        self.next()
        self.login.run("true")  # it has been seen
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 6000 + number))

    def test_no_display_without_authority(self):
        home = pathlib.Path(self.login.run("echo $HOME")[0].strip())
        os.chown(home, 0, 0)
        self.addCleanup(os.chown, home, UID, -1)
        self.addCleanup(home.chmod, 0o755)
        home.chmod(0o555)
        why = self.not_listening(m.FORWARD_X11, protocol="MIT-MAGIC-COOKIE-1", cookie="00")
        self.assertIn("xauth could not write its file", why)

    def test_no_display_without_xauth(self):
        for path in (f"{place}/xauth" for place in ("/usr/bin", "/usr/local/bin", "/usr/X11R6/bin", "/usr/X11R7/bin")):
            if os.path.exists(path):
                session_native.run("mount", "--bind", "/dev/null", path)
                self.addCleanup(session_native.run, "umount", path)
        why = self.not_listening(m.FORWARD_X11, protocol="MIT-MAGIC-COOKIE-1", cookie="00")
        self.assertEqual(why, "This host has no xauth, which X11 forwarding needs")
        # Nor is the port of the display left, which was bound before.
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 6010))

    # ---- the end ----

    def test_nothing_is_left(self):
        path = self.directory / "mine"
        self.listening(m.FORWARD_UNIX, path)
        _, port = self.listening(address="127.0.0.1")
        self.login.close()
        self.assertFalse(path.exists())
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    def say_left(self, path):
        """As the monitor tells the leader of a socket."""
        info = path.stat()
        m.send(self.login.leader, m.SOCKET_LEFT,
               m.u32(99) + m.text(str(path)) + m.u64(info.st_dev) + m.u64(info.st_ino) + b"\1")

    def test_nothing_is_left_of_one_that_is_killed(self):
        path, other = self.directory / "mine", self.directory / "other"
        self.listening(m.FORWARD_UNIX, path)
        self.listening(m.FORWARD_UNIX, other)
        other.rename(self.directory / "moved")
        other.touch()  # not what the leader was told of
        listener, _ = self.listening(m.FORWARD_AGENT)
        agent = pathlib.Path(self.variable("SSH_AUTH_SOCK", agent=listener))
        self.assertTrue(agent.exists())
        late = self.directory / "late"
        os.kill(self.login.user_pid, 9)
        self.assertTrue(wait_until(lambda: not session_native.is_alive(self.login.user_pid)))
        # The monitor passes on what it has said before.
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(late))
        self.say_left(late)
        self.login.wait()
        self.assertFalse(path.exists() or agent.parent.exists() or late.exists())
        self.assertTrue(other.exists())

    def test_leader_removes_only_what_the_user_may(self):
        path = pathlib.Path("/run/roots")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            self.say_left(path)
            self.login.close()
            self.assertTrue(path.exists())

    # ---- a filesystem that does not answer ----

    @contextlib.contextmanager
    def mute(self):
        if not pathlib.Path("/dev/fuse").exists():
            self.skipTest("no /dev/fuse")
        log = pathlib.Path(namespace.WORK) / "hook.log"
        log.unlink(missing_ok=True)
        with mute_fs.mute_fs(pathlib.Path(namespace.WORK) / "mute", UID, session_native.GID) as fs:
            yield fs, log

    def on_terminal(self):
        """A line that is in utmp."""
        master, = self.login.start("tty; exec sleep 100", pty=True, channel=9)
        self.addCleanup(os.close, master)
        line = os.read(master, 100).decode().strip().removeprefix("/dev/")
        m.send(self.login.leader, m.LOGIN, m.text(line))
        self.assertTrue(wait_until(lambda: self.utmp(line) == [7]))
        return line

    @staticmethod
    def utmp(line):
        return [entry[0] for entry in session_native.utmp_entries("/run/utmp") if entry[2] == line]

    def test_files_that_do_not_answer_come_after_records_and_pam(self):
        """The monitor kills the leader after a while."""
        with self.mute() as (fs, log):
            line = self.on_terminal()
            m.send(self.login.leader, m.SOCKET_LEFT,
                   m.u32(1) + m.text(str(fs.directory / "x")) + m.u64(1) + m.u64(2) + b"\0")
            m.send(self.login.leader, m.CLOSE)
            self.assertTrue(fs.wait_for_request())
            self.assertEqual(self.utmp(line), [8])
            self.assertIn("close_session", log.read_text())
            self.assertEqual(self.login.wait(), 0)

    def test_user_process_that_no_signal_ends(self):
        with self.mute() as (fs, log):
            line = self.on_terminal()
            self.listen(m.FORWARD_UNIX, str(fs.directory / "x"))
            self.assertTrue(fs.wait_for_request())
            self.assertEqual(self.login.close(), 0)
            self.assertEqual(session_native.status_of(self.login.user_pid)["State"][0], "D")
            self.assertEqual(self.utmp(line), [8])
            self.assertIn("close_session", log.read_text())

    def test_messages_out_of_order_end_it(self):
        for kind, payload in ((m.NEXT, b""), (m.CONNECT, b""), (m.LISTEN, m.u32(1)), (m.UNLISTEN, b"")):
            with self.subTest(kind=hex(kind)):
                login = Login(sys.argv[1]).open("pg-alice")
                m.send(login.user, kind, payload)
                login.wait()
                login.close()


if __name__ == "__main__":
    namespace.enter(network=True)
    session_native.set_up_namespace(pathlib.Path(namespace.WORK), sys.argv[2])
    session_native.BUILD = re.search(r'"(.*)"', pathlib.Path(sys.argv[3]).read_text())[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
