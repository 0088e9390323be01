#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sshgw/msg.h"
#include "sshgw/msg_forward.h"
#include "tests/unit/transcode.h"

/* ---- every decoder: its samples decode, and nothing shorter or longer does ---- */

/* The message is handed over in memory of just its size: reading beyond shows. */
static void check_lengths(transcode_fn transcode, const struct chan_writer *sample, size_t n_fds)
{
	_cleanup_(chan_writer_done) struct chan_writer again = { 0 };
	struct chan_msg msg = { .data = sample->data, .len = sample->len, .n_fds = n_fds };

	assert_int_equal(sample->error, 0);
	assert_int_equal(transcode(&msg, &again), 0);
	assert_int_equal(again.len, sample->len);
	assert_memory_equal(again.data, sample->data, sample->len);
	for (size_t len = 0; len <= sample->len + 1; len++) {
		_cleanup_free_ uint8_t *exact = calloc(1, len ? len : 1);

		if (len == sample->len)
			continue;
		memcpy(exact, sample->data, len < sample->len ? len : sample->len);
		msg = (struct chan_msg){ .data = exact, .len = len, .n_fds = n_fds };
		assert_int_equal(transcode(&msg, &again), -EBADMSG);
	}
}

static void test_net_init(void **state)
{
	uint8_t key[] = { 1, 2, 3 };
	struct msg_net_init msg = { .max_sessions = 10,
				    .max_env = 32,
				    .max_forwards = 100,
				    .max_listens = 20,
				    .login_grace_sec = 60,
				    .rekey_bytes = 1ull << 40,
				    .rekey_sec = 3600 };

	for (size_t n = 0; n <= MSG_MAX_KEYS; n++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		if (n > 0)
			msg.host_keys.keys[n - 1] = (struct msg_blob){ key, n };
		msg.host_keys.n = n;
		msg_net_init_put(&w, &msg);
		check_lengths(transcode_net_init, &w, 0);
	}
}

static void test_sign(void **state)
{
	static const size_t lengths[] = { 0, 32, MSG_MAX_HASH };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		struct msg_sign msg = { .key = 2, .digest = 4, .hash_len = lengths[i] };

		memset(msg.hash, 0xa5, sizeof(msg.hash));
		msg_sign_put(&w, &msg);
		check_lengths(transcode_sign, &w, 0);
	}
}

static void test_auth_result(void **state)
{
	static char text[] = "no", empty[] = "";
	const struct msg_auth_result samples[] = { { AUTH_REFUSED, text, 0 },
						   { AUTH_ACCEPTED, empty, 30000 } };

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		msg_auth_result_put(&w, &samples[i]);
		check_lengths(transcode_auth_result, &w, 0);
	}
}

static void test_start(void **state)
{
	static char term[] = "xterm", command[] = "ls -l", name[] = "LANG", value[] = "C",
		    none[] = "";
	uint8_t modes[] = { 53, 0, 0, 0, 1, 0 };
	struct msg_start samples[] = {
		{ .channel = 1, .kind = START_SHELL },
		{ .channel = UINT32_MAX, .kind = START_EXEC, .command = command },
		{ .kind = START_SHELL,
		  .has_pty = true,
		  .pty = { term, 80, 24, 640, 480, { modes, sizeof(modes) } } },
		{ .channel = 3, .kind = START_SFTP, .command = command },
		{ .channel = 4, .kind = START_SHELL, .agent_listener = 5, .x11_listener = 6 },
		{ .kind = START_EXEC,
		  .command = none,
		  .has_pty = true,
		  .pty = { .term = none },
		  .env = { { name, value }, { none, none } },
		  .n_env = 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		msg_start_put(&w, &samples[i]);
		check_lengths(transcode_start, &w, 0);
	}
}

static void test_started(void **state)
{
	static char text[] = "motd";

	for (uint8_t n = 1; n <= 3; n += 2) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		msg_started_put(&w, &(struct msg_started){ 7, n, text });
		check_lengths(transcode_started, &w, n);
	}
}

