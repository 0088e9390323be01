/*
 * What the monitor makes of a client's wishes: which program is run for a shell, a command or sftp,
 * with which variables; and which signals reach it.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "sshgw/monitor/dispatch.h"
#include "sshgw/monitor/signing.h"
#include "tests/privsep/stage.h"

#define FORCED "/usr/bin/backup"
#define LEASE_OPTIONS \
	",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,\"remote\":false},"
#define FORCES LEASE_OPTIONS "\"acceptEnv\":[\"*\"],\"forceCommand\":\"" FORCED "\"}"

/* ---- programs ---- */

static void test_environment_is_filtered(void **state)
{
	static char command[] = "true", value[] = "v", preload[] = "LD_PRELOAD", lang[] = "LANG",
		    git[] = "GIT_DIR", other[] = "OTHER";
	struct msg_start start = {
		.kind = START_EXEC,
		.command = command,
		.env = { { preload, value }, { lang, value }, { other, value }, { git, value } },
		.n_env = 4
	};
	struct stage s;

	stage_reach(&s, MON_OPEN);
	start = stage_start(&s, &start);
	assert_int_equal(start.n_env, 2);
	assert_string_equal(start.env[0].name, "LANG");
	assert_string_equal(start.env[1].name, "GIT_DIR");
	msg_start_done(&start);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

static void expect_forced(struct stage *s, const struct msg_start *start, const char *original)
{
	struct msg_start seen = stage_start(s, start);

	assert_int_equal(seen.kind, START_EXEC);
	assert_string_equal(seen.command, FORCED);
	assert_int_equal(seen.n_env, original ? 1 : 0);
	if (original) {
		assert_string_equal(seen.env[0].name, "SSH_ORIGINAL_COMMAND");
		assert_string_equal(seen.env[0].value, original);
	}
	msg_start_done(&seen);
}

static void test_forced_command(void **state)
{
	static char command[] = "rm -rf /", value[] = "forged", name[] = "SSH_ORIGINAL_COMMAND",
		    editor[] = "EDITOR";
	struct stage s;

	stage_log_in(&s, "SSH=yes\nSftpServer=/opt/sftp-server\n", FORCES);
	expect_forced(&s,
		      &(struct msg_start){ .channel = 1,
					   .kind = START_EXEC,
					   .command = command,
					   .env = { { name, value }, { editor, value } },
					   .n_env = 2 },
		      "rm -rf /");
	expect_forced(&s, &(struct msg_start){ .channel = 2, .kind = START_SHELL }, NULL);
	/* Whether there is such a program does not matter: it is not run. */
	expect_forced(&s, &(struct msg_start){ .channel = 3, .kind = START_SFTP },
		      "/opt/sftp-server");
	stage_log_out(&s, NULL);
}

static void test_forced_command_without_sftp(void **state)
{
	struct stage s;

	stage_log_in(&s, "SSH=yes\nSftpServer=none\n", FORCES);
	expect_forced(&s, &(struct msg_start){ .kind = START_SFTP },
		      "/usr/lib/openssh/sftp-server");
	stage_log_out(&s, NULL);
}

/* ---- sftp and nothing else ---- */

#define SFTP_ONLY LEASE_OPTIONS "\"acceptEnv\":[\"*\"],\"forceCommand\":\"internal-sftp\"}"

static void expect_sftp(struct stage *s, const struct msg_start *start, const char *original)
{
	struct msg_start seen = stage_start(s, start);

	assert_int_equal(seen.kind, START_SFTP);
	assert_string_equal(seen.command, "/bin/true");
	assert_false(seen.has_pty);
	assert_int_equal(seen.n_env, original ? 1 : 0);
	if (original) {
		assert_string_equal(seen.env[0].name, "SSH_ORIGINAL_COMMAND");
		assert_string_equal(seen.env[0].value, original);
	}
	msg_start_done(&seen);
	stage_run_channel(s, start->channel);
}

/* Whatever is asked for: the server, no shell, no terminal. */
static void test_sftp_only(void **state)
{
	static char command[] = "rm -rf /", term[] = "xterm", value[] = "forged",
		    name[] = "SSH_ORIGINAL_COMMAND";
	struct stage s;

	stage_log_in(&s, "SSH=yes\nSftpServer=/bin/true\n", SFTP_ONLY);
	expect_sftp(&s, &(struct msg_start){ .channel = 1, .kind = START_SFTP }, "/bin/true");
	expect_sftp(&s,
		    &(struct msg_start){ .channel = 2,
					 .kind = START_EXEC,
					 .command = command,
					 .env = { { name, value } },
					 .n_env = 1 },
		    "rm -rf /");
	expect_sftp(&s, &(struct msg_start){ .channel = 3, .kind = START_SHELL }, NULL);
	expect_sftp(&s,
		    &(struct msg_start){ .channel = 4,
					 .kind = START_SHELL,
					 .has_pty = true,
					 .pty = { .term = term, .columns = 80, .rows = 24 } },
		    NULL);
	stage_log_out(&s, "Starting sftp as alice, in place of a shell");
}

/* The client of one whose server is not there gets nothing else in its place. */
static void test_sftp_only_without_a_server(void **state)
{
	static const struct {
		const char *ceiling, *reason;
	} cases[] = {
		{ "SSH=yes\nSftpServer=none\n", "switched off" },
		{ "SSH=yes\nSftpServer=/no/such\n", "has no sftp-server" },
	};
	static const enum start_kind kinds[] = { START_SFTP, START_EXEC, START_SHELL };
	static char command[] = "id";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		stage_log_in(&s, cases[i].ceiling, SFTP_ONLY);
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			struct msg_start start = { .channel = 7, .kind = kinds[k] };
			_cleanup_free_ char *reason = NULL;
			struct chan_writer w = { 0 };
			struct chan_msg msg;
			uint32_t channel;

			start.command = kinds[k] == START_EXEC ? command : NULL;
			msg_start_put(&w, &start);
			stage_send(s.net.channel, NET_START, &w, NULL, 0);
			msg = stage_expect(s.net.channel, NET_START_FAILED);
			assert_int_equal(msg_channel_text_get(&msg, &channel, &reason), 0);
			assert_non_null(strstr(reason, cases[i].reason));
			chan_msg_done(&msg);
			stage_expect_silence(s.user, 20000);
		}
		stage_log_out(&s, NULL);
	}
}

