"""Clients of all makers, and the tools that run over SSH: each does what it is for, and bytes and exit status are right.

What they have in common is that none has a key or a password that the server would know.
"""
import textwrap
import time

import pytest
from hosts import wait_for
from mesh import accept, login, login_processes

CEILING = "SSH=yes\nPermitRootLogin=yes\n"
SERVER = "100.64.0.1"
WORK = "/tmp/clients"  # on the laptop
FOUR = "/bin/sh -c 'sha256sum; exit 4'"


@pytest.fixture(scope="module")
def work(mesh_once):
    """A file on the laptop, and what `sha256sum` says of it; the server's key for clients that have to be told."""
    laptop = mesh_once.laptop.host
    key = mesh_once.server.host_key()
    laptop.run(f"rm -rf {WORK}; mkdir {WORK}; head -c 1000000 /dev/urandom >{WORK}/blob", check=True)
    laptop.write(f"{WORK}/key.pub", f"{key}\n")
    laptop.write(f"{WORK}/known", f"{SERVER} {key}\nserver {key}\n")
    fingerprint = laptop.run(f"ssh-keygen -lf {WORK}/key.pub | cut -d' ' -f2", check=True).stdout.strip()
    return laptop.run(f"sha256sum <{WORK}/blob", check=True).stdout, fingerprint


@pytest.fixture
def laptop(mesh, work):
    return mesh.laptop.host


def arrived(mesh, path):
    return mesh.server.host.run(f"sha256sum <{path}").stdout


def python(laptop, script, timeout=150):
    return laptop.run(["python3", "-W", "ignore", "-c", textwrap.dedent(script)], timeout=timeout, cwd=WORK)


# -- other makers' clients


def test_dropbear(laptop, work):
    """It tries "none" first; asked for a password, it has one."""
    result = laptop.run(f"dbclient -y alice@{SERVER} {FOUR!r} <{WORK}/blob")
    assert (result.stdout, result.returncode) == (work[0], 4), result.stderr
    result = laptop.run(f"dbclient -y alice+password@{SERVER} 'id -un; exit 4'", env={"DROPBEAR_PASSWORD": "whatever"})
    assert (result.stdout, result.returncode) == ("alice\n", 4), result.stderr


def test_putty(mesh, laptop, work):
    plink = f"plink -batch -hostkey {work[1]}"
    result = laptop.run(f"{plink} alice@{SERVER} {FOUR!r} <{WORK}/blob")
    assert (result.stdout, result.returncode) == (work[0], 4), result.stderr
    result = laptop.run(f"{plink} -pw whatever alice+password@{SERVER} 'id -un; exit 4'")
    assert (result.stdout, result.returncode) == ("alice\n", 4), result.stderr
    batch = f"put {WORK}/blob psftp\nget psftp {WORK}/psftp\n"
    laptop.run(f"psftp -batch -hostkey {work[1]} -b /dev/stdin alice@{SERVER}", input=batch, check=True)
    assert arrived(mesh, "/home/alice/psftp") == laptop.run(f"sha256sum <{WORK}/psftp").stdout == work[0]


def test_paramiko(mesh, laptop, work):
    """It never tries "none" unless told to; here it has a password, then a key of a kind that differs each time."""
    result = python(laptop, f"""
        import paramiko
        keys = [None, paramiko.RSAKey.generate(1024), paramiko.ECDSAKey.generate()]
        for i, key in enumerate(keys):
            client = paramiko.SSHClient()
            client.load_host_keys("known")
            client.connect("{SERVER}", username="alice", password=None if key else "whatever", pkey=key,
                           allow_agent=False, look_for_keys=False, timeout=60, banner_timeout=60, auth_timeout=60)
            stdin, stdout, stderr = client.exec_command("sha256sum; exit 4")
            stdin.write(open("blob", "rb").read())
            stdin.channel.shutdown_write()
            print(stdout.read().decode(), stdout.channel.recv_exit_status(), end="")
            if i == 0:
                files = client.open_sftp()
                files.put("blob", "paramiko")
                files.get("paramiko", "paramiko")
            client.close()
        """)
    assert (result.stdout, result.returncode) == (f"{work[0]} 4" * 3, 0), result.stderr
    assert arrived(mesh, "/home/alice/paramiko") == laptop.run(f"sha256sum <{WORK}/paramiko").stdout == work[0]


