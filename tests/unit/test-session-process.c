/*
 * The loops of the leader and of the user process, fed with what they should get and with what they
 * should not. Started by the leader under test, this program is the user process, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those above */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/msg.h"
#include "sshgw/msg_forward.h"
#include "sshgw/session/leader.h"
#include "sshgw/session/login_process.h"
#include "sshgw/session/user.h"

#define TIMEOUT_USEC (10u * 1000000u)

/* ---- a loop in a process of its own ---- */

struct peer {
	pid_t pid;
	int channel;	  /* to the loop under test */
	int user_channel; /* to the user process that a leader started, or -1 */
	char pam_dir[32];
};

static void write_pam_service(struct peer *peer)
{
	_cleanup_free_ char *path = NULL;
	FILE *f;

	strcpy(peer->pam_dir, "/tmp/test-session-XXXXXX");
	assert_non_null(mkdtemp(peer->pam_dir));
	path = text_printf("%s/test", peer->pam_dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("auth required pam_permit.so\naccount required pam_permit.so\n"
	      "session required pam_permit.so\n",
	      f);
	fclose(f);
}

_Noreturn static void run_leader(struct peer *peer, int channel)
{
	const struct leader_config config = {
		.channel = channel,
		.exe = open("/proc/self/exe", O_PATH | O_CLOEXEC),
		.pam = { .service = "test", .confdir = peer->pam_dir },
		.login_defs = "/dev/null",
		.utmp = "/no/such/utmp",
		.wtmp = "/no/such/wtmp",
		.lastlog = "/no/such/lastlog",
	};
	int r = leader_run(&config);

	close(config.exe);
	exit(r < 0 ? 1 : 0);
}

_Noreturn static void run_user(int channel)
{
	static const char *const env[] = { "HOME=/", "SHELL=/bin/sh", "PATH=/usr/bin:/bin", NULL };

	exit(user_run(channel, (char *const *)env) < 0 ? 1 : 0);
}

static void discard(void *userdata, int level, const char *text)
{
}

static void start_loop(struct peer *peer, bool leader)
{
	int ends[2];

	assert_int_equal(chan_pair(ends), 0);
	fflush(NULL);
	peer->user_channel = -1;
	peer->pid = fork();
	assert_true(peer->pid >= 0);
	if (peer->pid == 0) {
		close(ends[0]);
		log_set_sink(discard, NULL);
		if (leader)
			run_leader(peer, ends[1]);
		run_user(ends[1]);
	}
	close(ends[1]);
	peer->channel = ends[0];
}

static int set_up_leader(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	write_pam_service(peer);
	start_loop(peer, true);
	*state = peer;
	return 0;
}

static int set_up_user(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	start_loop(peer, false);
	*state = peer;
	return 0;
}

/* The exit status of the loop: 1 when it refused a message, 0 when it was asked to end. */
static int await_end(struct peer *peer)
{
	int status = 0;

	if (peer->pid > 0)
		assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
	peer->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int tear_down(void **state)
{
	struct peer *peer = *state;
	_cleanup_free_ char *path = text_printf("%s/test", peer->pam_dir);

	close_fd(peer->channel);
	close_fd(peer->user_channel);
	await_end(peer);
	if (peer->pam_dir[0]) {
		unlink(path);
		rmdir(peer->pam_dir);
	}
	free(peer);
	return 0;
}

/* ---- messages ---- */

static void send_msg(int channel, uint32_t type, struct chan_writer *w, int fd)
{
	assert_int_equal(chan_send(channel, type, w, &fd, fd >= 0 ? 1 : 0), 0);
	if (w)
		chan_writer_done(w);
}

static void receive_msg(int channel, uint32_t type, struct chan_msg *msg)
{
	assert_int_equal(chan_receive_wait(channel, TIMEOUT_USEC, msg), 0);
	assert_int_equal(msg->type, type);
}

static void assert_refused(struct peer *peer)
{
	struct chan_msg msg;

	assert_int_equal(chan_receive_wait(peer->channel, TIMEOUT_USEC, &msg), -ECONNRESET);
	assert_int_equal(await_end(peer), 1);
}

enum at { AT_START, AT_REFUSED, AT_ALLOWED, AT_RUNNING };

static const char *own_name(void)
{
	struct passwd *pw = getpwuid(getuid());

	return pw ? pw->pw_name : "nobody";
}

/* How far this account gets: PAM sessions need root, and build accounts may have no shell. */
static bool can_reach(enum at at)
{
	struct passwd *pw = getpwuid(getuid());

	if (at < AT_ALLOWED)
		return true;
	return pw && !account_shell_refuses(pw->pw_shell) && account_shell_exists(pw->pw_shell) &&
	       (at < AT_RUNNING || getuid() == 0);
}

static void put_account(struct chan_writer *w, const char *user)
{
	const struct passwd *pw = getpwnam(user);

	chan_put_string(w, user);
	chan_put_u32(w, pw ? pw->pw_uid : 0);
	chan_put_u32(w, pw ? pw->pw_gid : 0);
	chan_put_string(w, "100.64.0.2");
	chan_put_string(w, "ssh-0123abcd");
	chan_put_string(w, "alice@example.com");
}

static void put_open(struct chan_writer *w)
{
	chan_put_string(w, "100.64.0.2 5 22");
	chan_put_string(w, "100.64.0.2 5 100.64.0.1 22");
}

static bool ask_account(struct peer *peer, const char *user)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	struct chan_writer w = { 0 };
	struct chan_reader r;

	put_account(&w, user);
	send_msg(peer->channel, LEADER_ACCOUNT, &w, -1);
	receive_msg(peer->channel, LEADER_ACCOUNT_RESULT, &msg);
	r = chan_msg_reader(&msg);
	return chan_get_u8(&r) == 1;
}

/* The leader's only one. */
static pid_t child_of(pid_t pid)
{
	_cleanup_free_ char *path = text_printf("/proc/%d/task/%d/children", pid, pid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	pid_t child = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &child), 1);
	return child;
}

