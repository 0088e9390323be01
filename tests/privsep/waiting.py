"""How the native tests wait."""
import os
import pathlib
import signal
import time

LIMIT = 60  # seconds for anything that should take a moment


def wait_until(what, timeout=LIMIT):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def stop(pid):
    """It has stopped on return: until then the signal is under way, and the process goes on."""
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
