#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sshgw/monitor/forwards.h"

static void test_numbers_only_grow(void **state)
{
	_cleanup_(forwards_done) struct forwards forwards = { 0 };

	assert_int_equal(forwards_take_net_id(&forwards, 0), -EEXIST);
	assert_int_equal(forwards_take_net_id(&forwards, 5), 0);
	assert_int_equal(forwards_take_net_id(&forwards, 5), -EEXIST);
	assert_int_equal(forwards_take_net_id(&forwards, 4), -EEXIST);
	/* The user process counts for itself. */
	assert_int_equal(forwards_take_user_id(&forwards, 4), 0);
	assert_int_equal(forwards_take_user_id(&forwards, 4), -EEXIST);
	assert_int_equal(forwards_take_net_id(&forwards, UINT32_MAX), 0);
	assert_int_equal(forwards_take_net_id(&forwards, 1), -EEXIST);
}

static void test_connections(void **state)
{
	_cleanup_(forwards_done) struct forwards forwards = { 0 };

	for (uint32_t id = 1; id <= 3; id++) {
		forwards_add(&forwards, id, false)->name = strdup("out");
		forwards_add(&forwards, id, true)->name = strdup("in");
	}
	assert_int_equal(forwards.n, 6);
	assert_string_equal(forwards_find(&forwards, 2, false)->name, "out");
	assert_string_equal(forwards_find(&forwards, 2, true)->name, "in");
	assert_null(forwards_find(&forwards, 4, true));
	forwards_remove(&forwards, forwards_find(&forwards, 2, false));
	assert_null(forwards_find(&forwards, 2, false));
	assert_non_null(forwards_find(&forwards, 2, true));
	assert_int_equal(forwards_find(&forwards, 3, true)->id, 3);
	assert_int_equal(forwards.n, 5);
}

static void test_listeners(void **state)
{
	_cleanup_(forwards_done) struct forwards forwards = { 0 };

	forwards_add_listener(&forwards, 7)->name = strdup("a");
	forwards_add_listener(&forwards, 8)->name = strdup("b");
	assert_int_equal(forwards_find_listener(&forwards, 7)->state, MON_FORWARD_WAITING);
	forwards_remove_listener(&forwards, forwards_find_listener(&forwards, 7));
	assert_null(forwards_find_listener(&forwards, 7));
	assert_string_equal(forwards_find_listener(&forwards, 8)->name, "b");
}

static bool cancel(struct forwards *forwards, uint32_t id)
{
	forwards_cancel_listener(forwards, forwards_add_listener(forwards, id));
	return forwards_is_cancelled(forwards, id);
}

/* As many as there may be at a time are remembered, the last ones. */
static void test_cancelled_listeners(void **state)
{
	_cleanup_(forwards_done) struct forwards forwards = { 0 };

	assert_false(forwards_is_cancelled(&forwards, 0));
	for (uint32_t id = 1; id <= CEILING_MAX_LISTENS; id++)
		assert_true(cancel(&forwards, id));
	assert_int_equal(forwards.n_listeners, 0);
	assert_true(forwards_is_cancelled(&forwards, 1));
	assert_true(cancel(&forwards, CEILING_MAX_LISTENS + 1));
	assert_false(forwards_is_cancelled(&forwards, 1));
	assert_true(forwards_is_cancelled(&forwards, 2));
	forwards_forget_cancelled(&forwards);
	assert_false(forwards_is_cancelled(&forwards, 2));
	assert_true(cancel(&forwards, CEILING_MAX_LISTENS + 2));
	assert_false(forwards_is_cancelled(&forwards, 2));
	/* One that never listened is not among them. */
	forwards_remove_listener(&forwards, forwards_add_listener(&forwards, 300));
	assert_false(forwards_is_cancelled(&forwards, 300));
}

static void use_up(struct forwards *forwards, uint32_t id)
{
	forwards_use_up_listener(forwards, forwards_add_listener(forwards, id));
}

/* What the net process may still end, and each only once; no more connection comes to it. */
static void test_listeners_that_are_used_up(void **state)
{
	_cleanup_(forwards_done) struct forwards forwards = { 0 };

	assert_false(forwards_end_used_up(&forwards, 0));
	assert_false(forwards_end_used_up(&forwards, 1));
	for (uint32_t id = 1; id <= CEILING_MAX_LISTENS; id++)
		use_up(&forwards, id);
	assert_int_equal(forwards.n_listeners, 0);
	assert_false(forwards_is_cancelled(&forwards, 2));
	forwards_forget_cancelled(&forwards);
	assert_true(forwards_end_used_up(&forwards, 2));
	assert_false(forwards_end_used_up(&forwards, 2));
	assert_false(forwards_end_used_up(&forwards, 0));
	use_up(&forwards, CEILING_MAX_LISTENS + 1);
	assert_false(forwards_end_used_up(&forwards, 1));
	assert_true(forwards_end_used_up(&forwards, 3));
	assert_true(forwards_end_used_up(&forwards, CEILING_MAX_LISTENS + 1));
}

/* sshd_config(5), GatewayPorts; what OpenSSH's client says for -R PORT is "localhost". */
static void test_bind_address(void **state)
{
	static const struct {
		enum gateway_ports policy;
		const char *asked, *bound;
	} cases[] = {
		{ GATEWAY_PORTS_NO, "", "localhost" },
		{ GATEWAY_PORTS_NO, "*", "localhost" },
		{ GATEWAY_PORTS_NO, "localhost", "localhost" },
		{ GATEWAY_PORTS_NO, "0.0.0.0", "localhost" },
		{ GATEWAY_PORTS_NO, "192.0.2.1", "localhost" },
		{ GATEWAY_PORTS_NO, "127.0.0.1", "127.0.0.1" },
		{ GATEWAY_PORTS_NO, "::1", "::1" },
		{ GATEWAY_PORTS_NO, "127.0.0.2", "localhost" },
		{ GATEWAY_PORTS_CLIENT, "", "" },
		{ GATEWAY_PORTS_CLIENT, "*", "" },
		{ GATEWAY_PORTS_CLIENT, "localhost", "localhost" },
		{ GATEWAY_PORTS_CLIENT, "192.0.2.1", "192.0.2.1" },
		{ GATEWAY_PORTS_CLIENT, "::1", "::1" },
		{ GATEWAY_PORTS_YES, "localhost", "" },
		{ GATEWAY_PORTS_YES, "127.0.0.1", "" },
		{ GATEWAY_PORTS_YES, "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%d %s\n", cases[i].policy, cases[i].asked);
		assert_string_equal(forwards_bind_address(cases[i].policy, cases[i].asked),
				    cases[i].bound);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_only_grow),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_cancelled_listeners),
		cmocka_unit_test(test_listeners_that_are_used_up),
		cmocka_unit_test(test_bind_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
