/*
 * A net process, or a leader, that somebody else took over: whatever is not legal in the state that
 * the login is in ends the connection and everything of it, with a line in the log that says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "sshgw/msg_forward.h"
#include "tests/privsep/stage.h"

#define RUNNING	 7u /* a channel that runs, where a state knows channels */
#define DETACHED 8u /* one that the client closed */

/* ---- samples: payloads that are sound by themselves ---- */

static void put_sign(struct chan_writer *w)
{
	msg_sign_put(w, &(struct msg_sign){ .hash_len = 32 });
}

static void put_prove(struct chan_writer *w)
{
	msg_prove_put(w, &(struct msg_prove){ 0 });
}

static void put_user(struct chan_writer *w)
{
	chan_put_string(w, "alice");
}

static void put_start(struct chan_writer *w)
{
	msg_start_put(w, &(struct msg_start){ .channel = 100, .kind = START_SHELL });
}

static void put_running(struct chan_writer *w)
{
	chan_put_u32(w, RUNNING);
}

static void put_signal(struct chan_writer *w)
{
	msg_signal_put(w, &(struct msg_signal){ .channel = RUNNING, .number = SIGTERM });
}

static void put_connect(struct chan_writer *w)
{
	static char host[] = "localhost";

	msg_connect_put(w, &(struct msg_connect){ 1, FORWARD_TCP, host, 80 });
}

static void put_listen(struct chan_writer *w)
{
	msg_listen_put(w, &(struct msg_listen){ .id = 1, .kind = FORWARD_TCP });
}

static void put_connect_failed(struct chan_writer *w)
{
	msg_connect_failed_put(w, &(struct msg_connect_failed){ 1, FORWARD_PROHIBITED, NULL });
}

static void put_listening(struct chan_writer *w)
{
	msg_listening_put(w, &(struct msg_listening){ 1, 80 });
}

static void put_forward_end(struct chan_writer *w)
{
	msg_forward_end_put(w, &(struct msg_forward_end){ .id = 1 });
}

static void put_log(struct chan_writer *w)
{
	chan_put_u32(w, 6);
	chan_put_string(w, "log line of the net process");
}

static void put_account_result(struct chan_writer *w)
{
	chan_put_u8(w, 1);
	chan_put_string(w, "");
}

static void put_opened(struct chan_writer *w)
{
	put_account_result(w);
}

static void put_failed(struct chan_writer *w)
{
	chan_put_u32(w, RUNNING);
	chan_put_string(w, "no");
}

static void put_exited(struct chan_writer *w)
{
	msg_exited_put(w, &(struct msg_exited){ .channel = RUNNING });
}

static void put_session_end(struct chan_writer *w)
{
	msg_session_end_put(w, &(struct msg_session_end){ .channel = RUNNING });
}

static void put_nothing(struct chan_writer *w)
{
}

#define IN(state)   (1u << (state))
#define LOGGED_IN   (IN(MON_OPENING) | IN(MON_OPEN))
#define AFTER_ASKED (IN(MON_CHECK) | IN(MON_ACCOUNT) | IN(MON_AGREED))
#define AFTER_START (IN(MON_KEX) | IN(MON_ASKING) | AFTER_ASKED | LOGGED_IN)
#define ALL_STATES  (IN(MON_START) | AFTER_START)

