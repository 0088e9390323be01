/* The agent as time passes, and as somebody sets the clock: keys, leases and maps that expire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/unit/agent-fixture.h"

static void test_peer_key_expires(void **state)
{
	struct map_options o = { .generation = 1 };
	struct fixture *f = *state;
	unsigned n = enforce_expiring(f, &o, &o.peer_expiry);

	grant(f, agent_netmap(f->agent)->peers[0].key_expiry);
	AWAIT(f, the_kernel->n_applied == n + 1);
	assert_null(f->lease);
	assert_true(clock_now(CLOCK_REALTIME) >= agent_netmap(f->agent)->peers[0].key_expiry);
	assert_true(the_kernel->map_seen);
	run_for(f, 100000);
	assert_int_equal(the_kernel->n_applied, n + 1);
}

/*
 * The clock was an hour ahead, and is put right: what had expired by it has not yet, and does so
 * when its time comes.
 */
static void test_clock_steps_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(4000000);
	uint64_t peer_expiry;

	clock_ahead_sec = 3600;
	put_map(f, &(struct map_options){ .generation = 1, .peer_expiry = expiry });
	start_agent(f, 0);
	peer_expiry = agent_netmap(f->agent)->peers[0].key_expiry;
	assert_true(the_kernel->now_usec > peer_expiry);
	set_clock(0);
	AWAIT(f, the_kernel->n_applied == 2);
	assert_true(the_kernel->now_usec < peer_expiry);
	grant(f, peer_expiry);
	AWAIT(f, the_kernel->n_applied == 3);
	assert_true(the_kernel->now_usec >= peer_expiry);
	assert_null(f->lease);
}

/* What expired in the time that the clock leapt over has ended. */
static void test_clock_steps_forward(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(UINT64_C(600000000));

	put_map(f, &(struct map_options){ .generation = 1, .peer_expiry = expiry });
	start_agent(f, 0);
	grant(f, agent_netmap(f->agent)->peers[0].key_expiry);
	set_clock(3600);
	AWAIT(f, !f->lease);
	assert_int_equal(the_kernel->n_applied, 2);
}

static void test_own_key_expires(void **state)
{
	struct map_options o = { .generation = 1 };
	struct fixture *f = *state;
	unsigned n = enforce_expiring(f, &o, &o.self_expiry);

	assert_true(the_kernel->map_seen);
	AWAIT(f, the_kernel->n_applied == n + 1);
	assert_false(the_kernel->map_seen);
}

static void test_lease_expires(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(1000000);
	_cleanup_free_ char *rules = text_printf(
		"{\"principals\": [\"100.64.0.2\"], \"users\": {\"x\": \"x\"}, \"action\": "
		"\"accept\", \"rule_expires\": %s}",
		expiry);

	put_map(f, &(struct map_options){ .generation = 1, .rules = rules });
	start_agent(f, 0);
	grant(f, agent_netmap(f->agent)->ssh_rules[0].rule_expires);
	AWAIT(f, !f->lease);
	assert_true(clock_now(CLOCK_REALTIME) >= agent_netmap(f->agent)->ssh_rules[0].rule_expires);
}

#define MINUTE	  60
#define HOUR_USEC (UINT64_C(3600) * 1000000)
#define SOURCE	  "https://coord.example"

/* With a coordinator that has just sent a map. */
static void start_aging(struct fixture *f, uint64_t max_usec)
{
	f->agent = new_agent_with(f, max_usec);
	assert_int_equal(agent_start(f->agent), 0);
	assert_false(the_kernel->map_seen);
	assert_int_equal(agent_offer_map(f->agent, map_of(1, SOURCE), SOURCE), 0);
	agent_confirm_map(f->agent);
	assert_true(the_kernel->map_seen);
}

/* Let this much of the host's time pass, and the map be judged. */
static void pass_minutes(struct fixture *f, unsigned n)
{
	boottime_ahead_sec += n * MINUTE;
	set_clock(clock_ahead_sec);
	run_for(f, 50000);
}