/* Return: the user process. */
static pid_t open_login(struct peer *peer)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	struct chan_writer w = { 0 };
	struct chan_reader r;
	int ends[2];

	assert_true(ask_account(peer, own_name()));
	assert_int_equal(chan_pair(ends), 0);
	put_open(&w);
	send_msg(peer->channel, LEADER_OPEN, &w, ends[1]);
	close(ends[1]);
	peer->user_channel = ends[0];
	receive_msg(peer->channel, LEADER_OPENED, &msg);
	r = chan_msg_reader(&msg);
	assert_int_equal(chan_get_u8(&r), 1);
	free(chan_get_string(&r, MSG_MAX_TEXT));
	assert_int_equal(chan_reader_end(&r), 0);
	return child_of(peer->pid);
}

/* ---- leader: which message is legal when ---- */

static void go_to(struct peer *peer, enum at at)
{
	switch (at) {
	case AT_START:
		return;
	case AT_REFUSED:
		assert_false(ask_account(peer, "no-such-account"));
		return;
	case AT_ALLOWED:
		assert_true(ask_account(peer, own_name()));
		return;
	case AT_RUNNING:
		open_login(peer);
		return;
	}
}

/* A message that would be fine at its time. */
static void put_socket(struct chan_writer *w)
{
	static char path[] = "/tmp/x";

	msg_socket_put(w, &(struct msg_socket){ .path = path });
}

static void send_sound(struct peer *peer, uint32_t type, bool with_fd)
{
	struct chan_writer w = { 0 };

	if (type == LEADER_ACCOUNT)
		put_account(&w, own_name());
	else if (type == LEADER_OPEN)
		put_open(&w);
	else if (type == LEADER_LOGIN || type == LEADER_LOGOUT)
		chan_put_string(&w, "pts/1");
	else if (type == LEADER_SOCKET)
		put_socket(&w);
	send_msg(peer->channel, type, &w, with_fd ? STDIN_FILENO : -1);
}

