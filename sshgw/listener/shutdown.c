#include "sshgw/listener/shutdown.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/child.h"
#include "sshgw/steps.h"

/* A monitor kills a network process that takes longer than a tenth of it. */
#define END_USEC   (5 * USEC_PER_SEC)
#define PAUSE_NSEC (20 * 1000 * 1000)

/* By the file that it runs, since a process may call itself what it likes. */
static bool runs(const char *pid, const char *program)
{
	static const char replaced[] = " (deleted)"; /* by an upgrade; proc(5) */
	_cleanup_free_ char *link = text_printf("/proc/%s/exe", pid);
	char exe[PATH_MAX + sizeof(replaced)];
	ssize_t n = link ? readlink(link, exe, sizeof(exe) - 1) : -1;
	size_t len = strlen(program);

	if (n < 0)
		return false;
	exe[n] = '\0';
	return strncmp(exe, program, len) == 0 && (!exe[len] || strcmp(exe + len, replaced) == 0);
}

/* Return: whether it was there, and if sig is not 0, got that. */
static bool visit(const char *pid, const char *program, int sig)
{
	_cleanup_close_ int pidfd = -1;
	uint64_t number;

	if (parse_u64(pid, INT32_MAX, &number) < 0)
		return false;
	/* First, so that the number cannot be another's by the time of the signal. */
	if (sig != 0)
		pidfd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
	if (!runs(pid, program))
		return false;
	child_signal(pidfd, sig);
	return true;
}

/* Return: how many processes run the program; negative errno. sig: for each of them; 0: none. */
static int visit_all(const char *libexec_dir, const char *name, int sig)
{
	_cleanup_free_ char *program = text_printf("%s/%s", libexec_dir, name);
	DIR *dir = program ? opendir("/proc") : NULL;
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return program ? -errno : -ENOMEM;
	while ((entry = readdir(dir)))
		n += visit(entry->d_name, program, sig);
	closedir(dir);
	return n;
}

/* The connection is the network process's: without that, it has been closed. */
static int wait_closed(const char *libexec_dir)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + END_USEC;
	struct timespec pause = { .tv_nsec = PAUSE_NSEC };
	int n;

	while ((n = visit_all(libexec_dir, "peergate-sshgw-net", 0)) > 0 &&
	       clock_usec(CLOCK_MONOTONIC) < deadline)
		nanosleep(&pause, NULL);
	return n;
}

int shutdown_run(const char *libexec_dir)
{
	/* Guards are among them, and take no notice: they have no connection. */
	int told = visit_all(libexec_dir, "peergate-sshgw-monitor", MON_SIGNAL_SHUTDOWN), left;

	if (told < 0)
		return log_error_errno(told, "Could not look for connections");
	if (told > 0)
		log_info("This host shuts down: told %d monitors of connections", told);
	left = wait_closed(libexec_dir);
	if (left > 0)
		log_warning("%d connections did not end in time, continuing", left);
	return told;
}
