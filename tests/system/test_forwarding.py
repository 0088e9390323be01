"""Forwarding: as the user, by the rule, for as long as the connection lasts; what it leaves is nothing."""
import contextlib
import re
import time

import pytest
from absence import ceiling
from echoes import echo, listeners, running
from hosts import wait_for
from leftovers import FORWARDING
from mesh import SSH, login
from records import check_who, events, of, whole_story

FOR_AGENT, FOR_X11 = "a socket for the client's agent", "a display of the client's"
SURE = "-o ExitOnForwardFailure=yes"
# The client goes on while PAM opens the session here.
PATIENCE = 60
# Without -xdev: /run/user/UID, where agents' sockets are, is a filesystem of its own.
SOCKETS = r'find /tmp /run/user \( -name "peergate-agent-*" -o -name "forwarded*" \) 2>/dev/null'

FAKE_X_SERVER = """
import os, socket
os.makedirs("/tmp/.X11-unix", exist_ok=True)
with socket.socket(socket.AF_UNIX) as server:
    server.bind("/tmp/.X11-unix/X7")
    server.listen()
    print("ready", flush=True)
    there = server.accept()[0]
    there.recv(4096)
    there.sendall(b"seen")
"""
# A display's client: the setup request with the cookie that xauth has (X11 protocol, section 8).
X_CLIENT = """
import os, socket, struct, subprocess
display = os.environ["DISPLAY"]
number = int(display.split(":")[1].split(".")[0])
cookie = bytes.fromhex(subprocess.run(["xauth", "list", f"unix:{number}"], check=True, text=True,
                                      stdout=subprocess.PIPE).stdout.split()[2])
name = b"MIT-MAGIC-COOKIE-1"
with socket.create_connection(("localhost", 6000 + number)) as x:
    x.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie)) + name + bytes(2) + cookie)
    print(display, x.recv(9).decode())
"""


def allow(mesh, forwarding=None, users=None):
    rule = login(mesh.laptop, users or {"root": "root", "*": "="}, "ssh[0] line 31", forwarding=forwarding or FORWARDING)
    mesh.ssh_rules["server"] = [rule]
    mesh.apply(mesh.server)


@contextlib.contextmanager
def forwarding(mesh, options, user="alice"):
    """ssh -N with these options, once it is there: it says so by a line of its own."""
    with mesh.laptop.host.popen(f"exec {SSH} -v -N {SURE} {options} {user}@server") as process:
        process.err.read_until("Entering interactive session")
        yield process
        process.kill()


def answer(host, command, text="hello\n"):
    return host.run(command, input=text, timeout=2 * PATIENCE).stdout


def sessions(mesh):
    return mesh.server.host.run("agentctl ssh-sessions list --json | grep -c leaseId").stdout.strip()


@pytest.fixture(autouse=True)
def nothing_is_left(mesh):
    server = mesh.server.host
    before = listeners(server)
    yield
    wait_for(lambda: sessions(mesh) == "0", 20, "end of all sessions")
    wait_for(lambda: server.run(SOCKETS).stdout == "", 10, "end of all sockets")
    wait_for(lambda: not listeners(server) - before, 10, "end of all ports and displays")


def bytes_of(records):
    """Of each forwarded connection that ended, by its target: what came from the client, and what went to it."""
    return {r["TARGET"]: (r["BYTES_FROM_CLIENT"], r["BYTES_TO_CLIENT"]) for r in of("forward-ended", records)}


def test_local(mesh):
    allow(mesh)
    server, laptop = mesh.server.host, mesh.laptop.host
    began = time.time()
    with echo(server, "TCP", 7001, program="sleep 0.3; wc -c"), echo(server, "UNIX", "/run/echo", "666"):
        wait_for(lambda: listeners(server, 7001), 20, "the server that counts")
        wait_for(lambda: server.run("test -S /run/echo").returncode == 0, 20, "the socket of echoes")
        assert answer(laptop, f"{SSH} -W 127.0.0.1:7001 alice@server") == "6\n"
        with forwarding(mesh, "-L 7002:localhost:7001 -L 7003:/run/echo -D 7004"):
            wait_for(lambda: listeners(laptop, 7004), 20, "the client's ports")
            for command, said in (("nc -N 127.0.0.1 7002", "6\n"), ("nc -N 127.0.0.1 7003", "hello\n"),
                                  ("nc -N -X 5 -x 127.0.0.1:7004 127.0.0.1 7001", "6\n")):
                assert answer(laptop, command) == said, command
    records = whole_story(server, began, TARGET="/run/echo")
    assert sorted(events(records)[2:-1]) == 3 * ["forward-begun"] + 3 * ["forward-ended"]
    check_who(records[1:], mesh.laptop)
    of("forward-begun", records, FORWARD="local")
    of("forward-ended", records, FORWARD="local")
    assert bytes_of(records) == {"localhost:7001": ("6", "2"), "/run/echo": ("6", "6"), "127.0.0.1:7001": ("6", "2")}
    assert {r["TARGET"] for r in of("forward-begun", records)} == set(bytes_of(records))
    slow = of("forward-ended", [r for r in records if r.get("TARGET") != "/run/echo"])
    assert all(300000 <= int(r["DURATION_USEC"]) < 60000000 for r in slow)