static void test_forwarding(void **state)
{
	static char host[] = "db.example", path[] = "/run/x.sock", text[] = "Connection refused",
		    protocol[] = "MIT-MAGIC-COOKIE-1", cookie[] = "00fF", peer[] = "::1";
	const struct msg_connect connects[] = { { 1, FORWARD_TCP, host, 65535 },
						{ 2, FORWARD_UNIX, path, 0 } };
	const struct msg_listen listens[] = {
		{ .id = 1, .kind = FORWARD_TCP, .address = host, .port = 65535 },
		{ .id = 1, .kind = FORWARD_TCP },
		{ .id = 1, .kind = FORWARD_UNIX, .address = path },
		{ .id = 1, .kind = FORWARD_AGENT },
		{ 1, FORWARD_X11, NULL, 0, true, protocol, cookie, 3 },
	};
	_cleanup_(chan_writer_done) struct chan_writer failed = { 0 }, listening = { 0 },
						       incoming = { 0 }, end = { 0 }, left = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(connects); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		assert_true(msg_connect_is_sound(&connects[i]));
		msg_connect_put(&w, &connects[i]);
		check_lengths(transcode_connect, &w, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(listens); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

		assert_true(msg_listen_is_sound(&listens[i]));
		msg_listen_put(&w, &listens[i]);
		check_lengths(transcode_listen, &w, 0);
	}
	msg_connect_failed_put(&failed,
			       &(struct msg_connect_failed){ 7, FORWARD_CONNECT_FAILED, text });
	check_lengths(transcode_connect_failed, &failed, 0);
	msg_listening_put(&listening, &(struct msg_listening){ 7, 8080 });
	check_lengths(transcode_listening, &listening, 0);
	msg_incoming_put(&incoming, &(struct msg_incoming){ 7, 8, peer, 4000 });
	check_lengths(transcode_incoming, &incoming, 0);
	msg_socket_put(&left, &(struct msg_socket){ 7, path, 1ull << 33, 5, true });
	check_lengths(transcode_socket, &left, 0);
	msg_forward_end_put(&end, &(struct msg_forward_end){ true, 7, 1ull << 40, 3 });
	check_lengths(transcode_forward_end, &end, 0);
}

static void test_small_ones(void **state)
{
	static char user[] = "user", host[] = "100.64.0.2", name[] = "ssh-1", person[] = "a@b.c";
	_cleanup_(chan_writer_done) struct chan_writer exited = { 0 }, killed = { 0 },
						       signal = { 0 }, ended = { 0 },
						       account = { 0 }, open = { 0 },
						       channel = { 0 }, text = { 0 }, both = { 0 };

	msg_exited_put(&exited, &(struct msg_exited){ 7, false, 255, false });
	check_lengths(transcode_exited, &exited, 0);
	msg_exited_put(&killed, &(struct msg_exited){ 7, true, 127, true });
	check_lengths(transcode_exited, &killed, 0);
	msg_signal_put(&signal, &(struct msg_signal){ 7, SIGUSR2 });
	check_lengths(transcode_signal, &signal, 0);
	msg_session_end_put(&ended, &(struct msg_session_end){ 7, 1ull << 40, 3 });
	check_lengths(transcode_session_end, &ended, 0);
	msg_account_put(&account, &(struct msg_account){ user, 4242, 4243, host, name, person });
	check_lengths(transcode_account, &account, 0);
	msg_open_put(&open, &(struct msg_open){ user, host });
	check_lengths(transcode_open, &open, 0);
	chan_put_u32(&channel, 9);
	check_lengths(transcode_channel, &channel, 0);
	chan_put_string(&text, "text");
	check_lengths(transcode_text, &text, 0);
	chan_put_u32(&both, 9);
	chan_put_string(&both, "text");
	check_lengths(transcode_channel_text, &both, 0);
}

