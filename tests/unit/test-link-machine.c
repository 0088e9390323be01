/* The state machine of the coordinator link, as tables: events in, state and actions out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/backoff.h"
#include "agent/link/machine.h"
#include "common/cleanup.h"

struct step {
	struct link_input input;
	const char *state;
	unsigned actions;
};

#define EV(...)             \
	{                   \
		__VA_ARGS__ \
	}

static void walk(struct link_machine *m, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct link_output out;

		link_machine_step(m, &steps[i].input, &out);
		if (strcmp(link_machine_state(m), steps[i].state) != 0 ||
		    out.actions != steps[i].actions)
			fail_msg("step %zu: %s, actions %#x; expected %s, %#x", i,
				 link_machine_state(m), out.actions, steps[i].state,
				 steps[i].actions);
	}
}
#define WALK(m, steps) walk((m), (steps), ARRAY_SIZE(steps))

static void test_first_time(void **state)
{
	static const struct step steps[] = {
		{ EV(LINK_UP), "contacting", LINK_CONTACT },
		{ EV(LINK_UP), "contacting", 0 },
		{ EV(LINK_JOIN_FAILED), "backoff", LINK_PAUSE_JOIN },
		{ EV(LINK_CONTACTED), "backoff", 0 }, /* too late */
		{ EV(LINK_JOIN_TIMER), "contacting", LINK_CONTACT },
		{ EV(LINK_CONTACTED), "enrolling", LINK_ENROL },
		{ EV(LINK_JOIN_FAILED), "backoff", LINK_PAUSE_JOIN },
		{ EV(LINK_JOIN_TIMER), "enrolling", LINK_ENROL },
		{ EV(LINK_PENDING), "pending", LINK_WAIT },
		{ EV(LINK_PENDING), "pending", LINK_WAIT },
		{ EV(LINK_PENDING, .slow = true), "pending", LINK_PAUSE_JOIN },
		{ EV(LINK_JOIN_TIMER), "pending", LINK_WAIT },
		{ EV(LINK_JOIN_FAILED), "pending", LINK_PAUSE_JOIN },
		{ EV(LINK_JOIN_TIMER), "pending", LINK_WAIT },
		{ EV(LINK_ENROLLED), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_ENROLLED), "connecting", 0 },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_STREAM_NEWS), "connected", 0 },
	};
	struct link_machine m;

	link_machine_init(&m, false, false);
	assert_string_equal(link_machine_state(&m), "unenrolled");
	WALK(&m, steps);
}

static void test_not_let_in(void **state)
{
	static const struct step steps[] = {
		{ EV(LINK_UP, .have_key = true), "enrolling", LINK_ENROL },
		{ EV(LINK_REFUSED), "refused", 0 },
		{ EV(LINK_JOIN_TIMER), "refused", 0 },
		{ EV(LINK_UP, .have_key = true), "enrolling", LINK_ENROL },
		{ EV(LINK_PENDING), "pending", LINK_WAIT },
		{ EV(LINK_LAPSED), "backoff", LINK_PAUSE_JOIN },
		{ EV(LINK_JOIN_TIMER), "enrolling", LINK_ENROL },
		/* What is under way is given up for it. */
		{ EV(LINK_LOGIN, .have_key = true), "enrolling", LINK_CANCEL_JOIN | LINK_ENROL },
		{ EV(LINK_DOWN), "unenrolled", LINK_CANCEL_JOIN | LINK_LEAVE },
		{ EV(LINK_ENROLLED), "unenrolled", 0 },
		{ EV(LINK_JOIN_TIMER), "unenrolled", 0 },
	};
	struct link_machine m;

	link_machine_init(&m, false, false);
	WALK(&m, steps);
}