/* What PRIVSEP.md allows, written down once more: not the monitor's own table. */
static const struct sample {
	uint32_t type;
	enum mon_peer_index from;
	unsigned legal_in;
	void (*put)(struct chan_writer *w);
} samples[] = {
	{ NET_READY, MON_NET, IN(MON_START), put_nothing },
	{ NET_SIGN, MON_NET, AFTER_START, put_sign },
	{ NET_AUTHORIZE, MON_NET, IN(MON_KEX), put_user },
	{ NET_START, MON_NET, LOGGED_IN, put_start },
	{ NET_HANGUP, MON_NET, LOGGED_IN, put_running },
	{ NET_LOG, MON_NET, ALL_STATES, put_log },
	{ NET_PROVE, MON_NET, LOGGED_IN, put_prove },
	{ NET_SIGNAL, MON_NET, IN(MON_OPEN), put_signal },
	{ NET_HELD, MON_NET, AFTER_ASKED, put_nothing },
	{ NET_LOGGED_IN, MON_NET, IN(MON_AGREED), put_nothing },
	{ NET_CONNECT, MON_NET, LOGGED_IN, put_connect },
	{ NET_LISTEN, MON_NET, LOGGED_IN, put_listen },
	{ NET_UNLISTEN, MON_NET, IN(MON_OPEN), put_running },
	{ NET_FORWARD_END, MON_NET, IN(MON_OPEN), put_forward_end },
	{ NET_ACTIVE, MON_NET, LOGGED_IN, put_nothing },
	{ NET_SESSION_END, MON_NET, IN(MON_OPEN), put_session_end },
	{ LEADER_ACCOUNT_RESULT, MON_LEADER, IN(MON_ACCOUNT), put_account_result },
	{ LEADER_OPENED, MON_LEADER, IN(MON_OPENING), put_opened },
	/* How these go on in MON_OPEN depends on the channel: test-user.c. */
	{ USER_START_FAILED, MON_USER, IN(MON_OPEN), put_failed },
	{ USER_EXITED, MON_USER, IN(MON_OPEN), put_exited },
	{ USER_CONNECT_FAILED, MON_USER, IN(MON_OPEN), put_connect_failed },
	{ USER_LISTENING, MON_USER, IN(MON_OPEN), put_listening },
	/* The monitor's own, sent back, and things that nobody says. */
	{ NET_INIT, MON_NET, 0, put_nothing },
	{ NET_AUTH_RESULT, MON_NET, 0, put_account_result },
	{ LEADER_CLOSE, MON_LEADER, 0, put_nothing },
	{ USER_START, MON_USER, 0, put_start },
	{ KEYS_SIGN, MON_NET, 0, put_sign },
	{ KEYS_PROVE, MON_NET, 0, put_sign },
	{ KEYS_SIGNED, MON_NET, 0, put_nothing },
	{ NET_CHECK, MON_NET, 0, put_nothing },
	{ NET_OPENED, MON_NET, 0, put_nothing },
	{ NET_LOGGED_IN + 1, MON_NET, 0, put_nothing },
	{ USER_NEXT, MON_USER, 0, put_nothing },
	{ USER_SIGNAL, MON_USER, 0, put_signal },
	{ 0, MON_NET, 0, put_nothing },
	{ UINT32_MAX, MON_NET, 0, put_nothing },
};

/* ---- the matrix: every message, from every process, in every state ---- */

static int channel_of(const struct stage *s, enum mon_peer_index peer)
{
	return peer == MON_NET ? s->net.channel : peer == MON_LEADER ? s->leader.channel : s->user;
}

static void send_sample(struct stage *s, const struct sample *sample, enum mon_peer_index from)
{
	struct chan_writer w = { 0 };

	sample->put(&w);
	stage_send(channel_of(s, from), sample->type, &w, NULL, 0);
}

static void expect_violation(const struct sample *sample, enum mon_peer_index from,
			     enum mon_state state)
{
	static const char *const names[] = { "net", "leader", "user" };
	_cleanup_free_ char *log =
		text_printf("The %s process sent message 0x%x, which is not allowed in state %s",
			    names[from], sample->type, mon_state_to_string(state));
	uint64_t begin;
	struct stage s;

	print_message("%s\n", log);
	stage_reach(&s, state);
	if (s.leader.control >= 0)
		stage_tell_puppet(&s.leader, PUPPET_FORK);
	begin = clock_usec(CLOCK_MONOTONIC);
	send_sample(&s, sample, from);
	stage_end_with_leader(&s, log);
	/* At once: the time that a refused client gets to leave is for honest processes. */
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 0, 2500000);
}

/* Which processes are there. */
static enum mon_peer_index last_peer(enum mon_state state)
{
	return state >= MON_OPENING ? MON_USER : state >= MON_ACCOUNT ? MON_LEADER : MON_NET;
}

static void test_illegal_messages(void **state)
{
	for (enum mon_state at = MON_START; at <= MON_OPEN; at++) {
		for (enum mon_peer_index from = MON_NET; from <= last_peer(at); from++) {
			for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
				if (samples[i].from != from || !(samples[i].legal_in & IN(at)))
					expect_violation(&samples[i], from, at);
		}
	}
}

/* The table would be of little worth if it refused what is legal: sign, prove, log. */
static void test_legal_messages(void **state)
{
	for (enum mon_state at = MON_START; at <= MON_OPEN; at++) {
		struct stage s;

		stage_reach(&s, at);
		for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
			if (!(samples[i].legal_in & IN(at)) || samples[i].from != MON_NET ||
			    (samples[i].type != NET_SIGN && samples[i].type != NET_PROVE &&
			     samples[i].type != NET_LOG))
				continue;
			send_sample(&s, &samples[i], MON_NET);
			if (samples[i].type != NET_LOG)
				stage_skip(s.net.channel, NET_SIGNED);
		}
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end_with_leader(&s, "net: log line of the net process");
	}
}

