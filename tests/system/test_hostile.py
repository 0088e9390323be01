"""Clients, maps and programs that mean harm: what they send reaches nobody as anything but text."""
import copy
import json
import time

import pytest
from hosts import wait_for
from logins import session_pids
from mesh import login_processes

ESC = "\x1b[2J\x1b]0;owned\x07"
BIDI = "\u202e"


def raw_journal(host, since):
    """What the journal has of our units since then: every field of every entry, as it is."""
    out = host.run(["sh", "-c", "journalctl --sync; journalctl -o json --all --no-pager "
                    f"--since=@{since:.6f} -u peergate-agent -u peergate-sshgw"], check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def assert_harmless(entries):
    """Nothing but printable text: journalctl gives other bytes as lists of numbers. (_… and OBJECT_… are its own.)"""
    for entry in entries:
        for name, value in entry.items():
            assert name.startswith(("_", "OBJECT_")) or isinstance(value, str) and value.isprintable(), (name, value)


def assert_printable(text):
    bad = [line for line in text.split("\n") if not line.replace("\t", "").isprintable()]
    assert not bad


# -- environment


def test_environment_that_runs_code(mesh):
    """A rule that lets everything in does not let these in."""
    mesh.ssh_rules["server"][0]["accept_env"] = ["*", "LD_*", "DYLD_INSERT_LIBRARIES"]
    mesh.apply(mesh.server)
    sent = {"LD_PRELOAD": "/no.so", "LD_LIBRARY_PATH": "/no", "DYLD_INSERT_LIBRARIES": "/no.so", "GOTRACEBACK": "crash",
            "gotraceback": "crash", "BASH_FUNC_ls%%": "() { echo owned; }", "BASH_ENV": "/etc/passwd", "A,B": "comma",
            "A-B": "dash", "A.B": "dot", "É": "accent", "1A": "digit", "GOOD_1": "yes", "PATH": "/usr/bin:/bin"}
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "SendEnv=*", "alice@100.64.0.1", "env -0"]
    result = mesh.laptop.host.run(["env", "-i", *(f"{k}={v}" for k, v in sent.items()), *argv])
    got = dict(item.split("=", 1) for item in result.stdout.split("\0") if item)
    assert got["GOOD_1"] == "yes" and got["PATH"] != sent["PATH"]
    assert not (set(sent) - {"GOOD_1", "PATH"}) & set(got), got


def test_flood_of_variables(mesh):
    """More than MaxEnv= are refused one by one, and one that is too long; the login goes on."""
    mesh.ssh_rules["server"][0]["accept_env"] = ["V*"]
    mesh.apply(mesh.server)
    flood = {f"V{i}": "x" for i in range(300)}
    result = mesh.ssh("-o SendEnv='V*' alice@100.64.0.1 env", env={**flood, "PATH": "/usr/bin:/bin"}, check=True)
    assert 20 <= sum(line.startswith("V") for line in result.stdout.splitlines()) <= 32
    result = mesh.ssh("-o SendEnv='V*' alice@100.64.0.1 'echo in; env'",
                      env={"VLONG": "x" * 100000, "PATH": "/usr/bin:/bin"})
    assert result.stdout.startswith("in\n") and "VLONG" not in result.stdout


def test_values_of_variables_are_secrets(mesh):
    server, secret = mesh.server.host, "s3cr3t-of-a-variable"
    mesh.ssh_rules["server"][0]["accept_env"] = ["TOKEN"]
    mesh.apply(mesh.server)
    began = time.time()
    with mesh.laptop.host.popen(["ssh", "-o", "BatchMode=yes", "-o", f"SetEnv=TOKEN={secret}", "alice@server",
                                 "echo $TOKEN; exec sleep 4801"]) as ssh:
        ssh.out.read_until(secret)
        assert secret not in server.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
        # In the environment of the user's own programs, and of nobody else's.
        owners = server.run(f"grep -lZa {secret} /proc/[0-9]*/environ 2>/dev/null | xargs -0 stat -c %U | sort -u",
                            check=True).stdout
        assert owners == "alice\n"
    assert secret not in json.dumps(raw_journal(server, began))


# -- names that somebody typed

NAMES = ["eve\nJan 1 00:00:00 server sshd[1]: Accepted password for root", f"eve{ESC}", f"eve{BIDI}toor", "eve\rroot",
         "eve\x85x", "\x7f" * 20, "root' OR '1'='1", '"},{"state":"accept"', "%s%n%n%n", "$(reboot)", "../../root",
         "+@wheel", "0+password", " 0", "root ", "\u0430lice"]


