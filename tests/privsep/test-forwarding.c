/*
 * Forwarding, seen from the monitor: what policy, ceiling and limits allow reaches the user
 * process, and what that hands over reaches the net process if it is a connected socket. The test
 * is both.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/text.h"
#include "sshgw/msg_forward.h"
#include "tests/privsep/stage.h"
#include "tests/unit/lingering.h"

#define FORWARDING(agent, local, remote)                                                           \
	",\"options\":{\"forwarding\":{\"agent\":" agent ",\"local\":" local ",\"remote\":" remote \
	"},\"acceptEnv\":[]}"
#define ALL  FORWARDING("true", "true", "true")
#define NONE FORWARDING("false", "false", "false")

/* ---- messages ---- */

static void ask_connect(struct stage *s, uint32_t id)
{
	static char host[] = "db.example";
	struct chan_writer w = { 0 };

	msg_connect_put(&w, &(struct msg_connect){ id, FORWARD_TCP, host, 5432 });
	stage_send(s->net.channel, NET_CONNECT, &w, NULL, 0);
}

static void ask_listen(struct stage *s, uint32_t id, enum forward_kind kind)
{
	static char path[] = "/run/user/x.sock", protocol[] = "MIT-MAGIC-COOKIE-1", cookie[] = "00";
	struct chan_writer w = { 0 };
	struct msg_listen msg = { .id = id, .kind = kind };

	if (kind == FORWARD_UNIX)
		msg.address = path;
	if (kind == FORWARD_X11) {
		msg.protocol = protocol;
		msg.cookie = cookie;
	}
	msg_listen_put(&w, &msg);
	stage_send(s->net.channel, NET_LISTEN, &w, NULL, 0);
}

/* One end of a connection; the other one is *ret_kept. */
static int make_socket(int *ret_kept)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	*ret_kept = pair[1];
	return pair[0];
}

static void say_connected_with(struct stage *s, uint32_t id, const int *fds, size_t n_fds)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, id);
	stage_send(s->user, USER_CONNECTED, &w, fds, n_fds);
}

/* Return: the far end. */
static int say_connected(struct stage *s, uint32_t id)
{
	int kept, fd = make_socket(&kept);

	say_connected_with(s, id, &fd, 1);
	close(fd);
	return kept;
}

static void say_listening(struct stage *s, uint32_t id, uint32_t port)
{
	struct chan_writer w = { 0 };

	msg_listening_put(&w, &(struct msg_listening){ id, port });
	stage_send(s->user, USER_LISTENING, &w, NULL, 0);
}

static void say_socket(struct stage *s, uint32_t id)
{
	static char path[] = "/tmp/x/agent.1";
	struct chan_writer w = { 0 };

	msg_socket_put(&w, &(struct msg_socket){ id, path, 1, 2, true });
	stage_send(s->user, USER_SOCKET, &w, NULL, 0);
}

static int say_incoming(struct stage *s, uint32_t listener, uint32_t id)
{
	static char address[] = "127.0.0.1";
	int kept, fd = make_socket(&kept);
	struct chan_writer w = { 0 };

	msg_incoming_put(&w, &(struct msg_incoming){ listener, id, address, 4000 });
	stage_send(s->user, USER_INCOMING, &w, &fd, 1);
	close(fd);
	return kept;
}

static void say_end(struct stage *s, bool incoming, uint32_t id)
{
	struct chan_writer w = { 0 };

	msg_forward_end_put(&w, &(struct msg_forward_end){ incoming, id, 1000, 20 });
	stage_send(s->net.channel, NET_FORWARD_END, &w, NULL, 0);
}

