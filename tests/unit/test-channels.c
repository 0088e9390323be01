#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sshgw/monitor/channels.h"

static void test_add_and_find(void **state)
{
	_cleanup_(channels_done) struct channels channels = { 0 };
	struct channel *channel = NULL;

	assert_null(channels_find(&channels, 0));
	assert_int_equal(channels_add(&channels, 7, 10, &channel), 0);
	assert_int_equal(channel->id, 7);
	assert_int_equal(channel->state, CHANNEL_WAITING);
	assert_false(channel->has_pty);
	assert_string_equal(channel->line, "");
	assert_ptr_equal(channels_find(&channels, 7), channel);
	assert_null(channels_find(&channels, 8));
	assert_int_equal(channels_add(&channels, UINT32_MAX, 10, &channel), 0);
	assert_int_equal(channels_add(&channels, 0, 10, &channel), 0);
	assert_int_equal(channels.n, 3);
}

static void test_no_id_twice(void **state)
{
	static const enum channel_state states[] = { CHANNEL_WAITING, CHANNEL_STARTING,
						     CHANNEL_RUNNING, CHANNEL_DETACHED };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		_cleanup_(channels_done) struct channels channels = { 0 };
		struct channel *channel = NULL, *second = (struct channel *)state;

		assert_int_equal(channels_add(&channels, 7, 10, &channel), 0);
		channel->state = states[i];
		assert_int_equal(channels_add(&channels, 7, 10, &second), -EEXIST);
		assert_ptr_equal(second, state);
		assert_int_equal(channels.n, 1);
	}
}

static void test_limit_of_active(void **state)
{
	_cleanup_(channels_done) struct channels channels = { 0 };
	struct channel *channel = NULL;

	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(channels_add(&channels, id, 3, &channel), 0);
	assert_int_equal(channels_active(&channels), 3);
	assert_int_equal(channels_add(&channels, 3, 3, &channel), -EMFILE);
	/* All states but detached count. */
	channels_find(&channels, 0)->state = CHANNEL_STARTING;
	channels_find(&channels, 1)->state = CHANNEL_RUNNING;
	assert_int_equal(channels_add(&channels, 3, 3, &channel), -EMFILE);
	channels_find(&channels, 1)->state = CHANNEL_DETACHED;
	assert_int_equal(channels_active(&channels), 2);
	assert_int_equal(channels_add(&channels, 3, 3, &channel), 0);
	assert_int_equal(channels_add(&channels, 4, 3, &channel), -EMFILE);
	assert_int_equal(channels_add(&channels, 5, 0, &channel), -EMFILE);
}

/* Programs that the client left behind have a limit as well. */
static void test_limit_of_all(void **state)
{
	_cleanup_(channels_done) struct channels channels = { 0 };
	struct channel *channel = NULL;

	for (uint32_t id = 0; id < CHANNELS_MAX; id++) {
		assert_int_equal(channels_add(&channels, id, 1, &channel), 0);
		channel->state = CHANNEL_DETACHED;
	}
	assert_int_equal(channels_add(&channels, CHANNELS_MAX, 1, &channel), -EMFILE);
	channels_remove(&channels, channels_find(&channels, 0));
	assert_int_equal(channels_add(&channels, CHANNELS_MAX, 1, &channel), 0);
}

/* Whatever is removed, the others stay, with what they own. */
static void test_remove(void **state)
{
	for (uint32_t gone = 0; gone < 3; gone++) {
		_cleanup_(channels_done) struct channels channels = { 0 };
		struct channel *channel = NULL;

		for (uint32_t id = 0; id < 3; id++) {
			assert_int_equal(channels_add(&channels, id, 9, &channel), 0);
			channel->start.command = strdup("command");
			channel->start.channel = id;
		}
		channels_remove(&channels, channels_find(&channels, gone));
		assert_int_equal(channels.n, 2);
		assert_null(channels_find(&channels, gone));
		for (uint32_t id = 0; id < 3; id++) {
			channel = channels_find(&channels, id);
			if (id == gone)
				continue;
			assert_int_equal(channel->start.channel, id);
			assert_string_equal(channel->start.command, "command");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_find),	cmocka_unit_test(test_no_id_twice),
		cmocka_unit_test(test_limit_of_active), cmocka_unit_test(test_limit_of_all),
		cmocka_unit_test(test_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
