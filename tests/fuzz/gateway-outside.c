#include "tests/fuzz/gateway-outside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "peergate-config.h"
#include "sshgw/child.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/incoming.h"
#include "sshgw/scope.h"

#define REFUSING_SHELL "/usr/sbin/nologin"

/* ---- in the place of what asks the system ---- */

const char *mon_state_to_string(enum mon_state state)
{
	return "";
}

int mon_attach(struct monitor *m, enum mon_peer_index peer, int fd)
{
	check(m->peers[peer].fd < 0);
	m->peers[peer].fd = fd;
	return 0;
}

int mon_watch_exit(struct monitor *m, enum mon_peer_index peer, pid_t pid, int pidfd)
{
	m->peers[peer].pid = pid;
	return 0;
}

int scope_create(pid_t leader, char **ret_path)
{
	*ret_path = strdup("/own");
	return 0;
}

int scope_find(pid_t leader, char **ret_path)
{
	*ret_path = strdup("/login");
	return 0;
}

void scope_remove(const char *path)
{
}

void child_kill(int pidfd)
{
}

/* Somebody who is not root, and whom terminals can be given to. */
static uid_t user_uid(void)
{
	return geteuid() == 0 ? 4242 : geteuid();
}

int account_get(const char *name, struct account **ret_account)
{
	static const char *const unknown[] = { "nobody", PEERGATE_SSHGW_USER, PEERGATE_AGENT_USER,
					       PEERGATE_COORD_USER };
	struct account *account;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		if (strcmp(name, unknown[i]) == 0)
			return ACCOUNT_UNKNOWN;
	account = calloc(1, sizeof(*account));
	if (!account)
		return -ENOMEM;
	account->name = strdup(name);
	account->shell = strdup(strcmp(name, "daemon") == 0 ? REFUSING_SHELL : "/bin/sh");
	account->uid = strcmp(name, "root") == 0 ? 0 : user_uid();
	*ret_account = account;
	return 0;
}

struct account *account_free(struct account *account)
{
	if (account) {
		free(account->name);
		free(account->shell);
	}
	free(account);
	return NULL;
}

bool account_shell_refuses(const char *shell)
{
	return strcmp(shell, REFUSING_SHELL) == 0;
}

bool account_shell_exists(const char *shell)
{
	return true;
}

/* ---- a monitor ---- */

/* Real ones; nobody waits for them. */
static void make_times(struct monitor *m)
{
	check(loop_new(&m->loop) == 0);
	check(loop_add_time(m->loop, CLOCK_MONOTONIC, NULL, m, &m->grace) == 0);
	check(loop_add_time(m->loop, CLOCK_MONOTONIC, NULL, m, &m->duration) == 0);
	check(loop_add_time(m->loop, CLOCK_REALTIME, NULL, m, &m->expiry) == 0);
	check(loop_add_time(m->loop, CLOCK_MONOTONIC, NULL, m, &m->idle) == 0);
}

void outside_monitor_init(struct monitor *m)
{
	*m = (struct monitor){
		.config = { .connection_fd = -1, .status_fd = -1 },
		.peers = {
			[MON_NET] = { .name = "net", .fd = -1, .pidfd = -1 },
			[MON_LEADER] = { .name = "leader", .fd = -1, .pidfd = -1 },
			[MON_USER] = { .name = "user", .fd = -1, .pidfd = -1 },
			[MON_KEYS] = { .name = "keys", .fd = -1, .pidfd = -1 },
		},
	};
	make_times(m);
	ceiling_default(&m->ceiling);
	m->ceiling.ssh = true;
	m->ceiling.max_sessions = 3;
	m->ceiling.max_forwards = 3;
	m->ceiling.max_listens = 2;
	forwarding_init(m);
	check(incoming_add_timer(m) == 0);
}

void outside_monitor_done(struct monitor *m)
{
	forwarding_done(m);
	loop_source_free(m->grace);
	loop_source_free(m->duration);
	loop_source_free(m->expiry);
	loop_source_free(m->idle);
	loop_free(m->loop);
	for (size_t i = 0; i < MON_N_PEERS; i++)
		close_fd(m->peers[i].fd);
	free(m->own_scope);
	free(m->scope);
	free(m->ssh_user);
	free(m->login_text);
	lease_done(&m->lease);
	account_free(m->account);
	channels_done(&m->channels);
	session_log_done(&m->session_log);
	ceiling_done(&m->ceiling);
}

int outside_open_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0, slave;

	if (master < 0)
		return -1;
	ioctl(master, TIOCSPTLCK, &unlocked);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave >= 0 && fchown(slave, user_uid(), (gid_t)-1) < 0) {
		close(slave);
		return close_fd(master);
	}
	close(slave);
	return master;
}
