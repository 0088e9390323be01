#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chan.h"
#include "sshgw/net/auth_request.h"

/* RFC 4252 section 5, behind the message number; the wire format is that of our own writer. */
static void put(struct chan_writer *w, const char *user, const char *service, const char *method)
{
	chan_put_string(w, user);
	chan_put_string(w, service);
	chan_put_string(w, method);
}

static void put_key(struct chan_writer *w, uint8_t is_signed, size_t algorithm_len, size_t key_len)
{
	uint8_t filler[20000];

	memset(filler, 'k', sizeof(filler));
	put(w, "alice", "ssh-connection", "publickey");
	chan_put_u8(w, is_signed);
	chan_put_bytes(w, filler, algorithm_len);
	chan_put_bytes(w, filler, key_len);
}

static void test_methods(void **state)
{
	static const struct {
		const char *service, *method;
		enum auth_method want;
	} cases[] = {
		{ "ssh-connection", "none", AUTH_METHOD_NONE },
		{ "ssh-connection", "password", AUTH_METHOD_PASSWORD },
		{ "ssh-connection", "keyboard-interactive", AUTH_METHOD_INTERACTIVE },
		{ "ssh-connection", "hostbased", AUTH_METHOD_OTHER },
		{ "ssh-connection", "gssapi-with-mic", AUTH_METHOD_OTHER },
		{ "ssh-connection", "", AUTH_METHOD_OTHER },
		{ "ssh-connection", "None", AUTH_METHOD_OTHER },
		{ "ssh-connection", "none ", AUTH_METHOD_OTHER },
		{ "ssh-userauth", "none", AUTH_METHOD_OTHER },
		{ "", "none", AUTH_METHOD_OTHER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		struct auth_request request = { 0 };

		print_message("case %zu\n", i);
		put(&w, "alice", cases[i].service, cases[i].method);
		assert_int_equal(auth_request_parse(w.data, w.len, &request), 0);
		assert_int_equal(request.method, cases[i].want);
		assert_string_equal(request.user, "alice");
		assert_null(request.key.data);
		auth_request_done(&request);
		assert_null(request.user);
	}
}

static void test_keys(void **state)
{
	static const struct {
		uint8_t is_signed;
		size_t algorithm, key;
		enum auth_method want;
	} cases[] = {
		{ 0, 11, 51, AUTH_METHOD_OFFER },     { 0, 0, 0, AUTH_METHOD_OFFER },
		{ 0, 256, 16384, AUTH_METHOD_OFFER }, { 0, 257, 51, AUTH_METHOD_OTHER },
		{ 0, 11, 16385, AUTH_METHOD_OTHER },  { 1, 11, 51, AUTH_METHOD_KEY },
		{ 255, 257, 16385, AUTH_METHOD_KEY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		_cleanup_(auth_request_done) struct auth_request request = { 0 };

		print_message("case %zu\n", i);
		put_key(&w, cases[i].is_signed, cases[i].algorithm, cases[i].key);
		assert_int_equal(auth_request_parse(w.data, w.len, &request), 0);
		assert_int_equal(request.method, cases[i].want);
		if (request.method == AUTH_METHOD_OFFER) {
			assert_int_equal(request.algorithm.len, cases[i].algorithm);
			assert_int_equal(request.key.len, cases[i].key);
		}
	}
}

static void test_cut_short(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	size_t fixed;

	put(&w, "alice", "ssh-connection", "publickey");
	fixed = w.len + 1;
	chan_put_u8(&w, 0);
	chan_put_string(&w, "ssh-ed25519");
	chan_put_string(&w, "key");
	for (size_t len = 0; len <= w.len; len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);
		struct auth_request request = { .method = 99 };

		memcpy(exact, w.data, len);
		if (len < fixed) {
			assert_int_equal(auth_request_parse(exact, len, &request), -EBADMSG);
			assert_int_equal(request.method, 99);
			continue;
		}
		assert_int_equal(auth_request_parse(exact, len, &request), 0);
		assert_int_equal(request.method,
				 len == w.len ? AUTH_METHOD_OFFER : AUTH_METHOD_OTHER);
		auth_request_done(&request);
	}
}

static void test_user_names(void **state)
{
	static const struct {
		size_t len;
		int r;
	} cases[] = { { 0, 0 }, { 256, 0 }, { 257, -EBADMSG }, { 9000, -EBADMSG } };
	_cleanup_(chan_writer_done) struct chan_writer nul = { 0 };
	struct auth_request request;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		_cleanup_free_ char *user = calloc(1, cases[i].len + 1);

		memset(user, 'u', cases[i].len);
		put(&w, user, "ssh-connection", "none");
		assert_int_equal(auth_request_parse(w.data, w.len, &request), cases[i].r);
		if (cases[i].r < 0)
			continue;
		assert_string_equal(request.user, user);
		auth_request_done(&request);
	}
	chan_put_bytes(&nul, "root\0x", 6);
	chan_put_string(&nul, "ssh-connection");
	chan_put_string(&nul, "none");
	assert_int_equal(auth_request_parse(nul.data, nul.len, &request), -EBADMSG);
}

static void test_suffix(void **state)
{
	static const struct {
		const char *user, *account;
	} cases[] = {
		{ "alice", "alice" },
		{ "alice+password", "alice" },
		{ "a+b", "a+b" },
		{ "a+b+password", "a+b" },
		{ "alice+password+password", "alice+password" },
		{ "alice+Password", "alice+Password" },
		{ "alice+passwords", "alice+passwords" },
		{ "alicepassword", "alicepassword" },
		{ "+password", "+password" },
		{ "password", "password" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(auth_user_len(cases[i].user), strlen(cases[i].account));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),	  cmocka_unit_test(test_keys),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_user_names),
		cmocka_unit_test(test_suffix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
