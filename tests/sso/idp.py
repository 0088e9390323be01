"""The OpenID provider of idp/idp.mjs, for a test."""
import contextlib
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent / "idp"


class Provider:
    def __init__(self, port, process):
        self.issuer, self.process = f"http://127.0.0.1:{port}", process

    def say(self, line):
        self.process.stdin.write(line + "\n")
        assert self._read() == "done"

    def rotate_keys(self):
        self.say("rotate")

    def leave(self, login):
        """The account is no more."""
        self.say(f"leave {login}")

    def come(self, login):
        self.say(f"come {login}")

    def revoked(self):
        """How many grants were given back."""
        self.process.stdin.write("revoked\n")
        return int(self._read())

    @contextlib.contextmanager
    def away(self):
        """Nobody is answered."""
        self.say("away")
        yield
        self.say("back")

    @contextlib.contextmanager
    def held(self):
        """Who has signed in is not sent back: the browser shows the URL instead."""
        self.say("hold")
        yield
        self.say("let")

    def tell(self, **claims):
        """Claims over the usual ones, for everybody, from now on; none: the usual ones again."""
        self.say(f"tell {json.dumps(claims)}")

    def _read(self):
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def provider(port, *redirect_uris, where=HERE):
    """where: a folder with idp.mjs and what "npm ci" put beside it."""
    process = subprocess.Popen(["node", "idp.mjs", str(port), *redirect_uris], cwd=where, text=True, bufsize=1,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        idp = Provider(port, process)
        assert idp._read() == "ready", "the provider did not start"
        yield idp
    finally:
        process.stdin.close()
        process.wait(10)