/* ---- too often ---- */

static void test_second_signature_before_login(void **state)
{
	for (enum mon_state at = MON_KEX; at <= MON_AGREED; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_begin(&s, NULL, true);
		stage_ready(&s);
		send_sample(&s, &samples[1], MON_NET);
		stage_skip(s.net.channel, NET_SIGNED);
		if (at >= MON_ASKING)
			stage_authorize(&s);
		if (at == MON_CHECK)
			stage_check(&s);
		if (at >= MON_ACCOUNT) {
			stage_agent_accepts(&s, NULL, NULL);
			stage_account(&s);
		}
		if (at >= MON_AGREED)
			stage_agreed(&s);
		send_sample(&s, &samples[1], MON_NET);
		stage_end_with_leader(&s, "sent message 0x181, which is not allowed");
	}
}

/* After it, a key exchange may come again. */
static void test_signatures_after_login(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPENING);
	for (int i = 0; i < 3; i++) {
		send_sample(&s, &samples[1], MON_NET);
		stage_skip(s.net.channel, NET_SIGNED);
	}
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* Keys are proven as often as a client can want it, and not in place of key exchanges. */
static void test_proofs(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPENING);
	send_sample(&s, &samples[1], MON_NET);
	stage_skip(s.net.channel, NET_SIGNED);
	for (unsigned i = 0; i < MSG_MAX_PROOFS; i++) {
		send_sample(&s, &samples[6], MON_NET);
		stage_skip(s.net.channel, NET_SIGNED);
	}
	send_sample(&s, &samples[1], MON_NET);
	stage_skip(s.net.channel, NET_SIGNED);
	send_sample(&s, &samples[6], MON_NET);
	stage_end_with_leader(&s, "sent message 0x18d, which is not allowed");
}

static void test_bad_proofs(void **state)
{
	static const struct msg_prove cases[] = {
		{ 0, 1 }, { 0, 2 }, { 0, UINT32_MAX }, { 1, 0 }, { UINT32_MAX, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { 0 };
		struct stage s;

		print_message("key %u digest %u\n", cases[i].key, cases[i].digest);
		stage_reach(&s, MON_OPENING);
		send_sample(&s, &samples[1], MON_NET);
		stage_skip(s.net.channel, NET_SIGNED);
		msg_prove_put(&w, &cases[i]);
		stage_send(s.net.channel, NET_PROVE, &w, NULL, 0);
		stage_end_with_leader(&s, "The net process wanted something signed");
	}
}

/* A bulk transfer with a small RekeyLimit: 400 at once, then 20 a second, and none is refused. */
static void test_many_signatures(void **state)
{
	uint64_t begin;
	struct stage s;

	stage_reach(&s, MON_OPENING);
	begin = clock_usec(CLOCK_MONOTONIC);
	for (int i = 0; i < 430; i++) {
		send_sample(&s, &samples[1], MON_NET);
		stage_skip(s.net.channel, NET_SIGNED);
	}
	assert_true(clock_usec(CLOCK_MONOTONIC) - begin > 1400000);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* Who waits for one cannot want another. */
static void test_signatures_side_by_side(void **state)
{
	struct stage s;
	int r = 0;

	stage_reach(&s, MON_OPENING);
	for (int i = 0; i < 1000 && r == 0; i++) {
		for (int twice = 0; twice < 2 && r == 0; twice++) {
			struct chan_writer w = { 0 };

			put_sign(&w);
			r = chan_send_wait(s.net.channel, STAGE_TIMEOUT_USEC, NET_SIGN, &w, NULL,
					   0);
			chan_writer_done(&w);
		}
		for (int twice = 0; twice < 2 && r == 0; twice++) {
			struct chan_msg msg = { 0 };

			r = chan_receive_wait(s.net.channel, STAGE_TIMEOUT_USEC, &msg);
			chan_msg_done(&msg);
		}
	}
	assert_true(r < 0);
	stage_end_with_leader(&s, "Message 0x181 of the net process was refused");
}

/* They are dropped, and nothing else comes of them. */
static void test_too_many_log_lines(void **state)
{
	struct stage s;

	stage_reach(&s, MON_KEX);
	for (int i = 0; i <= 100; i++)
		send_sample(&s, &samples[5], MON_NET);
	stage_authorize(&s);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_without(&s, "not allowed");
}

/* ---- payloads that are not sound ---- */

static void expect_refused(uint32_t type, enum mon_peer_index from, enum mon_state at,
			   struct chan_writer *w, size_t n_fds, const char *log)
{
	struct stage s;
	int fds[] = { STDIN_FILENO, STDIN_FILENO, STDIN_FILENO };

	stage_reach(&s, at);
	if (s.leader.control >= 0)
		stage_tell_puppet(&s.leader, PUPPET_FORK);
	stage_send(channel_of(&s, from), type, w, fds, n_fds);
	stage_end_with_leader(&s, log);
}

static enum mon_state first_legal_state(const struct sample *sample)
{
	enum mon_state at = MON_START;

	while (!(sample->legal_in & IN(at)))
		at++;
	return at;
}

static void test_malformed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples) && samples[i].legal_in; i++) {
		enum mon_state at = first_legal_state(&samples[i]);
		_cleanup_free_ char *log = text_printf("Message 0x%x of the", samples[i].type);
		struct chan_writer w = { 0 };

		print_message("0x%x: trailing byte, no payload, one byte short, a descriptor\n",
			      samples[i].type);
		samples[i].put(&w);
		chan_put_u8(&w, 0);
		expect_refused(samples[i].type, samples[i].from, at, &w, 0, log);
		if (samples[i].put != put_nothing) {
			expect_refused(samples[i].type, samples[i].from, at, &w, 0, log);
			samples[i].put(&w);
			w.len--;
			expect_refused(samples[i].type, samples[i].from, at, &w, 0, log);
		}
		samples[i].put(&w);
		expect_refused(samples[i].type, samples[i].from, at, &w, 1, "which is not allowed");
		samples[i].put(&w);
		expect_refused(samples[i].type, samples[i].from, at, &w, 3, "which is not allowed");
	}
}

