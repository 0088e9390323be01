#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sshgw/net/rekey.h"

#define NOW 1000000ull

static void test_in_time(void **state)
{
	struct rekey rekey = { 0 };

	assert_false(rekey_is_under_way(&rekey));
	assert_true(rekey_deadline(&rekey) == UINT64_MAX);
	assert_null(rekey_why_over(&rekey, UINT64_MAX));
	rekey_begin(&rekey, NOW);
	assert_true(rekey_is_under_way(&rekey));
	assert_true(rekey_deadline(&rekey) == NOW + REKEY_USEC);
	assert_null(rekey_why_over(&rekey, NOW + REKEY_USEC - 1));
	rekey_end(&rekey);
	assert_false(rekey_is_under_way(&rekey));
	assert_true(rekey_deadline(&rekey) == UINT64_MAX);
	assert_null(rekey_why_over(&rekey, NOW + REKEY_USEC));
}

/* The other side's part of it gives no more time, nor does one that is over take any away. */
static void test_begun_twice(void **state)
{
	struct rekey rekey = { 0 };

	rekey_begin(&rekey, NOW);
	rekey_begin(&rekey, NOW + REKEY_USEC - 1);
	assert_true(rekey_deadline(&rekey) == NOW + REKEY_USEC);
	rekey_end(&rekey);
	rekey_begin(&rekey, NOW + REKEY_USEC);
	assert_true(rekey_deadline(&rekey) == NOW + 2 * REKEY_USEC);
}

static void test_too_late(void **state)
{
	struct rekey rekey = { 0 };

	rekey_begin(&rekey, NOW);
	assert_string_equal(rekey_why_over(&rekey, NOW + REKEY_USEC),
			    "The client did not finish the exchange of new keys in 5 minutes");
	assert_int_equal(REKEY_USEC, 5 * 60 * 1000000ull);
}

static void test_too_much_waits(void **state)
{
	struct rekey rekey = { 0 };

	/* What is sent at once is not counted. */
	for (unsigned i = 0; i <= REKEY_MAX_WAITING; i++)
		rekey_count(&rekey);
	rekey_begin(&rekey, NOW);
	for (unsigned i = 0; i < REKEY_MAX_WAITING; i++)
		rekey_count(&rekey);
	assert_null(rekey_why_over(&rekey, NOW));
	rekey_count(&rekey);
	assert_string_equal(rekey_why_over(&rekey, NOW),
			    "The client does not finish the exchange of new keys, and floods us");
	/* Each exchange has its own. */
	rekey_end(&rekey);
	rekey_begin(&rekey, NOW);
	assert_null(rekey_why_over(&rekey, NOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_time),
		cmocka_unit_test(test_begun_twice),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_too_much_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