static const struct {
	enum at at;
	uint32_t type;
	bool with_fd;
} illegal[] = {
	{ AT_START, LEADER_OPEN, true },
	{ AT_START, LEADER_LOGIN, false },
	{ AT_START, LEADER_SOCKET, false },
	{ AT_START, LEADER_LOGOUT, false },
	{ AT_START, LEADER_ACCOUNT, true }, /* a descriptor too many */
	{ AT_START, LEADER_CLOSE, true },
	{ AT_START, LEADER_OPENED, false }, /* our own answer */
	{ AT_START, USER_START, false },    /* of another channel */
	{ AT_START, 0, false },
	{ AT_REFUSED, LEADER_ACCOUNT, false }, /* no second try */
	{ AT_REFUSED, LEADER_OPEN, true },
	{ AT_REFUSED, LEADER_LOGIN, false },
	{ AT_REFUSED, LEADER_SOCKET, false },
	{ AT_REFUSED, LEADER_LOGOUT, false },
	{ AT_ALLOWED, LEADER_ACCOUNT, false },
	{ AT_ALLOWED, LEADER_OPEN, false }, /* without the channel */
	{ AT_ALLOWED, LEADER_LOGIN, false },
	{ AT_ALLOWED, LEADER_LOGOUT, false },
	{ AT_ALLOWED, LEADER_SOCKET, false },
	{ AT_RUNNING, LEADER_ACCOUNT, false },
	{ AT_RUNNING, LEADER_OPEN, true },
	{ AT_RUNNING, LEADER_LOGIN, true },
	{ AT_RUNNING, LEADER_LOGOUT, true },
	{ AT_RUNNING, USER_START, false },
};

static void test_leader_refuses_what_is_out_of_order(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(illegal); i++) {
		void *one;

		if (!can_reach(illegal[i].at))
			continue;
		set_up_leader(&one);
		go_to(one, illegal[i].at);
		send_sound(one, illegal[i].type, illegal[i].with_fd);
		assert_refused(one);
		tear_down(&one);
	}
}

static void test_leader_closes_in_every_state(void **state)
{
	for (enum at at = AT_START; at <= AT_RUNNING; at++) {
		for (int by_message = 0; by_message <= 1; by_message++) {
			void *one;
			struct peer *peer;

			if (!can_reach(at))
				continue;
			set_up_leader(&one);
			peer = one;
			go_to(peer, at);
			if (by_message)
				send_sound(peer, LEADER_CLOSE, false);
			else
				peer->channel = close_fd(peer->channel);
			assert_int_equal(await_end(peer), 0);
			tear_down(&one);
		}
	}
}