static void test_bad_signature_requests(void **state)
{
	static const struct msg_sign cases[] = {
		{ .key = 1, .hash_len = 32 },
		{ .key = UINT32_MAX, .hash_len = 32 },
		{ .digest = 1, .hash_len = 32 },
		{ .digest = 2, .hash_len = 32 },
		{ .digest = UINT32_MAX, .hash_len = 32 },
		{ .hash_len = 0 },
		{ .hash_len = 31 },
		{ .hash_len = 33 },
		{ .hash_len = 64 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { 0 };

		print_message("key %u digest %u length %zu\n", cases[i].key, cases[i].digest,
			      cases[i].hash_len);
		msg_sign_put(&w, &cases[i]);
		expect_refused(NET_SIGN, MON_NET, MON_KEX, &w, 0,
			       "The net process wanted something signed");
	}
}

static void test_bad_values(void **state)
{
	_cleanup_free_ char *name = malloc(MSG_MAX_USER + 2);
	struct chan_writer w = { 0 };

	/* A user name that is too long, and one that goes on behind a NUL. */
	memset(name, 'a', MSG_MAX_USER + 1);
	name[MSG_MAX_USER + 1] = '\0';
	chan_put_string(&w, name);
	expect_refused(NET_AUTHORIZE, MON_NET, MON_KEX, &w, 0, "Message 0x182 of the net");
	chan_put_bytes(&w, "alice\0root", 10);
	expect_refused(NET_AUTHORIZE, MON_NET, MON_KEX, &w, 0, "Message 0x182 of the net");
	/* A level that syslog does not have. */
	chan_put_u32(&w, 8);
	chan_put_string(&w, "x");
	expect_refused(NET_LOG, MON_NET, MON_KEX, &w, 0, "Message 0x185 of the net");
}

/* ---- what is no message ---- */

static void expect_no_message(const void *data, size_t len, size_t n_fds)
{
	char space[CMSG_SPACE(sizeof(int) * 16)] = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	if (n_fds > 0) {
		struct cmsghdr *cmsg = (struct cmsghdr *)space;

		mh.msg_control = space;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS };
	}
	assert_int_equal(sendmsg(s.net.channel, &mh, MSG_NOSIGNAL), len);
	stage_end_with_leader(&s, "The net process sent something that is no message");
}

