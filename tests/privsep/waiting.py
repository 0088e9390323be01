"""How the native tests wait."""
import time

LIMIT = 60  # seconds for anything that should take a moment


def wait_until(what, timeout=LIMIT):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False
