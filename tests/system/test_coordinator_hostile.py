"""Hostile requests: each is refused with its reason, and neither the coordinator nor the hosts of the mesh suffer."""
import base64
import json
import os
import re
import time

import pytest
from absence import main_pid
from coordinated import PORT, coordinated
from hosts import wait_for
from hostile import Machine, exchange, request
from logins import client, gone_after, session_pids
from pace import WITHIN

MAX_GROWTH = 8 << 10  # kB of memory, whatever somebody sends
MAX_LINES = 45  # of the coordinator's journal: 20 in ten seconds, and what is said by itself


@pytest.fixture(scope="module")
def coord_once(mesh_once):
    with coordinated(mesh_once) as coord:
        coord.wait_connected()
        yield coord


def memory(coord):
    status = coord.host.read(f"/proc/{main_pid(coord.host, 'peergate-coord')}/status")
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1])


@pytest.fixture
def coord(coord_once):
    """After each test: the coordinator lives, and is as large as before; hosts have kept their streams; few words."""
    host, began = coord_once.host, time.time()
    pid, size, streams = main_pid(host, "peergate-coord"), memory(coord_once), coord_once.metric("streams_started_total")
    yield coord_once
    assert main_pid(host, "peergate-coord") == pid
    assert memory(coord_once) - size < MAX_GROWTH
    assert coord_once.metric("streams_started_total") == streams
    assert all(coord_once.connected(node) for node in coord_once.mesh.nodes)
    assert len(host.journal(unit="peergate-coord", since=began)) < MAX_LINES


@pytest.fixture(params=["phone", "lanhost"])
def attacker(request, hosts):
    """A host of the mesh, and one that is not."""
    return getattr(hosts, request.param)


def send(coord, host, **requests):
    """The answers, by the names of the requests."""
    answers = exchange(host, coord.host.ip4, PORT, list(requests.values()))
    return dict(zip(requests, answers))


def new_machine(coord, host):
    about = send(coord, host, about=request("GET", "/v1/coordinator"))["about"].json()
    return Machine(about["key"], about["epoch"])


def enrolment(coord):
    return json.dumps({"version": 1, "node_key": base64.b64encode(os.urandom(32)).decode(), "hostname": "hostile",
                       "auth_key": coord.ask("authkeys create --user bob@example.com")["key"]}).encode()


@pytest.fixture
def member(coord, attacker):
    """A node like any other, but for what it sends."""
    machine = new_machine(coord, attacker)
    machine.enrolment = machine.request("/v1/enrol", enrolment(coord))
    enrolled = send(coord, attacker, enrol=machine.enrolment)["enrol"]
    assert enrolled.status == 200, enrolled
    yield machine
    coord.ctl(f"nodes delete {enrolled.json()['node']['id']}")


def check(answers, expected):
    """expected: {name: (status, code, a pattern of the message)}"""
    for name, (status, code, message) in expected.items():
        answer = answers[name]
        assert (answer.status, answer.code) == (status, code), f"{name}: {answer}"
        assert re.search(message, answer.message) and "\n" not in answer.message, f"{name}: {answer}"


def test_signatures(coord, attacker, member):
    """Nobody asks in another one's name, nor twice."""
    stranger = Machine(member.coordinator, member.epoch)
    victim = next(node for node in coord.ask("nodes list")["nodes"] if node["name"] == "laptop")
    renamed = member.request("/v1/node", b'{"hostname":"aaaa"}')
    good = member.request("/v1/node")
    headers = member.headers("/v1/node", b"{}")
    answers = send(
        coord, attacker, good=good, replay=good, enrol_replay=member.enrolment,
        other_body=renamed.replace(b"aaaa", b"bbbb"),
        other_path=member.request("/v1/node").replace(b"/v1/node", b"/v1/logout", 1),
        other_query=member.request("/v1/node").replace(b"/v1/node", b"/v1/node?a=b", 1),
        as_victim=stranger.request("/v1/logout", keyid=victim["machine"]),
        as_member=stranger.request("/v1/map", keyid=member.id),
        unknown=stranger.request("/v1/node"),
        other_epoch=member.request("/v1/node", epoch="A" * 22),
        other_coordinator=member.request("/v1/node", coordinator=stranger.id.replace("pgm:", "pgc:")),
        past=member.request("/v1/node", created=time.time() - 1000),
        future=member.request("/v1/node", created=time.time() + 1000),
        unsigned=request("POST", "/v1/node", b"{}"),
        twice=request("POST", "/v1/node", b"{}", headers + headers),
        cut=request("POST", "/v1/node", b"{}", [*headers[:3], headers[3][:-9] + ":"]))
    assert answers["good"].status == 200
    check(answers, {
        "replay": (401, "replay", "has been here before"), "enrol_replay": (401, "replay", "has been here before"),
        "other_body": (401, "bad-signature", "is not what Content-Digest says"),
        "other_path": (401, "bad-signature", "is not one of pgm:"),
        "other_query": (401, "bad-signature", "is not one of pgm:"),
        "as_victim": (401, "bad-signature", "is not one of pgm:"),
        "as_member": (401, "bad-signature", "is not one of pgm:"),
        "unknown": (403, "not-enrolled", "not enrolled here"), "other_epoch": (401, "other-epoch", "another epoch"),
        "other_coordinator": (401, "other-coordinator", "the key of this one is pgc:"),
        "past": (401, "clock", "of which 300 are allowed"), "future": (401, "clock", "of which 300 are allowed"),
        "unsigned": (400, "bad-request", "Content-Digest: missing"), "twice": (400, "bad-request", ": "),
        "cut": (400, "bad-request", "Signature: expected the base64 of 64 bytes"),
    })
    # The victim is what it was.
    assert victim == next(node for node in coord.ask("nodes list")["nodes"] if node["name"] == "laptop")


