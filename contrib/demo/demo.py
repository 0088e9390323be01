#!/usr/bin/python3
"""What Peergate does, step by step, on real hosts: run by contrib/demo.sh inside the test machine.

Each step says what it shows, types what a person would, shows what comes out, and checks it. The
exit status is 0 only if every step did what it says.
"""
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/system"))

import hosts as machine  # noqa: E402
from browser import Browser  # noqa: E402
from coordinated import Coordinated  # noqa: E402
from mesh import Mesh, login_processes  # noqa: E402

COLOUR = sys.stdout.isatty() or "--colour" in sys.argv


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Demo:
    def __init__(self):
        self.steps = 0
        self.failed = []

    def step(self, text):
        self.steps += 1
        print(f"\n{paint('1;34', f'{self.steps}. {text}')}", flush=True)

    def type(self, host, command, user="root"):
        """Type a command on a host; returns what came out, and shows it."""
        print(paint("1", f"{user}@{host.name}:~{'#' if user == 'root' else '$'} ") + command, flush=True)
        result = host.run(command, user=None if user == "root" else user, timeout=120)
        out = (result.stdout + result.stderr).rstrip("\n")
        if out:
            print("\n".join("  " + line for line in out.splitlines()), flush=True)
        return result

    def check(self, what, good):
        mark = paint("32", "ok") if good else paint("1;31", "NOT SO")
        print(f"  {paint('2', '→')} {what}: {mark}", flush=True)
        if not good:
            self.failed.append(f"step {self.steps}: {what}")


def show_joining(demo, coord):
    mesh, phone = coord.mesh, coord.mesh.phone
    demo.step("The server coordinates as well: people, keys and policy are there. It and the laptop have joined by a key; the phone does now")
    demo.type(coord.host, "coordctl status")
    phone.host.write("/root/auth-key", coord.auth_key(phone) + "\n", mode=0o600)
    said = demo.type(phone.host, f"agentctl up --coordinator {coord.url} --auth-key-file /root/auth-key")
    demo.check("it is in", said.returncode == 0)
    coord.learn(phone)
    said = demo.type(coord.host, "coordctl nodes list")
    demo.check("the coordinator knows all three", all(node.name in said.stdout for node in mesh.nodes))
    coord.wait_reachable(phone)


def show_logins(demo, mesh):
    laptop, phone = mesh.laptop.host, mesh.phone.host
    demo.step("Alice logs in to the server as root: no key, no password, no question")
    said = demo.type(laptop, "ssh root@server 'id; hostname'")
    demo.check("she is root on the server", said.returncode == 0 and "uid=0(root)" in said.stdout and "server" in said.stdout)
    demo.check("ssh asked and warned of nothing", said.stderr == "")

    demo.step("… by its full name: the names of the mesh are known, and nothing is in /etc/hosts")
    said = demo.type(laptop, "getent hosts server.mesh.example; ssh root@server.mesh.example hostname")
    demo.check("it is the same host", said.stdout.endswith("server.mesh.example server\nserver\n"))

    demo.step("… and as a plain user, over IPv6")
    said = demo.type(laptop, f"ssh alice@{mesh.server.ip6} 'id -un; echo $SSH_CONNECTION'")
    demo.check("she is alice", said.stdout.startswith("alice\n"))

    demo.step("Bob reaches the port, but no rule lets him log in: he is told so")
    said = demo.type(phone, "ssh root@server id")
    demo.check("refused, with the reason", said.returncode == 255 and "no SSH rule lets bob@example.com" in said.stderr)


CHECK_RULE = """{ "action": "check", "src": ["alice@example.com"], "dst": ["tag:prod"], "users": ["root"], "checkPeriod": "12h" },"""
PASSWORD = "correct horse battery staple"


def words(page):
    """What a person reads of a page."""
    text = re.sub(r"(?s)<head>.*?</head>|<header.*?</header>", "", page)
    return [line.strip() for line in re.sub(r"<[^>]*>", "\n", text).splitlines() if line.strip()]


def show_check(demo, coord):
    laptop = coord.mesh.laptop.host
    demo.step("For root a person has to show that they are there: Alice sets a password by a link, her browser is curl")
    said = demo.type(coord.host, "coordctl users password-link alice@example.com")
    link = re.search(r"https://\S+/set-password/\S+", said.stdout)[0]
    browser = Browser(laptop, "/etc/peergate/coord-ca.pem")
    browser.open(link)
    demo.check("it is set", browser.submit(coord.url, link[len(coord.url):], password=PASSWORD, again=PASSWORD) == 200)
    coord.set_policy(ssh=CHECK_RULE)
    coord.wait_connected()

    demo.step("… ssh shows a link and a code, and waits; the page shows the same code; she confirms, and is in")
    with laptop.popen("ssh -o LogLevel=INFO root@server hostname") as login:
        url = login.err.read_until(r"Open +(https://\S+/check/\w+)", 60)[1]
        code = login.err.read_until(r"Code +(\d{3}-\d{3})", 10)[1]
        print(f"  what the terminal shows: {url}, code {code}")
        browser.open(url)
        browser.submit(coord.url, "/login", login="alice@example.com", password=PASSWORD)
        print("\n".join("  | " + line for line in words(browser.page)))
        demo.check("the page has the code", code in browser.page)
        demo.check("the login still waits", login.poll() is None)
        browser.submit(coord.url, url[len(coord.url):], answer="yes")
        demo.check("confirmed, she is root", login.wait(60) == 0 and login.out.read_rest().strip() == "server")

    demo.step("… for twelve hours nobody asks her again, scripts included")
    said = demo.type(laptop, "ssh -o BatchMode=yes root@server id -un")
    demo.check("she is root", said.stdout == "root\n" and said.stderr == "")
    demo.type(coord.host, "coordctl checks list")
    coord.set_policy()