static void test_map_grows_too_old(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	grant(f, UINT64_MAX);
	pass_minutes(f, 59);
	assert_true(the_kernel->map_seen);
	agent_confirm_map(f->agent);
	pass_minutes(f, 59);
	assert_true(the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
	assert_non_null(f->lease);
	pass_minutes(f, 2);
	assert_false(the_kernel->map_seen);
	assert_null(f->lease);
	assert_null(agent_netmap(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "from " SOURCE " for longer than the "
							    "3600 s that MaxMapAge= allows"));
	/* The coordinator is back. */
	assert_int_equal(agent_offer_map(f->agent, map_of(1, SOURCE), SOURCE), 0);
	agent_confirm_map(f->agent);
	assert_true(the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
}

/* Without anybody who judges it, at its time. */
static void test_map_grows_too_old_by_itself(void **state)
{
	struct fixture *f = *state;

	start_aging(f, 300000);
	AWAIT(f, !the_kernel->map_seen);
	assert_non_null(agent_map_problem(f->agent));
}

/* Nobody makes a map young by setting the clock back. */
static void test_age_and_the_wall_clock(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	set_clock(1000 * MINUTE);
	run_for(f, 50000);
	assert_true(the_kernel->map_seen);
	set_clock(-1000 * MINUTE);
	pass_minutes(f, 61);
	assert_false(the_kernel->map_seen);
}

static void restart_aging(struct fixture *f, uint64_t max_usec, time_t clock_ahead, int expected)
{
	f->agent = agent_free(f->agent);
	clock_ahead_sec = clock_ahead;
	boottime_ahead_sec = 0;
	f->agent = new_agent_with(f, max_usec);
	assert_int_equal(agent_use_kept_map(f->agent, SOURCE, NULL), expected);
	assert_int_equal(the_kernel->map_seen, expected == 0);
	assert_int_equal(agent_map_problem(f->agent) != NULL, expected < 0);
}

/* Over a restart of the host, age is what the wall clock says of it. */
static void test_age_of_a_kept_map(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/map.confirmed", f->state_dir);

	start_aging(f, HOUR_USEC);
	restart_aging(f, HOUR_USEC, 59 * MINUTE, 0);
	/* The time before the restart counts. */
	set_clock(61 * MINUTE);
	run_for(f, 50000);
	assert_false(the_kernel->map_seen);
	restart_aging(f, HOUR_USEC, 61 * MINUTE, -ESTALE);
	restart_aging(f, 2 * HOUR_USEC, 61 * MINUTE, 0);
	/* A clock that is a little behind, and one that says nothing. */
	restart_aging(f, HOUR_USEC, -4 * MINUTE, 0);
	restart_aging(f, HOUR_USEC, -6 * MINUTE, -ESTALE);
	/* Nobody knows when it was heard of. */
	assert_int_equal(unlink(path), 0);
	restart_aging(f, HOUR_USEC, 0, -ESTALE);
}

/* A confirmation later than the map counts, and is noted now and then. */
static void test_confirmations_are_noted(void **state)
{
	struct fixture *f = *state;

	start_aging(f, HOUR_USEC);
	clock_ahead_sec = boottime_ahead_sec = 40 * MINUTE;
	agent_confirm_map(f->agent);
	restart_aging(f, HOUR_USEC, 90 * MINUTE, 0);
}

static void test_files_have_no_age(void **state)
{
	struct fixture *f = *state;

	start_with(f, 1);
	agent_confirm_map(f->agent);
	pass_minutes(f, 1000000);
	assert_true(the_kernel->map_seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGENT_TEST(test_peer_key_expires),
		AGENT_TEST(test_clock_steps_back),
		AGENT_TEST(test_clock_steps_forward),
		AGENT_TEST(test_own_key_expires),
		AGENT_TEST(test_lease_expires),
		AGENT_TEST(test_map_grows_too_old),
		AGENT_TEST(test_map_grows_too_old_by_itself),
		AGENT_TEST(test_age_and_the_wall_clock),
		AGENT_TEST(test_age_of_a_kept_map),
		AGENT_TEST(test_confirmations_are_noted),
		AGENT_TEST(test_files_have_no_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