@pytest.mark.parametrize("attacker", ["lanhost"], indirect=True)
def test_bodies(coord, attacker, member):
    """Signed as they should be, and nonsense."""
    bodies = {
        "nothing": (b"", "unexpected token"), "cut": (b"{", "expected near end of file"),
        "array": (b"[]", "expected an object, not an array"), "more": (b"{} x", "end of file expected"),
        "deep": (b"[" * 20000, "maximum parsing depth"), "twice": (b'{"a":1,"a":2}', "duplicate object key"),
        "latin1": (b'{"hostname":"\xff"}', "unable to decode byte 0xff"),
        "nul": (b'{"hostname":"a\0b"}', "control character"),
        "type": (b'{"hostname":3}', "hostname: expected a string, not a whole number"),
        "long": (b'{"hostname":"%s"}' % (b"x" * 5000), "hostname: .* is too long"),
        "port": (b'{"listen_port":70000}', "listen_port: 70000 is too large; expected 0 to 65535"),
        "endpoint": (b'{"endpoints":["nonsense"]}', r'endpoints\[0\]: "nonsense" is no endpoint; expected one such as'),
        "version": (b'{"version":2}', "version: this coordinator speaks version 1"),
    }
    answers = send(coord, attacker, **{name: member.request("/v1/node", body) for name, (body, _) in bodies.items()})
    check(answers, {name: (400, "bad-request", message) for name, (_, message) in bodies.items()})


def test_sizes(coord, attacker):
    answers = send(
        coord, attacker, body=request("POST", "/v1/node", b"x" * (40 << 10)),
        announced=request("POST", "/v1/node", headers=["Content-Length: 100000000000"], length=False),
        chunks=request("POST", "/v1/node", (b"fff\r\n" + b"x" * 0xfff + b"\r\n") * 20 + b"0\r\n\r\n",
                       headers=["Transfer-Encoding: chunked"], length=False),
        fields=request("GET", "/v1/coordinator", headers=["X: x"] * 60),
        field=request("GET", "/v1/coordinator", headers=["X: " + "x" * 20000]),
        path=request("GET", "/" + "x" * 20000))
    too_large = (413, "body_too_large", "larger than is allowed here")
    check(answers, {"body": too_large, "announced": too_large, "chunks": too_large,
                    "fields": (431, "head_too_large", "the head of the request is too large")})
    # These are refused while they are read.
    assert (answers["field"].status, answers["path"].status) == (431, 414)


def test_no_http(coord, attacker):
    get = request("GET", "/v1/coordinator")
    answers = send(
        coord, attacker, lengths=request("POST", "/v1/node", b"{}", ["Content-Length: 3"]),
        framing=request("POST", "/v1/node", b"{}", ["Transfer-Encoding: chunked"]),
        coding=request("POST", "/v1/node", headers=["Transfer-Encoding: gzip"], length=False),
        folded=request("GET", "/v1/coordinator", headers=["A: b\r\n c"]),
        control=request("GET", "/v1/coordinator", headers=["A: b\1c"]), hosts=request("GET", "/v1/coordinator", headers=["Host: x"]),
        lines=get.replace(b"\r\n", b"\n"), target=request("CONNECT", "x:1"), dots=request("GET", "/v1/../v1/coordinator"),
        percent=request("GET", "/%zz"), nowhere=request("GET", "/nope"), method=request("DELETE", "/v1/coordinator"),
        version=request("GET", "/v1/coordinator", version="HTTP/3.0"), bytes=bytes(range(256)) * 4,
        admin=request("GET", "/v1/admin/nodes"), backup=request("GET", "/v1/admin/backup"),
        api_key=request("GET", "/v1/admin/nodes", headers=["Authorization: Bearer pgapi.x.y"]))
    check(answers, {
        "lengths": (400, "malformed", "more than one Content-Length"),
        "framing": (400, "malformed", "exclude each other"), "coding": (400, "malformed", "Transfer-Encoding"),
        "folded": (400, "malformed", "a header field"), "control": (400, "malformed", "control characters"),
        "hosts": (400, "malformed", "more than one Host"), "lines": (400, "malformed", "the first line"),
        "target": (400, "malformed", "the target"), "dots": (400, "malformed", "do not belong in the path"),
        "percent": (400, "malformed", "percent-encoded"), "nowhere": (404, "not_found", "nothing at this path"),
        "method": (405, "method_not_allowed", "does not know this method"),
        "admin": (401, "not-allowed", "expected .*an API key"), "backup": (404, "not_found", "nothing at this path"),
        "api_key": (401, "not-allowed", "unknown, expired or revoked"),
    })
    assert answers["method"].headers["allow"] == "GET, HEAD"
    assert (answers["version"].status, answers["bytes"].status) == (505, 400)


