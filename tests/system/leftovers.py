"""What a login can leave on the server, and a login that has all of it."""
import contextlib
import json

import pytest
from hosts import TimedOut, wait_for
from mesh import SSH

# One line for each thing that is left; $1: the account; $2: port and $3: path of its listeners; $4: the monitor of its
# connection; then that one's children. The manager of a user's own services is systemd's, and goes some time after the
# last session.
LOOK = r"""
account=$1 port=$2 path=$3 monitor=$4 uid=$(id -u $1); shift 4
for pid in $(pgrep -u $account); do
    grep -qs /user@ /proc/$pid/cgroup || [ ! -e /proc/$pid ] || echo "process $(tr '\0' ' ' </proc/$pid/cmdline)"
done
[ ! -e /proc/$monitor ] || echo monitor
for pid; do
    [ ! -e /proc/$pid ] || echo "child $(tr '\0' ' ' </proc/$pid/cmdline)"
    [ ! -e /sys/fs/cgroup/system.slice/peergate-sshgw.service/login-$pid ] || echo cgroup
done
for scope in /sys/fs/cgroup/user.slice/user-$uid.slice/session-*.scope; do
    [ ! -e $scope ] || echo "cgroup $scope"
done
for pty in $(find /dev/pts -user $account); do echo "pty $pty"; done
ss -Hltne | sed -n "/ uid:$uid /{/:$port /s/^/listener /p;t;s/^/display /p}"
ss -Hlx src $path | sed 's/^/unix /'
[ ! -e $path ] || echo path
find /tmp /run/user -name 'peergate-agent-*' -user $account 2>/dev/null | sed 's/^/agent /'
ss -Hlx | sed -n "/\/run\/user\/$uid\/peergate-agent-/s/^/agent /p"
who | sed -n "s/^$account /utmp &/p"
loginctl list-sessions --no-legend | sed -n "/ $account /s/^/session /p"
agentctl ssh-sessions list --json | sed -n "s/.*\"localUser\": *\"$account\".*/lease/p"
"""
EVERYTHING = {"process", "monitor", "child", "cgroup", "pty", "listener", "display", "unix", "path", "agent", "utmp",
              "session", "lease"}
# What is left running on purpose goes on by the right of the login, whose monitor holds it.
SPARED = {"process", "monitor", "cgroup", "session", "lease"}

FORWARDING = {"agent": True, "local": True, "remote": True}
AGENT = "/tmp/agent-to-forward"
LATER = "/run/systemd/logind.conf.d/test-later.conf"


@contextlib.contextmanager
def seen(server, *clients):
    """Nothing is tidied up by others before somebody looks, and the clients have an agent to forward."""
    server.run(f"mkdir -p $(dirname {LATER}); printf '[Login]\\nUserStopDelaySec=90s\\n' >{LATER};"
               " systemctl kill -s HUP --kill-who main systemd-logind", check=True)
    with contextlib.ExitStack() as agents:
        for client in clients:
            client.run(["rm", "-f", AGENT])
            agents.enter_context(client.popen(["ssh-agent", "-D", "-a", AGENT]))
            wait_for(lambda: client.run(["test", "-S", AGENT]).returncode == 0, 20, "the agent")
        try:
            yield
        finally:
            server.run(f"rm -f {LATER}; systemctl kill -s HUP --kill-who main systemd-logind")


class Login:
    """On a terminal, with all that may be forwarded, and with two processes that are out of reach of its end."""

    def __init__(self, node, server, account, number, then="exec cat", options=()):
        self.node, self.server, self.account, self.then, self.options = node, server, account, then, options
        self.port, self.path = 4800 + number, f"/home/{account}/forwarded"
        self.lease, self.monitor, self.children, self.client_port = None, None, [], None
        self.stays = [f"sleep {self.port}.1", f"sleep {self.port}.2"]
        self.ssh = None

    def command(self):
        return f"setsid sh -c 'setsid {self.stays[0]} </dev/null >/dev/null 2>&1 &'; " \
               f"nohup {self.stays[1]} </dev/null >/dev/null 2>&1 & echo ready $SSH_CONNECTION.; {self.then}"

    def start(self):
        self.open("-A", "-Y", "-tt", command=self.command())

    def open(self, *options, command=None):
        listen = ["-R", f"{self.port}:127.0.0.1:9", "-R", f"{self.path}:127.0.0.1:9"]
        self.ssh = self.node.host.pty([*SSH.split(), "-o", "ExitOnForwardFailure=yes", *listen, *self.options, *options,
                                       f"{self.account}@server", *([command] if command else [])],
                                      env={"SSH_AUTH_SOCK": AGENT, "DISPLAY": ":7"})

    def wait_ready(self):
        self.client_port = self.ssh.read_until(r"ready \S+ (\d+) \S+ 22\.", 90)[1]
        self.find()

    def find(self):
        listed = json.loads(self.server.run("agentctl ssh-sessions list --json", check=True).stdout)["sessions"]
        (self.lease, self.monitor), = ((s["leaseId"], s["monitor"]) for s in listed if s["localUser"] == self.account)
        self.children = self.server.run(f"pgrep -P {self.monitor}", check=True).stdout.split()

    def answers(self):
        """To who has a cat there."""
        self.ssh.sendline("still here")
        self.ssh.read_until(r"still here\s+still here", 60)

    def kill(self):
        self.server.run(["agentctl", "ssh-sessions", "kill", self.lease], check=True)

    def close(self):
        if self.ssh:
            self.ssh.kill()
            self.ssh.close()

    def look(self):
        """What there is of it: one text for each thing, which begins with the sort."""
        return self.server.run(["sh", "-c", LOOK, "sh", self.account, self.port, self.path, self.monitor,
                                *self.children], check=True).stdout.splitlines()

    def sorts(self):
        return {line.split()[0] for line in self.look()}

    def programs(self):
        return sorted(line.split(" ", 1)[1].strip() for line in self.look() if line.startswith("process"))

    def only_left(self, allowed):
        """Wait until there is nothing else, and return that."""
        left = []

        def gone():
            left[:] = self.look()
            return all(line.split()[0] in allowed for line in left)

        try:
            wait_for(gone, 40, "")
        except TimedOut:
            pytest.fail(f"left of {self.account}:\n" + "\n".join(left))
        return left


@contextlib.contextmanager
def logged_in(mesh, account="alice", number=99, **kwargs):
    """Alice's, who has everything that can be left, and answers."""
    mesh.ssh_rules["server"][0]["forwarding"] = FORWARDING
    mesh.apply(mesh.server)
    one = Login(mesh.laptop, mesh.server.host, account, number, **kwargs)
    with seen(one.server, one.node.host):
        try:
            one.start()
            one.wait_ready()
            wait_for(lambda: one.sorts() == EVERYTHING, 20, "everything that can be left")
            yield one
        finally:
            one.close()
