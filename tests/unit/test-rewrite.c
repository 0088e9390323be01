#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "sshgw/net/rewrite.h"

/* What an open or a global request became, as libssh reads it (RFC 4254 sections 7.1 and 7.2). */
struct became {
	char *name, *address;
	uint32_t port;
	bool want_reply;
};

static void read_open(const struct chan_writer *w, struct became *ret)
{
	struct chan_reader r = { .data = w->data, .len = w->len };

	ret->name = chan_get_string(&r, 256);
	assert_int_equal(chan_get_u32(&r), 7);
	assert_int_equal(chan_get_u32(&r), 8);
	assert_int_equal(chan_get_u32(&r), 9);
	ret->address = chan_get_string(&r, 300);
	ret->port = chan_get_u32(&r);
	free(chan_get_string(&r, 0));
	assert_int_equal(chan_get_u32(&r), 0);
	assert_int_equal(chan_reader_end(&r), 0);
}

static void read_global(const struct chan_writer *w, struct became *ret)
{
	struct chan_reader r = { .data = w->data, .len = w->len };

	ret->name = chan_get_string(&r, 256);
	ret->want_reply = chan_get_u8(&r);
	ret->address = chan_get_string(&r, 300);
	ret->port = chan_get_u32(&r);
	assert_int_equal(chan_reader_end(&r), 0);
}

static void put_open(struct chan_writer *w, const char *type, const char *target, size_t len,
		     const uint32_t *port)
{
	chan_put_string(w, type);
	for (uint32_t i = 7; i < 10; i++)
		chan_put_u32(w, i);
	chan_put_bytes(w, target, len);
	if (port)
		chan_put_u32(w, *port);
	chan_put_string(w, "10.0.0.1");
	chan_put_u32(w, 4711);
}

static void test_opens(void **state)
{
	static const char long_host[257] = { [0 ... 255] = 'h' };
	static const char long_path[109] = { [0 ... 107] = '/' };
	static const struct {
		const char *type, *target;
		size_t len;
		uint32_t port;
		const char *address;
		uint32_t became;
	} cases[] = {
		{ "direct-tcpip", "host", 4, 22, "thost", 22 },
		{ "direct-tcpip", "", 0, 0, "t", 0 },
		{ "direct-tcpip", "host", 4, 65535, "thost", 65535 },
		{ "direct-tcpip", "host", 4, 65536 + 22, "-", WISH_NO_PORT },
		{ "direct-tcpip", "a\0b", 3, 22, "-", WISH_NO_PORT },
		{ "direct-tcpip", long_host, 256, 22, "-", WISH_NO_PORT },
		{ "direct-streamlocal@openssh.com", "/a", 2, 0, "u/a", WISH_NO_PORT },
		{ "direct-streamlocal@openssh.com", "/\0a", 3, 0, "-", WISH_NO_PORT },
		{ "direct-streamlocal@openssh.com", long_path, 108, 0, "-", WISH_NO_PORT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer in = { 0 }, out = { 0 };
		struct became became = { 0 };
		bool is_tcp = strcmp(cases[i].type, "direct-tcpip") == 0;

		put_open(&in, cases[i].type, cases[i].target, cases[i].len,
			 is_tcp ? &cases[i].port : NULL);
		assert_int_equal(rewrite_open(in.data, in.len, &out), REWRITE_DONE);
		read_open(&out, &became);
		assert_string_equal(became.name, "direct-tcpip");
		assert_string_equal(became.address, cases[i].address);
		assert_int_equal(became.port, cases[i].became);
		free(became.name);
		free(became.address);
	}
}

static void test_other_opens(void **state)
{
	static const char *const types[] = { "session", "x11", "direct-tcpip2", "direct-tcpi", "" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_(chan_writer_done) struct chan_writer in = { 0 }, out = { 0 };

		put_open(&in, types[i], "host", 4, NULL);
		assert_int_equal(rewrite_open(in.data, in.len, &out), 0);
	}
}

static void test_globals(void **state)
{
	static const struct {
		const char *request, *address;
		uint32_t port;
		const char *name, *became;
		uint32_t became_port;
	} cases[] = {
		{ "tcpip-forward", "", 0, "tcpip-forward", "t", 0 },
		{ "tcpip-forward", "::1", 80, "tcpip-forward", "t::1", 80 },
		{ "tcpip-forward", "", 65536, "tcpip-forward", "-", WISH_NO_PORT },
		{ "cancel-tcpip-forward", "x", 80, "cancel-tcpip-forward", "Tx", 80 },
		{ "streamlocal-forward@openssh.com", "/s", 0, "tcpip-forward", "u/s", 1 },
		{ "cancel-streamlocal-forward@openssh.com", "/s", 0, "tcpip-forward", "U/s", 1 },
		{ "keepalive@openssh.com", NULL, 0, "tcpip-forward", "+", 1 },
		{ "hostkeys-prove-00@openssh.com", NULL, 0, "tcpip-forward", "-", 1 },
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer in = { 0 }, out = { 0 };
		size_t n = i / 2;
		bool want_reply = i % 2;
		struct became became = { 0 };

		chan_put_string(&in, cases[n].request);
		chan_put_u8(&in, want_reply);
		if (cases[n].address)
			chan_put_string(&in, cases[n].address);
		if (strstr(cases[n].request, "tcpip"))
			chan_put_u32(&in, cases[n].port);
		/* What is to be done is done, asked for an answer or not. */
		if (!cases[n].address && !want_reply) {
			assert_int_equal(rewrite_global(in.data, in.len, &out), 0);
			continue;
		}
		assert_int_equal(rewrite_global(in.data, in.len, &out), REWRITE_DONE);
		read_global(&out, &became);
		assert_string_equal(became.name, cases[n].name);
		assert_int_equal(became.want_reply, want_reply);
		assert_string_equal(became.address, cases[n].became);
		assert_int_equal(became.port, cases[n].became_port);
		free(became.name);
		free(became.address);
	}
}

static void test_channel_requests(void **state)
{
	static const struct {
		const char *request, *type, *subsystem;
	} cases[] = {
		{ "keepalive@openssh.com", REWRITE_UNKNOWN, NULL },
		{ "auth-agent-req@openssh.com", "subsystem", WISH_AGENT },
		{ "break", "subsystem", WISH_BREAK },
		{ "shell", NULL, NULL },
		{ "", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer in = { 0 }, out = { 0 },
							       expected = { 0 };

		chan_put_u32(&in, 5);
		chan_put_string(&in, cases[i].request);
		chan_put_u8(&in, 1);
		assert_int_equal(rewrite_channel(in.data, in.len, &out),
				 cases[i].type ? REWRITE_DONE : 0);
		if (!cases[i].type)
			continue;
		chan_put_u32(&expected, 5);
		chan_put_string(&expected, cases[i].type);
		chan_put_u8(&expected, 1);
		if (cases[i].subsystem)
			chan_put_string(&expected, cases[i].subsystem);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, out.len);
	}
}

/* Wherever a packet ends: read no further, and let the client have an answer where it wants one. */
static void test_cut_short(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer open = { 0 }, global = { 0 };
	const uint32_t port = 22;
	/* Up to the addresses there is nothing that could be answered. */
	const size_t open_head = 4 + strlen("direct-tcpip") + 12;
	const size_t global_head = 4 + strlen("tcpip-forward") + 1;

	put_open(&open, "direct-tcpip", "host", 4, &port);
	chan_put_string(&global, "tcpip-forward");
	chan_put_u8(&global, 1);
	chan_put_string(&global, "host");
	chan_put_u32(&global, 22);
	for (size_t len = 0; len < open.len; len++) {
		_cleanup_(chan_writer_done) struct chan_writer out = { 0 };
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, open.data, len);
		assert_int_equal(rewrite_open(exact, len, &out),
				 len < open_head ? 0 : REWRITE_DONE);
	}
	for (size_t len = 0; len < global.len; len++) {
		_cleanup_(chan_writer_done) struct chan_writer out = { 0 };
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, global.data, len);
		assert_int_equal(rewrite_global(exact, len, &out),
				 len < global_head ? 0 : REWRITE_DONE);
	}
}

