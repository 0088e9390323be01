#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

/* As many of what is free as come by themselves; returns how many were let in. */
static size_t take(struct limits *limits, const struct ip_addr *a)
{
	size_t n = 0;

	while (limits_admit(limits, a) == LIMITS_OK) {
		assert_int_equal(limits_enter(limits, a), 0);
		n++;
	}
	return n;
}

/* Four peers that take what they can get on both of their addresses leave places for others. */
static void test_share(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 64, .max_per_peer = 10 };
	struct ip_addr a = addr("100.64.0.1"), other = addr("100.64.1.1");
	char text[32];

	assert_int_equal(take(&limits, &a), 10);
	assert_int_equal(limits_admit(&limits, &a), LIMITS_PER_PEER);
	for (int i = 1; i < 8; i++) {
		snprintf(text, sizeof(text), i % 2 ? "fd00::%d" : "100.64.0.%d", i + 1);
		a = addr(text);
		take(&limits, &a);
		assert_int_equal(limits_admit(&limits, &a), LIMITS_SHARE);
	}
	assert_true(limits.n < 64 - 10);
	assert_true(take(&limits, &other) >= 2);
	/* Who has none is let in as long as there is a place. */
	while (limits.n < 63)
		assert_int_equal(limits_enter(&limits, &a), 0);
	assert_int_equal(limits_admit(&limits, &other), LIMITS_SHARE);
	other = addr("100.64.1.2");
	assert_int_equal(take(&limits, &other), 1);
	assert_int_equal(limits_admit(&limits, &other), LIMITS_TOTAL);
}

/* One address may have all, if it is told so; or none. */
static void test_share_of_all(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 6, .max_per_peer = 6 };
	struct ip_addr a = addr("100.64.0.1"), b = addr("100.64.0.2");

	assert_int_equal(limits_enter(&limits, &b), 0);
	assert_int_equal(take(&limits, &a), 5);
	limits.max_total = 10;
	limits.max_per_peer = 0;
	b = addr("100.64.0.3");
	assert_int_equal(take(&limits, &b), 0);
}

static void test_greediest(void **state)
{
	_cleanup_(limits_done) struct limits limits = { .max_total = 9, .max_per_peer = 9 };
	struct ip_addr a = addr("100.64.0.1"), b = addr("100.64.0.2"), c = addr("100.64.0.3");

	assert_null(limits_greediest(&limits, &a));
	assert_int_equal(limits_enter(&limits, &a), 0);
	assert_int_equal(limits_enter(&limits, &b), 0);
	/* To take one of somebody who has one, or who would have less then: no. */
	assert_null(limits_greediest(&limits, &c));
	assert_int_equal(limits_enter(&limits, &b), 0);
	assert_null(limits_greediest(&limits, &a));
	assert_null(limits_greediest(&limits, &b));
	assert_true(ip_addr_equal(limits_greediest(&limits, &c), &b));
	for (int i = 0; i < 3; i++)
		assert_int_equal(limits_enter(&limits, &a), 0);
	assert_true(ip_addr_equal(limits_greediest(&limits, &c), &a));
	assert_true(ip_addr_equal(limits_greediest(&limits, &b), &a));
	assert_null(limits_greediest(&limits, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_peer_and_total),
		cmocka_unit_test(test_leave_of_a_stranger),
		cmocka_unit_test(test_lowered_limit),
		cmocka_unit_test(test_beyond_the_limit),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_share_of_all),
		cmocka_unit_test(test_greediest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
