/*
 * What is legal works: logins of all kinds from their beginning to their end, and refusals that
 * are decisions. The net process, the leader and the user process are honest here.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "peergate-config.h"
#include "tests/privsep/stage.h"

#define CHANNEL 7

/* ---- a whole login ---- */

static char *text_of(struct chan_msg *msg)
{
	char *text = NULL;

	assert_int_equal(msg_text_get(msg, MSG_MAX_TEXT, &text), 0);
	chan_msg_done(msg);
	return text;
}

static bool status_says_logged_in(const struct stage *s)
{
	char byte = 0;

	return read(s->status, &byte, 1) == 1;
}

static void test_command_on_pipes(void **state)
{
	struct stage s;
	struct chan_writer w = { 0 };
	struct chan_msg msg;
	struct msg_exited exited;
	int fds[3], kept[3];
	char c = 'x';

	stage_reach(&s, MON_ACCOUNT);
	assert_false(status_says_logged_in(&s));
	stage_agreed(&s);
	stage_opening(&s);
	assert_true(status_says_logged_in(&s));
	stage_open(&s);
	stage_start_channel(&s, CHANNEL);

	stage_pipes(fds, kept);
	chan_put_u32(&w, CHANNEL);
	chan_put_u8(&w, 3);
	stage_send(s.user, USER_STARTED, &w, fds, 3);
	stage_close(fds, 3);
	/* The very pipes arrive at the net process. */
	msg = stage_expect(s.net.channel, NET_STARTED);
	assert_int_equal(msg.n_fds, 3);
	assert_int_equal(write(msg.fds[0], &c, 1), 1);
	assert_int_equal(read(kept[0], &c, 1), 1);
	assert_int_equal(write(kept[1], &c, 1), 1);
	assert_int_equal(read(msg.fds[1], &c, 1), 1);
	chan_msg_done(&msg);
	stage_close(kept, 3);

	msg_exited_put(&w, &(struct msg_exited){ .channel = CHANNEL, .value = 42 });
	stage_send(s.user, USER_EXITED, &w, NULL, 0);
	msg = stage_expect(s.net.channel, NET_EXITED);
	assert_int_equal(msg_exited_get(&msg, &exited), 0);
	assert_int_equal(exited.value, 42);
	chan_msg_done(&msg);
	/* The number is free again. */
	stage_start_channel(&s, CHANNEL);

	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s,
			      "Accepted login of alice@example.com (laptop) as \"alice\" by rule");
}

/* A terminal of the user's; *ret_line is "pts/N". */
static int open_terminal(uid_t owner, int *ret_slave, char line[32])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0;
	unsigned number = 0;

	assert_true(master >= 0);
	ioctl(master, TIOCSPTLCK, &unlock);
	assert_int_equal(ioctl(master, TIOCGPTN, &number), 0);
	*ret_slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(fchown(*ret_slave, owner, (gid_t)-1), 0);
	snprintf(line, 32, "pts/%u", number);
	return master;
}

static void start_on_terminal(struct stage *s, uint32_t channel)
{
	static char term[] = "xterm";
	struct msg_start start = { .channel = channel,
				   .kind = START_SHELL,
				   .has_pty = true,
				   .pty = { .term = term, .columns = 80, .rows = 24 } };
	struct chan_writer w = { 0 };
	struct chan_msg msg;

	msg_start_put(&w, &start);
	stage_send(s->net.channel, NET_START, &w, NULL, 0);
	msg = stage_expect(s->user, USER_START);
	assert_int_equal(msg_start_get(&msg, &start), 0);
	assert_true(start.has_pty);
	assert_string_equal(start.pty.term, "xterm");
	msg_start_done(&start);
	chan_msg_done(&msg);
}

/* Up to NET_STARTED, whose text is the caller's. */
static char *run_on_terminal(struct stage *s, uint32_t channel)
{
	_cleanup_close_ int slave = -1, master = -1;
	_cleanup_free_ char *login = NULL;
	struct msg_started started;
	struct chan_writer w = { 0 };
	struct chan_msg msg;
	char line[32];

	master = open_terminal(STAGE_UID, &slave, line);
	chan_put_u32(&w, channel);
	chan_put_u8(&w, 1);
	stage_send(s->user, USER_STARTED, &w, &master, 1);
	msg = stage_expect(s->leader.channel, LEADER_LOGIN);
	login = text_of(&msg);
	assert_string_equal(login, line);
	msg = stage_expect(s->net.channel, NET_STARTED);
	assert_int_equal(msg_started_get(&msg, &started), 0);
	chan_msg_done(&msg);
	return started.text;
}