static void check_prove(const uint8_t *blobs, size_t len, bool want_reply, const char *expected)
{
	static uint8_t first[] = "first", second[] = "second";
	static const struct msg_host_keys keys = { .keys = { { first, 5 }, { second, 6 } },
						   .n = 2 };
	_cleanup_(chan_writer_done) struct chan_writer in = { 0 }, out = { 0 };
	struct became became = { 0 };

	chan_put_string(&in, "hostkeys-prove-00@openssh.com");
	chan_put_u8(&in, want_reply);
	for (size_t i = 0; i < len; i++)
		chan_put_u8(&in, blobs[i]);
	assert_int_equal(rewrite_prove(in.data, in.len, &keys, &out), expected ? REWRITE_DONE : 0);
	if (!expected)
		return;
	read_global(&out, &became);
	assert_string_equal(became.name, "tcpip-forward");
	assert_true(became.want_reply);
	assert_string_equal(became.address, expected);
	assert_int_equal(became.port, WISH_NO_PORT);
	free(became.name);
	free(became.address);
}

#define FIRST  "\0\0\0\5first"
#define SECOND "\0\0\0\6second"
#define PROVE(blobs, expected) \
	check_prove((const uint8_t *)(blobs), sizeof(blobs) - 1, true, expected)

static void test_keys_to_prove(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer out = { 0 };
	static const struct msg_host_keys none = { .n = 0 };
	static const uint8_t other[] = "\0\0\0\6tcpip-\1";

	PROVE(FIRST, "p0");
	PROVE(SECOND FIRST, "p10");
	/* Nothing, the unknown, what was named before, half of one. */
	PROVE("", "-");
	PROVE("\0\0\0\0", "-");
	PROVE(FIRST "\0\0\0\4firs", "-");
	PROVE(FIRST FIRST, "-");
	PROVE(FIRST SECOND FIRST, "-");
	PROVE(FIRST "\0\0\0\6secon", "-");
	PROVE(FIRST "\0", "-");
	PROVE("\377\377\377\377first", "-");
	check_prove((const uint8_t *)FIRST, sizeof(FIRST) - 1, false, NULL);
	assert_int_equal(rewrite_prove(other, sizeof(other), &none, &out), 0);
	assert_int_equal(rewrite_prove(other, 3, &none, &out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens),	  cmocka_unit_test(test_other_opens),
		cmocka_unit_test(test_globals),	  cmocka_unit_test(test_channel_requests),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_keys_to_prove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