/* What the net process gets is what the user process has the other end of. */
static void expect_joined(struct stage *s, uint32_t type, int kept)
{
	struct chan_msg msg = stage_expect(s->net.channel, type);
	char byte = 0;

	assert_int_equal(msg.n_fds, 1);
	assert_int_equal(write(kept, "x", 1), 1);
	assert_int_equal(read(msg.fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	chan_msg_done(&msg);
	close(kept);
}

static void expect_refused_connect(struct stage *s, uint32_t id, enum forward_reason reason,
				   const char *text)
{
	struct chan_msg msg = stage_expect(s->net.channel, NET_CONNECT_FAILED);
	struct msg_connect_failed failed;

	assert_int_equal(msg_connect_failed_get(&msg, &failed), 0);
	assert_int_equal(failed.id, id);
	assert_int_equal(failed.reason, reason);
	assert_string_equal(failed.text, text);
	msg_connect_failed_done(&failed);
	chan_msg_done(&msg);
}

static void expect_refused_listen(struct stage *s, uint32_t id, const char *text)
{
	struct chan_msg msg = stage_expect(s->net.channel, NET_LISTEN_FAILED);
	_cleanup_free_ char *reason = NULL;
	uint32_t seen;

	assert_int_equal(msg_channel_text_get(&msg, &seen, &reason), 0);
	assert_int_equal(seen, id);
	assert_string_equal(reason, text);
	chan_msg_done(&msg);
}

static void bring_up(struct stage *s, uint32_t id)
{
	ask_connect(s, id);
	stage_skip(s->user, USER_CONNECT);
	expect_joined(s, NET_CONNECTED, say_connected(s, id));
}

static void bring_up_listener(struct stage *s, uint32_t id, enum forward_kind kind)
{
	ask_listen(s, id, kind);
	stage_skip(s->user, USER_LISTEN);
	say_listening(s, id, kind == FORWARD_TCP ? 8080 : 0);
	stage_skip(s->net.channel, NET_LISTENING);
}

/* Return: what the user process is told to close. */
static uint32_t cancel(struct stage *s, uint32_t id)
{
	struct chan_writer w = { 0 };
	struct chan_msg msg;
	uint32_t seen;

	chan_put_u32(&w, id);
	stage_send(s->net.channel, NET_UNLISTEN, &w, NULL, 0);
	msg = stage_expect(s->user, USER_UNLISTEN);
	assert_int_equal(msg_channel_get(&msg, &seen), 0);
	chan_msg_done(&msg);
	return seen;
}

/* ---- what is allowed ---- */

static void test_connect(void **state)
{
	struct msg_connect seen;
	struct chan_msg msg;
	struct stage s;

	stage_log_in(&s, NULL, FORWARDING("false", "true", "false"));
	ask_connect(&s, 1);
	msg = stage_expect(s.user, USER_CONNECT);
	assert_int_equal(msg_connect_get(&msg, &seen), 0);
	assert_string_equal(seen.target, "db.example");
	assert_int_equal(seen.port, 5432);
	msg_connect_done(&seen);
	chan_msg_done(&msg);
	expect_joined(&s, NET_CONNECTED, say_connected(&s, 1));
	say_end(&s, false, 1);
	stage_expect_silence(s.net.channel, 50000);
	stage_log_out(&s, "Forwarding to db.example:5432 (local) ended after ");
}

static void test_connect_failed(void **state)
{
	static char text[] = "Connection refused";
	struct chan_writer w = { 0 };
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	ask_connect(&s, 1);
	stage_skip(s.user, USER_CONNECT);
	msg_connect_failed_put(&w, &(struct msg_connect_failed){ 1, FORWARD_CONNECT_FAILED, text });
	stage_send(s.user, USER_CONNECT_FAILED, &w, NULL, 0);
	expect_refused_connect(&s, 1, FORWARD_CONNECT_FAILED, text);
	bring_up(&s, 2);
	stage_log_out(&s, "No local forwarding (db.example:5432) for alice: Connection refused");
}

static void test_listen(void **state)
{
	static const enum forward_kind kinds[] = { FORWARD_TCP, FORWARD_UNIX, FORWARD_AGENT,
						   FORWARD_X11 };
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bring_up_listener(&s, i + 1, kinds[i]);
		expect_joined(&s, NET_INCOMING, say_incoming(&s, i + 1, i + 1));
		stage_skip(s.user, USER_NEXT);
		say_end(&s, true, i + 1);
	}
	stage_log_out(&s, "Forwarding from 127.0.0.1:4000 at localhost:8080 (remote) ended after ");
}

/* The journal says where that is, too. */
static void test_bound_as_the_ceiling_says(void **state)
{
	static const struct {
		const char *ceiling, *bound, *log;
	} cases[] = {
		{ "SSH=yes\nGatewayPorts=no\n", "localhost",
		  "Listening at localhost:8080 for alice (remote forwarding)\n\tASKED=*:0\n" },
		{ "SSH=yes\nGatewayPorts=clientspecified\n", "", "Listening at *:8080 for" },
		{ "SSH=yes\nGatewayPorts=yes\n", "", "Listening at *:8080 for" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct msg_listen seen;
		struct chan_msg msg;
		struct stage s;

		stage_log_in(&s, cases[i].ceiling, ALL);
		ask_listen(&s, 1, FORWARD_TCP);
		msg = stage_expect(s.user, USER_LISTEN);
		assert_int_equal(msg_listen_get(&msg, &seen), 0);
		assert_string_equal(seen.address, cases[i].bound);
		msg_listen_done(&seen);
		chan_msg_done(&msg);
		say_listening(&s, 1, 8080);
		stage_skip(s.net.channel, NET_LISTENING);
		stage_log_out(&s, cases[i].log);
	}
}

static void test_cancel(void **state)
{
	unsigned before;
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	before = stage_monitor_fds(&s);
	assert_int_equal(cancel(&s, 1), 1);
	/* Somebody connected while that was under way. */
	close(say_incoming(&s, 1, 1));
	stage_skip(s.user, USER_NEXT);
	stage_expect_silence(s.net.channel, 50000);
	assert_int_equal(stage_monitor_fds(&s), before);
	stage_log_out(&s, NULL);
}

/* The leader removes what is left of a listener, unless it is gone already. */
static void test_leader_knows_of_paths(void **state)
{
	struct chan_writer w = { 0 };
	struct msg_socket seen;
	struct chan_msg msg;
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_AGENT);
	stage_skip(s.user, USER_LISTEN);
	say_socket(&s, 1);
	say_listening(&s, 1, 0);
	stage_skip(s.net.channel, NET_LISTENING);
	msg = stage_expect(s.leader.channel, LEADER_SOCKET);
	assert_int_equal(msg_socket_get(&msg, &seen), 0);
	assert_string_equal(seen.path, "/tmp/x/agent.1");
	assert_true(seen.has_dir);
	msg_socket_done(&seen);
	chan_msg_done(&msg);
	chan_put_u32(&w, 1);
	stage_send(s.net.channel, NET_UNLISTEN, &w, NULL, 0);
	stage_skip(s.leader.channel, LEADER_SOCKET_GONE);
	stage_log_out(&s, NULL);
}

/* PAM is still being asked: listeners come first then, for programs may be told of them. */
static void test_asked_before_the_session_is_open(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach_with(&s, NULL, ALL, MON_OPENING);
	ask_connect(&s, 1);
	ask_listen(&s, 2, FORWARD_AGENT);
	msg_start_put(&w, &(struct msg_start){ .kind = START_SHELL, .agent_listener = 2 });
	stage_send(s.net.channel, NET_START, &w, NULL, 0);
	stage_expect_silence(s.user, 50000);
	stage_open(&s);
	stage_skip(s.user, USER_LISTEN);
	stage_skip(s.user, USER_START);
	stage_skip(s.user, USER_CONNECT);
	stage_log_out(&s, NULL);
}

/* ---- what is refused ---- */

#define BY_RULE(what) "Peergate: the policy's rule ssh[0] does not allow " what " forwarding"

static void test_refused_by_the_rule(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, NONE);
	ask_connect(&s, 1);
	expect_refused_connect(&s, 1, FORWARD_PROHIBITED, BY_RULE("local"));
	ask_listen(&s, 2, FORWARD_TCP);
	expect_refused_listen(&s, 2, BY_RULE("remote"));
	ask_listen(&s, 3, FORWARD_UNIX);
	expect_refused_listen(&s, 3, BY_RULE("remote"));
	ask_listen(&s, 4, FORWARD_AGENT);
	expect_refused_listen(&s, 4, BY_RULE("agent"));
	ask_listen(&s, 5, FORWARD_X11);
	expect_refused_listen(&s, 5, BY_RULE("remote"));
	stage_expect_silence(s.user, 50000);
	stage_log_out(&s, "Refused agent forwarding (a socket for the client's agent) to alice: "
			  "Peergate: the policy's rule ssh[0]");
}