def show_outsider(demo, mesh):
    lanhost, server = mesh.hosts.lanhost, mesh.hosts.server
    demo.step("A host of the same LAN, without WireGuard, routes the mesh's addresses to the server")
    demo.type(lanhost, f"ip route replace 100.64.0.0/10 via {server.ip4}")
    said = demo.type(lanhost, f"nc -vz -w 3 {mesh.server.ip4} 22")
    demo.check("it does not reach the mesh address", said.returncode != 0)
    said = demo.type(lanhost, f"nc -vz -w 3 {server.ip4} 2022")
    demo.check("nor the gateway's port", said.returncode != 0)
    said = demo.type(lanhost, f"echo | nc -w 3 {server.ip4} 22 | head -1")
    demo.check("the server's own sshd answers on the LAN as before", "OpenSSH" in said.stdout)


def show_tools(demo, mesh):
    server = mesh.server.host
    demo.step("What ops see: the agent's state")
    said = demo.type(server, "agentctl status")
    demo.check("it names the mesh and the interface", "mesh.example" in said.stdout and "mesh0" in said.stdout)
    said = demo.type(server, "agentctl peers")
    demo.check("it names the peers", "laptop" in said.stdout and "phone" in said.stdout)

    demo.step("… who may log in as whom, and which line of the policy says so")
    said = demo.type(server, "agentctl ssh-policy show")
    demo.check("alice, the accounts (root among them), and the rule", all(t in said.stdout for t in ("alice@example.com", "any, root too", "ssh[0] line 10")))

    demo.step("… and what the kernel was told: peers and rules by name, with counters")
    said = demo.type(server, "nft list table inet peergate")
    demo.check("names of peers and rules are in it", all(t in said.stdout for t in ("laptop", "phone", "acls[0] line 5")))


def show_revocation(demo, coord):
    mesh = coord.mesh
    server, laptop = mesh.server.host, mesh.laptop.host
    demo.step("Alice has a session open. Her right is taken away: the session ends")
    with laptop.pty("ssh alice@server") as terminal:
        terminal.read_until(r"\$ $")
        terminal.sendline("nohup sleep 5000 &")
        pids = machine.wait_for(lambda: [pid for pid, line in login_processes(server, "alice").items() if "sleep 5000" in line],
                                20, "alice's background process")
        with server.popen(["python3", "-I", "-S", "-c", f"""
import os, time
print('watching', flush=True)
while os.path.exists('/proc/{pids[0]}'):
    time.sleep(0.002)
print(f'gone {{time.time()}}')
"""]) as watcher:
            watcher.out.read_until("watching")
            began = coord.put_policy(ssh="")
            gone = float(watcher.out.read_until(r"gone ([0-9.]+)", 20)[1])
        terminal.read_until("Peergate: access was revoked[^\r\n]*", 20)
        ended = terminal.wait(20)
        print("  what Alice saw: " + re.search("Peergate: access[^\r\n]*", terminal.text)[0])
    took = 1000 * (gone - began)
    print(f"  from the policy's acceptance to the end of her background process: {paint('1', f'{took:.0f} ms')} (emulated hardware)")
    demo.check("her shell ended", ended == 255)
    demo.check("within a second", took < 1000)
    said = demo.type(laptop, "ssh alice@server id")
    demo.check("and she is told why she cannot come back", "no SSH rule" in said.stderr)
    said = demo.type(server, "journalctl -u peergate-sshgw EVENT=revocation -o cat --no-pager")
    demo.check("the journal has it", "Revoked the login of alice@example.com" in said.stdout)


def run_shell(mesh):
    print(f"""
{paint('1;34', 'You are root on the laptop of alice@example.com.')} Try:
  ssh root@server          ssh alice@server.mesh.example
  agentctl status          agentctl peers
  ssh root@server agentctl ssh-policy show
  ssh root@server nft list table inet peergate
"exit" ends the demo and everything in it.
""", flush=True)
    host = mesh.laptop.host
    machine.interactive(host, ["/bin/bash", "-l"], {"HOME": "/root", "TERM": "xterm-256color"})


def main():
    demo = Demo()
    print("Booting four hosts: server, laptop (Alice's), phone (Bob's), lanhost (no WireGuard) …", flush=True)
    with machine.core_hosts() as hosts:
        mesh = Mesh(hosts)
        for node in mesh.nodes:
            mesh.prepare(node)
        coord = Coordinated(mesh)
        coord.start(*([] if "--shell" in sys.argv else [mesh.phone]))
        print("The mesh is up.", flush=True)
        if "--shell" in sys.argv:
            run_shell(mesh)
            return 0
        began = time.monotonic()
        show_joining(demo, coord)
        show_logins(demo, mesh)
        show_check(demo, coord)
        show_outsider(demo, mesh)
        show_tools(demo, mesh)
        show_revocation(demo, coord)
    print()
    for line in demo.failed:
        print(paint("1;31", f"NOT SO: {line}"))
    verdict = "every step did what it says" if not demo.failed else f"{len(demo.failed)} checks failed"
    print(f"{demo.steps} steps in {time.monotonic() - began:.0f} s: {verdict}", flush=True)
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