static void test_shell_on_terminal(void **state)
{
	struct stage s;
	struct chan_writer w = { 0 };
	_cleanup_free_ char *motd = NULL, *nothing = NULL;

	stage_reach(&s, MON_OPEN);
	start_on_terminal(&s, CHANNEL);
	motd = run_on_terminal(&s, CHANNEL);
	assert_string_equal(motd, "Welcome\r\n");
	/* Once is enough. */
	start_on_terminal(&s, CHANNEL + 1);
	nothing = run_on_terminal(&s, CHANNEL + 1);
	assert_string_equal(nothing, "");

	/* The client closes its channel: hangup, and the record is closed when the shell ends. */
	chan_put_u32(&w, CHANNEL);
	stage_send(s.net.channel, NET_HANGUP, &w, NULL, 0);
	stage_skip(s.user, USER_HANGUP);
	msg_exited_put(&w, &(struct msg_exited){ CHANNEL, true, SIGHUP, false });
	stage_send(s.user, USER_EXITED, &w, NULL, 0);
	stage_skip(s.leader.channel, LEADER_LOGOUT);
	stage_expect_silence(s.net.channel, 50000);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "Starting a shell on a terminal as alice");
}

/* The client need not wait for PAM; its requests do. */
static void test_start_while_opening(void **state)
{
	static char command[] = "true";
	struct msg_start start = { .channel = 1, .kind = START_EXEC, .command = command };
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_OPENING);
	for (start.channel = 1; start.channel <= 3; start.channel++) {
		msg_start_put(&w, &start);
		stage_send(s.net.channel, NET_START, &w, NULL, 0);
	}
	chan_put_u32(&w, 2);
	stage_send(s.net.channel, NET_HANGUP, &w, NULL, 0);
	stage_expect_silence(s.user, 50000);
	stage_open(&s);
	for (int i = 0; i < 2; i++) {
		struct chan_msg msg = stage_expect(s.user, USER_START);

		assert_int_equal(msg_start_get(&msg, &start), 0);
		assert_int_not_equal(start.channel, 2);
		msg_start_done(&start);
		chan_msg_done(&msg);
	}
	stage_expect_silence(s.user, 50000);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* ---- the policy agrees, and the client has still to finish its method ---- */

/* Nobody has logged in, and no session is opened. */
static void expect_nothing_begun(struct stage *s)
{
	stage_expect_silence(s->leader.channel, 100000);
	assert_false(status_says_logged_in(s));
}

static void test_client_stops_after_the_yes(void **state)
{
	struct stage s;

	stage_reach(&s, MON_AGREED);
	expect_nothing_begun(&s);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_skip(s.leader.channel, LEADER_CLOSE);
	stage_tell_puppet(&s.leader, PUPPET_EXIT);
	stage_end(&s, "ended (no-login)");
}

/* The time of logins is that of this one, too; afterwards it does not count. */
static void test_grace_after_the_yes(void **state)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nLoginGraceTime=3s\n" };
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);

	for (int finishes = 0; finishes <= 1; finishes++) {
		struct stage s;

		stage_reach_with(&s, &options, NULL, MON_AGREED);
		if (finishes) {
			stage_opening(&s);
			stage_expect_silence(s.net.channel, 4500000);
			stage_open(&s);
			stage_start_channel(&s, CHANNEL);
			stage_log_out(&s, "ended (logged-in)");
			continue;
		}
		stage_skip(s.leader.channel, LEADER_CLOSE);
		assert_true(clock_usec(CLOCK_MONOTONIC) - begin >= 3000000);
		stage_tell_puppet(&s.leader, PUPPET_EXIT);
		stage_end(&s, "ended (no-login) after");
	}
}

/* What the rule allows is for the session. */
static void test_duration_begins_with_the_login(void **state)
{
	static const char more[] =
		",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,"
		"\"remote\":false},\"acceptEnv\":[],\"maxDurationUsec\":1000000}";
	struct chan_msg msg;
	struct stage s;

	stage_reach_with(&s, NULL, more, MON_AGREED);
	stage_expect_silence(s.net.channel, 2000000);
	stage_opening(&s);
	stage_open(&s);
	msg = stage_expect(s.net.channel, NET_END);
	free(text_of(&msg));
	stage_end_with_leader(&s, "The rule's maximum duration is over");
}