def test_end_of_the_client(mesh):
    """What is open then has its record, too, with what went through it, and before that of the connection."""
    allow(mesh)
    server, laptop, began = mesh.server.host, mesh.laptop.host, time.time()
    with echo(server, "TCP", 7001, program="head -c 5; echo 2; exec cat"):
        wait_for(lambda: listeners(server, 7001), 20, "the server")
        with laptop.popen(f"exec {SSH} -W 127.0.0.1:7001 alice@server") as client:
            client.stdin.write(b"hello")
            client.out.read_until("hello2", 2 * PATIENCE)
    records = whole_story(server, began, TARGET="127.0.0.1:7001")
    assert events(records)[2:] == ["forward-begun", "forward-ended", "connection-ended"]
    assert bytes_of(records) == {"127.0.0.1:7001": ("5", "7")}


def test_connections_are_the_users(mesh):
    allow(mesh)
    server, laptop = mesh.server.host, mesh.laptop.host
    with echo(server, "UNIX", "/run/roots"):
        wait_for(lambda: server.run("test -S /run/roots").returncode == 0, 20, "the socket")
        server.run("ln -sf /run/roots /tmp/link-to-roots", check=True)
        for path in ("/run/roots", "/tmp/link-to-roots"):
            with forwarding(mesh, f"-L 7003:{path}") as process:
                assert answer(laptop, "nc -N 127.0.0.1 7003") == ""
                process.err.read_until("open failed: connect failed: Permission denied")
        with forwarding(mesh, "-L 7003:/run/roots", user="root"):
            assert answer(laptop, "nc -N 127.0.0.1 7003") == "hello\n"


def test_why_not(mesh):
    server, began = mesh.server.host, time.time()

    def refused(way, target):
        """The record, of the newest connection."""
        nonlocal began
        records = whole_story(server, began, EVENT="forward-refused", FORWARD=way)
        began = time.time()
        check_who(records[1:], mesh.laptop)
        record, = of("forward-refused", records, TARGET=target, DECISION="reject")
        return record["REASON"]

    by_rule = "Peergate: the policy's rule ssh[0] line 31 does not allow {} forwarding"
    result = mesh.ssh("-W 127.0.0.1:7001 alice@server")
    assert "administratively prohibited: Peergate: the policy's rule ssh[0] line 31 does not allow local forwarding" in \
        result.stderr
    assert refused("local", "127.0.0.1:7001") == by_rule.format("local")
    result = mesh.ssh(f"-N {SURE} -R 7005:127.0.0.1:1 alice@server")
    assert result.returncode == 255 and "remote port forwarding failed" in result.stderr
    assert refused("remote", "localhost:7005") == by_rule.format("remote")
    assert mesh.ssh("-A alice@server 'echo ${SSH_AUTH_SOCK:-none}'").stdout == "none\n"
    allow(mesh)
    result = mesh.ssh("-W 127.0.0.1:1 alice@server")
    assert "connect failed: Connection refused" in result.stderr
    records = whole_story(server, began, EVENT="forward-failed")
    check_who(records[1:], mesh.laptop)
    of("forward-failed", records, FORWARD="local", TARGET="127.0.0.1:1", REASON="Connection refused")
    # The session beside it does not mind.
    assert mesh.ssh(f"{SURE} -L 7002:127.0.0.1:1 alice@server echo fine").stdout == "fine\n"


