#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sshgw/listener/limits.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

/* As the listener does it. */
static enum limits_answer enter(struct limits *limits, const struct ip_addr *a)
{
	enum limits_answer answer = limits_check(limits, a);

	if (answer == LIMITS_OK)
		assert_int_equal(limits_enter(limits, a), 0);
	return answer;
}

static void test_per_peer_and_total(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 4, .max_per_peer = 2 };
	struct ip_addr a = addr("100.64.0.1"), b = addr("100.64.0.2"), c = addr("fd00::1");

	assert_int_equal(enter(&limits, &a), LIMITS_OK);
	assert_int_equal(enter(&limits, &a), LIMITS_OK);
	assert_int_equal(enter(&limits, &a), LIMITS_PER_PEER);
	assert_int_equal(enter(&limits, &b), LIMITS_OK);
	assert_int_equal(enter(&limits, &c), LIMITS_OK);
	assert_int_equal(enter(&limits, &b), LIMITS_TOTAL);
	assert_int_equal(enter(&limits, &a), LIMITS_TOTAL);
	assert_int_equal(limits.n, 4);

	limits_leave(&limits, &a);
	assert_int_equal(enter(&limits, &b), LIMITS_OK);
	limits_leave(&limits, &c);
	assert_int_equal(enter(&limits, &b), LIMITS_PER_PEER);
	assert_int_equal(enter(&limits, &a), LIMITS_OK);
	assert_int_equal(limits.n, 4);
}

/* Whoever was not counted in must not make room for others. */
static void test_leave_of_a_stranger(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 2, .max_per_peer = 2 };
	struct ip_addr a = addr("100.64.0.1"), v6 = addr("fd00::1");

	limits_leave(&limits, &a);
	assert_int_equal(limits.n, 0);
	assert_int_equal(enter(&limits, &a), LIMITS_OK);
	limits_leave(&limits, &v6);
	assert_int_equal(limits.n, 1);
	limits_leave(&limits, &a);
	limits_leave(&limits, &a);
	assert_int_equal(limits.n, 0);
}

/* A limit that was lowered while connections are there lets in nobody, and underflows nowhere. */
static void test_lowered_limit(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 8, .max_per_peer = 8 };
	struct ip_addr a = addr("100.64.0.1"), b = addr("100.64.0.2");

	for (int i = 0; i < 5; i++)
		assert_int_equal(enter(&limits, &a), LIMITS_OK);
	limits.max_per_peer = 2;
	assert_int_equal(enter(&limits, &a), LIMITS_PER_PEER);
	assert_int_equal(enter(&limits, &b), LIMITS_OK);
	limits.max_total = 3;
	assert_int_equal(enter(&limits, &b), LIMITS_TOTAL);
	for (int i = 0; i < 4; i++)
		limits_leave(&limits, &a);
	assert_int_equal(enter(&limits, &a), LIMITS_OK);
}

/* What is there already counts, room or not. */
static void test_beyond_the_limit(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 1, .max_per_peer = 1 };
	struct ip_addr a = addr("100.64.0.1");

	assert_int_equal(limits_enter(&limits, &a), 0);
	assert_int_equal(limits_enter(&limits, &a), 0);
	assert_int_equal(limits.n, 2);
	limits_leave(&limits, &a);
	assert_int_equal(limits_check(&limits, &a), LIMITS_TOTAL);
	limits_leave(&limits, &a);
	assert_int_equal(limits_check(&limits, &a), LIMITS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_peer_and_total),
		cmocka_unit_test(test_leave_of_a_stranger),
		cmocka_unit_test(test_lowered_limit),
		cmocka_unit_test(test_beyond_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