/* ---- whatever address, whatever is said ---- */

static void test_ipv6(void **state)
{
	const struct stage_options options = { .local = AGENT_SELF6, .peer = AGENT_PEER6 };
	_cleanup_free_ char *call = NULL;
	struct chan_writer w = { 0 };
	struct stage s;

	stage_begin(&s, &options, true);
	stage_ready(&s);
	chan_put_string(&w, "alice");
	stage_send(s.net.channel, NET_AUTHORIZE, &w, NULL, 0);
	call = stage_hear_agent(&s);
	assert_non_null(strstr(call, "\"address\":\"fd00::2\""));
	assert_non_null(strstr(call, "\"localAddress\":\"fd00::1\""));
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	stage_agreed(&s);
	stage_opening(&s);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "Accepted");
}

/* A message of the day as long as the leader may send it: cut perhaps, but no reason to end. */
static void test_long_motd(void **state)
{
	_cleanup_free_ char *motd = malloc(MSG_MAX_TEXT + 1), *shown = NULL;
	struct stage s;

	memset(motd, 'm', MSG_MAX_TEXT);
	for (size_t i = 0; i < MSG_MAX_TEXT; i += 8)
		motd[i] = '\n';
	motd[MSG_MAX_TEXT] = '\0';
	stage_reach(&s, MON_OPENING);
	stage_leader_opens(&s, motd);
	stage_skip(s.net.channel, NET_OPENED);
	start_on_terminal(&s, CHANNEL);
	shown = run_on_terminal(&s, CHANNEL);
	assert_true(strlen(shown) > MSG_MAX_TEXT / 2);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* ---- refusals ---- */

/* The verdict is "refused", and the text has this in it. */
static void expect_refusal(struct stage *s, const char *text)
{
	struct chan_msg msg = stage_expect(s->net.channel, NET_AUTH_RESULT);
	struct msg_auth_result result;

	assert_int_equal(msg_auth_result_get(&msg, &result), 0);
	chan_msg_done(&msg);
	assert_int_equal(result.verdict, AUTH_REFUSED);
	if (!strstr(result.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result.text);
	msg_auth_result_done(&result);
	assert_false(status_says_logged_in(s));
}

#define BLAMED "the listener is told that the client misbehaved"

static const struct decision {
	const char *ceiling;	/* NULL: all is allowed */
	const char *local_user; /* of the lease; NULL: the agent refuses */
	const char *more;	/* of the lease, or the agent's whole answer */
	const char *text;
	const char *command; /* that the lease forces, or NULL */
} decisions[] = {
	{ NULL, NULL, "reply {\"state\":\"reject\",\"message\":\"no rule lets you in\"}",
	  "no rule lets you in" },
	{ NULL, NULL, "error io.peergate.Agent.NotReady", "cannot decide now" },
	{ NULL, NULL, "notify {\"state\":\"maybe\"}", "try again" },
	{ NULL, NULL, "notify {\"state\":\"keep\"}", "try again" },
	{ NULL, NULL, "notify {}", "try again" },
	{ NULL, "carol", NULL, "no such account" },
	/* The lease says: not root. */
	{ NULL, "root", NULL, "this account is root" },
	{ NULL, "toor", NULL, "this account is root" },
	{ NULL, "daemon", NULL, "not for logging in (its shell is /usr/sbin/nologin)" },
	{ NULL, "daemon", NULL, "not for logging in", "internal-sftp -R" },
	{ NULL, "daemon", NULL, "not for logging in", "/usr/lib/openssh/sftp-server" },
	{ NULL, PEERGATE_AGENT_USER, NULL, "belongs to Peergate itself" },
	{ NULL, PEERGATE_AGENT_USER, NULL, "belongs to Peergate itself", "internal-sftp" },
	{ NULL, "toor", NULL, "this account is root", "internal-sftp" },
	{ "SSH=yes\nDenyUsers=daemon\n", "daemon", NULL, "DenyUsers=", "internal-sftp" },
	/* The ceiling, which no lease exceeds. */
	{ "SSH=yes\n", "root", ",\"nonroot\":false", "PermitRootLogin=" },
	{ "SSH=yes\n", "toor", ",\"nonroot\":false", "PermitRootLogin=" },
	{ "SSH=yes\nDenyUsers=alice\n", "alice", NULL, "DenyUsers=" },
	{ "SSH=yes\nAllowUsers=bob\n", "alice", NULL, "AllowUsers=" },
};

#define OPTIONS                                                                            \
	",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,\"remote\":false}," \
	"\"acceptEnv\":[],\"forceCommand\":%s%s%s}%s"

static void decide(struct stage *s, const struct decision *d)
{
	const char *quote = d->command ? "\"" : "";
	_cleanup_free_ char *options = NULL;

	if (!d->local_user) {
		stage_tell_agent(s, d->more);
		return;
	}
	options = text_printf(OPTIONS, quote, d->command ? d->command : "null", quote,
			      d->more ? d->more : "");
	stage_agent_accepts(s, d->local_user, options);
}

static void test_decisions(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		struct stage_options options = { .ceiling = decisions[i].ceiling };
		struct stage s;

		print_message("%s, %s\n", decisions[i].text,
			      decisions[i].local_user ? decisions[i].local_user : "agent");
		stage_begin(&s, &options, true);
		stage_ready(&s);
		stage_authorize(&s);
		decide(&s, &decisions[i]);
		expect_refusal(&s, decisions[i].text);
		/* The client reads why, and leaves. */
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		/* This host's verdicts on the account are held against the client. */
		stage_end_with_leader(&s, decisions[i].local_user ? BLAMED : "Refused login");
	}
}

static void log_in_as(struct stage *s, const struct decision *d)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nSftpServer=/bin/true\n" };

	stage_begin(s, &options, true);
	stage_ready(s);
	stage_authorize(s);
	decide(s, d);
	stage_account(s);
	stage_agreed(s);
	stage_opening(s);
	stage_open(s);
}