static void test_no_message(void **state)
{
	_cleanup_free_ char *big = calloc(1, CHAN_MAX_PAYLOAD + 5);

	/* Less than a type; more than the limit; more descriptors than there is room for. */
	expect_no_message("\0\0\1", 3, 0);
	expect_no_message(big, CHAN_MAX_PAYLOAD + 5, 0);
	expect_no_message("\0\0\1\205", 4, 4);
	expect_no_message("\0\0\1\205", 4, 16);
}

/* ---- channels ---- */

static void start(struct stage *s, uint32_t channel)
{
	struct chan_writer w = { 0 };

	msg_start_put(&w, &(struct msg_start){ .channel = channel, .kind = START_SHELL });
	stage_send(s->net.channel, NET_START, &w, NULL, 0);
}

static void hang_up(struct stage *s, uint32_t channel)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, channel);
	stage_send(s->net.channel, NET_HANGUP, &w, NULL, 0);
}

static void test_duplicate_channel(void **state)
{
	/* waiting, starting, running, detached */
	for (int how = 0; how < 4; how++) {
		struct stage s;

		print_message("case %d\n", how);
		stage_reach(&s, how == 0 ? MON_OPENING : MON_OPEN);
		if (how == 0)
			start(&s, RUNNING);
		else
			stage_start_channel(&s, RUNNING);
		if (how >= 2)
			stage_run_channel(&s, RUNNING);
		if (how == 3) {
			hang_up(&s, RUNNING);
			stage_skip(s.user, USER_HANGUP);
		}
		start(&s, RUNNING);
		stage_end_with_leader(&s, "Message 0x183 of the net process was refused");
	}
}

/* One beyond the limit is told so, and nothing else suffers. */
static void test_too_many_sessions(void **state)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nMaxSessions=2\n" };
	struct stage s;

	stage_reach_with(&s, &options, NULL, MON_OPENING);
	start(&s, 0);
	start(&s, 1);
	start(&s, 2);
	stage_skip(s.net.channel, NET_START_FAILED);
	stage_open(&s);
	stage_skip(s.user, USER_START);
	stage_skip(s.user, USER_START);
	stage_expect_silence(s.user, 50000);
	/* A program that the client left behind does not count. */
	hang_up(&s, 0);
	stage_skip(s.user, USER_HANGUP);
	stage_start_channel(&s, 3);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

static void test_too_many_variables(void **state)
{
	static char name[] = "LC_ALL", value[] = "C";
	const struct stage_options options = { .ceiling = "SSH=yes\nMaxEnv=2\n" };
	struct msg_start start_msg = { .kind = START_SHELL, .n_env = 3 };
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach_with(&s, &options, NULL, MON_OPENING);
	for (size_t i = 0; i < start_msg.n_env; i++)
		start_msg.env[i] = (struct msg_env){ name, value };
	msg_start_put(&w, &start_msg);
	stage_send(s.net.channel, NET_START, &w, NULL, 0);
	stage_end_with_leader(&s, "Message 0x183 of the net process was refused");
}

static void test_hangups(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	/* Of a channel that is unknown: it may just have ended. */
	hang_up(&s, 4711);
	stage_start_channel(&s, RUNNING);
	hang_up(&s, RUNNING);
	stage_skip(s.user, USER_HANGUP);
	stage_expect_silence(s.user, 50000);
	/* Twice: no honest process does that. */
	hang_up(&s, RUNNING);
	stage_end_with_leader(&s, "Message 0x184 of the net process was refused");
}

/* ---- one that does not read, hangs up, dies ---- */

static void test_net_does_not_read(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	/* Each start beyond the limit gets an answer that nobody takes. */
	for (uint32_t n = 0; n < 2000; n++)
		start(&s, n);
	stage_end_with_leader(&s, "The net process does not take its messages");
}

static void test_hang_up_in_every_state(void **state)
{
	for (enum mon_state at = MON_START; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		s.net.channel = close_fd(s.net.channel);
		stage_end_with_leader(&s, NULL);
	}
}

static void test_die_in_every_state(void **state)
{
	for (enum mon_state at = MON_START; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		kill(s.net.hello.pid, SIGSYS);
		stage_end_with_leader(
			&s, "The net process made a system call that its sandbox forbids");
	}
}

/* Also if the end of its channel is seen first. */
static void test_crash_is_the_reason(void **state)
{
	for (enum mon_state at = MON_START; at <= MON_OPEN; at++) {
		struct stage s;
		char end;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		stage_stop_monitor(&s);
		kill(s.net.hello.pid, SIGABRT);
		assert_int_equal(recv(s.net.control, &end, 1, 0), 0);
		s.net.channel = close_fd(s.net.channel);
		stage_continue_monitor(&s);
		stage_end_with_leader(&s, ": the network process crashed\n");
	}
}