def test_corners(laptop, work):
    """What other clients say seldom: keyboard-interactive at once, signals, breaks, modes, that they read no more."""
    result = python(laptop, f"""
        import struct, paramiko
        from paramiko.message import Message

        def text(data):
            return struct.pack(">I", len(data)) + data

        def request(channel, name, more=b"", answer=True):
            message = Message(b"\\x62" + struct.pack(">I", channel.remote_chanid) + text(name) + bytes([answer]) + more)
            channel._event_pending()
            transport._send_user_message(message)
            if answer:
                channel._wait_for_event()

        def start(command):
            channel = transport.open_session(timeout=60)
            channel.settimeout(60)
            channel.exec_command(command)
            return channel, channel.makefile()

        transport = paramiko.Transport(("{SERVER}", 22))
        transport.handshake_timeout = transport.banner_timeout = transport.auth_timeout = 60
        transport.start_client(timeout=60)
        prompts = []
        transport.auth_interactive("alice", lambda *shown: prompts.append(shown) or [])
        print(prompts, start("id -un")[1].read())

        channel, out = start("trap 'echo trapped; exit 7' USR1; echo ready; while :; do sleep 0.1; done")
        out.readline()
        request(channel, b"signal", text(b"USR1"), False)
        print(out.read(), channel.recv_exit_status())
        channel, out = start("echo ready; exec sleep 1000")
        out.readline()
        request(channel, b"signal", text(b"KILL"), False)
        print(out.read(), channel.recv_exit_status())

        channel = transport.open_session(timeout=60)
        modes = b"\\x35" + bytes(4) + b"\\x03\\0\\0\\0\\x02\\0"  # no echo; ^B erases
        request(channel, b"pty-req", text(b"xterm") + struct.pack(">IIII", 90, 30, 0, 0) + text(modes))
        request(channel, b"exec", text(b"stty -a; read a; echo read $a; exit 5"))
        request(channel, b"break", struct.pack(">I", 500))
        channel.send(b"in\\n")
        said = channel.makefile().read().decode().replace(";", "").split()
        print(said[3:7], "-echo" in said, said[said.index("erase") + 2], said[-2:], channel.recv_exit_status())
        channel, out = start("cat")
        try:
            request(channel, b"break", struct.pack(">I", 500))
        except paramiko.SSHException:
            print("no terminal, no break")

        channel, out = start("yes; echo status $? >&2; exit 3")
        out.readline()
        request(channel, b"eow@openssh.com", b"", False)
        print(set(out.read().split()), channel.makefile_stderr().read(), channel.recv_exit_status())
        """)
    assert result.stdout.splitlines() == [
        "[('', '', [])] b'alice\\n'", "b'trapped\\n' 7", "b'' -1",
        "['rows', '30', 'columns', '90'] True ^B ['read', 'in'] 5", "no terminal, no break",
        "{b'y'} b'status 141\\n' 3"], result.stderr


def test_paramiko_is_told_why_not(mesh, laptop):
    """Not by "none", but by what it tried: the reason is in the banner."""
    mesh.ssh_rules["server"][0]["users"] = {"bob": "bob"}
    mesh.apply(mesh.server)
    result = python(laptop, f"""
        import paramiko
        transport = paramiko.Transport(("{SERVER}", 22))
        transport.banner_timeout = transport.auth_timeout = 60
        transport.start_client(timeout=60)
        try:
            transport.auth_password("alice", "whatever", fallback=False)
        except paramiko.SSHException as error:
            print(transport.get_banner().decode(), end="")
        """)
    assert result.stdout.startswith("Peergate: ") and '"alice"' in result.stdout, result.stderr


def test_asyncssh(mesh, laptop, work):
    result = python(laptop, f"""
        import asyncio, asyncssh
        async def main():
            key = asyncssh.generate_private_key("ssh-ed25519")
            for ways in ({{"client_keys": [key]}}, {{"client_keys": None, "password": "whatever"}}):
                async with asyncssh.connect("{SERVER}", username="alice", known_hosts="known", agent_path=None, **ways) as client:
                    blob = open("blob", "rb").read()
                    done = await asyncio.gather(*(client.run("sha256sum; exit 4", input=blob, encoding=None) for _ in range(3)))
                    for one in done:
                        print(one.stdout.decode(), one.exit_status, end="")
            async with asyncssh.connect("{SERVER}", username="alice", known_hosts="known", agent_path=None,
                                        client_keys=None) as client, client.start_sftp_client() as files:
                await files.put("blob", "asyncssh")
                await files.get("asyncssh", "asyncssh")
        asyncio.run(main())
        """)
    assert (result.stdout, result.returncode) == (f"{work[0]} 4" * 6, 0), result.stderr
    assert arrived(mesh, "/home/alice/asyncssh") == laptop.run(f"sha256sum <{WORK}/asyncssh").stdout == work[0]


