#include "sshgw/monitor/signing.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/*
 * A client that rekeys each MiB at full speed asks for a few hundred in a burst. One that goes on
 * like that gets them more slowly; the network process waits, and with it nobody but the client.
 */
static const struct budget signatures = { .cost_usec = 50 * 1000, .burst = 400 };

/* Now, or when the budget allows it. */
static void ask_keys(struct monitor *m)
{
	uint64_t wait = budget_take(&m->signing.budget, clock_usec(CLOCK_MONOTONIC));
	struct chan_writer w = { 0 };

	if (wait > 0) {
		loop_time_set_relative(m->signing.timer, wait);
		loop_time_enable(m->signing.timer, LOOP_ONESHOT);
		return;
	}
	m->signing.is_asked = true;
	msg_sign_put(&w, &m->signing.request);
	mon_send(m, MON_KEYS, m->signing.type, &w, NULL, 0);
}

static void on_time(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct monitor *m = userdata;

	if (m->state < MON_ENDING)
		ask_keys(m);
}

int signing_init(struct monitor *m)
{
	m->signing.budget = signatures;
	return loop_add_time(m->loop, CLOCK_MONOTONIC, on_time, m, &m->signing.timer);
}

void signing_done(struct monitor *m)
{
	m->signing.timer = loop_source_free(m->signing.timer);
}

static void want(struct monitor *m, uint32_t type)
{
	m->signing.type = type;
	m->signing.is_wanted = true;
	ask_keys(m);
}

int signing_asked(struct monitor *m, struct chan_msg *msg)
{
	/* The network process waits for each answer before it can want another. */
	if (m->signing.is_wanted || msg_sign_get(msg, &m->signing.request) < 0)
		return -EPROTO;
	if (m->signing.session_id_len == 0) {
		m->signing.session_id_len = m->signing.request.hash_len;
		memcpy(m->signing.session_id, m->signing.request.hash, m->signing.session_id_len);
	}
	want(m, KEYS_SIGN);
	return 0;
}

/* What is signed then says what it is for, and is for this session: not net's choice. */
int signing_proof_asked(struct monitor *m, struct chan_msg *msg)
{
	struct msg_prove request;

	if (m->signing.is_wanted || m->signing.session_id_len == 0 ||
	    msg_prove_get(msg, &request) < 0)
		return -EPROTO;
	m->signing.request = (struct msg_sign){
		.key = request.key,
		.digest = request.digest,
		.hash_len = m->signing.session_id_len,
	};
	memcpy(m->signing.request.hash, m->signing.session_id, m->signing.session_id_len);
	want(m, KEYS_PROVE);
	return 0;
}

int signing_answered(struct monitor *m, struct chan_msg *msg)
{
	struct chan_reader r = chan_msg_reader(msg);
	size_t len;
	const uint8_t *signature = chan_get_bytes(&r, MSG_MAX_BLOB, &len);
	struct chan_writer w = { 0 };

	if (chan_reader_end(&r) < 0 || !m->signing.is_asked)
		return -EPROTO;
	m->signing.is_asked = m->signing.is_wanted = false;
	if (len == 0) {
		log_error(
			"The net process wanted something signed that is neither a key exchange of "
			"this host nor a key of its own");
		return -EPROTO;
	}
	chan_put_bytes(&w, signature, len);
	mon_send(m, MON_NET, NET_SIGNED, &w, NULL, 0);
	return 0;
}