/* One that may be there to restrict: it is not gone round, unless the rule says so. */
static void test_unusual_shell(void **state)
{
	static const struct {
		struct decision decision;
		enum start_kind kind;
		const char *log;
	} cases[] = {
		{ { .local_user = "menu" },
		  START_EXEC,
		  "Starting a command as menu, in place of sftp" },
		{ { .local_user = "menu", .command = "internal-sftp" },
		  START_SFTP,
		  "Starting sftp as menu" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg_start seen;
		struct stage s;

		log_in_as(&s, &cases[i].decision);
		seen = stage_start(&s,
				   &(struct msg_start){ .channel = CHANNEL, .kind = START_SFTP });
		assert_int_equal(seen.kind, cases[i].kind);
		assert_string_equal(seen.command, "/bin/true");
		msg_start_done(&seen);
		stage_log_out(&s, cases[i].log);
	}
}

/* An account whose shell refuses logins, which nobody runs then. */
static void test_account_for_sftp_only(void **state)
{
	static const struct decision daemon = { .local_user = "daemon",
						.command = "internal-sftp" };
	static char command[] = "id";
	struct msg_start seen;
	struct stage s;

	log_in_as(&s, &daemon);
	seen = stage_start(
		&s,
		&(struct msg_start){ .channel = CHANNEL, .kind = START_EXEC, .command = command });
	assert_int_equal(seen.kind, START_SFTP);
	assert_string_equal(seen.command, "/bin/true");
	msg_start_done(&seen);
	stage_log_out(&s, "Starting sftp as daemon, in place of a command");
}

/* Where the agent need not be asked. */
static void test_refused_without_agent(void **state)
{
	static const struct {
		const char *ceiling, *user, *text;
	} cases[] = {
		{ "SSH=no\n", "alice", "switched off" },
		{ "SSH=oops\n", "alice", "switched off" },
		{ NULL, "al\xffice", "no user name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage_options options = { .ceiling = cases[i].ceiling };
		struct chan_writer w = { 0 };
		struct stage s;

		print_message("%s\n", cases[i].text);
		stage_begin(&s, &options, true);
		stage_ready(&s);
		chan_put_string(&w, cases[i].user);
		stage_send(s.net.channel, NET_AUTHORIZE, &w, NULL, 0);
		expect_refusal(&s, cases[i].text);
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end(&s, "Refused login");
	}
}

static void test_refused_by_pam(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_ACCOUNT);
	chan_put_u8(&w, 0);
	chan_put_string(&w, "the system is going down");
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	expect_refusal(&s, "the system is going down");
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, "Refused login");
}