@pytest.mark.parametrize("user", NAMES, ids=range(len(NAMES)))
def test_user_name_reaches_the_log_as_text(mesh, user):
    server, began = mesh.server.host, time.time()
    result = mesh.laptop.host.run(["dbclient", "-y", "-l", user, mesh.server.ip4, "id"])
    assert result.returncode and result.stdout == ""
    told = [line for line in result.stderr.splitlines() if line.startswith("Peergate: ")]
    assert told and all(line.isprintable() for line in told)
    refused = wait_for(lambda: server.journal(unit="peergate-sshgw", since=began, DECISION="reject"), 10, "the refusal")
    # One attempt is one record, whatever it is called.
    assert len(refused) == 1
    entries = raw_journal(server, began)
    assert_harmless(entries)
    assert not [e for e in entries if e["MESSAGE"].startswith(("Jan 1", "root"))]


@pytest.mark.parametrize("octal", ["\\377", "a\\300\\257b", "\\355\\240\\200", "\\360\\237"])
def test_user_name_that_is_no_utf8(mesh, octal):
    server, began = mesh.server.host, time.time()
    result = mesh.laptop.host.run(["sh", "-c", f'dbclient -y -l "$(printf \'{octal}\')" {mesh.server.ip4} id'])
    assert result.returncode and result.stdout == ""
    wait_for(lambda: server.journal(unit="peergate-sshgw", since=began, DECISION="reject"), 10, "the refusal")
    assert_harmless(raw_journal(server, began))


# -- texts of the map


def spoil_texts(content):
    """Harm in every text that the map's rules let through cleaned."""
    evil = f"x{ESC}{BIDI}\r\nforged: line"
    for user in content["users"].values():
        user["name"] = "Alice" + evil
    for rule in content["packet_filter"]:
        rule["origin"] += f'" ; accept comment "{evil}'
    for rule in content["ssh_rules"]:
        rule["origin"] += evil
        rule["message"] = "Welcome" + evil
        rule["check_period"] = evil
    content["ssh_rules"].append({"principals": content["peers"][0]["addresses"], "users": {"x": "x"},
                                 "action": "deny" + evil, "origin": evil})
    return content


def test_texts_of_the_map_are_harmless_everywhere(mesh):
    server, began = mesh.server.host, time.time()
    content = spoil_texts(copy.deepcopy(mesh.map_for(mesh.server)))
    mesh.put(mesh.server, content)
    wait_for(lambda: mesh.status(mesh.server).get("generation") == content["generation"], 20, "the map")
    for verb in ("status", "peers", f"whois {mesh.laptop.ip4}", "acl show", "ssh-policy show", "known-hosts",
                 "ssh-policy explain laptop root", "ssh-policy explain laptop x", "ssh-sessions list",
                 f"acl explain {mesh.laptop.ip4} {mesh.server.ip4}:22"):
        result = server.run(f"agentctl {verb}")
        assert result.stdout or verb == "ssh-sessions list", f"{verb}: {result.stderr}"
        assert_printable(result.stdout + result.stderr)
    # nft prints what it reads back as the same table: no comment got out of its quotes.
    assert_printable(server.run("nft list table inet peergate && nft list table inet peergate >/tmp/t && nft -c -f /tmp/t",
                                check=True).stdout)
    for path in ("names", "ssh_known_hosts"):
        assert_printable(server.read(f"/run/peergate/{path}"))
    result = mesh.ssh("alice@server id -un")
    assert result.stdout == "alice\n" and "Welcome" in result.stderr
    assert_printable(result.stderr.replace("\r\n", "\n"))
    assert "forged: line" not in result.stderr.splitlines()
    assert_harmless(raw_journal(server, began))


