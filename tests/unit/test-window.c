#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sshgw/net/window.h"

#define MIB (1u << 20)

/* The client sends all that it may, in a go; of that, so much is used; we tell it to go on. */
static uint32_t round_trip(struct window *w, uint64_t use, uint32_t target, uint64_t shares)
{
	uint32_t due;

	assert_int_equal(window_receive(w, w->granted - w->received), 0);
	w->used += use < w->received - w->used ? use : w->received - w->used;
	due = window_due(w, target, shares);
	w->granted += due;
	return due;
}

static void test_target(void **state)
{
	assert_int_equal(window_target(0), 1536 << 10);
	assert_int_equal(window_target(1000), 1536 << 10);
	assert_int_equal(window_target(50 * 1000), 4000000);
	assert_int_equal(window_target(100 * 1000), 6 * MIB);
	assert_int_equal(window_target(UINT32_MAX), 6 * MIB);
}

static void test_client_that_sends_too_much(void **state)
{
	struct window w;

	window_init(&w);
	assert_int_equal(window_receive(&w, 0), 0);
	assert_int_equal(window_receive(&w, WINDOW_FLOOR - 1), 0);
	assert_int_equal(window_receive(&w, 2), -EPROTO);
	assert_int_equal(window_receive(&w, SIZE_MAX), -EPROTO);
	assert_int_equal(window_receive(&w, 1), 0);
	assert_int_equal(window_receive(&w, 1), -EPROTO);
	assert_int_equal(w.received, WINDOW_FLOOR);
}

/* What was not asked for costs nobody anything; what is asked for doubles. */
static void test_begins_small(void **state)
{
	uint32_t target = window_target(100 * 1000);
	struct window w;
	int rounds = 0;

	window_init(&w);
	assert_int_equal(window_due(&w, target, 0), 0);
	assert_int_equal(window_share(&w), 0);
	for (uint64_t size = WINDOW_FLOOR; size < target; size = w.granted - w.used, rounds++) {
		assert_in_range(round_trip(&w, UINT64_MAX, target, 0), 1, target);
		assert_in_range(w.granted - w.used, size + 1, 2 * size);
	}
	assert_int_equal(w.granted - w.used, target);
	assert_int_equal(window_share(&w), target - WINDOW_FLOOR);
	assert_in_range(rounds, 5, 8);
}

static void test_little_is_not_worth_a_packet(void **state)
{
	uint32_t target = window_target(0);
	struct window w = { .granted = 100 * MIB, .received = 100 * MIB };

	w.used = w.granted - target + target / 4 - 1;
	assert_int_equal(window_due(&w, target, 0), 0);
	w.used++;
	assert_int_equal(window_due(&w, target, 0), target / 4);
}

/* A program that takes nothing: what the client may send is all that there is. */
static void test_stalled_program(void **state)
{
	uint32_t target = window_target(100 * 1000);
	struct window w;

	window_init(&w);
	for (int i = 0; i < 20; i++)
		round_trip(&w, UINT64_MAX, target, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(round_trip(&w, 0, target, 0), 0);
	assert_int_equal(w.received - w.used, target);
	/* The link has become shorter: no more than that, from now on. */
	assert_int_equal(round_trip(&w, 2 * MIB, window_target(0), 0), 0);
	assert_int_equal(window_receive(&w, 1), -EPROTO);
}

/* However many there are: together no more than the pool, and a floor for each. */
static void test_channels_share_a_pool(void **state)
{
	uint32_t target = window_target(100 * 1000);
	struct window channels[300];
	uint64_t kept = 0;

	for (size_t i = 0; i < 300; i++)
		window_init(&channels[i]);
	for (int turn = 0; turn < 30; turn++) {
		for (size_t i = 0; i < 300; i++) {
			uint64_t shares = 0;

			for (size_t j = 0; j < 300; j++)
				shares += j == i ? 0 : window_share(&channels[j]);
			/* In the last turn nobody takes anything. */
			round_trip(&channels[i], turn < 29 ? UINT64_MAX : 0, target, shares);
			assert_in_range(shares + window_share(&channels[i]), 0, WINDOW_POOL);
		}
	}
	for (size_t i = 0; i < 300; i++) {
		assert_true(channels[i].granted > WINDOW_FLOOR * 5);
		kept += channels[i].received - channels[i].used;
	}
	assert_in_range(kept, 16 * MIB, WINDOW_POOL + 300 * (uint64_t)WINDOW_FLOOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_client_that_sends_too_much),
		cmocka_unit_test(test_begins_small),
		cmocka_unit_test(test_little_is_not_worth_a_packet),
		cmocka_unit_test(test_stalled_program),
		cmocka_unit_test(test_channels_share_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