/* Who does not log in, and is to blame for it. */
static void test_misbehaviour(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	/* Leaves before it says who it is. */
	stage_begin(&s, &(struct stage_options){ 0 }, true);
	stage_ready(&s);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end(&s, BLAMED);
	/* Has a net process that says that it failed, when it has heard of the client. */
	stage_begin(&s, &(struct stage_options){ 0 }, true);
	stage_tell_puppet(&s.net, PUPPET_FAIL);
	stage_end_without(&s, BLAMED);
	stage_begin(&s, &(struct stage_options){ 0 }, true);
	stage_ready(&s);
	stage_tell_puppet(&s.net, PUPPET_FAIL);
	stage_end(&s, BLAMED);
	/* Says what is no SSH. */
	stage_begin(&s, &(struct stage_options){ 0 }, true);
	stage_ready(&s);
	stage_tell_puppet(&s.net, PUPPET_BREAK);
	stage_end(&s, BLAMED);
	/* Stays for too long. */
	stage_begin(&s, &(struct stage_options){ .ceiling = "SSH=yes\nLoginGraceTime=1s\n" }, true);
	stage_ready(&s);
	stage_end(&s, BLAMED);
	/* Has a net process that says what it must not. */
	stage_reach(&s, MON_OPEN);
	stage_send(s.net.channel, NET_READY, NULL, NULL, 0);
	stage_end_with_leader(&s, BLAMED);
	/* Is refused: by the host's rules; since SSH is off here. */
	stage_reach(&s, MON_ACCOUNT);
	chan_put_u8(&w, 0);
	chan_put_string(&w, "no");
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	stage_skip(s.net.channel, NET_AUTH_RESULT);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, BLAMED);
	stage_begin(&s, &(struct stage_options){ .ceiling = "SSH=no\n" }, true);
	stage_ready(&s);
	chan_put_string(&w, "alice");
	stage_send(s.net.channel, NET_AUTHORIZE, &w, NULL, 0);
	stage_skip(s.net.channel, NET_AUTH_RESULT);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_without(&s, BLAMED);
}

/* Who has logged in is known, and not kept out for how the connection ends. */
static void test_broken_after_the_login(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.net, PUPPET_BREAK);
	stage_leader_closes(&s);
	stage_end_with_and_without(&s, "the client broke the protocol", BLAMED);
}

/* Each word of this host's that is no verdict on who comes. */
static void refused_by_leader(uint8_t verdict, const char *log, bool blamed)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_ACCOUNT);
	chan_put_u8(&w, verdict);
	chan_put_string(&w, "no");
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	stage_skip(s.net.channel, NET_AUTH_RESULT);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	if (blamed)
		stage_end(&s, BLAMED);
	else
		stage_end_with_and_without(&s, log, BLAMED);
}