def test_remote(mesh):
    allow(mesh)
    server, laptop = mesh.server.host, mesh.laptop.host
    path, began = "/tmp/forwarded.sock", time.time()
    with echo(laptop, "TCP", 7001):
        with forwarding(mesh, f"-R 7005:127.0.0.1:7001 -R {path}:127.0.0.1:7001"):
            wait_for(lambda: listeners(server, 7005), PATIENCE, "the server's port")
            uid = server.run("id -u alice", check=True).stdout.strip()
            bound = server.run("ss -Hltne sport = :7005").stdout
            assert bound.count(f"uid:{uid} ") == 2
            assert "127.0.0.1:7005 " in bound and "[::1]:7005 " in bound
            # What nothing_is_left looks for is found while it is there.
            assert {"127.0.0.1:7005", "[::1]:7005"} <= listeners(server)
            assert server.run(SOCKETS).stdout == f"{path}\n"
            assert answer(server, "nc -N 127.0.0.1 7005") == "hello\n"
            assert answer(server, "nc -N ::1 7005", "bye\n") == "bye\n"
            assert answer(server, f"nc -N -U {path}") == "hello\n"
            assert server.run(f"stat -c '%U %a' {path}").stdout == "alice 600\n"
        wait_for(lambda: not listeners(server, 7005), 20, "end of the port")
    records = whole_story(server, began, EVENT="forward-listening")
    check_who(records[1:], mesh.laptop)
    at = {"localhost:7005": "localhost:7005", path: path}
    assert {r["LISTENER"]: r["ASKED"] for r in of("forward-listening", records, FORWARD="remote")} == at
    came = bytes_of(records)
    assert {r["TARGET"] for r in of("forward-begun", records, FORWARD="remote")} == set(came)
    of("forward-ended", records, FORWARD="remote")
    # A port's are named by who came, too.
    assert {re.sub(r":\d+ at ", " at ", target): n for target, n in came.items()} == {
        "127.0.0.1 at localhost:7005": ("6", "6"), "[::1] at localhost:7005": ("4", "4"), path: ("6", "6")}


def test_ports_are_the_users(mesh):
    allow(mesh)
    server = mesh.server.host
    server.run("sysctl -qw net.ipv4.ip_unprivileged_port_start=1024", check=True)
    began = time.time()
    result = mesh.ssh(f"-N {SURE} -R 99:127.0.0.1:7001 alice@server")
    assert result.returncode == 255 and "remote port forwarding failed for listen port 99" in result.stderr
    failed = server.wait_journal(since=began, EVENT="forward-failed", FORWARD="remote", TARGET="localhost:99")
    assert failed["REASON"] == "bind localhost port 99: Permission denied"
    with forwarding(mesh, "-R 99:127.0.0.1:7001", user="root"):
        wait_for(lambda: listeners(server, 99), PATIENCE, "root's port")
    with forwarding(mesh, "-R 0:127.0.0.1:7001") as process:
        port = int(process.err.read_until(r"Allocated port (\d+) for remote forward")[1])
        assert listeners(server, port)
    # Asked for was any.
    server.wait_journal(since=began, EVENT="forward-listening", LISTENER=f"localhost:{port}", ASKED="localhost:0")


def test_gateway_ports(mesh):
    """Where a port is bound, by what the host's own file says of what was asked for: as sshd does it."""
    allow(mesh)
    server, lan = mesh.server.host, mesh.phone.host
    everywhere, loopback, there = {"0.0.0.0:{}", "[::]:{}"}, {"127.0.0.1:{}", "[::1]:{}"}, {server.ip4 + ":{}"}
    # What is asked for, and where it is, in the order of the settings.
    asked = [("*:7005", loopback, everywhere, everywhere), ("0.0.0.0:7006", loopback, {"0.0.0.0:{}"}, everywhere),
             ("7007", loopback, loopback, everywhere), (f"{server.ip4}:7008", loopback, there, everywhere)]
    with echo(mesh.laptop.host, "TCP", 7001):
        for number, value in enumerate(("no", "clientspecified", "yes"), 1):
            began = time.time()
            options = " ".join(f"-R {one[0]}:127.0.0.1:7001" for one in asked)
            with ceiling(mesh, f"GatewayPorts={value}"), forwarding(mesh, options):
                wait_for(lambda: listeners(server, 7008), PATIENCE, "the last port")
                for port, one in enumerate(asked, 7005):
                    assert listeners(server, port) == {where.format(port) for where in one[number]}, (value, one[0])
                # To and fro, from where only some may come.
                assert answer(lan, f"nc -N {server.ip4} 7005") == ("" if value == "no" else "hello\n")
                assert answer(server, "nc -N 127.0.0.1 7006") == "hello\n"
            records = whole_story(server, began, EVENT="forward-listening")
            said = {r["ASKED"]: r["LISTENER"] for r in of("forward-listening", records)}
            names = {"no": ["localhost:{}"] * 4, "yes": ["*:{}"] * 4,
                     "clientspecified": ["*:{}", "0.0.0.0:{}", "localhost:{}", server.ip4 + ":{}"]}[value]
            assert said == {one[0] if ":" in one[0] else f"localhost:{one[0]}": name.format(port)
                            for port, (one, name) in enumerate(zip(asked, names), 7005)}