static void test_leader_refuses_malformed(void **state)
{
	static const struct {
		enum at at;
		uint32_t type;
		const char *bytes;
		size_t len;
	} cases[] = {
		{ AT_START, LEADER_ACCOUNT, "", 0 },
		{ AT_START, LEADER_ACCOUNT, "\0\0\0\4root\0\0\0\0\0\0\0\0", 16 }, /* no host */
		{ AT_START, LEADER_ACCOUNT, "\0\0\0\1r\0\0\0\0\0\0\0\0\0\0\0\1h",
		  18 }, /* no name */
		{ AT_START, LEADER_ACCOUNT,
		  "\0\0\0\4ro\0t\0\0\0\0\0\0\0\0\0\0\0\1h\0\0\0\1c\0\0\0\0", 30 }, /* NUL inside */
		{ AT_START, LEADER_ACCOUNT, "\0\0\0\1r\0\0\0\0\0\0\0\0\0\0\0\1h\0\0\0\1c\0\0\0\0!",
		  28 }, /* too long */
		{ AT_START, LEADER_ACCOUNT, "\xff\xff\xff\xff", 4 },
		{ AT_START, LEADER_CLOSE, "!", 1 },
		{ AT_RUNNING, LEADER_LOGIN, "\0\0\0\4tty1", 8 },
		{ AT_RUNNING, LEADER_LOGIN, "\0\0\0\6pts/\n1", 10 },
		{ AT_RUNNING, LEADER_LOGOUT, "\0\0\0\0", 4 },
		{ AT_RUNNING, LEADER_LOGOUT, "\0\0\0", 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { .data = (uint8_t *)(uintptr_t)cases[i].bytes,
					 .len = cases[i].len };
		struct peer *peer;
		void *one;

		if (!can_reach(cases[i].at))
			continue;
		set_up_leader(&one);
		peer = one;
		go_to(peer, cases[i].at);
		assert_int_equal(chan_send(peer->channel, cases[i].type, &w, NULL, 0), 0);
		assert_refused(peer);
		tear_down(&one);
	}
}

static void test_leader_ends_with_its_user_process(void **state)
{
	struct peer *peer = *state;
	pid_t user;

	if (!can_reach(AT_RUNNING))
		skip();
	user = open_login(peer);
	assert_int_equal(kill(user, 0), 0);
	peer->user_channel = close_fd(peer->user_channel);
	assert_int_equal(await_end(peer), 0);
	assert_int_equal(kill(user, 0), -1);
}

static void test_leader_ends_on_sigterm(void **state)
{
	struct peer *peer = *state;

	if (!can_reach(AT_ALLOWED))
		skip();
	assert_true(ask_account(peer, own_name()));
	kill(peer->pid, SIGTERM);
	assert_int_equal(await_end(peer), 0);
}

static void test_leader_records_many_lines(void **state)
{
	struct peer *peer = *state;

	if (!can_reach(AT_RUNNING))
		skip();
	open_login(peer);
	/* More than there is room for, twice the same, and out that was never in: no harm. */
	for (int i = 0; i < 100; i++) {
		struct chan_writer w = { 0 };
		_cleanup_free_ char *line = text_printf("pts/%d", i % 80);

		chan_put_string(&w, line);
		send_msg(peer->channel, i < 90 ? LEADER_LOGIN : LEADER_LOGOUT, &w, -1);
	}
	send_sound(peer, LEADER_CLOSE, false);
	assert_int_equal(await_end(peer), 0);
}

/* ---- user process ---- */

static void send_start(struct peer *peer, uint32_t channel, const char *command)
{
	_cleanup_free_ char *copy = strdup(command);
	struct msg_start start = { .channel = channel, .kind = START_EXEC, .command = copy };
	struct chan_writer w = { 0 };

	assert_int_equal(msg_start_put(&w, &start), 0);
	send_msg(peer->channel, USER_START, &w, -1);
}

static void receive_started(struct peer *peer, uint32_t channel, struct chan_msg *msg)
{
	struct chan_reader r;

	receive_msg(peer->channel, USER_STARTED, msg);
	r = chan_msg_reader(msg);
	assert_int_equal(chan_get_u32(&r), channel);
	assert_int_equal(chan_get_u8(&r), 3);
	assert_int_equal(chan_reader_end(&r), 0);
	assert_int_equal(msg->n_fds, 3);
}

static void receive_exited(struct peer *peer, struct msg_exited *exited)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };

	receive_msg(peer->channel, USER_EXITED, &msg);
	assert_int_equal(msg_exited_get(&msg, exited), 0);
}

static void test_user_runs_commands(void **state)
{
	struct peer *peer = *state;
	static const struct {
		const char *command;
		bool by_signal;
		uint32_t value;
	} cases[] = {
		{ "exit 0", false, 0 },		  { "exit 3", false, 3 },
		{ "exit 255", false, 255 },	  { "kill -9 $$", true, SIGKILL },
		{ "kill -HUP $$", true, SIGHUP }, { "no-such-command", false, 127 },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
		struct msg_exited exited;

		send_start(peer, i, cases[i].command);
		receive_started(peer, i, &msg);
		receive_exited(peer, &exited);
		assert_int_equal(exited.channel, i);
		assert_int_equal(exited.by_signal, cases[i].by_signal);
		assert_int_equal(exited.value, cases[i].value);
	}
}