static void test_sftp(void **state)
{
	static char name[] = "LANG", value[] = "C";
	struct msg_start seen;
	struct stage s;

	stage_log_in(&s, "SSH=yes\nSftpServer=/bin/true\n", NULL);
	seen = stage_start(&s, &(struct msg_start){ .channel = 7,
						    .kind = START_SFTP,
						    .env = { { name, value } },
						    .n_env = 1 });
	assert_int_equal(seen.channel, 7);
	assert_int_equal(seen.kind, START_SFTP);
	assert_string_equal(seen.command, "/bin/true");
	assert_int_equal(seen.n_env, 1);
	msg_start_done(&seen);
	stage_log_out(&s, "Starting sftp as alice");
}

static void test_no_sftp(void **state)
{
	static const struct {
		const char *ceiling, *reason, *log;
	} cases[] = {
		{ "SSH=yes\nSftpServer=none\n", "switched off", "alice asked for sftp, which is" },
		{ "SSH=yes\nSftpServer=/no/such\n", "has no sftp-server",
		  "alice asked for sftp, and there is no sftp-server" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *reason = NULL;
		struct chan_writer w = { 0 };
		struct chan_msg msg;
		uint32_t channel;
		struct stage s;

		stage_log_in(&s, cases[i].ceiling, NULL);
		msg_start_put(&w, &(struct msg_start){ .channel = 7, .kind = START_SFTP });
		stage_send(s.net.channel, NET_START, &w, NULL, 0);
		msg = stage_expect(s.net.channel, NET_START_FAILED);
		assert_int_equal(msg_channel_text_get(&msg, &channel, &reason), 0);
		assert_int_equal(channel, 7);
		assert_non_null(strstr(reason, cases[i].reason));
		chan_msg_done(&msg);
		/* The channel is as if it had never been, and everything else works. */
		stage_start_channel(&s, 7);
		stage_log_out(&s, cases[i].log);
	}
}

/* A net process that brings a path of its own along. */
static void test_program_of_its_own(void **state)
{
	static const enum start_kind kinds[] = { START_SFTP, START_SHELL };
	static char path[] = "/bin/sh";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct chan_writer w = { 0 };
		struct stage s;

		stage_reach(&s, MON_OPEN);
		msg_start_put(&w, &(struct msg_start){ .kind = kinds[i], .command = path });
		stage_send(s.net.channel, NET_START, &w, NULL, 0);
		stage_end_with_leader(&s, "Message 0x183 of the net process was refused");
	}
}

