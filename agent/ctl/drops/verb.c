#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/drops/drops.h"
#include "common/clock.h"

/* What was shown has been flushed. */
static void end(int sig)
{
	_exit(CLI_OK);
}

static int end_after(uint64_t usec)
{
	const struct itimerval timer = { .it_value = {
						 .tv_sec = (time_t)(usec / USEC_PER_SEC),
						 .tv_usec = (suseconds_t)(usec % USEC_PER_SEC) } };

	if (signal(SIGALRM, end) == SIG_ERR || setitimer(ITIMER_REAL, &timer, NULL) < 0)
		return ctl_tell(CLI_NO, "%s", strerror(errno));
	return CLI_OK;
}

static int show(struct ctl *ctl, const json_t *drop)
{
	int r;

	if (ctl->json)
		r = ctl_print_json_line(ctl, drop);
	else
		r = ctl_rendered(drops_render(drop, &ctl->out));
	/* Each when it happens, also into a pipe. */
	if (r == CLI_OK && fflush(ctl->out.file) != 0)
		r = ctl_tell(CLI_NO, "standard output: %s", strerror(errno));
	return r;
}

int verb_drops(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	int r = CLI_OK;

	if (ctl->for_usec)
		r = end_after(ctl->for_usec);
	return r == CLI_OK ? ctl_stream(ctl, "WatchDrops", NULL, show) : r;
}