/* No shell comes between: its variables and words mean nothing, nor does what $SHELL would do. */
static void test_user_runs_the_sftp_server_itself(void **state)
{
	static char server[] = "/bin/pwd", words[] = "/bin/pwd -L; exit 9";
	struct peer *peer = *state;
	char out[64] = "";

	for (uint32_t i = 0; i < 2; i++) {
		struct msg_start start = { .channel = i,
					   .kind = START_SFTP,
					   .command = i == 0 ? server : words };
		_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
		struct chan_writer w = { 0 };
		struct msg_exited exited;

		assert_int_equal(msg_start_put(&w, &start), 0);
		send_msg(peer->channel, USER_START, &w, -1);
		receive_started(peer, i, &msg);
		receive_exited(peer, &exited);
		assert_false(exited.by_signal);
		assert_int_equal(exited.value, i == 0 ? 0 : 127);
		if (i == 0) {
			assert_true(read(msg.fds[1], out, sizeof(out) - 1) > 0);
			assert_string_equal(out, "/\n");
		}
	}
}

/* The client's death, for a command without a terminal: hung up, also while stopped. */
static void test_user_hangs_up(void **state)
{
	static const char *const commands[] = { "sleep 100", "kill -STOP $$; sleep 100" };
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
		struct chan_writer w = { 0 };
		struct msg_exited exited;

		send_start(peer, 5, commands[i]);
		receive_started(peer, 5, &msg);
		usleep(50000);
		chan_put_u32(&w, 5);
		send_msg(peer->channel, USER_HANGUP, &w, -1);
		receive_exited(peer, &exited);
		assert_true(exited.by_signal);
		assert_int_equal(exited.value, SIGHUP);
	}
}

static void send_signal(struct peer *peer, uint32_t channel, uint32_t number)
{
	struct chan_writer w = { 0 };

	msg_signal_put(&w, &(struct msg_signal){ channel, number });
	send_msg(peer->channel, USER_SIGNAL, &w, -1);
}

/* All that the program started in its group, as from a terminal; and no other program. */
static void test_user_signals_a_group(void **state)
{
	static const char script[] = "trap 'echo parent; wait; exit 5' USR1;"
				     "(trap 'echo child; exit' USR1; echo r; sleep 50 & wait) &"
				     "sleep 50 & wait";
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 }, other = { 0 };
	struct peer *peer = *state;
	struct msg_exited exited;
	char out[64] = "";

	send_start(peer, 1, script);
	receive_started(peer, 1, &msg);
	send_start(peer, 2, "echo r; cat; exit 6");
	receive_started(peer, 2, &other);
	assert_int_equal(read(msg.fds[1], out, 2), 2);
	assert_int_equal(read(other.fds[1], out, 2), 2);
	usleep(50000);
	/* One that there is none of any more, or never was. */
	send_signal(peer, 3, SIGKILL);
	send_signal(peer, 1, SIGUSR1);
	receive_exited(peer, &exited);
	assert_int_equal(exited.channel, 1);
	assert_int_equal(exited.by_signal, false);
	assert_int_equal(exited.value, 5);
	assert_true(read(msg.fds[1], out, sizeof(out) - 1) > 0);
	assert_non_null(strstr(out, "parent"));
	other.fds[0] = close_fd(other.fds[0]);
	receive_exited(peer, &exited);
	assert_int_equal(exited.channel, 2);
	assert_int_equal(exited.value, 6);
	send_signal(peer, 2, SIGKILL);
	chan_msg_done(&other);
	send_start(peer, 2, "exit 7");
	receive_started(peer, 2, &other);
	receive_exited(peer, &exited);
	assert_false(exited.by_signal);
}

