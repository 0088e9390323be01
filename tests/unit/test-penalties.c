/* Who is refused for how long, by a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sshgw/listener/penalties.h"

#define S USEC_PER_SEC

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

/* Return: what the last one says. */
static uint64_t note(struct penalties *p, const struct ip_addr *a, uint64_t now, unsigned n)
{
	uint64_t usec = 0;

	while (n-- > 0)
		usec = penalties_note(p, a, now);
	return usec;
}

#define THREE                                                                            \
	{                                                                                \
		.after = 3, .first_usec = (uint64_t)10 * S, .max_usec = (uint64_t)60 * S \
	}

static void test_after_n_within_a_minute(void **state)
{
	_cleanup_(penalties_done) struct penalties p = THREE;
	struct ip_addr a = addr("100.64.0.1"), b = addr("fd00::1");

	assert_int_equal(note(&p, &a, 100 * S, 2), 0);
	assert_int_equal(penalties_left(&p, &a, 100 * S), 0);
	/* The first two are too long ago, and this is the first of another minute. */
	assert_int_equal(note(&p, &a, 160 * S, 2), 0);
	assert_int_equal(note(&p, &a, 219 * S, 1), 10 * S);
	assert_int_equal(penalties_left(&p, &a, 219 * S), 10 * S);
	assert_int_equal(penalties_left(&p, &a, 229 * S - 1), 1);
	assert_int_equal(penalties_left(&p, &a, 229 * S), 0);
	/* Nobody else is concerned. */
	assert_int_equal(penalties_left(&p, &b, 219 * S), 0);
	assert_int_equal(note(&p, &b, 219 * S, 2), 0);
}

static void test_grows_up_to_the_limit(void **state)
{
	static const uint64_t want[] = { 10, 20, 40, 60, 60 };
	_cleanup_(penalties_done) struct penalties p = THREE;
	struct ip_addr a = addr("100.64.0.1");
	uint64_t now = 1 * S;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(note(&p, &a, now, 3), want[i] * S);
		/* Those that end meanwhile do not prolong it. */
		assert_int_equal(note(&p, &a, now + S, 10), 0);
		now += want[i] * S;
		assert_int_equal(penalties_left(&p, &a, now), 0);
	}
	/* Ten minutes without: forgotten. */
	now += 600 * S;
	assert_int_equal(note(&p, &a, now, 3), 10 * S);
}

static void test_switched_off(void **state)
{
	_cleanup_(penalties_done) struct penalties p = THREE;
	struct ip_addr a = addr("100.64.0.1"), b = addr("100.64.0.2");

	assert_int_equal(note(&p, &a, S, 3), 10 * S);
	p.after = 0;
	assert_int_equal(penalties_left(&p, &a, S), 0);
	assert_int_equal(note(&p, &b, S, 100), 0);
	assert_int_equal(p.n, 1);
}

static void test_table_is_bounded(void **state)
{
	_cleanup_(penalties_done) struct penalties p = THREE;
	struct ip_addr worst = addr("100.64.0.1"), one = addr("100.64.0.2"), a = addr("fd00::");

	assert_int_equal(note(&p, &worst, S, 3), 10 * S);
	assert_int_equal(note(&p, &worst, 20 * S, 3), 20 * S);
	assert_int_equal(note(&p, &worst, 50 * S, 3), 40 * S);
	for (unsigned i = 0; i < 2 * PENALTIES_MAX; i++) {
		a.bytes[14] = (uint8_t)(i >> 8);
		a.bytes[15] = (uint8_t)i;
		assert_int_equal(note(&p, &a, 30 * S, 1), 0);
	}
	assert_int_equal(p.n, PENALTIES_MAX);
	/* The one that is refused for longest has not been pushed out by the others. */
	assert_int_equal(penalties_left(&p, &worst, 51 * S), 39 * S);
	/* And there is room for who misbehaves now. */
	assert_int_equal(note(&p, &one, 51 * S, 3), 10 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_n_within_a_minute),
		cmocka_unit_test(test_grows_up_to_the_limit),
		cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
