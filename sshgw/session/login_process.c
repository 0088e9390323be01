#include "sshgw/session/login_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/build.h"
#include "sshgw/child.h"
#include "sshgw/signals.h"

/* For dying. All that the end takes has to fit into what the monitor waits (monitor/ending.c). */
#define KILLED_USEC (500 * 1000ull)

enum stage {
	STAGE_DESCRIPTORS,
	STAGE_GROUP,
	STAGE_USER,
	STAGE_VERIFY,
	STAGE_EXEC,
};

/* What the child says through the pipe when it did not get as far as exec. */
struct failure {
	enum stage stage;
	int error;
};

static const char *stage_to_string(enum stage stage)
{
	switch (stage) {
	case STAGE_DESCRIPTORS:
		return "set up the descriptors of the user's process";
	case STAGE_GROUP:
		return "switch to the user's group";
	case STAGE_USER:
		return "switch to the user";
	case STAGE_VERIFY:
		return "give up root for good";
	case STAGE_EXEC:
		return "start the user's process";
	}
	return "start the user's process in an unknown way";
}

/* ---- in the child ---- */

static int set_up_descriptors(int channel)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (dup2(channel, LOGIN_USER_CHANNEL) < 0)
		return -errno;
	/* PAM modules keep descriptors of their own in this process. */
	if (close_range(LOGIN_USER_CHANNEL + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int verify_dropped(const struct account *account)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		return -errno;
	if (ruid != account->uid || euid != account->uid || suid != account->uid ||
	    rgid != account->gid || egid != account->gid || sgid != account->gid)
		return -EPERM;
	if (account->uid != 0 && setresuid(0, 0, 0) == 0)
		return -EPERM;
	if (account->uid != 0 && account->gid != 0 && setresgid(0, 0, 0) == 0)
		return -EPERM;
	return 0;
}

static int become(const struct account *account, enum stage *stage)
{
	*stage = STAGE_GROUP;
	if (setresgid(account->gid, account->gid, account->gid) < 0)
		return -errno;
	*stage = STAGE_USER;
	if (setresuid(account->uid, account->uid, account->uid) < 0)
		return -errno;
	*stage = STAGE_VERIFY;
	return verify_dropped(account);
}

int login_process_become(const struct account *account)
{
	enum stage stage;

	return become(account, &stage);
}

static int run_child(const struct account *account, char *const *env, int exe, int channel,
		     enum stage *stage)
{
	const char *const argv[] = { "peergate-sshgw-session", build_id(), "user", NULL };
	_cleanup_close_ int own_exe = -1;
	int r;

	*stage = STAGE_DESCRIPTORS;
	signals_reset();
	(void)setsid();
	/* The channel's place may be where the executable is. */
	own_exe = fcntl(exe, F_DUPFD_CLOEXEC, LOGIN_USER_CHANNEL + 1);
	if (own_exe < 0)
		return -errno;
	r = set_up_descriptors(channel);
	if (r < 0)
		return r;
	r = become(account, stage);
	if (r < 0)
		return r;
	*stage = STAGE_EXEC;
	syscall(SYS_execveat, own_exe, "", argv, env, AT_EMPTY_PATH);
	return -errno;
}

/* ---- in the leader ---- */

/* Return: 0 when the child has exec'ed, else what kept it, with text. */
static int await_exec(int pipe_fd, char **reterr_text)
{
	struct failure failure;
	ssize_t n;

	do
		n = read(pipe_fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(failure))
		failure = (struct failure){ STAGE_EXEC, n < 0 ? -errno : -EIO };
	*reterr_text = text_printf("Could not %s: %s", stage_to_string(failure.stage),
				   strerror(-failure.error));
	return failure.error;
}

static void report_failure(int pipe_fd, enum stage stage, int error)
{
	struct failure failure = { stage, error };

	if (write(pipe_fd, &failure, sizeof(failure)) < 0)
		_exit(126);
}

int login_process_start(const struct account *account, char *const *env, int exe, int channel,
			struct login_process *ret_process, char **reterr_text)
{
	_cleanup_close_ int read_end = -1, write_end = -1;
	struct login_process process = { .pidfd = -1 };
	enum stage stage = STAGE_DESCRIPTORS;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	process.pid = fork();
	if (process.pid < 0) {
		r = -errno;
		*reterr_text = text_printf("Could not fork the user's process: %s", strerror(-r));
		return r;
	}
	if (process.pid == 0) {
		r = run_child(account, env, exe, channel, &stage);
		report_failure(write_end, stage, r);
		_exit(127);
	}
	write_end = close_fd(write_end);
	process.pidfd = pidfd_open(process.pid, 0);
	r = process.pidfd < 0 ? -errno : await_exec(read_end, reterr_text);
	if (r < 0) {
		login_process_end(&process, 0);
		return r;
	}
	*ret_process = process;
	return 0;
}

void login_process_end(struct login_process *process, uint64_t grace_usec)
{
	bool reaped;

	if (process->pid <= 0)
		return;
	/* Not yet reaped, hence the number is still this process's. */
	(void)kill(process->pid, SIGTERM);
	reaped = grace_usec > 0 && child_reap(process->pid, process->pidfd, grace_usec);
	if (!reaped) {
		(void)kill(process->pid, SIGKILL);
		reaped = child_reap(process->pid, process->pidfd, KILLED_USEC);
	}
	if (!reaped)
		log_warning("The user's process does not end although it was killed, continuing");
	process->pidfd = close_fd(process->pidfd);
	process->pid = 0;
}