/* Each by its own word alone. */
static void test_each_by_its_own_word(void **state)
{
	static const struct {
		const char *more;
		bool connect, listen, agent;
	} cases[] = {
		{ FORWARDING("true", "false", "false"), false, false, true },
		{ FORWARDING("false", "true", "false"), true, false, false },
		{ FORWARDING("false", "false", "true"), false, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		stage_log_in(&s, NULL, cases[i].more);
		ask_connect(&s, 1);
		if (cases[i].connect)
			stage_skip(s.user, USER_CONNECT);
		else
			stage_skip(s.net.channel, NET_CONNECT_FAILED);
		for (enum forward_kind kind = FORWARD_TCP; kind <= FORWARD_LAST; kind++) {
			ask_listen(&s, 1 + kind, kind);
			if (kind == FORWARD_AGENT ? cases[i].agent : cases[i].listen)
				stage_skip(s.user, USER_LISTEN);
			else
				stage_skip(s.net.channel, NET_LISTEN_FAILED);
		}
		stage_log_out(&s, NULL);
	}
}

static void test_no_x11_here(void **state)
{
	struct stage s;

	stage_log_in(&s, "SSH=yes\nX11Forwarding=no\n", ALL);
	ask_listen(&s, 1, FORWARD_X11);
	expect_refused_listen(&s, 1,
			      "Peergate: X11 is not forwarded on this host (X11Forwarding= in "
			      "sshgw.conf)");
	ask_listen(&s, 2, FORWARD_TCP);
	stage_skip(s.user, USER_LISTEN);
	stage_log_out(&s, NULL);
}

static void test_limits(void **state)
{
	struct stage s;

	stage_log_in(&s, "SSH=yes\nMaxForwards=2\nMaxListens=1\n", ALL);
	bring_up(&s, 1);
	ask_connect(&s, 2);
	stage_skip(s.user, USER_CONNECT);
	/* Those that are not up yet count as well. */
	ask_connect(&s, 3);
	expect_refused_connect(&s, 3, FORWARD_NO_RESOURCES,
			       "Peergate: too many forwarded connections on this connection "
			       "(MaxForwards= in sshgw.conf)");
	say_end(&s, false, 1);
	bring_up(&s, 4);
	bring_up_listener(&s, 5, FORWARD_TCP);
	ask_listen(&s, 6, FORWARD_UNIX);
	expect_refused_listen(&s, 6,
			      "Peergate: too many listeners on this connection (MaxListens= in "
			      "sshgw.conf)");
	stage_log_out(&s, "Refused local forwarding");
}

/* Who comes when there are enough waits, and does not get lost. */
static void test_incoming_waits_for_room(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;
	int kept;

	stage_log_in(&s, "SSH=yes\nMaxForwards=1\n", ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	bring_up(&s, 2);
	kept = say_incoming(&s, 1, 1);
	stage_expect_silence(s.user, 50000);
	stage_expect_silence(s.net.channel, 50000);
	say_end(&s, false, 2);
	expect_joined(&s, NET_INCOMING, kept);
	stage_skip(s.user, USER_NEXT);
	/* Also where one only failed. */
	say_end(&s, true, 1);
	ask_connect(&s, 3);
	stage_skip(s.user, USER_CONNECT);
	kept = say_incoming(&s, 1, 2);
	stage_expect_silence(s.net.channel, 50000);
	msg_connect_failed_put(&w, &(struct msg_connect_failed){ 3, FORWARD_CONNECT_FAILED, NULL });
	stage_send(s.user, USER_CONNECT_FAILED, &w, NULL, 0);
	stage_skip(s.net.channel, NET_CONNECT_FAILED);
	expect_joined(&s, NET_INCOMING, kept);
	stage_skip(s.user, USER_NEXT);
	/* One that still waits when all ends. */
	kept = say_incoming(&s, 1, 3);
	stage_expect_silence(s.user, 50000);
	stage_log_out(&s, "Forwarding from 127.0.0.1:4000 at localhost:8080 (remote) ended with "
			  "the connection");
	close(kept);
}

/* A display for one connection. */
static void bring_up_single(struct stage *s, uint32_t id)
{
	static char protocol[] = "MIT-MAGIC-COOKIE-1", cookie[] = "00";
	struct chan_writer w = { 0 };

	msg_listen_put(&w,
		       &(struct msg_listen){ id, FORWARD_X11, NULL, 0, true, protocol, cookie, 0 });
	stage_send(s->net.channel, NET_LISTEN, &w, NULL, 0);
	stage_skip(s->user, USER_LISTEN);
	say_listening(s, id, 0);
	stage_skip(s->net.channel, NET_LISTENING);
}

static void test_single_display(void **state)
{
	struct msg_start seen, start = { .kind = START_SHELL, .x11_listener = 1 };
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	bring_up_single(&s, 1);
	seen = stage_start(&s, &start);
	assert_int_equal(seen.x11_listener, 1);
	msg_start_done(&seen);
	expect_joined(&s, NET_INCOMING, say_incoming(&s, 1, 1));
	stage_skip(s.user, USER_NEXT);
	/* It is there no more: a program that is started now goes without. */
	start.channel = 2;
	seen = stage_start(&s, &start);
	assert_int_equal(seen.x11_listener, 0);
	msg_start_done(&seen);
	stage_log_out(&s, NULL);
}

/* The session ends while the only connection of its display is on its way to the net process. */
static void test_single_display_crossing(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;
	int kept;

	stage_log_in(&s, NULL, ALL);
	bring_up_single(&s, 1);
	kept = say_incoming(&s, 1, 1);
	stage_skip(s.user, USER_NEXT);
	chan_put_u32(&w, 1);
	stage_send(s.net.channel, NET_UNLISTEN, &w, NULL, 0);
	/* Nobody has to be told, and the connection that came is ended as any other. */
	stage_expect_silence(s.user, 50000);
	expect_joined(&s, NET_INCOMING, kept);
	say_end(&s, true, 1);
	stage_log_out(&s, "Forwarding from 127.0.0.1:4000");
}

/* What a session had is given back when that ends: there is room for another's. */
static void test_display_given_up(void **state)
{
	struct msg_start seen, start = { .kind = START_SHELL, .x11_listener = 1 };
	struct stage s;

	stage_log_in(&s, "SSH=yes\nMaxListens=1\n", ALL);
	bring_up_listener(&s, 1, FORWARD_X11);
	ask_listen(&s, 2, FORWARD_X11);
	expect_refused_listen(&s, 2,
			      "Peergate: too many listeners on this connection (MaxListens= in "
			      "sshgw.conf)");
	assert_int_equal(cancel(&s, 1), 1);
	bring_up_listener(&s, 3, FORWARD_X11);
	/* A program that names the old one goes without. */
	seen = stage_start(&s, &start);
	assert_int_equal(seen.x11_listener, 0);
	msg_start_done(&seen);
	stage_log_out(&s, NULL);
}

/* ---- what breaks the protocol ---- */

static void ends_with(struct stage *s, uint32_t type, const char *who)
{
	_cleanup_free_ char *log =
		text_printf("Message 0x%x of the %s process was refused", type, who);

	stage_end_with_leader(s, log);
}

static void test_numbers_are_not_used_again(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	bring_up(&s, 5);
	say_end(&s, false, 5);
	ask_connect(&s, 5);
	ends_with(&s, NET_CONNECT, "net");

	stage_log_in(&s, NULL, ALL);
	bring_up(&s, 5);
	ask_listen(&s, 4, FORWARD_TCP);
	ends_with(&s, NET_LISTEN, "net");

	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	close(say_incoming(&s, 1, 7));
	stage_skip(s.user, USER_NEXT);
	close(say_incoming(&s, 1, 7));
	ends_with(&s, USER_INCOMING, "user");
}

/* Of what is open when the connection ends, the net process has a last word. */
static void test_ends_with_the_connection(void **state)
{
	static const char *const logs[] = {
		"Forwarding to db.example:5432 (local) ended after 0.",
		", 1000 bytes to the client, 20 from it\n",
		"Forwarding to db.example:5432 (local) ended with the connection after 0.",
	};

	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		struct stage s;

		stage_log_in(&s, NULL, ALL);
		bring_up(&s, 1);
		bring_up(&s, 2);
		kill(s.monitor, SIGTERM);
		stage_skip(s.net.channel, NET_END);
		say_end(&s, false, 1);
		stage_tell_puppet(&s.net, PUPPET_EXIT);
		stage_end_with_leader(&s, logs[i]);
	}
}

static void test_ends_of_what_is_not(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	say_end(&s, false, 1);
	ends_with(&s, NET_FORWARD_END, "net");

	stage_log_in(&s, NULL, ALL);
	bring_up(&s, 1);
	say_end(&s, true, 1);
	ends_with(&s, NET_FORWARD_END, "net");

	/* Not yet. */
	stage_log_in(&s, NULL, ALL);
	ask_connect(&s, 1);
	stage_skip(s.user, USER_CONNECT);
	say_end(&s, false, 1);
	ends_with(&s, NET_FORWARD_END, "net");
}

static void test_cancels_of_what_is_not(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	chan_put_u32(&w, 1);
	stage_send(s.net.channel, NET_UNLISTEN, &w, NULL, 0);
	ends_with(&s, NET_UNLISTEN, "net");

	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_TCP);
	w = (struct chan_writer){ 0 };
	chan_put_u32(&w, 1);
	stage_send(s.net.channel, NET_UNLISTEN, &w, NULL, 0);
	ends_with(&s, NET_UNLISTEN, "net");

	/* Twice. */
	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	for (int i = 0; i < 2; i++) {
		w = (struct chan_writer){ 0 };
		chan_put_u32(&w, 1);
		stage_send(s.net.channel, NET_UNLISTEN, &w, NULL, 0);
	}
	ends_with(&s, NET_UNLISTEN, "net");
}