/* ---- records ---- */

static void send_count(struct stage *s)
{
	struct chan_writer w = { 0 };

	msg_session_end_put(&w, &(struct msg_session_end){ 7, 1111, 2222 });
	stage_send(s->net.channel, NET_SESSION_END, &w, NULL, 0);
}

static void send_exit(struct stage *s)
{
	struct chan_writer w = { 0 };

	msg_exited_put(&w, &(struct msg_exited){ .channel = 7, .value = 3 });
	stage_send(s->user, USER_EXITED, &w, NULL, 0);
}

/* How many bytes and which status: the record waits for both, and for no more than there can be. */
static void test_record_of_the_end(void **state)
{
	static const struct {
		const char *order, *log;
		bool refused;
	} cases[] = {
		{ "cx", ", 1111 bytes to the client, 2222 from it\n" },
		{ "xc", ", 1111 bytes to the client, 2222 from it\n" },
		{ "cxc", "Session of alice (exec) ended with status 3 after 0." },
		{ "hx", ", ? bytes to the client, ? from it\n" },
		{ "x", "Session of alice (exec) ended with status 3 after 0." },
		/* The program goes on, for all that is known. */
		{ "c", "Session of alice (exec) ended with its connection after 0." },
		{ "hc", "Session of alice (exec) ended with its channel after 0." },
		/* Twice of one that runs. */
		{ "cc", "of the net process was refused", .refused = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("%s\n", cases[i].order);
		stage_reach(&s, MON_OPEN);
		stage_start_channel(&s, 7);
		stage_run_channel(&s, 7);
		for (const char *p = cases[i].order; *p; p++) {
			struct chan_writer w = { 0 };

			if (*p == 'c') {
				send_count(&s);
			} else if (*p == 'x') {
				send_exit(&s);
				if (p == cases[i].order || p[-1] == 'c')
					stage_skip(s.net.channel, NET_EXITED);
			} else {
				chan_put_u32(&w, 7);
				stage_send(s.net.channel, NET_HANGUP, &w, NULL, 0);
				stage_skip(s.user, USER_HANGUP);
			}
		}
		/* What was sent last is read although its sender is gone. */
		if (!cases[i].refused)
			stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end_with_leader(&s, cases[i].log);
	}
}

/* That one reads nothing any more is no reason to kill what nohup left running: it has just ended.
 */
static void test_program_ends_after_the_net_process(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_start_channel(&s, 7);
	stage_run_channel(&s, 7);
	/* So that it reads of the program before it comes to the end of the net process. */
	stage_stop_monitor(&s);
	send_count(&s);
	s.net.channel = close_fd(s.net.channel);
	send_exit(&s);
	/* While it is there to be told: once it is known that it has hung up, it is killed. */
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_continue_monitor(&s);
	stage_leader_closes(&s);
	stage_end_with_and_without(&s, "Session of alice (exec) ended with status 3",
				   "does not take its messages");
}

/* What has begun in the journal ends there. */
static void test_record_of_what_did_not_start(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_start_channel(&s, 7);
	chan_put_u32(&w, 7);
	chan_put_string(&w, "no terminal is left");
	stage_send(s.user, USER_START_FAILED, &w, NULL, 0);
	stage_skip(s.net.channel, NET_START_FAILED);
	stage_log_out(&s, "Session of alice (exec) could not be started: no terminal is left\n"
			  "\tREASON=no terminal is left\n");
}

/* Whatever a client starts and ends, the journal takes only so much of it; how much, it says. */
static void test_flood_of_records(void **state)
{
	for (int one_more = 0; one_more <= 1; one_more++) {
		struct stage s;

		stage_reach(&s, MON_OPEN);
		for (int i = 0; i < 500; i++) {
			stage_start_channel(&s, 7);
			stage_run_channel(&s, 7);
			send_count(&s);
			send_exit(&s);
			stage_skip(s.net.channel, NET_EXITED);
		}
		/* As many of 1000 records as time has paid back; then one more, or none. */
		usleep(one_more ? 200000 : 0);
		if (one_more)
			stage_start_channel(&s, 7);
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end_with_leader(&s, " records of sessions are left out, there were too many");
	}
}

/* What is refused comes out of the same budget. */
static void test_flood_of_refusals(void **state)
{
	static char value[MSG_MAX_ENV_VALUE + 2];
	const struct {
		const char *ceiling, *more;
		struct msg_start start;
	} cases[] = {
		{ "SSH=yes\nSftpServer=none\n", NULL, { .kind = START_SFTP } },
		{ "SSH=yes\nSftpServer=/no/such\n", NULL, { .kind = START_SFTP } },
		{ NULL, FORCES, { .kind = START_EXEC, .command = value } },
	};

	memset(value, 'x', sizeof(value) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		stage_log_in(&s, cases[i].ceiling, cases[i].more);
		for (int n = 0; n < 800; n++) {
			struct chan_writer w = { 0 };

			msg_start_put(&w, &cases[i].start);
			stage_send(s.net.channel, NET_START, &w, NULL, 0);
			stage_skip(s.net.channel, NET_START_FAILED);
		}
		/* As many as time has paid back; then one more. */
		usleep(200000);
		stage_start_channel(&s, 7);
		stage_log_out(&s, " records of sessions are left out, there were too many");
	}
}

/* ---- signals ---- */

#define CHANNEL 7u

static void send_signal(struct stage *s, uint32_t number)
{
	struct chan_writer w = { 0 };

	msg_signal_put(&w, &(struct msg_signal){ .channel = CHANNEL, .number = number });
	stage_send(s->net.channel, NET_SIGNAL, &w, NULL, 0);
}

static void expect_signal(struct stage *s, uint32_t number)
{
	struct chan_msg msg = stage_expect(s->user, USER_SIGNAL);
	struct msg_signal signal;

	assert_int_equal(msg_signal_get(&msg, &signal), 0);
	assert_int_equal(signal.channel, CHANNEL);
	assert_int_equal(signal.number, number);
	chan_msg_done(&msg);
}

static void test_signals(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_OPEN);
	/* Of a program that has ended, or never was: it may have been under way. */
	send_signal(&s, SIGTERM);
	stage_expect_silence(s.user, 50000);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	send_signal(&s, SIGINT);
	expect_signal(&s, SIGINT);
	send_signal(&s, SIGKILL);
	expect_signal(&s, SIGKILL);
	msg_exited_put(&w, &(struct msg_exited){ .channel = CHANNEL });
	stage_send(s.user, USER_EXITED, &w, NULL, 0);
	stage_skip(s.net.channel, NET_EXITED);
	send_signal(&s, SIGTERM);
	stage_expect_silence(s.user, 50000);
	stage_log_out(&s, NULL);
}

