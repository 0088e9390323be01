"""Servers to connect to through a forwarding, and what is seen of listeners."""
import contextlib

# Each connection has a program of its own: one that reads to the end answers after the client's end.
SERVER = """
import os, socket, subprocess, sys
family, address, mode, program = sys.argv[1:]
if family == "UNIX":
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    os.chmod(address, int(mode, 8))
    server.listen()
else:
    server = socket.create_server(("127.0.0.1", int(address)))
while True:
    client = server.accept()[0]
    subprocess.Popen(program, shell=True, stdin=client, stdout=client)
    client.close()
"""


@contextlib.contextmanager
def running(host, command, user=None):
    """Something that goes on in the background."""
    with host.popen(command, user=user) as process:
        yield process
        process.kill()


def echo(host, family, address, mode="600", program="exec cat"):
    """Such a server, in the background; by itself it answers with the bytes that come, as they come."""
    if family == "UNIX":
        host.run(["rm", "-f", address])
    return running(host, ["python3", "-c", SERVER, family, str(address), mode, program])


def listeners(host, port=None):
    """Where somebody listens by TCP: at that port, or at all."""
    which = f"sport = :{port}" if port else ""
    return set(host.run(f"ss -Hltn {which} | awk '{{print $4}}'", check=True).stdout.split())
