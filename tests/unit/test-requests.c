#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chan.h"
#include "sshgw/net/requests.h"

/* RFC 4254 sections 4 and 5.4, behind the message number. */
static void put(struct chan_writer *w, bool has_channel, const char *name, uint8_t want_reply)
{
	if (has_channel)
		chan_put_u32(w, 7);
	chan_put_string(w, name);
	chan_put_u8(w, want_reply);
}

static void test_requests(void **state)
{
	for (int want = 0; want < 3; want++) {
		_cleanup_(chan_writer_done) struct chan_writer channel = { 0 }, global = { 0 };
		struct request request = { 0 };

		put(&channel, true, "eow@openssh.com", (uint8_t)want);
		chan_put_u32(&channel, 4711); /* a payload, whatever it is */
		assert_int_equal(request_parse_channel(channel.data, channel.len, &request), 0);
		assert_int_equal(request.channel, 7);
		assert_true(request_is(&request, "eow@openssh.com"));
		assert_false(request_is(&request, "eow@openssh.co"));
		assert_false(request_is(&request, "eow@openssh.com2"));
		assert_int_equal(request.want_reply, want != 0);
		put(&global, false, "tcpip-forward", (uint8_t)want);
		assert_int_equal(request_parse_global(global.data, global.len, &request), 0);
		assert_true(request_is(&request, "tcpip-forward"));
		assert_int_equal(request.want_reply, want != 0);
	}
}

static void test_cut_short(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	struct request request = { .channel = 99 };

	put(&w, true, "keepalive@openssh.com", 1);
	for (size_t len = 0; len < w.len; len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, w.data, len);
		assert_int_equal(request_parse_channel(exact, len, &request), -EBADMSG);
		assert_int_equal(request.channel, 99);
	}
	for (size_t len = 4; len < w.len; len++)
		assert_int_equal(request_parse_global(w.data + 4, len - 4, &request), -EBADMSG);
}

/* Longer than any that means something here: libssh is to see what it makes of it. */
static void test_long_names(void **state)
{
	static const struct {
		size_t len;
		int r;
	} cases[] = { { 0, 0 }, { 256, 0 }, { 257, -EBADMSG }, { 30000, -EBADMSG } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		_cleanup_free_ char *name = calloc(1, cases[i].len + 1);
		struct request request;

		memset(name, 'x', cases[i].len);
		put(&w, false, name, 1);
		assert_int_equal(request_parse_global(w.data, w.len, &request), cases[i].r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
