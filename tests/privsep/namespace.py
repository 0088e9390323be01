"""Tests that mount things start themselves again in a mount namespace of their own."""
import os
import subprocess
import sys
import tempfile

WORK = os.environ.get("PRIVSEP_WORK")  # set inside the namespace: a directory for the run


def enter():
    """Does not return unless we are inside. Status 77: the test cannot run here."""
    if WORK:
        return
    if os.getuid() != 0:
        print("needs root")
        sys.exit(77)
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        print("cannot make a mount namespace")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="privsep-") as work:
        argv = ["unshare", "--mount", sys.executable, *sys.argv]
        sys.exit(subprocess.run(argv, check=False, env={**os.environ, "PRIVSEP_WORK": work}).returncode)