static void test_member(void **state)
{
	static const struct step steps[] = {
		{ EV(LINK_UP), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_UP), "connecting", 0 },
		{ EV(LINK_STREAM_ENDED), "backoff", LINK_PAUSE_STREAM },
		{ EV(LINK_STREAM_ENDED), "backoff", 0 },
		{ EV(LINK_STREAM_HELLO), "backoff", 0 },
		{ EV(LINK_STREAM_TIMER), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_STREAM_TIMER), "connected", 0 },
		{ EV(LINK_STREAM_ENDED), "backoff", LINK_PAUSE_STREAM },
		{ EV(LINK_DOWN), "down", LINK_CLOSE_STREAM | LINK_LEAVE },
		{ EV(LINK_STREAM_TIMER), "down", 0 },
		{ EV(LINK_UP), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_DELETED), "deleted", LINK_CLOSE_STREAM | LINK_FORGET | LINK_LEAVE },
		{ EV(LINK_DELETED), "deleted", 0 },
		{ EV(LINK_UP, .have_key = true), "enrolling", LINK_ENROL },
		{ EV(LINK_ENROLLED), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_LOGGED_OUT), "unenrolled", LINK_CLOSE_STREAM | LINK_FORGET | LINK_LEAVE },
	};
	struct link_machine m;

	link_machine_init(&m, true, false);
	assert_string_equal(link_machine_state(&m), "down");
	WALK(&m, steps);
}

/* The stream goes on all the while: it brings revocations. */
static void test_renewal(void **state)
{
	static const struct step steps[] = {
		{ EV(LINK_UP), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_ROTATE), "connected", LINK_ASK_ROTATE },
		{ EV(LINK_JOIN_FAILED), "connected", LINK_PAUSE_JOIN },
		{ EV(LINK_JOIN_TIMER), "connected", LINK_ASK_ROTATE },
		{ EV(LINK_ENROLLED), "connected", 0 },
		{ EV(LINK_ROTATE), "connected", LINK_ASK_ROTATE },
		{ EV(LINK_KEY_EXPIRED), "connected", LINK_ENROL },
		{ EV(LINK_STREAM_NEWS, .key_expired = true), "key-expired", 0 },
		{ EV(LINK_PENDING), "key-expired", LINK_WAIT },
		{ EV(LINK_STREAM_ENDED), "key-expired", LINK_PAUSE_STREAM },
		/* There is news: it is not waited for. */
		{ EV(LINK_ENROLLED), "connecting", LINK_CLOSE_STREAM | LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_LOGIN, .have_key = true), "connected", LINK_ENROL },
		{ EV(LINK_REFUSED), "connected", 0 },
		{ EV(LINK_DELETED), "deleted", LINK_CLOSE_STREAM | LINK_FORGET | LINK_LEAVE },
	};
	struct link_machine m;

	link_machine_init(&m, true, false);
	WALK(&m, steps);
}

static void test_whole_map_is_asked_for_until_it_came(void **state)
{
	static const struct step lost[] = {
		{ EV(LINK_UP), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_STREAM_ENDED, .whole = true), "backoff", LINK_PAUSE_STREAM },
		{ EV(LINK_STREAM_TIMER), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
		{ EV(LINK_STREAM_ENDED), "backoff", LINK_PAUSE_STREAM },
		{ EV(LINK_STREAM_TIMER), "connecting", LINK_OPEN_STREAM },
		{ EV(LINK_STREAM_HELLO), "connected", 0 },
	};
	static const struct step came[] = { { EV(LINK_STREAM_NEWS), "connected", 0 } };
	struct link_machine m;

	link_machine_init(&m, true, false);
	WALK(&m, lost);
	assert_true(m.whole);
	WALK(&m, came);
	assert_false(m.whole);
}

static uint64_t pause_of(struct link_machine *m, struct link_input input)
{
	const struct link_input timer = { .event = LINK_STREAM_TIMER };
	struct link_output out, dummy;

	link_machine_step(m, &input, &out);
	assert_int_equal(out.actions, LINK_PAUSE_STREAM);
	link_machine_step(m, &timer, &dummy);
	return out.pause_usec;
}