/* As with sshd: who has put another program there does not expect them. */
static void test_signals_that_are_not_for_clients(void **state)
{
	static const struct {
		const char *more;
		enum start_kind kind;
	} cases[] = { { FORCES, START_SHELL },
		      { FORCES, START_SFTP },
		      { SFTP_ONLY, START_SHELL },
		      { SFTP_ONLY, START_SFTP },
		      { NULL, START_SFTP } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg_start seen;
		struct stage s;

		stage_log_in(&s, "SSH=yes\nSftpServer=/bin/true\n", cases[i].more);
		seen = stage_start(
			&s, &(struct msg_start){ .channel = CHANNEL, .kind = cases[i].kind });
		msg_start_done(&seen);
		stage_run_channel(&s, CHANNEL);
		send_signal(&s, SIGKILL);
		stage_expect_silence(s.user, 50000);
		stage_log_out(&s, "A signal is not delivered");
	}
}

/* An honest net process knows that nothing runs there. */
static void test_signals_at_the_wrong_time(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct chan_writer w = { 0 };
		struct stage s;

		stage_reach(&s, MON_OPEN);
		stage_start_channel(&s, CHANNEL);
		if (how == 1) {
			stage_run_channel(&s, CHANNEL);
			chan_put_u32(&w, CHANNEL);
			stage_send(s.net.channel, NET_HANGUP, &w, NULL, 0);
			stage_skip(s.user, USER_HANGUP);
		}
		send_signal(&s, SIGTERM);
		stage_end_with_leader(&s, "Message 0x186 of the net process was refused");
	}
}

