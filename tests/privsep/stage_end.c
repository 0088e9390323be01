/* The end of the stage: whether all that the monitor started and opened is gone. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "tests/privsep/stage.h"

#define MAX_LOG (256u << 10)

static char *read_log(int fd)
{
	char *text = calloc(1, MAX_LOG + 1);
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, MAX_LOG - len)) > 0)
		len += (size_t)n;
	return text;
}

/* Return: exit status; -1: killed. */
static int wait_for_monitor(pid_t pid)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + 2 * STAGE_TIMEOUT_USEC;
	int status = 0;
	pid_t r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0) {
		if (clock_usec(CLOCK_MONOTONIC) >= deadline) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return -2;
		}
		usleep(2000);
	}
	assert_int_equal(r, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Children that are still there, after those that are just dying had a while: under a sanitizer, on
 * a busy machine, that is more than a moment. What was to be killed and was not lives for a minute.
 */
static unsigned count_survivors(void)
{
	uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + 10000000;
	siginfo_t info;

	for (;;) {
		memset(&info, 0, sizeof(info));
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0)
			return 0;
		if (info.si_pid == 0 && clock_usec(CLOCK_MONOTONIC) >= deadline)
			return 1;
		if (info.si_pid == 0)
			usleep(2000);
	}
}

static void kill_children(void)
{
	_cleanup_free_ char *path = text_printf("/proc/self/task/%d/children", getpid());
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	pid_t pid;

	while (f && fscanf(f, "%d", &pid) == 1)
		kill(pid, SIGKILL);
}

/* The children of those that die become ours, until there is none. */
int stage_sweep(void **state)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		kill_children();
		if (pid == 0)
			usleep(2000);
	}
	return 0;
}

static bool is_closed(int client)
{
	struct pollfd p = { .fd = client, .events = POLLIN };
	char said[256];

	while (poll(&p, 1, 1000) > 0)
		if (recv(client, said, sizeof(said), MSG_DONTWAIT) <= 0)
			return true;
	return false;
}

/* log must occur in what was logged, not must not; both may be NULL. */
static void end(struct stage *s, int want_status, const char *log, const char * not )
{
	int status = wait_for_monitor(s->monitor);
	bool closed = s->client < 0 || is_closed(s->client);
	_cleanup_free_ char *text = NULL;
	unsigned survivors;

	fake_agent_stop(&s->agent);
	survivors = count_survivors();
	stage_close((int[]){ s->client, s->status, s->net.channel, s->net.control,
			     s->leader.channel, s->leader.control, s->user },
		    7);
	text = read_log(s->log);
	close(s->log);
	if (status == want_status && survivors == 0 && closed && (!log || strstr(text, log)) &&
	    (!not || !strstr(text, not )))
		return;
	print_error("monitor %s (%d), %u processes left, connection %s; looked for \"%s\", not for "
		    "\"%s\", in its log:\n%s",
		    status == -2   ? "hung"
		    : status == -1 ? "was killed"
				   : "exited",
		    status, survivors, closed ? "closed" : "open", log ? log : "", not ? not : "",
		    text);
	/* fail() does not come back: what is not freed here is lost, and blamed on later cases. */
	free(take_ptr(text));
	fail();
}

void stage_end(struct stage *s, const char *log)
{
	end(s, 0, log, NULL);
}

void stage_end_refused(struct stage *s, const char *log)
{
	end(s, 1, log, NULL);
}

void stage_end_killed(struct stage *s)
{
	end(s, -1, NULL, NULL);
}

void stage_end_without(struct stage *s, const char *log)
{
	end(s, 0, NULL, log);
}

void stage_end_with_and_without(struct stage *s, const char *log, const char *without)
{
	end(s, 0, log, without);
}

void stage_end_with_leader(struct stage *s, const char *log)
{
	if (s->leader.control >= 0)
		stage_leader_closes(s);
	stage_end(s, log);
}