def test_forward_only_connection_is_a_session(mesh):
    """Listed, and taken away with all that it has opened."""
    allow(mesh)
    server = mesh.server.host
    path = "/tmp/forwarded.sock"
    with forwarding(mesh, f"-R 7005:127.0.0.1:7001 -R {path}:127.0.0.1:7001") as process:
        wait_for(lambda: listeners(server, 7005), PATIENCE, "the server's port")
        assert sessions(mesh) == "1"
        lease = re.search(r'"leaseId":\s*"(\w+)"', server.run("agentctl ssh-sessions list --json").stdout)[1]
        server.run(["agentctl", "ssh-sessions", "kill", lease], check=True)
        assert process.wait(20) == 255
        wait_for(lambda: not listeners(server, 7005), 10, "end of the port")
        wait_for(lambda: server.run(["test", "-e", path]).returncode == 1, 10, "end of the socket")


def test_forwarding_taken_away(mesh):
    """A rule that newly forbids it ends the connections that were granted it."""
    allow(mesh)
    server = mesh.server.host
    with forwarding(mesh, "-R 7005:127.0.0.1:7001") as process:
        wait_for(lambda: listeners(server, 7005), PATIENCE, "the server's port")
        allow(mesh, {"agent": True, "local": True, "remote": False})
        assert process.wait(20) == 255
        wait_for(lambda: not listeners(server, 7005), 10, "end of the port")


def test_agent(mesh):
    allow(mesh)
    laptop, server, began = mesh.laptop.host, mesh.server.host, time.time()
    laptop.run("rm -f /tmp/key /tmp/key.pub; ssh-keygen -q -t ed25519 -N '' -f /tmp/key -C forwarded-key", check=True)
    script = f"""
        eval $(ssh-agent) >/dev/null
        ssh-add -q /tmp/key
        {SSH} -A alice@server 'ssh-add -l; stat -c %U:%a $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); echo $SSH_AUTH_SOCK; {SOCKETS}'
        {SSH} -a alice@server 'echo ${{SSH_AUTH_SOCK:-none}}'
        kill $SSH_AGENT_PID
    """
    lines = laptop.run(script, check=True).stdout.splitlines()
    assert "forwarded-key" in lines[0]
    assert lines[1:3] == ["alice:600", "alice:700"] and lines[-1] == "none"
    assert lines[3].startswith("/run/user/") and lines[3].rpartition("/")[0] in lines[4:-1]
    wait_for(lambda: server.run(["test", "-e", lines[3]]).returncode == 1, 10, "end of the agent's socket")
    records = whole_story(server, began, EVENT="forward-listening", FORWARD="agent")
    check_who(records[1:], mesh.laptop)
    of("forward-listening", records, LISTENER=FOR_AGENT, ASKED=FOR_AGENT)
    of("forward-begun", records, FORWARD="agent", TARGET=FOR_AGENT)
    # "Which keys?" (draft-miller-ssh-agent, section 3.5), the client's answer has one, with its name.
    (answer_bytes, asked), = bytes_of(records).values()
    of("forward-ended", records, FORWARD="agent", TARGET=FOR_AGENT)
    assert asked == "5" and 60 < int(answer_bytes) < 200


def test_display(mesh):
    allow(mesh)
    laptop, server, began = mesh.laptop.host, mesh.server.host, time.time()
    laptop.write("/tmp/x.py", FAKE_X_SERVER)
    server.write("/tmp/xclient.py", X_CLIENT)
    laptop.run("rm -f /tmp/.X11-unix/X7")
    with running(laptop, "python3 /tmp/x.py") as x:
        x.out.read_until("ready")
        result = laptop.run(f"DISPLAY=:7 {SSH} -Y alice@server python3 /tmp/xclient.py")
        assert re.fullmatch(r"localhost:1\d\.0 seen\n", result.stdout), result.stderr
    records = whole_story(server, began, EVENT="forward-listening", FORWARD="x11")
    check_who(records[1:], mesh.laptop)
    of("forward-listening", records, LISTENER=FOR_X11, ASKED=FOR_X11)
    of("forward-begun", records, FORWARD="x11")
    of("forward-ended", records, FORWARD="x11")
    (target, came), = bytes_of(records).items()
    # The setup request is 12 bytes, with the name and the cookie 48.
    assert re.fullmatch(rf"(127\.0\.0\.1|\[::1\]):\d+ at {FOR_X11}", target) and came == ("4", "48")
