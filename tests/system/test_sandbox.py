"""Promise 8, the network process: what an attacker has who took it over."""
import re
import time

from hosts import wait_for

# Makes a running process do one system call, as code injected into it would: prints how it ended.
INJECT = r"""
import ctypes, os, signal, sys
pid, number, arguments = int(sys.argv[1]), int(sys.argv[2]), [int(a) for a in sys.argv[3:]]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SINGLESTEP, GETREGS, SETREGS, ATTACH = 9, 12, 13, 16

def ptrace(request, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), 'ptrace')

ptrace(ATTACH)
os.waitpid(pid, 0)
# The C library has the instruction we need: 0f 05, syscall.
for line in open(f'/proc/{pid}/maps'):
    if 'r-xp' in line and 'libc' in line:
        start, end = (int(x, 16) for x in line.split()[0].split('-'))
        break
with open(f'/proc/{pid}/mem', 'rb') as memory:
    memory.seek(start)
    instruction = start + memory.read(end - start).index(b'\x0f\x05')
regs = (ctypes.c_ulonglong * 27)()
ptrace(GETREGS, regs)
# struct user_regs_struct of x86-64: rax 10, rdx 12, rsi 13, rdi 14, orig_rax 15, rip 16.
regs[10], regs[15], regs[16] = number, 2 ** 64 - 1, instruction
for index, value in zip((14, 13, 12), arguments):
    regs[index] = value
ptrace(SETREGS, regs)
ptrace(SINGLESTEP)
_, status = os.waitpid(pid, 0)
if os.WIFSIGNALED(status):
    print('killed', signal.Signals(os.WTERMSIG(status)).name)
elif os.WIFSTOPPED(status) and os.WSTOPSIG(status) != signal.SIGTRAP:
    print('stopped', signal.Signals(os.WSTOPSIG(status)).name)
else:
    ptrace(GETREGS, regs)
    print('returned', ctypes.c_longlong(regs[10]).value)
    os.kill(pid, signal.SIGKILL)
"""

CALLS = {
    "open": (2, 0, 0, 0), "socket": (41, 1, 1, 0), "connect": (42, 3, 0, 0), "fork": (57,), "execve": (59, 0, 0, 0),
    "kill": (62, 1, 0), "ptrace": (101, 0, 0), "setuid": (105, 0), "mount": (165, 0, 0, 0), "bpf": (321, 0, 0, 0),
    "openat2": (437, 0, 0, 0), "mmap of code": (9, 0, 4096, 7),
}

# Whether a process's memory holds the secret half of the host's ed25519 key.
FIND_KEY = r"""
import base64, sys

def seed(path):
    raw = base64.b64decode(''.join(open(path).read().splitlines()[1:-1]))
    marker = b'\x00\x00\x00\x40'  # length of seed and public half
    return raw[raw.rindex(marker) + 4:][:32]

def has(pid, needle):
    with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        for line in open(f'/proc/{pid}/maps'):
            start, end = (int(x, 16) for x in line.split()[0].split('-'))
            if line.split()[1][0] == 'r' and '[v' not in line:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
    return False

key = seed('/etc/ssh/ssh_host_ed25519_key')
print(*(has(pid, key) for pid in sys.argv[1:]))
"""


def process(host, name):
    """The one process of that name; waits for it."""
    return wait_for(lambda: host.run(["pgrep", "-f", f"^{name}"]).stdout.split(), 20, name)[0]


def net_process(host):
    return process(host, "peergate-sshgw-net")


def logged_in(mesh):
    ssh = mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "alice@server", "echo ready; cat"])
    ssh.out.read_until("ready")
    return ssh


def inject(host, pid, call):
    return host.run(["python3", "-I", "-S", "-c", INJECT, pid, *map(str, call)])