static void test_user_ends_with_its_channel(void **state)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	struct peer *peer = *state;
	char text[16] = "";
	pid_t child;

	send_start(peer, 1, "echo $$; exec sleep 100");
	receive_started(peer, 1, &msg);
	assert_true(read(msg.fds[1], text, sizeof(text) - 1) > 0);
	child = (pid_t)atoi(text);
	assert_int_equal(kill(child, 0), 0);
	peer->channel = close_fd(peer->channel);
	assert_int_equal(await_end(peer), 0);
	/* Its output's last writer is gone: it has been hung up. */
	assert_int_equal(read(msg.fds[1], text, sizeof(text)), 0);
}

/* Also what was forked a moment ago and does not lead a process group yet. */
static void test_user_hangs_up_what_just_started(void **state)
{
	for (int i = 0; i < 50; i++) {
		_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
		struct pollfd output = { .events = POLLIN };
		struct peer *peer;
		void *one;

		set_up_user(&one);
		peer = one;
		send_start(peer, 1, "exec sleep 10");
		assert_int_equal(shutdown(peer->channel, SHUT_WR), 0);
		receive_started(peer, 1, &msg);
		assert_int_equal(await_end(peer), 0);
		output.fd = msg.fds[1];
		assert_int_equal(poll(&output, 1, 5000), 1);
		assert_int_equal(output.revents, POLLHUP);
		tear_down(&one);
	}
}

static void test_user_limits_children(void **state)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	_cleanup_free_ char *reason = NULL;
	struct peer *peer = *state;
	uint32_t channel;

	for (uint32_t i = 0; i < USER_MAX_CHILDREN; i++) {
		struct chan_msg started;

		send_start(peer, i, "exec sleep 100");
		receive_started(peer, i, &started);
		chan_msg_done(&started);
	}
	send_start(peer, USER_MAX_CHILDREN, "true");
	receive_msg(peer->channel, USER_START_FAILED, &msg);
	assert_int_equal(msg_channel_text_get(&msg, &channel, &reason), 0);
	assert_int_equal(channel, USER_MAX_CHILDREN);
	assert_non_null(strstr(reason, "Too many sessions"));
}

static void test_user_reports_a_failed_start(void **state)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	_cleanup_free_ char *name = strdup("A=B"), *value = strdup("x"), *command = strdup("true");
	struct msg_start start = { .channel = 9,
				   .kind = START_EXEC,
				   .command = command,
				   .env = { { name, value } },
				   .n_env = 1 };
	_cleanup_free_ char *reason = NULL;
	struct peer *peer = *state;
	struct chan_writer w = { 0 };
	struct chan_msg started;
	uint32_t channel;

	assert_int_equal(msg_start_put(&w, &start), 0);
	send_msg(peer->channel, USER_START, &w, -1);
	receive_msg(peer->channel, USER_START_FAILED, &msg);
	assert_int_equal(msg_channel_text_get(&msg, &channel, &reason), 0);
	assert_int_equal(channel, 9);
	/* And the next one works. */
	send_start(peer, 9, "true");
	receive_started(peer, 9, &started);
	chan_msg_done(&started);
}

static void test_user_refuses_channel_twice(void **state)
{
	_cleanup_(chan_msg_done) struct chan_msg msg = { 0 };
	struct peer *peer = *state;

	send_start(peer, 1, "sleep 100");
	receive_started(peer, 1, &msg);
	send_start(peer, 1, "sleep 100");
	assert_refused(peer);
}