/* A flood does no harm: neither to the user process, which may be slow, nor to the login. */
static void test_flood_of_signals(void **state)
{
	struct chan_writer w = { 0 };
	uint32_t type = USER_SIGNAL;
	struct stage s;
	int n = -1;

	stage_reach(&s, MON_OPEN);
	stage_start_channel(&s, CHANNEL);
	stage_run_channel(&s, CHANNEL);
	for (int i = 0; i < 2000; i++)
		send_signal(&s, SIGUSR1);
	chan_put_u32(&w, CHANNEL);
	stage_send(s.net.channel, NET_HANGUP, &w, NULL, 0);
	for (; type == USER_SIGNAL; n++) {
		struct chan_msg msg = { 0 };

		assert_int_equal(chan_receive_wait(s.user, STAGE_TIMEOUT_USEC, &msg), 0);
		type = msg.type;
		chan_msg_done(&msg);
	}
	assert_int_equal(type, USER_HANGUP);
	assert_in_range(n, 64, 1500);
	stage_log_out(&s, NULL);
}

/* ---- a connection that goes on for weeks ---- */

static void say_to(struct monitor *m, uint32_t type, struct chan_writer *w)
{
	int pair[2];
	struct chan_msg msg;

	assert_int_equal(chan_pair(pair), 0);
	stage_send(pair[0], type, w, NULL, 0);
	msg = stage_expect(pair[1], type);
	assert_int_equal(dispatch(m, MON_NET, &msg), 0);
	chan_msg_done(&msg);
	stage_close(pair, 2);
}

/* A client that exchanges keys each MiB, or signals all the time, does not break the protocol. */
static void test_no_number_is_too_large(void **state)
{
	static const uint32_t limits[] = { 1u << 20, UINT32_MAX };
	struct chan_writer w;
	int pair[2];

	assert_int_equal(chan_pair(pair), 0);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct monitor m = {
			.state = MON_OPEN,
			.peers = { { .name = "net" }, { 0 }, { 0 }, { .fd = pair[0] } },
		};

		for (size_t j = 0; j < MON_MAX_HANDLERS; j++)
			m.uses[j] = limits[i];
		assert_int_equal(loop_new(&m.loop), 0);
		assert_int_equal(signing_init(&m), 0);
		w = (struct chan_writer){ 0 };
		msg_signal_put(&w, &(struct msg_signal){ .channel = 1, .number = SIGTERM });
		say_to(&m, NET_SIGNAL, &w);
		w = (struct chan_writer){ 0 };
		msg_sign_put(&w, &(struct msg_sign){ .digest = 5, .hash_len = 32 });
		say_to(&m, NET_SIGN, &w);
		stage_skip(pair[1], KEYS_SIGN);
		signing_done(&m);
		loop_free(m.loop);
	}
	stage_close(pair, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_environment_is_filtered),
		ON_STAGE(test_forced_command),
		ON_STAGE(test_forced_command_without_sftp),
		ON_STAGE(test_sftp_only),
		ON_STAGE(test_sftp_only_without_a_server),
		ON_STAGE(test_sftp),
		ON_STAGE(test_no_sftp),
		ON_STAGE(test_program_of_its_own),
		ON_STAGE(test_record_of_the_end),
		ON_STAGE(test_program_ends_after_the_net_process),
		ON_STAGE(test_record_of_what_did_not_start),
		ON_STAGE(test_flood_of_records),
		ON_STAGE(test_flood_of_refusals),
		ON_STAGE(test_signals),
		ON_STAGE(test_signals_that_are_not_for_clients),
		ON_STAGE(test_signals_at_the_wrong_time),
		ON_STAGE(test_flood_of_signals),
		cmocka_unit_test(test_no_number_is_too_large),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