/* It has said so, and is killed before that is read. */
static void test_socket_of_one_that_is_killed(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_UNIX);
	stage_skip(s.user, USER_LISTEN);
	stage_stop_monitor(&s);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"gone\"}");
	usleep(50000); /* so that the monitor finds this first; else there is nothing to see */
	say_socket(&s, 1);
	stage_continue_monitor(&s);
	stage_skip(s.leader.channel, LEADER_SOCKET);
	stage_end_with_leader(&s, "Revoked the login");
}

static void test_answers_to_what_was_not_asked(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	close(say_connected(&s, 1));
	ends_with(&s, USER_CONNECTED, "user");

	stage_log_in(&s, NULL, ALL);
	bring_up(&s, 1);
	close(say_connected(&s, 1));
	ends_with(&s, USER_CONNECTED, "user");

	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	say_listening(&s, 1, 8080);
	ends_with(&s, USER_LISTENING, "user");

	/* A number without a port. */
	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_TCP);
	stage_skip(s.user, USER_LISTEN);
	say_listening(&s, 1, 0);
	ends_with(&s, USER_LISTENING, "user");

	stage_log_in(&s, NULL, ALL);
	close(say_incoming(&s, 1, 1));
	ends_with(&s, USER_INCOMING, "user");

	/* A port has no path, and none has two. */
	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_TCP);
	stage_skip(s.user, USER_LISTEN);
	say_socket(&s, 1);
	ends_with(&s, USER_SOCKET, "user");

	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_UNIX);
	stage_skip(s.user, USER_LISTEN);
	say_socket(&s, 1);
	say_socket(&s, 1);
	ends_with(&s, USER_SOCKET, "user");

	/* Before it listens. */
	stage_log_in(&s, NULL, ALL);
	ask_listen(&s, 1, FORWARD_TCP);
	stage_skip(s.user, USER_LISTEN);
	close(say_incoming(&s, 1, 1));
	ends_with(&s, USER_INCOMING, "user");
}