static void test_user_refuses_malformed(void **state)
{
	static const struct {
		uint32_t type;
		const char *bytes;
		size_t len;
		bool with_fd;
	} cases[] = {
		{ USER_START, "", 0, false },
		{ USER_START, "\0\0\0\1\4\0\0\0\0\0\0\0\0\0", 14, false },	 /* no such kind */
		{ USER_START, "\0\0\0\1\2\0\0\0\4true\2\0\0\0\0", 18, false },	 /* no boolean */
		{ USER_START, "\0\0\0\1\2\0\0\0\4true\0\0\0\0\1", 18, false },	 /* env missing */
		{ USER_START, "\0\0\0\1\2\0\0\0\4true\0\0\0\0\x41", 18, false }, /* env too many */
		{ USER_START, "\0\0\0\1\2\0\0\0\4true\0\0\0\0\0!", 19, false },
		{ USER_START, "\0\0\0\1\2\0\0\0\4true\0\0\0\0\0", 18, true }, /* foreign fd */
		{ USER_HANGUP, "\0\0\0", 3, false },
		{ USER_HANGUP, "\0\0\0\1!", 5, false },
		{ USER_HANGUP, "\0\0\0\1", 4, true },
		{ USER_SIGNAL, "\0\0\0\1", 4, false },
		{ USER_SIGNAL, "\0\0\0\1\0\0\0\0", 8, false },	 /* no signal */
		{ USER_SIGNAL, "\0\0\0\1\0\0\0\x13", 8, false }, /* SIGSTOP */
		{ USER_SIGNAL, "\0\0\0\1\0\0\0\x0f", 8, true },
		{ USER_STARTED, "", 0, false },
		{ LEADER_CLOSE, "", 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { .data = (uint8_t *)(uintptr_t)cases[i].bytes,
					 .len = cases[i].len };
		int fd = STDIN_FILENO;
		struct peer *peer;
		void *one;

		set_up_user(&one);
		peer = one;
		assert_int_equal(chan_send(peer->channel, cases[i].type, &w, &fd, cases[i].with_fd),
				 0);
		assert_refused(peer);
		tear_down(&one);
	}
}

/* Below and above what chan.h knows; the same receiver serves both loops. */
static void test_refuse_wrong_lengths(void **state)
{
	static const size_t lengths[] = { 1, 3, 4 + CHAN_MAX_PAYLOAD + 1 };
	_cleanup_free_ char *bytes = calloc(1, 4 + CHAN_MAX_PAYLOAD + 1);

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (int leader = 0; leader <= 1; leader++) {
			struct peer *peer;
			void *one;

			(leader ? set_up_leader : set_up_user)(&one);
			peer = one;
			assert_int_equal(send(peer->channel, bytes, lengths[i], MSG_NOSIGNAL),
					 lengths[i]);
			assert_refused(peer);
			tear_down(&one);
		}
	}
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leader_refuses_what_is_out_of_order),
		cmocka_unit_test(test_leader_closes_in_every_state),
		cmocka_unit_test(test_leader_refuses_malformed),
		cmocka_unit_test_setup_teardown(test_leader_ends_with_its_user_process,
						set_up_leader, tear_down),
		cmocka_unit_test_setup_teardown(test_leader_ends_on_sigterm, set_up_leader,
						tear_down),
		cmocka_unit_test_setup_teardown(test_leader_records_many_lines, set_up_leader,
						tear_down),
		cmocka_unit_test_setup_teardown(test_user_runs_commands, set_up_user, tear_down),
		cmocka_unit_test_setup_teardown(test_user_runs_the_sftp_server_itself, set_up_user,
						tear_down),
		cmocka_unit_test_setup_teardown(test_user_hangs_up, set_up_user, tear_down),
		cmocka_unit_test_setup_teardown(test_user_signals_a_group, set_up_user, tear_down),
		cmocka_unit_test_setup_teardown(test_user_ends_with_its_channel, set_up_user,
						tear_down),
		cmocka_unit_test(test_user_hangs_up_what_just_started),
		cmocka_unit_test_setup_teardown(test_user_limits_children, set_up_user, tear_down),
		cmocka_unit_test_setup_teardown(test_user_reports_a_failed_start, set_up_user,
						tear_down),
		cmocka_unit_test_setup_teardown(test_user_refuses_channel_twice, set_up_user,
						tear_down),
		cmocka_unit_test(test_user_refuses_malformed),
		cmocka_unit_test(test_refuse_wrong_lengths),
	};

	if (argc == 3 && strcmp(argv[2], "user") == 0)
		return user_run(LOGIN_USER_CHANNEL, environ) < 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