static void test_host_that_cannot_decide(void **state)
{
	static const struct {
		const char *order, *log;
		bool blamed;
	} cases[] = {
		{ "error io.peergate.Agent.NotReady", "REASON=agent-error" },
		{ "reply {\"state\":\"perhaps\"}", "REASON=agent-error" },
		{ "reply {\"state\":\"reject\",\"reason\":\"recorder\",\"message\":\"no\"}",
		  "REASON=recorder" },
		{ "reply {\"state\":\"reject\",\"reason\":\"host-expired\",\"message\":\"no\"}",
		  "REASON=host-expired" },
		{ "reply {\"state\":\"reject\",\"reason\":\"of-2031\",\"message\":\"no\"}",
		  "REASON=of-2031" },
		{ "reply {\"state\":\"reject\",\"reason\":\"no-rule\",\"message\":\"no\"}",
		  "REASON=no-rule", .blamed = true },
		{ "reply {\"state\":\"reject\",\"message\":\"no\"}", "REASON=policy",
		  .blamed = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("%s\n", cases[i].order);
		stage_reach(&s, MON_ASKING);
		stage_tell_agent(&s, cases[i].order);
		stage_skip(s.net.channel, NET_AUTH_RESULT);
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		if (cases[i].blamed)
			stage_end(&s, BLAMED);
		else
			stage_end_with_and_without(&s, cases[i].log, BLAMED);
	}
	refused_by_leader(VERDICT_REFUSED, "REASON=pam", true);
	refused_by_leader(VERDICT_CLOSED, "REASON=nologin", false);
	refused_by_leader(VERDICT_UNDECIDED, "REASON=pam-error", false);
}

/* It leaves, or its time is over, while this host does not decide; which takes two seconds to tell.
 */
static void leave_while_host_decides(enum mon_state at, char order, uint64_t usec, bool blamed)
{
	struct stage s;

	print_message("state %d, order %d\n", at, order);
	stage_reach(&s, at);
	usleep((useconds_t)usec);
	stage_tell_puppet(&s.net, order);
	if (at == MON_ACCOUNT)
		stage_leader_closes(&s);
	if (blamed)
		stage_end(&s, BLAMED);
	else
		stage_end_with_and_without(&s, "ended (no-login)", BLAMED);
}

static void test_host_that_does_not_decide(void **state)
{
	const struct stage_options options = { .ceiling = "SSH=yes\nLoginGraceTime=6s\n" };
	struct stage s;

	leave_while_host_decides(MON_ASKING, PUPPET_EXIT, 2500000, false);
	leave_while_host_decides(MON_ACCOUNT, PUPPET_EXIT, 2500000, false);
	/* Who does so at once would otherwise never be counted. */
	leave_while_host_decides(MON_ASKING, PUPPET_EXIT, 0, true);
	/* Breaking the protocol is not leaving; and before, it is the client's turn. */
	leave_while_host_decides(MON_ASKING, PUPPET_BREAK, 2500000, true);
	leave_while_host_decides(MON_KEX, PUPPET_EXIT, 2500000, true);

	stage_begin(&s, &options, true);
	stage_ready(&s);
	stage_authorize(&s);
	stage_end_with_and_without(&s, "No login within the grace time", BLAMED);
	stage_reach_with(&s, &options, NULL, MON_ACCOUNT);
	stage_leader_closes(&s);
	stage_end_with_and_without(&s, "No login within the grace time", BLAMED);
}

static void test_verdict_that_is_none(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_ACCOUNT);
	chan_put_u8(&w, VERDICT_LAST + 1);
	chan_put_string(&w, "");
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	stage_end_with_leader(&s, "Message 0x280 of the leader process was refused");
}

static void test_good_behaviour(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_leader_closes(&s);
	stage_end_without(&s, BLAMED);
}

/* The longest text that PAM may have to say still reaches the client. */
static void test_long_refusal(void **state)
{
	_cleanup_free_ char *text = malloc(MSG_MAX_TEXT + 1);
	struct chan_writer w = { 0 };
	struct stage s;

	memset(text, 'x', MSG_MAX_TEXT);
	text[MSG_MAX_TEXT] = '\0';
	stage_reach(&s, MON_ACCOUNT);
	chan_put_u8(&w, 0);
	chan_put_string(&w, text);
	stage_send(s.leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	expect_refusal(&s, "xxxx");
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* A client that does not leave after a refusal is made to. */
static void test_refused_and_stays(void **state)
{
	uint64_t begin;
	struct stage s;

	stage_reach(&s, MON_ASKING);
	stage_tell_agent(&s, "reply {\"state\":\"reject\",\"message\":\"no\"}");
	expect_refusal(&s, "no");
	begin = clock_usec(CLOCK_MONOTONIC);
	stage_end(&s, "Refused login");
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 1000000, 6000000);
}

/* ---- an agent that goes away before it has answered ---- */

static void restart_agent(struct stage *s)
{
	_cleanup_free_ char *path = stage_agent_path();

	fake_agent_stop(&s->agent);
	assert_int_equal(fake_agent_start(path, 0, &s->agent), 0);
}

/* The one that comes back is asked: it alone decides. */
static void test_agent_restarts_while_asked(void **state)
{
	for (int accepts = 0; accepts <= 1; accepts++) {
		_cleanup_free_ char *call = NULL;
		struct stage s;

		stage_reach(&s, MON_ASKING);
		restart_agent(&s);
		call = stage_hear_agent(&s);
		assert_int_equal(strncmp(call, "AuthorizeSSH ", 13), 0);
		assert_non_null(strstr(call, "\"sshUser\":\"alice\""));
		if (accepts) {
			stage_agent_accepts(&s, NULL, NULL);
			stage_account(&s);
			stage_agreed(&s);
			stage_opening(&s);
			stage_open(&s);
			stage_start_channel(&s, CHANNEL);
		} else {
			stage_tell_agent(
				&s, "reply {\"state\":\"reject\",\"message\":\"not any more\"}");
			expect_refusal(&s, "not any more");
		}
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end_with_leader(&s, accepts ? "Accepted" : "Refused login");
	}
}

/* Before it is asked, too. */
static void test_agent_restarts_during_key_exchange(void **state)
{
	struct stage s;

	stage_reach(&s, MON_KEX);
	restart_agent(&s);
	usleep(100000);
	stage_authorize(&s);
	stage_agent_accepts(&s, NULL, NULL);
	stage_account(&s);
	stage_tell_puppet(&s.net, PUPPET_EXIT);
	stage_end_with_leader(&s, NULL);
}

/* Gone for good, or hung: refused with that reason, in bounded time. */
static void test_agent_never_answers(void **state)
{
	for (int hangs = 0; hangs <= 1; hangs++) {
		uint64_t begin;
		struct stage s;

		stage_reach(&s, MON_ASKING);
		begin = clock_usec(CLOCK_MONOTONIC);
		if (hangs)
			kill(s.agent.pid, SIGSTOP);
		else
			fake_agent_stop(&s.agent);
		expect_refusal(&s, "does not answer; try again");
		assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, AGENT_ANSWER_USEC / 2,
				2 * AGENT_ANSWER_USEC);
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end(&s, "Refused login");
	}
}