def test_what_it_is(mesh):
    server = mesh.server.host
    with logged_in(mesh):
        pid = net_process(server)
        status = server.read(f"/proc/{pid}/status")
        uid = server.run("id -u _sshgw", check=True).stdout.strip()
        assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M)
        assert re.search(r"^Groups:\s*$", status, re.M)
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        for capabilities in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert re.search(rf"^{capabilities}:\s+0+$", status, re.M)
        assert server.run(f"ls -A /proc/{pid}/root/").stdout == ""
        assert server.run(f"readlink /proc/{pid}/root").stdout.strip() == "/run/peergate-sshgw/empty"
        limits = server.read(f"/proc/{pid}/limits")
        assert re.search(r"^Max processes\s+0\s+0", limits, re.M) and re.search(r"^Max file size\s+0\s+0", limits, re.M)
        # Connection, channel, journal and the session's pipes: nothing else.
        targets = server.run(f"for f in /proc/{pid}/fd/*; do readlink $f; done", check=True).stdout.splitlines()
        assert targets and not [t for t in targets if not re.match(r"socket:|pipe:|/dev/null$|anon_inode:|/dev/ptmx$", t)]


def test_host_key_is_not_in_it(mesh):
    server = mesh.server.host
    with logged_in(mesh):
        pids = [net_process(server), *(process(server, f"peergate-sshgw-{name}") for name in ("monitor", "keys"))]
        found = server.run(["python3", "-I", "-S", "-c", FIND_KEY, *pids])
        # The keys process has it: the search would have found it in the others.
        assert found.stdout.split() == ["False", "False", "True"], found.stderr


def test_system_calls_that_kill_it(mesh):
    server, began = mesh.server.host, time.time()
    for name, call in CALLS.items():
        with logged_in(mesh) as ssh:
            result = inject(server, net_process(server), call)
            assert result.stdout.strip() == "killed SIGSYS", f"{name}: {result.stdout} {result.stderr}"
            assert ssh.wait(20) == 255
        wait_for(lambda: not server.run("pgrep -f ^peergate-sshgw-net").stdout, 10, "end of the network process")
    server.wait_journal(since=began, grep="its sandbox forbids")


def test_before_the_login_nothing_was_started(mesh):
    """A connection that has not logged in has no lease and no process of anybody's."""
    server = mesh.server.host
    with mesh.laptop.host.popen(["python3", "-I", "-S", "-c", f"""
import socket, time
s = socket.create_connection(('{mesh.server.ip4}', 22))
print(s.recv(100), flush=True)
time.sleep(60)
"""]) as client:
        client.out.read_until("SSH-2.0-OpenSSH_Peergate")
        assert server.run("pgrep -f ^peergate-sshgw-session").stdout == ""
        assert mesh.status(mesh.server)["sessions"] == 0
        assert inject(server, net_process(server), CALLS["open"]).stdout.strip() == "killed SIGSYS"


def test_login_grace_and_limits(mesh):
    server, began = mesh.server.host, time.time()
    server.write("/etc/peergate/sshgw.conf",
                 "SSH=yes\nPermitRootLogin=yes\nLoginGraceTime=3s\nMaxUnauthenticatedPerPeer=3\n")
    server.run("systemctl reload-or-restart peergate-sshgw.service", check=True)
    try:
        result = mesh.laptop.host.run(["python3", "-I", "-S", "-c", f"""
import socket

def connect():
    s = socket.create_connection(('{mesh.server.ip4}', 22), 10)
    s.settimeout(20)
    return s

def to_the_end(s):
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return 'over'

held = [connect() for _ in range(3)]
print(*(s.recv(7).decode() for s in held))
print(to_the_end(connect()))              # one too many: closed at once
print(*(to_the_end(s) for s in held))     # closed when their time is over
"""], timeout=120)
        assert result.stdout.splitlines() == ["SSH-2.0 SSH-2.0 SSH-2.0", "over", "over over over"], result.stderr
    finally:
        server.write("/etc/peergate/sshgw.conf", "SSH=yes\nPermitRootLogin=yes\n")
        server.run("systemctl reload peergate-sshgw.service", check=True)
    server.wait_journal(since=began, grep="MaxUnauthenticatedPerPeer=")
    server.wait_journal(since=began, grep="No login within the grace time")