static void test_incoming_out_of_turn(void **state)
{
	struct stage s;

	stage_log_in(&s, "SSH=yes\nMaxForwards=0\n", ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	close(say_incoming(&s, 1, 1));
	close(say_incoming(&s, 1, 2));
	ends_with(&s, USER_INCOMING, "user");
}

/* The rule allows nothing, and nothing listens: no number makes the monitor work. */
static void test_incoming_of_nothing(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, NONE);
	close(say_incoming(&s, 0, 1));
	ends_with(&s, USER_INCOMING, "user");

	/* A listener that was refused, and the number of a connection. */
	for (uint32_t id = 1; id <= 2; id++) {
		stage_log_in(&s, NULL, NONE);
		ask_listen(&s, 1, FORWARD_TCP);
		stage_skip(s.net.channel, NET_LISTEN_FAILED);
		ask_connect(&s, 2);
		stage_skip(s.net.channel, NET_CONNECT_FAILED);
		close(say_incoming(&s, id, 1));
		ends_with(&s, USER_INCOMING, "user");
	}
}

/* One was under way at most: the user process has read of the end since. */
static void test_incoming_of_what_was_cancelled(void **state)
{
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	assert_int_equal(cancel(&s, 1), 1);
	close(say_incoming(&s, 1, 1));
	stage_skip(s.user, USER_NEXT);
	close(say_incoming(&s, 1, 2));
	ends_with(&s, USER_INCOMING, "user");

	/* Not even one: its only connection has come. */
	stage_log_in(&s, NULL, ALL);
	bring_up_single(&s, 1);
	expect_joined(&s, NET_INCOMING, say_incoming(&s, 1, 1));
	stage_skip(s.user, USER_NEXT);
	close(say_incoming(&s, 1, 2));
	ends_with(&s, USER_INCOMING, "user");
}

