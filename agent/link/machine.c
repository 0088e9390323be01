#include "agent/link/machine.h"

#include "agent/link/backoff.h"

/* More failures than it takes to reach the longest pause. */
#define MANY_FAILURES 8u

void link_machine_init(struct link_machine *machine, bool member, bool deleted)
{
	*machine = (struct link_machine){ .member = member, .deleted = deleted && !member };
}

static uint64_t pause_after(unsigned *failures, const struct link_input *input)
{
	if (*failures < MANY_FAILURES)
		++*failures;
	if (input->slow)
		*failures = MANY_FAILURES;
	return link_backoff(*failures, input->retry_after_usec, input->random);
}

/* ---- to join ---- */

static unsigned action_of(enum link_join join)
{
	switch (join) {
	case LINK_JOIN_CONTACTING:
		return LINK_CONTACT;
	case LINK_JOIN_ENROLLING:
		return LINK_ENROL;
	case LINK_JOIN_ROTATING:
		return LINK_ASK_ROTATE;
	case LINK_JOIN_PENDING:
		return LINK_WAIT;
	case LINK_JOIN_IDLE:
	case LINK_JOIN_PAUSED:
	case LINK_JOIN_REFUSED:
		break;
	}
	return 0;
}

static bool request_is_out(const struct link_machine *m)
{
	return action_of(m->join) != 0;
}

static void join_enter(struct link_machine *m, enum link_join join, struct link_output *out)
{
	m->join = join;
	out->actions |= action_of(join);
}

/* Anew, whatever was going on. */
static void join_begin(struct link_machine *m, enum link_join join, struct link_output *out)
{
	if (request_is_out(m) || m->join == LINK_JOIN_PAUSED)
		out->actions |= LINK_CANCEL_JOIN;
	m->join_failures = 0;
	join_enter(m, join, out);
}

static void join_pause(struct link_machine *m, enum link_join again, const struct link_input *input,
		       struct link_output *out)
{
	m->paused = again;
	m->join = LINK_JOIN_PAUSED;
	out->pause_usec = pause_after(&m->join_failures, input);
	out->actions |= LINK_PAUSE_JOIN;
}

static enum link_join first_of_join(const struct link_input *input)
{
	return input->have_key ? LINK_JOIN_ENROLLING : LINK_JOIN_CONTACTING;
}

/* ---- the stream ---- */

static void stream_open(struct link_machine *m, struct link_output *out)
{
	if (!m->member || !m->wanted || m->stream == LINK_STREAM_OPENING ||
	    m->stream == LINK_STREAM_OPEN)
		return;
	if (m->stream == LINK_STREAM_PAUSED)
		out->actions |= LINK_CLOSE_STREAM;
	m->stream = LINK_STREAM_OPENING;
	out->actions |= LINK_OPEN_STREAM;
}

static void stream_close(struct link_machine *m, struct link_output *out)
{
	if (m->stream != LINK_STREAM_OFF)
		out->actions |= LINK_CLOSE_STREAM;
	m->stream = LINK_STREAM_OFF;
	m->stream_failures = 0;
}

static void stream_ended(struct link_machine *m, const struct link_input *input,
			 struct link_output *out)
{
	if (m->stream != LINK_STREAM_OPENING && m->stream != LINK_STREAM_OPEN)
		return;
	m->whole |= input->whole;
	m->stream = LINK_STREAM_PAUSED;
	out->pause_usec = pause_after(&m->stream_failures, input);
	out->actions |= LINK_PAUSE_STREAM;
}

static void stream_news(struct link_machine *m, const struct link_input *input)
{
	if (m->stream != LINK_STREAM_OPEN)
		return;
	m->stream_failures = 0;
	m->whole = false;
	m->key_expired = input->key_expired;
}

/* ---- both ---- */

static void go_up(struct link_machine *m, const struct link_input *input, struct link_output *out)
{
	m->wanted = true;
	if (m->member)
		return stream_open(m, out);
	if (m->join == LINK_JOIN_IDLE || m->join == LINK_JOIN_REFUSED)
		join_begin(m, first_of_join(input), out);
}

static void leave(struct link_machine *m, unsigned how, struct link_output *out)
{
	m->wanted = false;
	stream_close(m, out);
	join_begin(m, LINK_JOIN_IDLE, out);
	out->actions |= how;
}

static void forget(struct link_machine *m, bool deleted, struct link_output *out)
{
	leave(m, LINK_FORGET | LINK_LEAVE, out);
	m->member = false;
	m->deleted = deleted;
	m->key_expired = false;
	m->whole = false;
}