# As many requests as fit into five seconds, each of which is refused; how many were, by status, and the last answer.
FLOOD = """
import collections, http.client, json, ssl, sys, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = http.client.HTTPSConnection(sys.argv[1], int(sys.argv[2]), timeout=20, context=context)
counts, until = collections.Counter(), time.time() + 5
while time.time() < until:
    connection.request('POST', '/v1/node', '{}')
    answer = connection.getresponse()
    text = answer.read().decode()
    counts[answer.status] += 1
json.dump([counts, answer.headers['Retry-After'], json.loads(text)['error']['code']], sys.stdout)
"""


def test_flood(coord, hosts):
    """Whoever is refused too often is told to wait, and the log keeps quiet about it."""
    said = hosts.lanhost.run(["python3", "-I", "-S", "-c", FLOOD, coord.host.ip4, str(PORT)], check=True).stdout
    counts, retry_after, code = json.loads(said)
    print("answers by status:", counts)
    assert set(counts) == {"400", "429"} and code == "too_many_requests" and int(retry_after) > 0
    assert coord.metric("http_rate_limited_total") >= counts["429"]


# Connections that are kept alive by a byte now and then: some before their first byte, some within TLS in the middle of
# the head, some in that of the body. Says how many there are, then how many were not cut, whenever it is asked.
DRIBBLE = """
import select, socket, ssl, sys, time
address, quiet, talking = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
raw, tls = [], []
for _ in range(talking):
    s = context.wrap_socket(socket.create_connection(address, 20))
    s.sendall(b'POST /v1/node HTTP/1.1\\r\\nHost: x\\r\\n' + (b'Content-Length: 9999\\r\\n\\r\\n' if len(tls) % 2 else b'X: '))
    tls.append(s)
for _ in range(quiet):
    raw.append(socket.create_connection(address, 20))
print('there', len(tls), len(raw), flush=True)

def alive(s):
    try:
        s.send(b'x')
        s.setblocking(False)
        try:
            return s.recv(1000) != b''
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        finally:
            s.setblocking(True)
    except OSError:
        return False

while True:
    tls = [s for s in tls if alive(s)]
    if select.select([0], [], [], 1)[0]:
        if not sys.stdin.readline():
            break
        print('left', len(tls), flush=True)
"""


def test_slow_requests(coord_once, hosts):
    """Many that never come to their end: they are cut in the end, and keep nobody out until then."""
    coord, mesh = coord_once, coord_once.mesh
    pid, size = main_pid(coord.host, "peergate-coord"), memory(coord)
    with hosts.lanhost.popen(["python3", "-I", "-S", "-c", DRIBBLE, coord.host.ip4, str(PORT), "600", "60"]) as slow:
        slow.out.read_until("^there 60 600$", 90)
        began = time.monotonic()
        mesh.laptop.host.run("systemctl restart peergate-agent", check=True)
        wait_for(lambda: mesh.status(mesh.laptop)["link"]["state"] == "connected", 30, "the laptop is connected again")
        with client(mesh, "sleep 5000"):
            pids = session_pids(mesh, "alice", "sleep 5000")
            took = gone_after(coord.host, pids, lambda: coord.put_policy(ssh=""))
        coord.set_policy()
        assert took < WITHIN
        assert memory(coord) - size < 4 * MAX_GROWTH

        def left():
            slow.stdin.write(b"\n")
            return int(slow.out.read_until("^left ([0-9]+)$", 20)[1])

        # A request has 60 seconds to be there.
        wait_for(lambda: left() == 0, 100, "all were cut", 2)
        print(f"60 slow requests were cut after {time.monotonic() - began:.0f} s")
    # Those that were silent for 30 seconds while the others began are not counted.
    assert coord.metric('http_cut_total{slow="sender"}') > 0
    assert main_pid(coord.host, "peergate-coord") == pid