def test_libssh2(mesh, laptop, work):
    """curl's library; it has neither GCM nor encrypt-then-MAC."""
    curl = f"curl -sS --hostpubsha256 {work[1].removeprefix('SHA256:')}"
    for user in ("alice:", "alice+password:whatever"):
        path = f"/home/alice/curl{len(user)}"
        laptop.run(f"{curl} -u {user} -T {WORK}/blob sftp://{SERVER}{path}", check=True)
        assert arrived(mesh, path) == work[0]
        assert laptop.run(f"{curl} -u {user} sftp://{SERVER}{path} | sha256sum").stdout == work[0]


def test_go(mesh, laptop, work):
    """rclone: Go's x/crypto/ssh. It wants to have a password, or a key, and tries "none" first all the same."""
    password = laptop.run("rclone obscure whatever", check=True).stdout.strip()
    remote = f":sftp,host={SERVER},user=alice,pass={password},known_hosts_file={WORK}/known,shell_type=unix:"
    laptop.run(["rclone", "--config=", "copyto", f"{WORK}/blob", f"{remote}rclone/deep/blob"], check=True, timeout=90)
    assert arrived(mesh, "/home/alice/rclone/deep/blob") == work[0]
    # Here it runs md5sum over there.
    result = laptop.run(["rclone", "--config=", "md5sum", f"{remote}rclone"], timeout=90)
    expected = laptop.run(f"md5sum <{WORK}/blob").stdout.split()[0]
    assert result.stdout.split() == [expected, "deep/blob"], result.stderr


# -- OpenSSH's, as it is worked with


def test_fifty_sessions_on_one_connection(mesh, laptop, work):
    """All at once, behind a gate; each gets its own bytes back, and its own exit status."""
    mesh.server.host.write("/etc/peergate/sshgw.conf", CEILING + "MaxSessions=50\n")
    fifty = f"""
        cd {WORK}; rm -f mux.*
        for i in $(seq 50); do
            (ssh -S /tmp/mux alice@server "echo $i; flock -s gate true; sha256sum; exit $i" <blob >mux.$i 2>&1; echo $? >>mux.$i) &
        done
        until [ $(cat mux.* | wc -l) -ge 50 ]; do sleep 1; done
        echo all there
        wait
        for i in $(seq 50); do echo $(cat mux.$i); done"""
    try:
        laptop.run("ssh -o BatchMode=yes -M -S /tmp/mux -fN alice@server", check=True)
        with mesh.server.host.popen("flock /home/alice/gate sh -c 'echo held; cat'", user="alice") as gate:
            gate.out.read_until("held")
            with laptop.popen(fifty) as clients:
                clients.out.read_until("all there\n", 120)
                gate.stdin.close()
                said = clients.out.read_rest(120)
        assert said.splitlines() == [f"{i} {' '.join(work[0].split())} {i}" for i in range(1, 51)]
    finally:
        laptop.run("ssh -S /tmp/mux -O exit alice@server")
        mesh.server.host.write("/etc/peergate/sshgw.conf", CEILING)


@pytest.fixture
def forwarding(mesh):
    everything = {"agent": True, "local": True, "remote": True}
    mesh.ssh_rules["server"] = [login(mesh.laptop, {"*": "="}, "ssh[0] line 31", forwarding=everything)]
    mesh.apply(mesh.server)


def test_jump(mesh, laptop, work, forwarding):
    """On through the server, to a host that the laptop need not reach: here it is the server's own sshd."""
    laptop.run(f"rm -f {WORK}/key*; ssh-keygen -q -t ed25519 -N '' -f {WORK}/key", check=True)
    mesh.server.host.run("mkdir -p -m 700 ~alice/.ssh; chown alice: ~alice/.ssh", check=True)
    mesh.server.host.write("/home/alice/.ssh/authorized_keys", laptop.read(f"{WORK}/key.pub"), 0o600, "alice")
    result = laptop.run(f"ssh -J alice@server -i {WORK}/key -o BatchMode=yes -o StrictHostKeyChecking=no"
                        f" -o UserKnownHostsFile=/dev/null alice@{mesh.server.host.ip4} {FOUR!r} <{WORK}/blob")
    assert (result.stdout, result.returncode) == (work[0], 4), result.stderr


