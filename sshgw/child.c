#include "sshgw/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "sshgw/signals.h"

#define FIRST_FD    3
#define EXEC_FAILED 127

/* Two steps: the first moves everything out of the way of the numbers to come. */
static int arrange_fds(const struct child_spec *spec, int *ret_exe_fd)
{
	int high[CHILD_MAX_FDS + 1], null;

	for (size_t i = 0; i <= spec->n_fds; i++) {
		int fd = i < spec->n_fds ? spec->fds[i] : spec->exe_fd;

		high[i] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		if (high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < spec->n_fds; i++)
		if (dup2(high[i], FIRST_FD + (int)i) < 0)
			return -errno;
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	*ret_exe_fd = high[spec->n_fds];
	if (close_range(FIRST_FD + (unsigned)spec->n_fds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static _Noreturn void run_child(const struct child_spec *spec)
{
	int exe_fd = -1;

	signals_reset();
	/* Also out of its parent's share of the processors (sched(7), autogroup). */
	(void)setsid();
	/* Upwards, which anybody may. */
	(void)!nice(spec->nice);
	if (arrange_fds(spec, &exe_fd) == 0)
		syscall(SYS_execveat, exe_fd, "", spec->argv, spec->envp, AT_EMPTY_PATH);
	_exit(EXEC_FAILED);
}

int child_spawn(const struct child_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
	pid_t pid;
	int pidfd;

	if (spec->n_fds > CHILD_MAX_FDS)
		return -EINVAL;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(spec);
	/* Our own child, not reaped yet: the number cannot have been given to another process. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int r = -errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

void child_signal(int pidfd, int sig)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

void child_kill(int pidfd)
{
	child_signal(pidfd, SIGKILL);
}

bool child_reap(pid_t pid, int pidfd, uint64_t timeout_usec)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC), deadline = now + timeout_usec;
	struct pollfd gone = { .fd = pidfd, .events = POLLIN };

	/* Signals of ours interrupt poll(), whatever SA_RESTART says (signal(7)). */
	while (poll(&gone, 1, (int)((deadline - now + 999) / 1000)) < 0 && errno == EINTR) {
		now = clock_usec(CLOCK_MONOTONIC);
		if (now >= deadline)
			break;
	}
	return waitpid(pid, NULL, WNOHANG) == pid;
}
