#include "sshgw/monitor/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/passed.h"
#include "common/text.h"
#include "sshgw/child.h"
#include "sshgw/scope.h"
#include "sshgw/steps.h"

/*
 * What others wait for the end of: status pipe, agent, keys. Files stay: one that a user handed to
 * the monitor would have its filesystem asked (common/passed.h).
 */
static void drop_inherited(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		uint64_t fd;

		if (parse_u64(entry->d_name, INT32_MAX, &fd) < 0 || fd <= STDERR_FILENO ||
		    (int)fd == keep || (int)fd == dirfd(dir))
			continue;
		if (passed_is_pipe((int)fd) || passed_is_socket((int)fd))
			close((int)fd);
	}
	if (dir)
		closedir(dir);
}

static _Noreturn void stand_guard(int fd, const char *group, const char *made)
{
	char byte;
	int r;

	/* Whoever ends the service by a signal to all of it means the monitors. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(MON_SIGNAL_SHUTDOWN, SIG_IGN);
	prctl(PR_SET_NAME, "sshgw-guard");
	drop_inherited(fd);
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	r = scope_kill(group);
	/* The descriptor to the journal was among those dropped. */
	log_open_journal("peergate-sshgw");
	log_full(LOG_ERR, r < 0 ? r : 0, NULL, 0,
		 "The monitor of a connection that is over is gone, killed what that left running");
	scope_remove(made);
	_exit(r < 0);
}

int guard_start(const char *group, const char *made, struct guard *ret_guard)
{
	struct guard guard = GUARD_NONE;
	int ends[2], r = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		stand_guard(ends[0], group, made);
	}
	close(ends[0]);
	guard.fd = ends[1];
	/* Our own child, not reaped yet: the number cannot have been given to another process. */
	guard.pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (guard.pidfd < 0) {
		r = -errno;
		if (pid > 0)
			kill(pid, SIGKILL);
		guard.fd = close_fd(guard.fd);
		return r;
	}
	*ret_guard = guard;
	return 0;
}

void guard_dismiss(struct guard *guard)
{
	child_kill(guard->pidfd);
	if (guard->pidfd >= 0)
		waitid(P_PIDFD, (id_t)guard->pidfd, NULL, WEXITED);
	guard->pidfd = close_fd(guard->pidfd);
	guard->fd = close_fd(guard->fd);
}