static void enrolled(struct link_machine *m, struct link_output *out)
{
	join_enter(m, LINK_JOIN_IDLE, out);
	m->join_failures = 0;
	m->member = true;
	m->deleted = false;
	m->key_expired = false;
	stream_open(m, out);
}

/* The answer to a request of the join track. */
static void join_answered(struct link_machine *m, const struct link_input *input,
			  struct link_output *out)
{
	if (!request_is_out(m))
		return;
	switch (input->event) {
	case LINK_CONTACTED:
		join_enter(m, LINK_JOIN_ENROLLING, out);
		break;
	case LINK_ENROLLED:
		enrolled(m, out);
		break;
	case LINK_PENDING:
		/* "slow": it was answered at once, where it should have been held. */
		if (input->slow)
			return join_pause(m, LINK_JOIN_PENDING, input, out);
		m->join_failures = 0;
		join_enter(m, LINK_JOIN_PENDING, out);
		break;
	case LINK_LAPSED:
		join_pause(m, LINK_JOIN_ENROLLING, input, out);
		break;
	case LINK_KEY_EXPIRED:
		join_enter(m, LINK_JOIN_ENROLLING, out);
		break;
	case LINK_REFUSED:
		m->join = LINK_JOIN_REFUSED;
		break;
	default:
		join_pause(m, m->join, input, out);
	}
}

void link_machine_step(struct link_machine *m, const struct link_input *input,
		       struct link_output *ret_output)
{
	struct link_output out = { 0 };

	switch (input->event) {
	case LINK_UP:
		go_up(m, input, &out);
		break;
	case LINK_DOWN:
		leave(m, LINK_LEAVE, &out);
		break;
	case LINK_LOGIN:
		m->wanted = true;
		join_begin(m, first_of_join(input), &out);
		stream_open(m, &out);
		break;
	case LINK_ROTATE:
		if (m->member)
			join_begin(m, LINK_JOIN_ROTATING, &out);
		break;
	case LINK_LOGGED_OUT:
		forget(m, false, &out);
		break;
	case LINK_DELETED:
		if (m->member)
			forget(m, true, &out);
		break;
	case LINK_CONTACTED:
	case LINK_ENROLLED:
	case LINK_PENDING:
	case LINK_LAPSED:
	case LINK_KEY_EXPIRED:
	case LINK_REFUSED:
	case LINK_JOIN_FAILED:
		join_answered(m, input, &out);
		break;
	case LINK_JOIN_TIMER:
		if (m->join == LINK_JOIN_PAUSED)
			join_enter(m, m->paused, &out);
		break;
	case LINK_STREAM_HELLO:
		if (m->stream == LINK_STREAM_OPENING)
			m->stream = LINK_STREAM_OPEN;
		break;
	case LINK_STREAM_NEWS:
		stream_news(m, input);
		break;
	case LINK_STREAM_ENDED:
		stream_ended(m, input, &out);
		break;
	case LINK_STREAM_TIMER:
		if (m->stream == LINK_STREAM_PAUSED) {
			m->stream = LINK_STREAM_OPENING;
			out.actions |= LINK_OPEN_STREAM;
		}
		break;
	case LINK_N_EVENTS:
		break;
	}
	*ret_output = out;
}

const char *link_join_to_string(enum link_join join)
{
	switch (join) {
	case LINK_JOIN_IDLE:
		return "idle";
	case LINK_JOIN_CONTACTING:
		return "contacting";
	case LINK_JOIN_ENROLLING:
		return "enrolling";
	case LINK_JOIN_ROTATING:
		return "rotating";
	case LINK_JOIN_PENDING:
		return "pending";
	case LINK_JOIN_PAUSED:
		return "backoff";
	case LINK_JOIN_REFUSED:
		return "refused";
	}
	return "";
}

static const char *state_of_member(const struct link_machine *m)
{
	if (!m->wanted)
		return "down";
	if (m->key_expired)
		return "key-expired";
	switch (m->stream) {
	case LINK_STREAM_OFF:
		return "down";
	case LINK_STREAM_OPENING:
		return "connecting";
	case LINK_STREAM_OPEN:
		return "connected";
	case LINK_STREAM_PAUSED:
		return "backoff";
	}
	return "";
}

const char *link_machine_state(const struct link_machine *m)
{
	if (m->member)
		return state_of_member(m);
	if (m->join != LINK_JOIN_IDLE)
		return link_join_to_string(m->join == LINK_JOIN_PAUSED &&
							   m->paused == LINK_JOIN_PENDING
						   ? LINK_JOIN_PENDING
						   : m->join);
	return m->deleted ? "deleted" : "unenrolled";
}