/* ---- values that are no values, and limits ---- */

/* A payload in pieces: "1:5" one byte of 5, "4:7" four bytes, "s:100" a string of 100 'x'. */
static void put_script(struct chan_writer *w, const char *script)
{
	_cleanup_free_ char *copy = strdup(script);
	char *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		unsigned long value = strtoul(word + 2, NULL, 0);
		_cleanup_free_ char *fill = NULL;

		switch (word[0]) {
		case '1':
			chan_put_u8(w, (uint8_t)value);
			break;
		case '4':
			chan_put_u32(w, (uint32_t)value);
			break;
		case 's':
			fill = malloc(value + 1);
			memset(fill, 'x', value);
			chan_put_bytes(w, fill, value);
			break;
		case 't': /* this text */
			chan_put_string(w, word + 2);
			break;
		case '8':
			chan_put_u64(w, value);
			break;
		case 'n': /* a string that has a NUL inside */
			chan_put_bytes(w, "a\0b", 3);
			break;
		default:
			fail_msg("script word %s", word);
		}
	}
}

static const struct hostile_case {
	transcode_fn transcode;
	const char *script;
	int r;
	size_t n_fds;
} hostile_cases[] = {
	/* host keys: count, sizes */
	{ transcode_net_init, "4:3 s:4096 s:4096 s:4096 4:1 4:1 4:1 4:1 4:1 4:0 4:1 4:0", 0 },
	{ transcode_net_init, "4:4 s:1 s:1 s:1 s:1 4:1 4:1 4:1 4:1 4:1 4:0 4:1 4:0", -EBADMSG },
	{ transcode_net_init, "4:0xffffffff", -EBADMSG },
	{ transcode_net_init, "4:1 s:4097 4:1 4:1 4:1 4:1 4:1 4:0 4:1 4:0", -EBADMSG },
	/* hash */
	{ transcode_sign, "4:0 4:0 s:64", 0 },
	{ transcode_sign, "4:0 4:0 s:65", -EBADMSG },
	{ transcode_sign, "4:0 4:0 4:0xffffffff", -EBADMSG },
	/* verdicts are 0 and 1 */
	{ transcode_auth_result, "1:1 s:4096 4:0", 0 },
	{ transcode_auth_result, "1:1 s:0", -EBADMSG },
	{ transcode_auth_result, "1:2 s:0 4:0", -EBADMSG },
	{ transcode_auth_result, "1:255 s:0 4:0", -EBADMSG },
	{ transcode_auth_result, "1:1 s:4097 4:0", -EBADMSG },
	{ transcode_auth_result, "1:0 n:0 4:0", -EBADMSG },
	/* channel, kind, command, pty, env */
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:0", 0 },
	{ transcode_start, "4:1 1:2 s:131072 1:0 4:0 4:0 4:0", 0 },
	{ transcode_start, "4:1 1:2 s:131073 1:0 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:0 s:0 1:0 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:3 s:0 1:0 4:0 4:0 4:0", 0 },
	{ transcode_start, "4:1 1:4 s:0 1:0 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 n:0 1:0 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:2 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:1 s:64 4:1 4:1 4:1 4:1 s:1024 4:0 4:0 4:0", 0 },
	{ transcode_start, "4:1 1:1 s:0 1:1 s:65 4:1 4:1 4:1 4:1 s:1024 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:1 s:64 4:1 4:1 4:1 4:1 s:1025 4:0 4:0 4:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:1 s:256 s:4096", 0 },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:1 s:257 s:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:1 s:0 s:4097", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:1 n:0 s:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:1 s:0 n:0", -EBADMSG },
	{ transcode_start, "4:1 1:1 s:0 1:0 4:0 4:0 4:0xffffffff", -EBADMSG },
	/* descriptors: 1 or 3, and as many as came */
	{ transcode_started, "4:1 1:1 s:4096", 0, 1 },
	{ transcode_started, "4:1 1:3 s:0", 0, 3 },
	{ transcode_started, "4:1 1:3 s:0", -EBADMSG, 2 },
	{ transcode_started, "4:1 1:3 s:0", -EBADMSG, 1 },
	{ transcode_started, "4:1 1:1 s:0", -EBADMSG, 3 },
	{ transcode_started, "4:1 1:1 s:0", -EBADMSG, 0 },
	{ transcode_started, "4:1 1:2 s:0", -EBADMSG, 2 },
	{ transcode_started, "4:1 1:0 s:0", -EBADMSG, 0 },
	{ transcode_started, "4:1 1:1 s:4097", -EBADMSG, 1 },
	/* exit status 0..255, signal 0..127, booleans */
	{ transcode_exited, "4:1 1:0 4:255 1:0", 0 },
	{ transcode_exited, "4:1 1:0 4:256 1:0", -EBADMSG },
	{ transcode_exited, "4:1 1:1 4:127 1:1", 0 },
	{ transcode_exited, "4:1 1:1 4:128 1:1", -EBADMSG },
	{ transcode_exited, "4:1 1:0 4:0xffffffff 1:0", -EBADMSG },
	{ transcode_exited, "4:1 1:2 4:1 1:0", -EBADMSG },
	{ transcode_exited, "4:1 1:0 4:1 1:2", -EBADMSG },
	/* signals that have a name in SSH: not 0, not SIGSTOP, SIGCONT or SIGCHLD */
	{ transcode_signal, "4:1 4:1", 0 },
	{ transcode_signal, "4:1 4:9", 0 },
	{ transcode_signal, "4:1 4:0", -EBADMSG },
	{ transcode_signal, "4:1 4:17", -EBADMSG },
	{ transcode_signal, "4:1 4:18", -EBADMSG },
	{ transcode_signal, "4:1 4:19", -EBADMSG },
	{ transcode_signal, "4:1 4:64", -EBADMSG },
	{ transcode_signal, "4:1 4:0xffffffff", -EBADMSG },
	/* names and texts */
	{ transcode_account, "s:256 4:0 4:0 s:256 s:256 s:4096", 0 },
	{ transcode_account, "s:257 4:0 4:0 s:1 s:1 s:1", -EBADMSG },
	{ transcode_account, "s:1 4:0 4:0 s:257 s:1 s:1", -EBADMSG },
	{ transcode_account, "s:1 4:0 4:0 s:1 s:257 s:1", -EBADMSG },
	{ transcode_account, "s:1 4:0 4:0 s:1 s:1 s:4097", -EBADMSG },
	{ transcode_account, "s:1 4:0 4:0 s:1", -EBADMSG },
	{ transcode_account, "n:0 4:0 4:0 s:1 s:1 s:1", -EBADMSG },
	{ transcode_open, "s:256 s:256", 0 },
	{ transcode_open, "s:257 s:1", -EBADMSG },
	{ transcode_open, "s:1 n:0", -EBADMSG },
	{ transcode_check, "s:4096 s:512 s:32", 0 },
	{ transcode_check, "s:4097 s:512 s:32", -EBADMSG },
	{ transcode_check, "s:1 s:513 s:32", -EBADMSG },
	{ transcode_check, "s:1 s:512 s:33", -EBADMSG },
	{ transcode_check, "s:1 s:1 n:0", -EBADMSG },
	{ transcode_check, "s:1 s:1", -EBADMSG },
	{ transcode_check, "s:1 s:1 s:1 s:0", -EBADMSG },
	/* id, kind, target, port */
	{ transcode_connect, "4:1 1:1 s:255 4:1", 0 },
	{ transcode_connect, "4:0 1:1 s:255 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 s:256 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 s:0 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 n:0 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 t:a\tb 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 t:m\303\274ller 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:1 t:host 4:0", -EBADMSG },
	{ transcode_connect, "4:1 1:1 t:host 4:65536", -EBADMSG },
	{ transcode_connect, "4:1 1:2 t:/run/x 4:0", 0 },
	{ transcode_connect, "4:1 1:2 t:/run/x 4:1", -EBADMSG },
	{ transcode_connect, "4:1 1:2 t:run/x 4:0", -EBADMSG },
	{ transcode_connect, "4:1 1:2 s:0 4:0", -EBADMSG },
	{ transcode_connect, "4:1 1:3 t:/run/x 4:0", -EBADMSG },
	{ transcode_connect, "4:1 1:0 t:host 4:1", -EBADMSG },
	/* id, reason, text */
	{ transcode_connect_failed, "4:1 4:1 s:4096", 0 },
	{ transcode_connect_failed, "4:1 4:4 s:0", 0 },
	{ transcode_connect_failed, "4:1 4:0 s:0", -EBADMSG },
	{ transcode_connect_failed, "4:1 4:3 s:0", -EBADMSG },
	{ transcode_connect_failed, "4:1 4:5 s:0", -EBADMSG },
	{ transcode_connect_failed, "4:1 4:1 s:4097", -EBADMSG },
	/* id, kind, address, port, single, protocol, cookie, screen */
	{ transcode_listen, "4:1 1:1 s:0 4:0 1:0 s:0 s:0 4:0", 0 },
	{ transcode_listen, "4:0 1:1 s:0 4:0 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:255 4:65535 1:0 s:0 s:0 4:0", 0 },
	{ transcode_listen, "4:1 1:1 s:256 4:65535 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:1 4:65536 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:1 4:0 1:1 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:1 4:0 1:0 s:1 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:1 4:0 1:0 s:0 s:1 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:1 s:1 4:0 1:0 s:0 s:0 4:1", -EBADMSG },
	{ transcode_listen, "4:1 1:2 t:/a 4:0 1:0 s:0 s:0 4:0", 0 },
	{ transcode_listen, "4:1 1:2 t:/a 4:1 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:2 t:a 4:0 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:2 s:0 4:0 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:3 s:0 4:0 1:0 s:0 s:0 4:0", 0 },
	{ transcode_listen, "4:1 1:3 s:1 4:0 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 t:MIT-1 t:aF09 4:7", 0 },
	{ transcode_listen, "4:1 1:4 s:1 4:0 1:1 t:MIT-1 t:aF09 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 t:-MIT t:aF09 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 s:0 t:aF09 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 t:MIT\n1 t:aF09 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 t:MIT-1 t:aF0g 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:1 t:MIT-1 s:0 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:4 s:0 4:0 1:2 t:MIT-1 t:aF09 4:7", -EBADMSG },
	{ transcode_listen, "4:1 1:5 s:0 4:0 1:0 s:0 s:0 4:0", -EBADMSG },
	{ transcode_listening, "4:1 4:65535", 0 },
	{ transcode_listening, "4:1 4:65536", -EBADMSG },
	/* listener, id, address, port */
	{ transcode_incoming, "4:1 4:1 s:255 4:65535", 0 },
	{ transcode_incoming, "4:1 4:1 s:0 4:0", 0 },
	{ transcode_incoming, "4:1 4:0 s:0 4:0", -EBADMSG },
	{ transcode_incoming, "4:0 4:1 s:0 4:0", -EBADMSG },
	{ transcode_incoming, "4:1 4:1 s:256 4:0", -EBADMSG },
	{ transcode_incoming, "4:1 4:1 t:a\nb 4:0", -EBADMSG },
	{ transcode_incoming, "4:1 4:1 s:0 4:65536", -EBADMSG },
	{ transcode_socket, "4:1 t:/a 8:1 8:2 1:1", 0 },
	{ transcode_socket, "4:1 t:a 8:1 8:2 1:1", -EBADMSG },
	{ transcode_socket, "4:1 s:0 8:1 8:2 1:1", -EBADMSG },
	{ transcode_socket, "4:1 s:108 8:1 8:2 1:1", -EBADMSG },
	{ transcode_socket, "4:1 t:/a 8:1 8:2 1:2", -EBADMSG },
	{ transcode_forward_end, "1:1 4:1 8:5 8:6", 0 },
	{ transcode_forward_end, "1:2 4:1 8:5 8:6", -EBADMSG },
	{ transcode_text, "s:4096", 0 },
	{ transcode_text, "s:4097", -EBADMSG },
	{ transcode_text, "n:0", -EBADMSG },
	{ transcode_channel_text, "4:1 s:4096", 0 },
	{ transcode_channel_text, "4:1 s:4097", -EBADMSG },
	{ transcode_channel_text, "4:1 n:0", -EBADMSG },
};