/* The agent's yes comes for a client that is gone: nothing is started any more. */
static void test_gone_before_the_answer(void **state)
{
	struct stage s;

	stage_reach(&s, MON_ASKING);
	s.net.channel = close_fd(s.net.channel);
	usleep(50000);
	stage_agent_accepts(&s, NULL, NULL);
	usleep(50000);
	stage_end_without(&s, "Accepted login");
}

/* Its end takes nothing any more: the verdict cannot be told, which is the end; for good. */
static void test_deaf_before_the_verdict(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_ACCOUNT);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	assert_int_equal(shutdown(s.net.channel, SHUT_RD), 0);
	put_account_result(&w);
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	stage_skip(s.leader.channel, LEADER_CLOSE);
	stage_tell_puppet(&s.leader, PUPPET_EXIT);
	stage_end_without(&s, "ending -> ");
}

/* ---- the leader ---- */

/* Why there will be no session, in the words that the state asks for. */
static void expect_reason(struct stage *s, enum mon_state at)
{
	struct chan_msg msg;

	if (at == MON_OPEN)
		return;
	msg = stage_expect(s->net.channel, at == MON_ACCOUNT ? NET_AUTH_RESULT : NET_END);
	assert_non_null(memmem(msg.data, msg.len, "see this host's journal", 23));
	chan_msg_done(&msg);
}

static void test_leader_dies_in_every_state(void **state)
{
	for (enum mon_state at = MON_ACCOUNT; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		stage_tell_puppet(&s.leader, PUPPET_FORK);
		kill(s.leader.hello.pid, SIGKILL);
		s.leader.control = close_fd(s.leader.control);
		expect_reason(&s, at);
		if (at == MON_ACCOUNT)
			stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end(&s, NULL);
	}
}

static void test_leader_hangs_up(void **state)
{
	for (enum mon_state at = MON_ACCOUNT; at <= MON_OPEN; at++) {
		struct stage s;

		print_message("state %d\n", at);
		stage_reach(&s, at);
		s.leader.channel = close_fd(s.leader.channel);
		expect_reason(&s, at);
		stage_tell_puppet(&s.leader, PUPPET_EXIT);
		stage_end(&s, NULL);
	}
}

static void test_leader_cannot_open(void **state)
{
	struct chan_writer w = { 0 };
	_cleanup_free_ char *notice = NULL;
	struct chan_msg msg;
	struct stage s;

	stage_reach(&s, MON_OPENING);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	chan_put_u8(&w, 0);
	chan_put_string(&w, "no home directory");
	stage_send(s.leader.channel, LEADER_OPENED, &w, NULL, 0);
	msg = stage_expect(s.net.channel, NET_END);
	assert_int_equal(msg_text_get(&msg, MSG_MAX_TEXT, &notice), 0);
	assert_non_null(strstr(notice, "no home directory"));
	chan_msg_done(&msg);
	stage_end_with_leader(&s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_illegal_messages),
		ON_STAGE(test_legal_messages),
		ON_STAGE(test_second_signature_before_login),
		ON_STAGE(test_signatures_after_login),
		ON_STAGE(test_proofs),
		ON_STAGE(test_bad_proofs),
		ON_STAGE(test_many_signatures),
		ON_STAGE(test_signatures_side_by_side),
		ON_STAGE(test_too_many_log_lines),
		ON_STAGE(test_malformed),
		ON_STAGE(test_bad_signature_requests),
		ON_STAGE(test_bad_values),
		ON_STAGE(test_no_message),
		ON_STAGE(test_duplicate_channel),
		ON_STAGE(test_too_many_sessions),
		ON_STAGE(test_too_many_variables),
		ON_STAGE(test_hangups),
		ON_STAGE(test_net_does_not_read),
		ON_STAGE(test_hang_up_in_every_state),
		ON_STAGE(test_die_in_every_state),
		ON_STAGE(test_crash_is_the_reason),
		ON_STAGE(test_gone_before_the_answer),
		ON_STAGE(test_deaf_before_the_verdict),
		ON_STAGE(test_leader_dies_in_every_state),
		ON_STAGE(test_leader_hangs_up),
		ON_STAGE(test_leader_cannot_open),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
