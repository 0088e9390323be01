#include "sshgw/monitor/absence.h"

#include "common/log.h"
#include "sshgw/monitor/monitor.h"

/* The kernel's clock for acknowledgements is coarse. */
#define TICK_USEC (100 * 1000ull)

static bool has_answered(const struct lease_handshake *before, const struct keepalive_state *state)
{
	return state->acked_usec + TICK_USEC >= before->read_usec || !state->unanswered;
}

/* A handshake that came after the peer's last acknowledgement. */
static void count(struct absence *a, uint64_t usec)
{
	if (a->n == ABSENCE_N_HANDSHAKES)
		return;
	if (a->n++ == 0)
		a->first_usec = usec;
	a->newest_usec = usec;
}

enum absence_verdict absence_judge(struct absence *a, const struct lease_handshake *handshake,
				   const struct keepalive_state *state)
{
	const struct lease_handshake before = a->last;
	const uint64_t usec = handshake->read_usec;

	/* Another clock than ours, or another order than it happened in. */
	if (usec > state->now_usec || usec < before.read_usec)
		return ABSENCE_NONE;
	a->last = *handshake;
	if (before.read_usec == 0 || has_answered(&before, state) ||
	    usec - before.read_usec > ABSENCE_HOLE_USEC ||
	    (a->n > 0 && usec - a->newest_usec > ABSENCE_AWAKE_USEC)) {
		a->n = 0;
		return ABSENCE_NONE;
	}
	if (handshake->time_usec != before.time_usec)
		count(a, usec);
	if (a->n < ABSENCE_N_HANDSHAKES || usec - a->newest_usec < ABSENCE_SETTLE_USEC ||
	    (state->waiting && usec - a->first_usec < ABSENCE_AWAKE_USEC))
		return a->n > 0 ? ABSENCE_AWAKE : ABSENCE_NONE;
	return ABSENCE_FOR_GOOD;
}

static int set_probes(const struct monitor *m, bool pressing)
{
	uint64_t interval = m->ceiling.keepalive_usec;

	if (pressing && interval > ABSENCE_PROBE_USEC)
		interval = ABSENCE_PROBE_USEC;
	return keepalive_set(m->config.connection_fd, interval, m->ceiling.max_peer_absence_usec);
}

void absence_watch(const struct monitor *m)
{
	int r = set_probes(m, false);

	if (r < 0)
		log_warning_errno(r, "Whether the peer is still there will not be noticed by "
				     "itself");
}

static void press(struct monitor *m, bool pressing)
{
	int r = m->absence.pressing == pressing ? 0 : set_probes(m, pressing);

	if (r < 0)
		log_warning_errno(r, "Could not ask the peer more or less often, continuing");
	else
		m->absence.pressing = pressing;
}

static void end(struct monitor *m)
{
	int r = keepalive_abandon(m->config.connection_fd);

	if (r < 0)
		log_debug_errno(r, "The kernel will go on to wait for the peer");
	/* The person's right is not gone: what nohup or tmux holds goes on. */
	mon_end(m, MON_END_GONE, NULL,
		"the peer is there, but does not answer on this connection any more");
}

/* Nobody would say any more when the peer need not be asked so often. */
static void forget(struct monitor *m)
{
	press(m, false);
	m->absence = (struct absence){ .pressing = m->absence.pressing };
}

void absence_handshake(struct monitor *m, const struct lease_handshake *handshake)
{
	struct keepalive_state state;

	if (m->state != MON_OPEN)
		return;
	if (!handshake) {
		forget(m);
		return;
	}
	if (keepalive_look(m->config.connection_fd, &state) < 0)
		return;
	switch (absence_judge(&m->absence, handshake, &state)) {
	case ABSENCE_NONE:
		press(m, false);
		break;
	case ABSENCE_AWAKE:
		press(m, true);
		break;
	case ABSENCE_FOR_GOOD:
		end(m);
		break;
	}
}
