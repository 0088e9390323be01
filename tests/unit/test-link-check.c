/* Checks of logins, asked of a coordinator in the same event loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/check.h"
#include "common/cleanup.h"
#include "tests/unit/link-fixture.h"

/* What became of one. */
struct outcome {
	struct link_check *check;
	unsigned n_waiting, n_over;
	char url[128], code[32], message[256], method[64];
	struct link_check_result result; /* without texts */
};

static void on_waiting(const char *url, const char *code, void *userdata)
{
	struct outcome *o = userdata;

	o->n_waiting++;
	snprintf(o->url, sizeof(o->url), "%s", url);
	snprintf(o->code, sizeof(o->code), "%s", code);
}

static void on_over(const struct link_check_result *result, void *userdata)
{
	struct outcome *o = userdata;

	o->n_over++;
	o->check = NULL;
	o->result = *result;
	snprintf(o->message, sizeof(o->message), "%s", result->message ? result->message : "");
	snprintf(o->method, sizeof(o->method), "%s", result->method ? result->method : "");
}

static const struct link_check_events events = { on_waiting, on_over };

/* A login from this very host: the coordinator does not mind. */
static void begin(struct fixture *f, struct outcome *o)
{
	const struct link_check_question question = { .source = "n1", .ssh_user = "root" };

	*o = (struct outcome){ 0 };
	assert_int_equal(link_check(f->link, &question, &events, o, &o->check), 0);
	/* Nothing is said from within. */
	assert_int_equal(o->n_waiting + o->n_over, 0);
}

static void expect_end(struct fixture *f, const struct outcome *o, enum link_check_end end)
{
	AWAIT(f, o->n_over > 0);
	run_for(f, 50000);
	assert_int_equal(o->n_over, 1);
	assert_int_equal(o->result.end, end);
}

static void come_up_checked(struct fixture *f)
{
	f->tc->ssh_action = "check";
	come_up(f);
}

static void test_without_coordinator(void **state)
{
	const struct link_check_question question = { .source = "n1", .ssh_user = "root" };
	struct fixture *f = *state;
	struct link_check *check = NULL;

	assert_int_equal(link_check(f->link, &question, &events, NULL, &check), -ENOTCONN);
	assert_null(check);
}

static void test_passed(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	begin(f, &o);
	AWAIT(f, o.n_waiting == 1 && tc_n_held(f->tc) == 1);
	assert_string_equal(o.url, "https://coord.example/check/1");
	assert_string_equal(o.code, "100-1");
	assert_string_equal(f->tc->checks[0].ssh_user, "root");
	tc_answer_checks(f->tc, true);
	expect_end(f, &o, LINK_CHECK_PASSED);
	assert_true(o.result.checked_usec == UINT64_C(1800000000000000));
	assert_string_equal(o.method, "password");
	/* From now on it is remembered: nobody is asked. */
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_PASSED);
	assert_int_equal(o.n_waiting, 0);
	assert_int_equal(f->tc->n_check_wait, 1);
}

/* The coordinator's policy is not what ours is (yet). */
static void test_policies_that_differ(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up(f);
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_PASSED);
	assert_true(o.result.checked_usec == 0);
	f->tc->ssh_action = NULL;
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_REFUSED);
	assert_string_equal(o.message, "the test coordinator says no");
}

static void test_denied_and_run_out(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	begin(f, &o);
	AWAIT(f, tc_n_held(f->tc) == 1);
	tc_answer_checks(f->tc, false);
	expect_end(f, &o, LINK_CHECK_DENIED);
	begin(f, &o);
	AWAIT(f, tc_n_held(f->tc) == 1);
	tc_lapse_checks(f->tc);
	expect_end(f, &o, LINK_CHECK_RAN_OUT);
}

/* Answered while the agent was between two questions. */
static void test_answered_in_between(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	f->tc->fault_path = "/v1/check/wait";
	f->tc->fault_status = 503;
	f->tc->n_faults = 1;
	begin(f, &o);
	AWAIT(f, o.n_waiting == 1);
	tc_answer_checks(f->tc, true);
	expect_end(f, &o, LINK_CHECK_PASSED);
}

/* It goes on by its id; meanwhile a person may say yes. */
static void test_coordinator_restarts(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	begin(f, &o);
	AWAIT(f, tc_n_held(f->tc) == 1);
	tc_stop(f->tc);
	run_for(f, 1500000);
	assert_int_equal(o.n_over, 0);
	tc_start(f->tc);
	AWAIT(f, tc_n_held(f->tc) == 1);
	tc_answer_checks(f->tc, true);
	expect_end(f, &o, LINK_CHECK_PASSED);
	assert_int_equal(o.n_waiting, 1);
	assert_int_equal(f->tc->n_check, 1);
}

