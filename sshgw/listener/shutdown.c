#include "sshgw/listener/shutdown.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/child.h"
#include "sshgw/steps.h"

/* What a monitor gives a leader; a network process gets a tenth of it (monitor/ending.c). */
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

/* The network process has the connection, the leader what PAM opened: they end when it is closed.
 */
static int count_open(const char *libexec_dir)
{
	int net = visit_all(libexec_dir, "peergate-sshgw-net", 0),
	    session = visit_all(libexec_dir, "peergate-sshgw-session", 0);

	return net < 0 ? net : session < 0 ? session : net + session;
}

static int wait_closed(const char *libexec_dir)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + END_USEC;
	struct timespec pause = { .tv_nsec = PAUSE_NSEC };
	int n;

	while ((n = count_open(libexec_dir)) > 0 && clock_usec(CLOCK_MONOTONIC) < deadline)
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
		log_info("This host shuts down: told the monitors of connections (%d)", told);
	left = wait_closed(libexec_dir);
	if (left > 0)
		log_warning("%d processes of connections did not end in time, continuing", left);
	return told;
}