@pytest.mark.parametrize("where,spoil", [
    ("peers[0].name", lambda m: m["peers"][0].update(name=f"laptop{ESC}")),
    ("peers[0].name", lambda m: m["peers"][0].update(name="*.example")),
    ("peers[0].user", lambda m: m["peers"][0].update(user=f"alice{ESC}")),
    ("peers[1].tags[0]", lambda m: m["peers"][1].update(user=None, tags=[f"tag:{BIDI}x"])),
    ("peers[0].ssh_host_keys[0]", lambda m: m["peers"][0].update(
        ssh_host_keys=[m["peers"][0]["ssh_host_keys"][0] + "\n* " + m["peers"][1]["ssh_host_keys"][0]])),
    ("peers[0].ssh_host_keys[0]", lambda m: m["peers"][0].update(ssh_host_keys=["@cert-authority * ssh-ed25519 AAAA"])),
    ("mesh.domain", lambda m: m["mesh"].update(domain="mesh.example\nHost *")),
    ("ssh_rules[0].users", lambda m: m["ssh_rules"][0].update(users={f"x{ESC}": "root"})),
    ("ssh_rules[0].force_command", lambda m: m["ssh_rules"][0].update(force_command=f"id{ESC}")),
    ("users.eve", lambda m: m["users"].update({f"eve{ESC}@example.com": {"name": "Eve"}})),
], ids=range(10))
def test_names_of_the_map_are_refused(mesh, where, spoil):
    """With a message that itself is fit to be read."""
    server, began = mesh.server.host, time.time()
    content = copy.deepcopy(mesh.map_for(mesh.server))
    spoil(content)
    mesh.put(mesh.server, json.dumps(content))
    said = wait_for(lambda: mesh.status(mesh.server).get("mapProblem"), 10, "the refusal")
    assert where in said and said.isprintable()
    assert_printable(server.run("agentctl status").stdout)
    assert_harmless(raw_journal(server, began))
    assert mesh.ssh("alice@server id -un").stdout == "alice\n"


# -- sessions


def test_output_is_bytes(mesh):
    every = "".join(f"\\{i:03o}" for i in range(256))
    argv = ["ssh", "-o", "BatchMode=yes", "alice@server", f"printf '{every}'; printf '\\377\\376' >&2"]
    result = mesh.laptop.host.run(argv, text=False)
    assert result.stdout == bytes(range(256)) and result.stderr == b"\xff\xfe"


def test_client_that_is_killed(mesh):
    """HUP reaches the foreground; what ignores it goes on, and holds the lease. Terminal and utmp are free again at
    once, the session is when that has ended, too."""
    server = mesh.server.host
    server.run("rm -f /tmp/hup", check=True)

    def running():
        return [line.split() for line in login_processes(server, "alice").values()]

    with mesh.laptop.host.pty("ssh alice@server") as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("tty; (trap '' HUP; exec sleep 4748) | "
                          "(trap 'echo hup >/tmp/hup; exit' HUP; while :; do sleep 0.2; done) | cat")
        line = terminal.read_until(r"/dev/(pts/\d+)")[1]
        wait_for(lambda: ["cat"] in running() and ["sleep", "4748"] in running(), 20, "the pipeline")
        assert f"{line} " in server.run("who").stdout
        terminal.kill()
    wait_for(lambda: server.run("cat /tmp/hup").stdout == "hup\n", 20, "HUP in the foreground")
    wait_for(lambda: running() == [["sleep", "4748"]], 20, "the end of all that does not ignore it")
    wait_for(lambda: server.run(["test", "-e", f"/dev/{line}"]).returncode, 10, "the end of the terminal")
    wait_for(lambda: "alice" not in server.run("who").stdout, 10, "the end of the record")
    wait_for(lambda: not server.run("pgrep -f ^peergate-sshgw-'(net|session)'").stdout, 10, "the end of the connection")
    assert mesh.status(mesh.server)["sessions"] == 1
    server.run(["kill", *session_pids(mesh, "alice", "sleep 4748")], check=True)
    wait_for(lambda: "alice" not in server.run("loginctl list-sessions --no-legend").stdout, 10, "the end of the session")
    wait_for(lambda: not server.run("pgrep -f ^peergate-sshgw-'(monitor|net|session)'").stdout, 10, "the gateway's processes")


FLOOD = """
import socket, sys, time
held = []
for _ in range(int(sys.argv[2])):
    try:
        s = socket.create_connection((sys.argv[1], 22), 10)
        s.setblocking(False)
        held.append(s)
    except OSError:
        pass
print('flooding', flush=True)
time.sleep(60)
"""


def test_flood_of_connections_locks_nobody_else_out(mesh):
    server, began = mesh.server.host, time.time()
    with mesh.phone.host.popen(["python3", "-I", "-S", "-c", FLOOD, mesh.server.ip4, "1000"]) as flood:
        flood.out.read_until("flooding", 120)
        held = server.run("pgrep -fc ^peergate-sshgw-net").stdout.strip()
        assert int(held) <= 10
        assert mesh.ssh("alice@server id -un").stdout == "alice\n"
        server.wait_journal(since=began, grep="MaxUnauthenticatedPerPeer=")
        # Told once in a while, not a thousand times.
        assert len(server.journal(since=began, grep="MaxUnauthenticatedPerPeer=")) < 30
    wait_for(lambda: server.run("pgrep -f ^peergate-sshgw-net").returncode, 20, "the end of the flood")
