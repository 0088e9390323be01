"""Tests that mount things start themselves again in a mount namespace of their own."""
import os
import pathlib
import subprocess
import sys
import tempfile

WORK = os.environ.get("PRIVSEP_WORK")  # set inside the namespace: a directory for the run


def enter(network=False):
    """Does not return unless we are inside. Status 77: the test cannot run here.

    network: one of its own as well, which nobody else has ports in
    """
    if WORK:
        if network:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    namespaces = ["--mount", "--net"] if network else ["--mount"]
    if os.getuid() != 0:
        print("needs root")
        sys.exit(77)
    if subprocess.run(["unshare", *namespaces, "true"], check=False).returncode:
        print("cannot make namespaces")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="privsep-") as work:
        argv = ["unshare", *namespaces, sys.executable, *sys.argv]
        sys.exit(subprocess.run(argv, check=False, env={**os.environ, "PRIVSEP_WORK": work}).returncode)


def set_up_gateway():
    """Inside: the account and the directory that the network process wants."""
    passwd = pathlib.Path(WORK) / "passwd"
    passwd.write_text("root:x:0:0:root:/root:/bin/sh\n_sshgw:x:4242:4242::/:/usr/sbin/nologin\n")
    subprocess.run(["mount", "--bind", passwd, "/etc/passwd"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    pathlib.Path("/run/peergate-sshgw/empty").mkdir(parents=True)
