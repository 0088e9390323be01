#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chan.h"
#include "sshgw/net/pty_modes.h"

static const uint8_t modes[] = { 1, 0, 0, 0, 3, 53, 0, 0, 0, 0, 0 };

/* RFC 4254 section 6.2, behind the message number; the wire format is that of our own writer. */
static void put_request(struct chan_writer *w, const char *name, size_t term_len, size_t modes_len)
{
	uint8_t filler[5000] = { 0 };

	memcpy(filler, modes, sizeof(modes));
	chan_put_u32(w, 0);
	chan_put_string(w, name);
	chan_put_u8(w, 1);
	chan_put_bytes(w, filler, term_len);
	for (int i = 0; i < 4; i++)
		chan_put_u32(w, 80);
	chan_put_bytes(w, filler, modes_len);
}

static void test_finds(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const uint8_t *found;
	size_t len;

	put_request(&w, "pty-req", 5, sizeof(modes));
	assert_int_equal(pty_modes_find(w.data, w.len, &found, &len), 0);
	assert_int_equal(len, sizeof(modes));
	assert_memory_equal(found, modes, len);
	assert_ptr_equal(found + len, w.data + w.len);
}

static void test_none(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const uint8_t *found;
	size_t len = 99;

	put_request(&w, "pty-req", 5, 0);
	assert_int_equal(pty_modes_find(w.data, w.len, &found, &len), 0);
	assert_int_equal(len, 0);
}

static void test_cut_short(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const uint8_t *found = modes;
	size_t n = 99;

	put_request(&w, "pty-req", 5, sizeof(modes));
	for (size_t len = 0; len < w.len; len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, w.data, len);
		assert_int_equal(pty_modes_find(exact, len, &found, &n), -ENOENT);
		assert_ptr_equal(found, modes);
		assert_int_equal(n, 99);
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *name;
		size_t term, modes;
		int r;
	} cases[] = {
		{ "pty-req", 4096, MSG_MAX_MODES, 0 },
		{ "pty-req", 4097, 0, -ENOENT },
		{ "pty-req", 0, MSG_MAX_MODES + 1, -ENOENT },
		{ "pty-reqs", 5, 5, -ENOENT },
		{ "pty-re", 5, 5, -ENOENT },
		{ "PTY-REQ", 5, 5, -ENOENT },
		{ "", 5, 5, -ENOENT },
		{ "env", 5, 5, -ENOENT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		const uint8_t *found;
		size_t len;

		print_message("case %zu\n", i);
		put_request(&w, cases[i].name, cases[i].term, cases[i].modes);
		assert_int_equal(pty_modes_find(w.data, w.len, &found, &len), cases[i].r);
	}
}

/* First come, first served; an empty queue gives empty modes. */
static void test_take(void **state)
{
	struct net net = { 0 };
	struct msg_blob blob;

	net.pty_modes = calloc(2, sizeof(*net.pty_modes));
	net.pty_modes[0] = (struct msg_blob){ (uint8_t *)strdup("a"), 1 };
	net.pty_modes[1] = (struct msg_blob){ (uint8_t *)strdup("b"), 1 };
	net.n_pty_modes = 2;
	for (char want = 'a'; want <= 'b'; want++) {
		blob = pty_modes_take(&net);
		assert_int_equal(blob.data[0], want);
		free(blob.data);
	}
	blob = pty_modes_take(&net);
	assert_null(blob.data);
	assert_int_equal(blob.len, 0);
	free(net.pty_modes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),	  cmocka_unit_test(test_none),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_others),
		cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
