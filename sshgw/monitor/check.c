#include "sshgw/monitor/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/monitor/login.h"

static uint64_t seconds(const struct monitor *m)
{
	return (clock_usec(CLOCK_MONOTONIC) - m->check.begun_usec) / USEC_PER_SEC;
}

/* One journal record for each thing that happens to it. */
static void log_check(const struct monitor *m, int level, const char *what, const char *code)
{
	char peer[IP_ADDR_STRLEN];

	ip_addr_to_string(&m->peer.addr, peer);
	log_with(level, 0,
		 LOG_FIELDS({ "EVENT", "check" }, { "CHECK", what }, { "SSH_USER", m->ssh_user },
			    { "CODE", code }),
		 "The check of a login from %s as \"%s\" %s", peer, m->ssh_user, what);
}

/* ---- too many of them ---- */

static void on_no_room(struct loop_source *source, const struct signalfd_siginfo *info,
		       void *userdata)
{
	struct monitor *m = userdata;

	/* Otherwise it is over, and there is room. */
	if (m->state == MON_CHECK)
		login_refuse(m, "too-many-held",
			     "too many logins wait for a check on this host already; try again "
			     "later");
}

int check_init(struct monitor *m)
{
	return loop_add_signal(m->loop, MON_SIGNAL_NO_ROOM, on_no_room, m, &m->check.no_room);
}

/* ---- from its beginning to its end ---- */

void check_begin(struct monitor *m, const struct lease_check *check)
{
	struct chan_writer w = { 0 };
	_cleanup_free_ char *text = text_printf("Peergate: %.4000s", check->message);

	if (m->state == MON_ENDING)
		return;
	if (m->check.begun_usec == 0)
		m->check.begun_usec = clock_usec(CLOCK_MONOTONIC);
	mon_enter(m, MON_CHECK, "the agent asks for a check");
	log_check(m, LOG_INFO, "has begun", check->code);
	msg_check_put(&w,
		      &(struct msg_check){ .text = text, .url = check->url, .code = check->code });
	mon_send(m, MON_NET, NET_CHECK, &w, NULL, 0);
}

int check_held(struct monitor *m, struct chan_msg *msg)
{
	if (msg->len > 0)
		return -EPROTO;
	/* The answer may have crossed it. */
	if (m->state != MON_CHECK)
		return 0;
	m->check.held = true;
	loop_time_enable(m->grace, LOOP_OFF);
	mon_tell_listener(m, MON_STEP_HELD);
	return 0;
}

void check_passed(struct monitor *m)
{
	if (!m->check.held)
		return;
	loop_time_set_relative(m->grace, m->ceiling.login_grace_usec);
	loop_time_enable(m->grace, LOOP_ONESHOT);
}

const char *check_took(const struct monitor *m, char *buf)
{
	buf[0] = '\0';
	if (m->check.begun_usec > 0)
		snprintf(buf, 64, " after a check of %" PRIu64 " s", seconds(m));
	return buf;
}

void check_client_gone(struct monitor *m)
{
	if (m->state == MON_CHECK)
		log_check(m, LOG_INFO, "ended with the connection", NULL);
}
