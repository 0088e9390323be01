#include "sshgw/listener/executables.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/build.h"
#include "sshgw/child.h"

#define PROBE_MSEC 10000

static const char *const names[N_EXECUTABLES] = {
	[EXE_MONITOR] = "peergate-sshgw-monitor",
	[EXE_NET] = "peergate-sshgw-net",
	[EXE_SESSION] = "peergate-sshgw-session",
	[EXE_KEYS] = "peergate-sshgw-keys",
};

/* Return: 0, -ESTALE, -ETIME, negative errno. */
static int await_probe(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	siginfo_t info = { 0 };
	int n;

	do
		n = poll(&p, 1, PROBE_MSEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		child_kill(pidfd);
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		return -errno;
	if (n <= 0)
		return -ETIME;
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -ESTALE;
}

/* It is asked itself: by the descriptor, so that the answer is that of the file that was opened. */
static int probe(int exe_fd, const char *name)
{
	const char *const argv[] = { name, build_id(), BUILD_PROBE, NULL };
	const char *const envp[] = { NULL };
	_cleanup_close_ int pidfd = -1;
	pid_t pid;
	int r;

	r = child_spawn(&(struct child_spec){ .exe_fd = exe_fd, .argv = argv, .envp = envp }, &pid,
			&pidfd);
	return r < 0 ? r : await_probe(pidfd);
}

static int open_one(const char *dir, const char *name, int *ret_fd)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	int r;

	if (!path)
		return -ENOMEM;
	*ret_fd = open(path, O_PATH | O_CLOEXEC);
	if (*ret_fd < 0)
		return log_error_errno(-errno, "Could not open %s", path);
	r = probe(*ret_fd, name);
	if (r == -ESTALE)
		return log_error_errno(r,
				       "%s is of another build than peergate-sshgw itself (%s): "
				       "an upgrade is under way, or was interrupted",
				       path, build_id());
	return r < 0 ? log_error_errno(r, "Could not ask %s for its build", path) : 0;
}

int executables_open(const char *dir, int ret_fds[N_EXECUTABLES])
{
	int r = 0;

	for (size_t i = 0; i < N_EXECUTABLES; i++)
		ret_fds[i] = -1;
	for (size_t i = 0; i < N_EXECUTABLES && r == 0; i++)
		r = open_one(dir, names[i], &ret_fds[i]);
	return r;
}
