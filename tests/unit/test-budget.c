#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those above */
#include <cmocka.h>

#include "sshgw/monitor/budget.h"

static void test_burst_then_rate(void **state)
{
	struct budget budget = { .cost_usec = 50, .burst = 4 };
	uint64_t now = 1000000;

	for (int i = 0; i < 4; i++)
		assert_int_equal(budget_take(&budget, now), 0);
	/* Asking costs nothing. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(budget_take(&budget, now), 50);
	assert_int_equal(budget_take(&budget, now + 20), 30);
	assert_int_equal(budget_take(&budget, now + 49), 1);
	assert_int_equal(budget_take(&budget, now + 50), 0);
	assert_int_equal(budget_take(&budget, now + 50), 50);
	for (int i = 2; i < 100; i++)
		assert_int_equal(budget_take(&budget, now + (uint64_t)i * 50), 0);
}

/* Rest brings back the burst, and no more than that. */
static void test_rest(void **state)
{
	struct budget budget = { .cost_usec = 50, .burst = 4 };

	for (uint64_t now = 1000; now < 1000000000; now *= 10) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(budget_take(&budget, now), 0);
		assert_int_equal(budget_take(&budget, now), 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_rate),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
