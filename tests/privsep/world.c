/* The surroundings that the monitor under test finds: addresses, accounts, control groups. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/text.h"
#include "peergate-config.h"
#include "tests/privsep/stage.h"
#include "tests/privsep/world.h"

#define CGROUP "/sys/fs/cgroup"

char world_dir[] = "/tmp/peergate-privsep.XXXXXX";

static char *own_group, *first_group;

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "alice:x:4242:4242::/:/bin/sh\n"
			     "bob:x:4243:4243::/:/bin/sh\n"
			     "menu:x:4245:4245::/:/usr/bin/env\n"
			     "toor:x:0:0::/root:/bin/sh\n"
			     "daemon:x:1:1::/:/usr/sbin/nologin\n";
static const char agent_passwd[] = PEERGATE_AGENT_USER ":x:4244:4244::/:/usr/sbin/nologin\n";

char *world_path(const char *name)
{
	return text_printf("%s/%s", world_dir, name);
}

bool stage_world_is_possible(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", CGROUP, "cgroup2", 0, NULL) == 0)
		return true;
	fprintf(stderr, "Needs root, namespaces of its own and cgroup v2 (%s), skipped\n",
		strerror(errno));
	return false;
}

/* ---- network ---- */

static int run_ip(const char *arguments)
{
	_cleanup_free_ char *command = text_printf("ip %s", arguments);

	return system(command) == 0 ? 0 : -1;
}

static int make_network(void)
{
	/* 100.64.0.3 is an address of this host that is no mesh address; .9 is nobody's. */
	static const char *const commands[] = {
		"link set lo up",
		"addr add 100.64.0.1/32 dev lo",
		"addr add 100.64.0.2/32 dev lo",
		"addr add 100.64.0.3/32 dev lo",
		"addr add 100.64.0.9/32 dev lo",
		"addr add fd00::1/128 dev lo nodad",
		"addr add fd00::2/128 dev lo nodad",
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (run_ip(commands[i]) < 0)
			return -1;
	return 0;
}

/* ---- accounts and keys ---- */

/* In place: it is mounted on that of the machine. */
int world_set_accounts(bool with_agent)
{
	_cleanup_free_ char *own = world_path("passwd");
	_cleanup_close_ int fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd >= 0 && dprintf(fd, "%s%s", passwd, with_agent ? agent_passwd : "") > 0 ? 0 : -1;
}

static int make_accounts(void)
{
	_cleanup_free_ char *own = world_path("passwd");

	if (world_set_accounts(true) < 0)
		return -1;
	return mount(own, "/etc/passwd", NULL, MS_BIND, NULL);
}

/* Without keys in /etc/ssh the gateway makes its own, in its own directory. */
static int hide_host_keys(void)
{
	_cleanup_free_ char *own = world_path("keys");

	if (mkdir(own, 0700) < 0)
		return -1;
	return access("/etc/ssh", F_OK) < 0 ? 0 : mount("none", "/etc/ssh", "tmpfs", 0, NULL);
}

/* ---- control group ---- */

static int move_to(const char *group, pid_t pid)
{
	_cleanup_free_ char *path = text_printf("%s/cgroup.procs", group);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && dprintf(fd, "%d", pid) > 0 ? 0 : -1;
}

int world_move(pid_t pid)
{
	_cleanup_free_ char *group = text_printf("%s/elsewhere", own_group);

	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		return -1;
	return move_to(group, pid);
}

static char *find_group(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			return text_printf(CGROUP "%s", line + 3);
	}
	return NULL;
}

static int make_group(void)
{
	first_group = find_group();
	own_group = text_printf(CGROUP "/peergate-test-privsep-%d", getpid());
	return mkdir(own_group, 0755) == 0 ? move_to(own_group, getpid()) : -1;
}

int stage_world_make(void **state)
{
	/* Orphans of the monitor become our children: none may be left. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	/* Others than root must get at the agent's socket. */
	if (!mkdtemp(world_dir) || chmod(world_dir, 0777) < 0)
		return -1;
	if (make_network() < 0 || make_accounts() < 0 || hide_host_keys() < 0 || make_group() < 0) {
		perror("world");
		return -1;
	}
	return 0;
}

int stage_world_unmake(void **state)
{
	_cleanup_free_ char *command = text_printf("rm -rf %s", world_dir);
	_cleanup_free_ char *elsewhere = text_printf("%s/elsewhere", own_group);
	int r = move_to(first_group, getpid());

	rmdir(elsewhere);
	/* A login's group that is left over would keep this one from going. */
	if (r == 0)
		r = rmdir(own_group);
	if (r < 0)
		perror(own_group);
	umount("/etc/passwd");
	free(own_group);
	free(first_group);
	return system(command) == 0 ? r : -1;
}