/* Known to be away: it is tried once. */
static void test_coordinator_is_away(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	uint64_t begun;

	come_up_checked(f);
	tc_stop(f->tc);
	AWAIT(f, is(f, "backoff"));
	begun = clock_usec(CLOCK_MONOTONIC);
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_UNREACHABLE);
	assert_true(clock_usec(CLOCK_MONOTONIC) - begun < LINK_CHECK_ANSWER_USEC / 2);
	tc_start(f->tc);
}

/* As far as anybody knows it is there. */
static void test_coordinator_does_not_answer(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	uint64_t begun;

	come_up_checked(f);
	f->tc->fault_path = "/v1/check";
	f->tc->fault_status = 503;
	f->tc->n_faults = 2;
	begin(f, &o);
	AWAIT(f, o.n_waiting == 1);
	assert_int_equal(f->tc->n_faults, 0);
	o.check = link_check_cancel(o.check);
	f->tc->n_faults = 1000;
	begun = clock_usec(CLOCK_MONOTONIC);
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_UNREACHABLE);
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begun, LINK_CHECK_ANSWER_USEC / 2,
			2 * LINK_CHECK_ANSWER_USEC);
}

static void test_too_many_for_the_coordinator(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	f->tc->fault_path = "/v1/check";
	f->tc->fault_status = 429;
	f->tc->n_faults = 1;
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_REFUSED);
	assert_non_null(strstr(o.message, "as a proxy might say"));
}

/* What another says counts for nothing. */
static void test_forged_answers(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up(f);
	f->tc->forge_answers = true;
	begin(f, &o);
	expect_end(f, &o, LINK_CHECK_UNREACHABLE);
}

static void test_nobody_wants_to_know_any_more(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	come_up_checked(f);
	begin(f, &o);
	o.check = link_check_cancel(o.check);
	begin(f, &o);
	AWAIT(f, tc_n_held(f->tc) == 1);
	o.check = link_check_cancel(o.check);
	AWAIT(f, tc_n_held(f->tc) == 0);
	assert_int_equal(o.n_over, 0);
	/* One that outlives the link. */
	begin(f, &o);
	AWAIT(f, tc_n_held(f->tc) == 1);
	close_link(f);
	o.check = link_check_cancel(o.check);
	open_link(f);
	AWAIT(f, tc_n_held(f->tc) == 0);
	assert_int_equal(o.n_over, 0);
}

static void test_so_many_and_no_more(void **state)
{
	const struct link_check_question question = { .source = "n1", .ssh_user = "root" };
	struct outcome *all = calloc(LINK_MAX_CHECKS, sizeof(*all));
	struct link_check *one_more = NULL;
	struct fixture *f = *state;
	unsigned n_passed = 0;

	come_up_checked(f);
	for (unsigned i = 0; i < LINK_MAX_CHECKS; i++)
		begin(f, &all[i]);
	assert_int_equal(link_check(f->link, &question, &events, NULL, &one_more), -ENOSPC);
	AWAIT(f, tc_n_held(f->tc) == LINK_MAX_CHECKS);
	tc_answer_checks(f->tc, true);
	AWAIT(f, all[0].n_over && all[LINK_MAX_CHECKS - 1].n_over && tc_n_held(f->tc) == 0);
	run_for(f, 300000);
	for (unsigned i = 0; i < LINK_MAX_CHECKS; i++)
		n_passed += all[i].n_over == 1 && all[i].result.end == LINK_CHECK_PASSED;
	assert_int_equal(n_passed, LINK_MAX_CHECKS);
	begin(f, &all[0]);
	expect_end(f, &all[0], LINK_CHECK_PASSED);
	free(all);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_coordinator),		  TEST(test_passed),
		TEST(test_policies_that_differ),	  TEST(test_denied_and_run_out),
		TEST(test_answered_in_between),		  TEST(test_coordinator_restarts),
		TEST(test_coordinator_is_away),		  TEST(test_coordinator_does_not_answer),
		TEST(test_too_many_for_the_coordinator),  TEST(test_forged_answers),
		TEST(test_nobody_wants_to_know_any_more), TEST(test_so_many_and_no_more),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