static void test_hostile_values(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostile_cases); i++) {
		const struct hostile_case *c = &hostile_cases[i];
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 }, again = { 0 };
		struct chan_msg msg = { 0 };

		print_message("case %zu: %s, %zu fds\n", i, c->script, c->n_fds);
		put_script(&w, c->script);
		assert_int_equal(w.error, 0);
		msg = (struct chan_msg){ .data = w.data, .len = w.len, .n_fds = c->n_fds };
		assert_int_equal(c->transcode(&msg, &again), c->r);
	}
}

static void test_number_of_variables(void **state)
{
	for (uint32_t n = MSG_MAX_ENV - 1; n <= MSG_MAX_ENV + 1; n++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 }, again = { 0 };
		struct chan_msg msg;

		put_script(&w, "4:1 1:1 s:0 1:0 4:0 4:0");
		chan_put_u32(&w, n);
		for (uint32_t i = 0; i < n; i++)
			put_script(&w, "s:1 s:1");
		msg = (struct chan_msg){ .data = w.data, .len = w.len };
		assert_int_equal(transcode_start(&msg, &again), n <= MSG_MAX_ENV ? 0 : -EBADMSG);
	}
}

/* What does not fit into a message is refused by its writer, not cut. */
static void test_start_beyond_a_message(void **state)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	_cleanup_free_ char *command = calloc(1, MSG_MAX_COMMAND + 1);
	_cleanup_free_ char *value = calloc(1, MSG_MAX_ENV_VALUE + 1);
	static char name[] = "LC_ALL";
	struct msg_start msg = { .kind = START_EXEC, .command = command, .n_env = MSG_MAX_ENV };

	memset(command, 'x', MSG_MAX_COMMAND);
	memset(value, 'x', MSG_MAX_ENV_VALUE);
	for (size_t i = 0; i < MSG_MAX_ENV; i++)
		msg.env[i] = (struct msg_env){ name, value };
	assert_int_equal(msg_start_put(&w, &msg), -EMSGSIZE);
}

static void test_failure_leaves_the_target(void **state)
{
	struct chan_msg empty = { 0 };
	struct msg_start start = { .channel = 4711 };
	struct msg_exited exited = { .channel = 4711 };
	char *text = (char *)state;
	uint32_t channel = 4711;

	assert_int_equal(msg_start_get(&empty, &start), -EBADMSG);
	assert_int_equal(start.channel, 4711);
	assert_int_equal(msg_exited_get(&empty, &exited), -EBADMSG);
	assert_int_equal(exited.channel, 4711);
	assert_int_equal(msg_channel_text_get(&empty, &channel, &text), -EBADMSG);
	assert_int_equal(channel, 4711);
	assert_ptr_equal(text, state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net_init),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_auth_result),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_small_ones),
		cmocka_unit_test(test_hostile_values),
		cmocka_unit_test(test_number_of_variables),
		cmocka_unit_test(test_start_beyond_a_message),
		cmocka_unit_test(test_failure_leaves_the_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
