#include "sshgw/monitor/idle.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "sshgw/monitor/journal.h"

/* An eighth of the timeout, within these: by so much a connection may end too late. */
#define MIN_TOLD_USEC (USEC_PER_SEC / 8)
#define MAX_TOLD_USEC (30 * USEC_PER_SEC)

static uint64_t told_usec(const struct monitor *m)
{
	uint64_t usec = m->lease.idle_timeout_usec / 8;

	return usec < MIN_TOLD_USEC ? MIN_TOLD_USEC : usec > MAX_TOLD_USEC ? MAX_TOLD_USEC : usec;
}

static void on_idle(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct monitor *m = userdata;
	char notice[128];

	snprintf(notice, sizeof(notice),
		 "Peergate: nothing was sent or received for %llu s, which the SSH rule allows",
		 (unsigned long long)(m->lease.idle_timeout_usec / USEC_PER_SEC));
	journal_record(m, "idle", LOG_NOTICE, LOG_FIELDS({ "REASON", "idle-timeout" }),
		       "The connection was idle for as long as the rule allows");
	/* The person is away, the right is not: what nohup or tmux holds goes on. */
	mon_end(m, MON_END_ASKED, notice, "it was idle for too long");
}

int idle_init(struct monitor *m)
{
	/* Who is suspended sends nothing. */
	return loop_add_time(m->loop, CLOCK_BOOTTIME, on_idle, m, &m->idle);
}

uint32_t idle_tell_msec(const struct monitor *m)
{
	return m->lease.idle_timeout_usec ? (uint32_t)(told_usec(m) / 1000) : 0;
}

void idle_begin(struct monitor *m)
{
	if (m->lease.idle_timeout_usec == 0)
		return;
	/* What flowed since the net process said it last, it says after this time. */
	loop_time_set_relative(m->idle, m->lease.idle_timeout_usec + told_usec(m));
	loop_time_enable(m->idle, LOOP_ONESHOT);
}

int idle_not(struct monitor *m, struct chan_msg *msg)
{
	if (msg->len > 0 || m->lease.idle_timeout_usec == 0)
		return -EPROTO;
	idle_begin(m);
	return 0;
}