def test_editor(mesh, laptop, work, forwarding):
    """As VS Code works: a shell that is fed through stdin starts a server on a socket, which many channels go to.

    For days: with new keys in between, another agent and another listener, and silence.
    """
    server, log, began = mesh.server.host, f"{WORK}/editor.log", time.time()
    ssh = f"ssh -v -E {log} -o BatchMode=yes -o 'RekeyLimit=8M 3s' -o ServerAliveInterval=1 -o ServerAliveCountMax=60" \
          f" -o StreamLocalBindUnlink=yes -L {WORK}/socket:/home/alice/socket alice@server bash -s"

    def new_keys():
        return laptop.read(log).count("SSH2_MSG_KEXINIT received")

    def edit(shell):
        result = laptop.run(f"""
            cd {WORK}; rm -f editor.[0-9]*
            for i in $(seq 10); do
                (socat -t 60 - UNIX-CONNECT:socket <blob | sha256sum >editor.$i) &
            done
            wait; cat editor.[0-9]*""", timeout=90)
        assert result.stdout == work[0] * 10, result.stderr
        shell.stdin.write(b"echo still here\n")
        shell.out.read_until("still here")

    with laptop.popen(ssh) as shell:
        shell.stdin.write(b"cd; rm -f socket; socat -t 60 UNIX-LISTEN:socket,fork EXEC:cat & "
                          b"until [ -e socket ]; do sleep 0.1; done; echo ready\n")
        shell.out.read_until("ready")
        edit(shell)
        assert new_keys() >= 3
        server.run("systemctl restart peergate-agent peergate-sshgw.service", check=True)
        server.wait_journal(since=began, grep="The agent is back and keeps the lease")
        before = new_keys()
        wait_for(lambda: new_keys() >= before + 2, 60, "new keys in the silence")
        edit(shell)
        shell.stdin.write(b"kill %1; exit 4\n")
        assert shell.wait() == 4


def test_host_key_is_replaced(mesh, laptop, work):
    """Who keeps a list learns the new key while there is the old one, and forgets that when it is gone; who has not
    been here in between believes nothing."""
    server, old, new = mesh.server.host, "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key"
    ssh = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=yes -o UserKnownHostsFile"
    for name in ("keeper", "stranger"):
        laptop.write(f"{WORK}/{name}", f"{SERVER} {mesh.server.host_key()}\n")

    def list_becomes(*kinds):
        """While the client is connected."""
        with laptop.popen(f"exec {ssh}={WORK}/keeper alice@{SERVER} cat") as client:
            wait_for(lambda: set(laptop.read(f"{WORK}/keeper").split()[1::3]) == set(kinds), 30, f"a list of {kinds}")
            client.stdin.close()
            assert client.wait() == 0, client.err.read_rest()

    try:
        server.run(f"ssh-keygen -q -t ecdsa -N '' -f {new}", check=True)
        list_becomes("ssh-ed25519", "ecdsa-sha2-nistp256")
        server.run(f"mv {old} {old}.old; systemctl restart peergate-sshgw.service", check=True)
        list_becomes("ecdsa-sha2-nistp256")
        key = " ".join(server.read(f"{new}.pub").split()[:2])
        assert laptop.read(f"{WORK}/keeper") == f"{SERVER} {key}\n"
        assert server.read("/run/peergate-sshgw/host_keys") == f"{key}\n"
        result = laptop.run(f"{ssh}={WORK}/stranger alice@{SERVER} true")
        assert (result.returncode, "Host key verification failed" in result.stderr) == (255, True), result.stderr
    finally:
        server.run(f"mv {old}.old {old}; rm -f {new} {new}.pub")
    assert mesh.ssh("alice@server id -un").stdout == "alice\n"


def test_git(mesh, laptop):
    result = laptop.run(f"""
        set -e; cd {WORK}; rm -rf one two; export GIT_SSH_COMMAND='ssh -o BatchMode=yes'
        git config --global user.email alice@example.com; git config --global user.name Alice
        ssh -o BatchMode=yes alice@server 'rm -rf repo.git; git init -q --bare repo.git'
        git clone -q alice@server:repo.git one; cp blob one/; git -C one add blob; git -C one commit -qm 'A blob'
        git -C one push -q origin HEAD:main; git clone -q -b main alice@server:repo.git two; cmp one/blob two/blob; git -C two log --format=%s
        """)
    assert (result.stdout, result.returncode) == ("A blob\n", 0), result.stderr
    result = laptop.run(f"cd {WORK}/one; git commit -q --amend -m other; GIT_SSH_COMMAND='ssh -o BatchMode=yes' git push origin HEAD:main")
    assert result.returncode == 1 and "rejected" in result.stderr