/* ---- who is served at all ---- */

static void test_addresses(void **state)
{
	static const struct {
		struct stage_options options;
		const char *log;
		bool blamed;
	} cases[] = {
		{ { .port = 2022 }, "did not come in through the mesh" },
		{ { .local = "127.0.0.1" }, "did not come in through the mesh" },
		{ { .local = "::1", .peer = AGENT_PEER6 }, "did not come in through the mesh" },
		{ { .peer = AGENT_SELF }, "from this host itself" },
		{ { .local = "100.64.0.3" }, "no mesh address of this host" },
		{ { .local = AGENT_PEER, .peer = "100.64.0.9" }, "no mesh address of this host" },
		{ { .peer = "100.64.0.9" }, "no peer's address", true },
		{ { .peer = "127.0.0.1" }, "no peer's address", true },
		{ { .resets = true }, "has reset the connection before it began", true },
		{ { .no_agent = true }, "does not answer, closed the connection" },
		/* Somebody else listens where the agent should. */
		{ { .agent_uid = STAGE_OTHER_UID }, "does not answer, closed the connection" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("case %zu: %s\n", i, cases[i].log);
		stage_begin(&s, &cases[i].options, false);
		if (cases[i].blamed)
			/* With a status that is the client's own, then. */
			stage_end(&s, cases[i].log);
		else
			stage_end_refused(&s, cases[i].log);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_command_on_pipes),
		ON_STAGE(test_shell_on_terminal),
		ON_STAGE(test_start_while_opening),
		ON_STAGE(test_client_stops_after_the_yes),
		ON_STAGE(test_grace_after_the_yes),
		ON_STAGE(test_duration_begins_with_the_login),
		ON_STAGE(test_ipv6),
		ON_STAGE(test_long_motd),
		ON_STAGE(test_decisions),
		ON_STAGE(test_account_for_sftp_only),
		ON_STAGE(test_unusual_shell),
		ON_STAGE(test_refused_without_agent),
		ON_STAGE(test_refused_by_pam),
		ON_STAGE(test_misbehaviour),
		ON_STAGE(test_broken_after_the_login),
		ON_STAGE(test_host_that_cannot_decide),
		ON_STAGE(test_host_that_does_not_decide),
		ON_STAGE(test_verdict_that_is_none),
		ON_STAGE(test_good_behaviour),
		ON_STAGE(test_long_refusal),
		ON_STAGE(test_refused_and_stays),
		ON_STAGE(test_addresses),
		ON_STAGE(test_agent_restarts_while_asked),
		ON_STAGE(test_agent_restarts_during_key_exchange),
		ON_STAGE(test_agent_never_answers),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