static void test_pauses_grow_until_there_is_news(void **state)
{
	const struct link_input up = { .event = LINK_UP }, news = { .event = LINK_STREAM_NEWS },
				hello = { .event = LINK_STREAM_HELLO };
	struct link_input ended = { .event = LINK_STREAM_ENDED };
	struct link_output out;
	struct link_machine m;

	link_machine_init(&m, true, false);
	link_machine_step(&m, &up, &out);
	ended.random = 500000;
	assert_int_equal(pause_of(&m, ended), 500000);
	ended.random = 1000000;
	link_machine_step(&m, &hello, &out); /* a greeting is no news */
	assert_int_equal(pause_of(&m, ended), 1000000);
	ended.random = 2000000;
	ended.retry_after_usec = 7000000;
	assert_int_equal(pause_of(&m, ended), 9000000);
	ended.retry_after_usec = 0;
	ended.slow = true;
	ended.random = 60000000;
	assert_int_equal(pause_of(&m, ended), 60000000);
	link_machine_step(&m, &hello, &out);
	link_machine_step(&m, &news, &out);
	ended.slow = false;
	ended.random = 500001;
	assert_int_equal(pause_of(&m, ended), 0);
}

static void test_backoff(void **state)
{
	static const struct {
		unsigned failures;
		uint64_t retry_after, random, pause;
	} cases[] = {
		{ 1, 0, 0, 0 },
		{ 1, 0, 500000, 500000 },
		{ 1, 0, 500001, 0 },
		{ 2, 0, 1000000, 1000000 },
		{ 7, 0, 32000000, 32000000 },
		{ 8, 0, 60000000, 60000000 },
		{ 8, 0, 60000001, 0 },
		{ 4000000000u, 0, 60000000, 60000000 },
		{ 1, 10000000, 17, 10000017 },
		{ 1, UINT64_MAX, 17, LINK_RETRY_AFTER_MAX_USEC + 17 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			link_backoff(cases[i].failures, cases[i].retry_after, cases[i].random),
			cases[i].pause);
}

static void test_retry_after(void **state)
{
	assert_int_equal(link_retry_after(NULL), 0);
	assert_int_equal(link_retry_after("3"), 3000000);
	assert_int_equal(link_retry_after("4000000000"), LINK_RETRY_AFTER_MAX_USEC);
	assert_int_equal(link_retry_after("99999999999999999999"), 0);
	assert_int_equal(link_retry_after("-1"), 0);
	assert_int_equal(link_retry_after("Fri, 27 Nov 2026 10:00:00 GMT"), 0);
}

/* Whatever comes, in whatever order, leaves it in a state that has a way out. */
static void test_any_order(void **state)
{
	struct link_machine m;
	uint64_t x = 88172645463325252u;

	link_machine_init(&m, false, false);
	for (unsigned i = 0; i < 200000; i++) {
		struct link_input input = { 0 };
		struct link_output out;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		input.event = (enum link_event)(x % LINK_N_EVENTS);
		input.have_key = x >> 32 & 1;
		input.whole = x >> 33 & 1;
		input.slow = x >> 34 & 1;
		input.key_expired = x >> 35 & 1;
		input.random = x;
		link_machine_step(&m, &input, &out);
		assert_true(!(m.stream != LINK_STREAM_OFF && (!m.member || !m.wanted)));
		assert_true(!(m.deleted && m.member));
		assert_false((out.actions & LINK_PAUSE_JOIN) && (out.actions & LINK_PAUSE_STREAM));
		/* What is paused goes on. */
		assert_true(m.join != LINK_JOIN_PAUSED || m.paused == LINK_JOIN_CONTACTING ||
			    m.paused == LINK_JOIN_ENROLLING || m.paused == LINK_JOIN_ROTATING ||
			    m.paused == LINK_JOIN_PENDING);
		assert_true(link_machine_state(&m)[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_time),
		cmocka_unit_test(test_not_let_in),
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_whole_map_is_asked_for_until_it_came),
		cmocka_unit_test(test_pauses_grow_until_there_is_news),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
