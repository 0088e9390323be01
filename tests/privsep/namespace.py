"""Tests that mount things start themselves again in a mount namespace of their own."""
import os
import pathlib
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


def set_up_gateway():
    """Inside: the account and the directory that the network process wants."""
    passwd = pathlib.Path(WORK) / "passwd"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\n_sshgw:x:4242:4242::/:/usr/sbin/nologin\n")
    subprocess.run(["mount", "--bind", passwd, "/etc/passwd"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    pathlib.Path("/run/peergate-sshgw/empty").mkdir(parents=True)