/* Each has the monitor do something for the user: 1000 at once, then 200 in a second. */
static void test_flood_of_incoming(void **state)
{
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	bring_up_listener(&s, 1, FORWARD_TCP);
	for (uint32_t id = 1; id <= 1600; id++) {
		int kept = say_incoming(&s, 1, id);

		stage_skip(s.net.channel, NET_INCOMING);
		say_end(&s, true, id);
		stage_skip(s.user, USER_NEXT);
		close(kept);
	}
	assert_true(clock_usec(CLOCK_MONOTONIC) - begin >= 2900000);
	stage_log_out(&s, NULL);
}

static void test_program_with_the_wrong_listener(void **state)
{
	static const struct msg_start cases[] = {
		{ .kind = START_SHELL, .agent_listener = 2 }, /* not asked for yet */
		{ .kind = START_SHELL, .x11_listener = 1 },   /* of another kind */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { 0 };
		struct stage s;

		stage_log_in(&s, NULL, ALL);
		bring_up_listener(&s, 1, FORWARD_AGENT);
		msg_start_put(&w, &cases[i]);
		stage_send(s.net.channel, NET_START, &w, NULL, 0);
		ends_with(&s, NET_START, "net");
	}
}

/* ---- descriptors ---- */

static int open_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	return ends[0];
}

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int open_listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int open_datagrams(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int open_packets(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static void test_what_is_no_connection(void **state)
{
	int (*const openers[])(void) = { open_pipe,	 open_file,    open_listening,
					 open_datagrams, open_packets, open_netlink };

	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct stage s;
		int fd = openers[i]();

		assert_true(fd >= 0);
		stage_log_in(&s, NULL, ALL);
		ask_connect(&s, 1);
		stage_skip(s.user, USER_CONNECT);
		say_connected_with(&s, 1, &fd, 1);
		close(fd);
		ends_with(&s, USER_CONNECTED, "user");
	}
}

static void test_no_descriptor_and_too_many(void **state)
{
	struct stage s;
	int kept[2], fds[2] = { make_socket(&kept[0]), make_socket(&kept[1]) };

	stage_log_in(&s, NULL, ALL);
	ask_connect(&s, 1);
	stage_skip(s.user, USER_CONNECT);
	say_connected_with(&s, 1, NULL, 0);
	ends_with(&s, USER_CONNECTED, "user");

	stage_log_in(&s, NULL, ALL);
	ask_connect(&s, 1);
	stage_skip(s.user, USER_CONNECT);
	say_connected_with(&s, 1, fds, 2);
	stage_end_with_leader(&s, "sent message 0x383, which is not allowed in state open");
	stage_close(fds, 2);
	stage_close(kept, 2);
}

/* The last one to close it would wait for a minute: not the monitor, whoever that is. */
static void test_connection_that_lingers(void **state)
{
	struct chan_msg msg;
	uint64_t begin;
	struct stage s;
	int fd;

	stage_log_in(&s, NULL, ALL);
	ask_connect(&s, 1);
	stage_skip(s.user, USER_CONNECT);
	fd = lingering_open(60);
	say_connected_with(&s, 1, &fd, 1);
	msg = stage_expect(s.net.channel, NET_CONNECTED);
	/* Nobody waits for the far side here. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 0 }, sizeof(struct linger));
	close(fd);
	chan_msg_done(&msg);
	begin = clock_usec(CLOCK_MONOTONIC);
	bring_up(&s, 2);
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 0, 20000000);
	stage_log_out(&s, NULL);
	lingering_end();
}

/* Whatever it takes to get rid of descriptors is got rid of itself. */
static void test_nothing_piles_up(void **state)
{
	unsigned before = 0;
	struct stage s;

	stage_log_in(&s, NULL, ALL);
	for (uint32_t id = 1; id <= 50; id++) {
		ask_connect(&s, id);
		stage_skip(s.user, USER_CONNECT);
		/* It is done with the one before. */
		if (id == 2)
			before = stage_monitor_fds(&s);
		expect_joined(&s, NET_CONNECTED, say_connected(&s, id));
		say_end(&s, false, id);
	}
	ask_connect(&s, 51);
	stage_skip(s.user, USER_CONNECT);
	assert_int_equal(stage_monitor_fds(&s), before);
	/* Net process and leader. */
	for (int i = 0; i < 1000 && stage_monitor_children(&s) > 2; i++)
		usleep(10000);
	assert_int_equal(stage_monitor_children(&s), 2);
	stage_log_out(&s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_connect),
		ON_STAGE(test_connect_failed),
		ON_STAGE(test_listen),
		ON_STAGE(test_bound_as_the_ceiling_says),
		ON_STAGE(test_cancel),
		ON_STAGE(test_leader_knows_of_paths),
		ON_STAGE(test_asked_before_the_session_is_open),
		ON_STAGE(test_refused_by_the_rule),
		ON_STAGE(test_each_by_its_own_word),
		ON_STAGE(test_no_x11_here),
		ON_STAGE(test_limits),
		ON_STAGE(test_incoming_waits_for_room),
		ON_STAGE(test_single_display),
		ON_STAGE(test_single_display_crossing),
		ON_STAGE(test_display_given_up),
		ON_STAGE(test_numbers_are_not_used_again),
		ON_STAGE(test_ends_with_the_connection),
		ON_STAGE(test_ends_of_what_is_not),
		ON_STAGE(test_cancels_of_what_is_not),
		ON_STAGE(test_socket_of_one_that_is_killed),
		ON_STAGE(test_answers_to_what_was_not_asked),
		ON_STAGE(test_incoming_out_of_turn),
		ON_STAGE(test_incoming_of_nothing),
		ON_STAGE(test_incoming_of_what_was_cancelled),
		ON_STAGE(test_flood_of_incoming),
		ON_STAGE(test_program_with_the_wrong_listener),
		ON_STAGE(test_what_is_no_connection),
		ON_STAGE(test_no_descriptor_and_too_many),
		ON_STAGE(test_connection_that_lingers),
		ON_STAGE(test_nothing_piles_up),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