def test_rsync_of_a_tree(laptop):
    result = laptop.run(f"""
        set -e; cd {WORK}; rm -rf tree back; mkdir -p tree/a/b 'tree/with space'; ln -s a tree/link; cp blob tree/a/b
        chmod 600 tree/a/b/blob; echo x >'tree/with space/x'; touch -d 2001-02-03 tree/a
        rsync -rlpt --delete -e 'ssh -o BatchMode=yes' tree/ alice@server:tree/
        rsync -rlpt -z -e 'ssh -o BatchMode=yes' alice@server:tree/ back/
        rsync -rlpt -n -i --delete --checksum tree/ back/; find back | sort""")
    assert result.stdout.split("\n") == [
        "back", "back/a", "back/a/b", "back/a/b/blob", "back/link", "back/with space", "back/with space/x", ""], result.stderr


def test_sshfs(mesh, laptop, work):
    laptop.run("[ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229; mkdir -p /tmp/clients/mnt", check=True)
    laptop.run(f"sshfs -o BatchMode=yes alice@server: {WORK}/mnt", check=True)
    try:
        laptop.run(f"cp {WORK}/blob {WORK}/mnt/sshfs; mkdir {WORK}/mnt/made", check=True)
        assert arrived(mesh, "/home/alice/sshfs") == work[0]
        mesh.server.host.run("rmdir /home/alice/made; echo there >/home/alice/theirs", check=True)
        assert laptop.run(f"cat {WORK}/mnt/theirs; rm {WORK}/mnt/theirs").stdout == "there\n"
        assert mesh.server.host.run("test -e /home/alice/theirs").returncode == 1
    finally:
        laptop.run(f"fusermount3 -u {WORK}/mnt", check=True)


def test_ansible(mesh, laptop):
    """Raw, then a module with pipelining: python over there, fed through stdin, on a kept connection."""
    laptop.write(f"{WORK}/hosts", "server ansible_user=alice ansible_python_interpreter=/usr/bin/python3\n")
    laptop.write(f"{WORK}/ansible.cfg", "[defaults]\nforks=1\ngathering=explicit\nretry_files_enabled=no\n"
                                        "[ssh_connection]\npipelining=True\n"
                                        "ssh_args=-o ControlMaster=auto -o ControlPersist=2s\n")
    laptop.write(f"{WORK}/play.yml", textwrap.dedent("""\
        - hosts: all
          tasks:
            - raw: id -un
              register: who
            - command: /bin/sh -c 'echo made by {{ who.stdout | trim }} >ansible; exit 5'
              register: five
              failed_when: five.rc != 5
        """))
    result = laptop.run("ansible-playbook -i hosts play.yml", cwd=WORK, timeout=150, env={"LC_ALL": "C.UTF-8", "HOME": "/root"})
    assert result.returncode == 0 and "ok=2" in result.stdout, result.stdout + result.stderr
    assert mesh.server.host.run("cat ~alice/ansible; stat -c %U ~alice/ansible").stdout == "made by alice\nalice\n"


def test_mosh(mesh, laptop):
    """Its server is started through SSH, stays behind in the background, and is reached by UDP."""
    mesh.filter["server"].append(accept(mesh.laptop, mesh.server, (60000, 60999), "acls[9] line 40", proto=(17,)))
    mesh.apply(mesh.server)
    with laptop.pty("mosh alice@server", env={"LC_ALL": "C.UTF-8"}) as terminal:
        terminal.read_until("alice@")
        terminal.sendline("echo mo''sh $((6 * 7))")
        terminal.read_until("mosh 42")
        # The SSH connection is over; the program that it left behind is in the login's scope, and holds its right.
        wait_for(lambda: not laptop.run("ss -Hnt state established dport = :22").stdout, 30, "end of the SSH connection")
        assert any("mosh-server" in command for command in login_processes(mesh.server.host, "alice").values())
        terminal.sendline("exit")
        assert terminal.wait() == 0
