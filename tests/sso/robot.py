#!/usr/bin/python3
"""A person at a browser, for tests inside the test machine, where Chromium would be too slow.

	robot.py IDP-FOLDER -- tests/vm/run ARGUMENTS...

runs the machine with ways between it and here, and does here what the tests inside ask for over XML-RPC
(robot_client.py): open, fill, press, read, look at pages. The OpenID provider of idp/ runs here, too.
"""
import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from xmlrpc.server import SimpleXMLRPCServer

from browser import browser
from idp import provider

COORDINATOR = 8443  # its port in the machine
ROBOT = 9399  # ours, as the machine sees it


class Robot:
    """Browsers by the names of those who sit at them."""

    def __init__(self, idp, resolve, stack):
        self._idp, self._resolve, self._stack, self._browsers = idp, resolve, stack, {}

    def _of(self, who):
        if who not in self._browsers:
            self._browsers[who] = self._stack.enter_context(browser(self._resolve))
        return self._browsers[who]

    def open(self, who, url):
        self._of(who).open(url)
        return self._of(who).text

    def fill(self, who, fields):
        self._of(who).fill(**fields)
        return True

    def press(self, who, label):
        self._of(who).press(label)
        return self._of(who).text

    def text(self, who):
        return self._of(who).text

    def url(self, who):
        return self._of(who).url

    def look(self, who, name):
        self._of(who).look(name)
        return True

    def issuer(self):
        return self._idp.issuer

    def tell(self, claims):
        self._idp.tell(**claims)
        return True

    def say(self, line):
        """To the provider: see idp/idp.mjs."""
        self._idp.say(line)
        return True


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    idp_folder, separator, *command = sys.argv[1:]
    assert separator == "--"
    coordinator, idp_port = free_port(), free_port()
    back = [f"https://coord.example:{COORDINATOR}/oidc/callback/{name}" for name in ("corp", "staff")]
    with contextlib.ExitStack() as stack:
        idp = stack.enter_context(provider(idp_port, *back, where=Path(idp_folder)))
        server = stack.enter_context(Server(("127.0.0.1", 0), allow_none=True, logRequests=False))
        server.register_instance(Robot(idp, f"MAP coord.example:{COORDINATOR} 127.0.0.1:{coordinator}", stack))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ways = ["--inward", f"{coordinator}:{COORDINATOR}", "--outward", f"{ROBOT}:{server.server_address[1]}",
                "--outward", f"{idp_port}:{idp_port}"]
        return subprocess.run([command[0], *ways, *command[1:]], env={**os.environ, "PEERGATE_ROBOT": str(ROBOT)}).returncode


if __name__ == "__main__":
    sys.exit(main())
