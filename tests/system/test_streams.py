"""Bytes between a stock client and its program: half closed, slow, with new keys on the way; and their end."""
import re
import time

import pytest
from hosts import wait_for

CONF = "/etc/peergate/sshgw.conf"
CEILING = "SSH=yes\nPermitRootLogin=yes\n"
SSH = "ssh -o BatchMode=yes"


def net_memory(server):
    """KiB that the network process of the only connection has had at most."""
    pids = server.run("pgrep -f '^peergate-sshgw-net'", check=True).stdout.split()
    assert len(pids) == 1, pids
    return int(re.search(r"VmHWM:\s+(\d+)", server.read(f"/proc/{pids[0]}/status"))[1])


def test_pipe_that_is_cut_off(mesh):
    """The client's output is closed: the program learns it and ends, as with sshd."""
    script = f"{SSH} alice@server 'yes; exit 9' | head -1; exit ${{PIPESTATUS[0]}}"
    result = mesh.laptop.host.run(["bash", "-c", script])
    assert (result.stdout, result.stderr, result.returncode) == ("y\n", "", 9)
    assert mesh.server.host.run("pgrep -x yes").returncode == 1


def test_end_of_input_while_output_goes_on(mesh):
    result = mesh.laptop.host.run(f"printf in | {SSH} alice@server 'cat; sleep 1; echo ,out; exit 3'")
    assert (result.stdout, result.returncode) == ("in,out\n", 3)


def test_program_that_closes_its_output_and_goes_on(mesh):
    result = mesh.ssh("alice@server 'echo out; exec >&- 2>&-; sleep 2; exit 7'")
    assert (result.stdout, result.returncode) == ("out\n", 7)


def test_program_that_closes_its_terminal_and_goes_on(mesh):
    """As cat does before it exits: that must not be the end of the terminal, whose HUP would be the program's."""
    result = mesh.ssh("-tt alice@server 'echo out; exec <&- >&- 2>&-; sleep 2; exit 7'")
    assert (result.stdout, result.returncode) == ("out\r\n", 7)


@pytest.mark.parametrize("code", [0, 42, 127, 255])
def test_exit_codes(mesh, code):
    result = mesh.ssh(f"alice@server 'echo out; echo err >&2; exit {code}'")
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", code)


def test_slow_reader_loses_nothing_and_costs_nothing(mesh):
    server, laptop = mesh.server.host, mesh.laptop.host
    script = f"{SSH} alice@server 'head -c 30000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 42' 2>/tmp/err" \
             " | (read go </tmp/go; wc -c); echo ${PIPESTATUS[0]}; wc -c </tmp/err"
    laptop.run("rm -f /tmp/go; mkfifo /tmp/go", check=True)
    with laptop.popen(["bash", "-c", script]) as client:
        # It has sent what the client's window and the pipes on the way take.
        wait_for(lambda: server.run("pgrep -x head").returncode == 0, 30, "the program")
        server.run("sleep 3")
        assert net_memory(server) < 24 << 10
        laptop.run("echo >/tmp/go", check=True)
        client.out.read_until(r"^30000000\n42\n3000000$")
        assert client.wait() == 0


@pytest.fixture
def rekeying(mesh):
    mesh.server.host.write(CONF, CEILING + "RekeyLimit=1M 2s\n")
    yield
    mesh.server.host.write(CONF, CEILING)


@pytest.mark.limit(400)
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
def test_new_keys_on_the_way(mesh, rekeying, cipher):
    """By size, from both ends, under load: every byte arrives, in both directions."""
    laptop = mesh.laptop.host
    made = laptop.run("head -c 6000000 /dev/urandom >/tmp/blob; sha256sum </tmp/blob", check=True).stdout
    ssh = f"{SSH} -v -c {cipher} -o RekeyLimit=2M alice@server"
    result = laptop.run(f"{ssh} 'tee copy; sha256sum <copy >&2' </tmp/blob 2>/tmp/log | sha256sum; cat /tmp/log", timeout=180)
    digest = made.split()[0]
    assert result.stdout.startswith(made)
    assert re.search(rf"^{digest}  -", result.stdout[len(made):], re.M)
    assert result.stdout.count("SSH2_MSG_KEXINIT received") >= 6


def test_keepalives_and_new_keys_by_time(mesh, rekeying):
    result = mesh.ssh("-v -o ServerAliveInterval=1 -o ServerAliveCountMax=5 alice@server"
                      " 'for i in 1 2 3 4; do echo $i; sleep 2.2; done; sleep 6; exit 4'")
    assert (result.stdout, result.returncode) == ("1\n2\n3\n4\n", 4)
    assert result.stderr.count("SSH2_MSG_KEXINIT received") >= 3


def test_bad_rekey_limit_is_named(mesh):
    server, began = mesh.server.host, time.time()
    server.write(CONF, CEILING + "RekeyLimit=10\n")
    try:
        result = mesh.ssh("alice@server true")
        assert result.returncode == 255 and "SSH is switched off" in result.stderr
        assert server.wait_journal(since=began, grep=rf'{CONF}:3: RekeyLimit: "10" does not fit; expected a size from 1M')
    finally:
        server.write(CONF, CEILING)
