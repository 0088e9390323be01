#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/varlink.h"
#include "common/varlink_msg.h"

/* ---- messages ---- */

static const struct {
	const char *text;
	int r;
	const char *method;
	bool more, oneway;
} call_cases[] = {
	{ "{\"method\":\"a.b.C\"}", 0, "a.b.C", false, false },
	{ "{\"method\":\"a.b.C\",\"parameters\":{}}", 0, "a.b.C", false, false },
	{ "{\"method\":\"a.b.C\",\"parameters\":null}", 0, "a.b.C", false, false },
	{ "{\"method\":\"a.b.C\",\"more\":true}", 0, "a.b.C", true, false },
	{ "{\"method\":\"a.b.C\",\"oneway\":true}", 0, "a.b.C", false, true },
	{ "{\"method\":\"a.b.C\",\"more\":false,\"later\":1}", 0, "a.b.C", false, false },
	{ "{\"method\":\"a.b.C\",\"more\":true,\"oneway\":true}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\",\"upgrade\":true}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\",\"more\":1}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\",\"parameters\":[]}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"C\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"b.C\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\".b.C\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a..C\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C d\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\\n\"}", -EINVAL, NULL, false, false },
	{ "{\"method\":7}", -EINVAL, NULL, false, false },
	{ "{}", -EINVAL, NULL, false, false },
	{ "[]", -EINVAL, NULL, false, false },
	{ "null", -EINVAL, NULL, false, false },
	{ "", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\"} x", -EINVAL, NULL, false, false },
	{ "{\"method\":\"a.b.C\",\"parameters\":{\"t\":\"\\u0000\"}}", -EINVAL, NULL, false,
	  false },
	{ "{\"method\":\"a.b.C\",\"parameters\":{\"t\":\"\xff\"}}", -EINVAL, NULL, false, false },
};

static void test_call_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(call_cases); i++) {
		struct varlink_call_msg msg = { .method = (char *)"untouched" };
		const char *text = call_cases[i].text;

		print_message("%s\n", text);
		assert_int_equal(varlink_call_parse(text, strlen(text), &msg), call_cases[i].r);
		if (call_cases[i].r < 0) {
			assert_string_equal(msg.method, "untouched");
			continue;
		}
		assert_string_equal(msg.method, call_cases[i].method);
		assert_int_equal(msg.more, call_cases[i].more);
		assert_int_equal(msg.oneway, call_cases[i].oneway);
		assert_true(json_is_object(msg.parameters));
		varlink_call_msg_done(&msg);
	}
}

static const struct {
	const char *text;
	int r;
	const char *error;
	bool continues;
} reply_cases[] = {
	{ "{}", 0, NULL, false },
	{ "{\"parameters\":{\"a\":1}}", 0, NULL, false },
	{ "{\"parameters\":{},\"continues\":true}", 0, NULL, true },
	{ "{\"error\":\"a.b.E\"}", 0, "a.b.E", false },
	{ "{\"error\":\"a.b.E\",\"continues\":true}", -EINVAL, NULL, false },
	{ "{\"error\":\"E\"}", -EINVAL, NULL, false },
	{ "{\"error\":null}", -EINVAL, NULL, false },
	{ "{\"parameters\":7}", -EINVAL, NULL, false },
	{ "\"x\"", -EINVAL, NULL, false },
};

static void test_reply_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(reply_cases); i++) {
		_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
		const char *text = reply_cases[i].text;

		print_message("%s\n", text);
		assert_int_equal(varlink_reply_parse(text, strlen(text), &reply), reply_cases[i].r);
		if (reply_cases[i].r < 0)
			continue;
		assert_int_equal(reply.continues, reply_cases[i].continues);
		assert_true(json_is_object(reply.parameters));
		assert_int_equal(!!reply.error, !!reply_cases[i].error);
		if (reply.error)
			assert_string_equal(reply.error, reply_cases[i].error);
	}
}

/* ---- a server to talk to ---- */

struct fixture {
	sd_event *event;
	struct varlink_server *server;
	int fd; /* the caller's end */
	struct varlink_call *held;
	unsigned n_disconnects;
};

static int method_echo(struct varlink_call *call, const json_t *params, void *userdata)
{
	return varlink_call_reply(call, json_deep_copy(params));
}

static int method_count(struct varlink_call *call, const json_t *params, void *userdata)
{
	int r = 0;

	for (int i = 1; i <= 2 && r == 0; i++)
		r = varlink_call_notify(call, json_pack("{s:i}", "n", i));
	return r < 0 ? r : varlink_call_reply(call, NULL);
}

static void on_disconnect(struct varlink_call *call, void *userdata)
{
	struct fixture *f = userdata;

	f->n_disconnects++;
	assert_ptr_equal(call, f->held);
	f->held = varlink_call_unref(f->held);
}

static int method_hold(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct fixture *f = userdata;

	f->held = varlink_call_ref(call);
	varlink_call_on_disconnect(call, on_disconnect, f);
	return 0;
}

static int method_fail(struct varlink_call *call, const json_t *params, void *userdata)
{
	return -ENOENT;
}

static int method_refuse(struct varlink_call *call, const json_t *params, void *userdata)
{
	/* The second answer must not reach the wire. */
	assert_int_equal(varlink_call_error(call, "io.example.Test.No", NULL), 0);
	assert_int_equal(varlink_call_reply(call, NULL), -ENOTCONN);
	return -EIO;
}

static int method_notify_uncalled(struct varlink_call *call, const json_t *params, void *userdata)
{
	assert_int_equal(varlink_call_notify(call, NULL), -EINVAL);
	return varlink_call_invalid_parameter(call, "more");
}

static int method_big(struct varlink_call *call, const json_t *params, void *userdata)
{
	_cleanup_free_ char *text = calloc(1, 100001);

	assert_non_null(text);
	memset(text, 'x', 100000);
	return varlink_call_reply(call, json_pack("{s:s}", "t", text));
}

static const struct varlink_method methods[] = {
	{ "Echo", method_echo, false },	    { "Count", method_count, true },
	{ "Hold", method_hold, true },	    { "Fail", method_fail, false },
	{ "Refuse", method_refuse, false }, { "NotifyUncalled", method_notify_uncalled, false },
	{ "Big", method_big, false },
};
static const struct varlink_interface interface = {
	.name = "io.example.Test",
	.description = "interface io.example.Test\n",
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
static const struct varlink_info info = { "v", "p", "1", "u" };
static const struct varlink_limits limits = {
	.max_connections = 8,
	.max_connections_per_uid = 3,
	.max_calls_per_connection = 4,
	.max_output = 150000,
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_non_null(f);
	assert_int_equal(sd_event_new(&f->event), 0);
	assert_int_equal(varlink_server_new(f->event, &info, &interface, &limits, f, &f->server),
			 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	assert_int_equal(varlink_server_add_connection(f->server, fds[0]), 0);
	f->fd = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_fd(f->fd);
	varlink_server_free(f->server);
	assert_null(f->held);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void pump(struct fixture *f)
{
	for (unsigned i = 0; sd_event_run(f->event, 0) > 0; i++)
		assert_true(i < 100000); /* it must come to rest */
}

static void say(struct fixture *f, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(f->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EPIPE)
			return;
		if (n < 0 && errno == EAGAIN) {
			pump(f);
			continue;
		}
		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* Everything that came, a newline for each NUL. *ret_closed: the server hung up. */
static size_t hear(struct fixture *f, char *buf, size_t size, bool *ret_closed)
{
	size_t len = 0;

	*ret_closed = false;
	for (;;) {
		ssize_t n = recv(f->fd, buf + len, size - 1 - len, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			*ret_closed = true;
			break;
		}
		if (n < 0)
			break;
		len += (size_t)n;
		pump(f);
	}
	for (size_t i = 0; i < len; i++)
		if (buf[i] == '\0')
			buf[i] = '\n';
	buf[len] = '\0';
	return len;
}

#define CALL(method, rest)  "{\"method\":\"" method "\"" rest "}"
#define ERROR(name, params) "{\"error\":\"" name "\",\"parameters\":" params "}\n"
#define OK(params)	    "{\"parameters\":" params "}\n"
#define BYTES(s)	    s, sizeof(s) - 1

static const struct {
	const char *name;
	const char *input;
	size_t len;
	bool hang_up; /* the caller shuts its sending side after that */
	const char *output;
	bool closed; /* the server is expected to have hung up */
} talk_cases[] = {
	{ "nothing", BYTES(""), false, "", false },
	{ "echo", BYTES(CALL("io.example.Test.Echo", ",\"parameters\":{\"t\":\"\xc3\xa4\"}") "\0"),
	  false, OK("{\"t\":\"\xc3\xa4\"}"), false },
	{ "no NUL yet", BYTES(CALL("io.example.Test.Echo", "")), false, "", false },
	{ "three at once",
	  BYTES(CALL("io.example.Test.Echo", ",\"parameters\":{\"a\":1}") "\0" CALL(
		  "io.example.Test.Fail", "") "\0" CALL("io.example.Test.Echo", "") "\0"),
	  false,
	  OK("{\"a\":1}") ERROR("io.systemd.System",
				"{\"origin\":\"linux\",\"errno\":2,\"errnoName\":\"ENOENT\"}")
		  OK("{}"),
	  false },
	{ "half a call stays waiting",
	  BYTES(CALL("io.example.Test.Echo", "") "\0{\"method\":\"io.ex"), false, OK("{}"), false },
	{ "more", BYTES(CALL("io.example.Test.Count", ",\"more\":true") "\0"), false,
	  "{\"parameters\":{\"n\":1},\"continues\":true}\n"
	  "{\"parameters\":{\"n\":2},\"continues\":true}\n" OK("{}"),
	  false },
	{ "more is needed", BYTES(CALL("io.example.Test.Count", "") "\0"), false,
	  ERROR("org.varlink.service.ExpectedMore", "{}"), false },
	{ "nobody asked for more", BYTES(CALL("io.example.Test.NotifyUncalled", "") "\0"), false,
	  ERROR("org.varlink.service.InvalidParameter", "{\"parameter\":\"more\"}"), false },
	{ "oneway is not answered",
	  BYTES(CALL("io.example.Test.Echo", ",\"oneway\":true") "\0" CALL("io.example.Test.Echo",
									   "") "\0"),
	  false, OK("{}"), false },
	{ "one answer only", BYTES(CALL("io.example.Test.Refuse", "") "\0"), false,
	  ERROR("io.example.Test.No", "{}"), false },
	{ "unknown method", BYTES(CALL("io.example.Test.Nope", "") "\0"), false,
	  ERROR("org.varlink.service.MethodNotFound", "{\"method\":\"io.example.Test.Nope\"}"),
	  false },
	{ "unknown interface", BYTES(CALL("io.example.Other.Echo", "") "\0"), false,
	  ERROR("org.varlink.service.InterfaceNotFound", "{\"interface\":\"io.example.Other\"}"),
	  false },
	{ "info", BYTES(CALL("org.varlink.service.GetInfo", "") "\0"), false,
	  OK("{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\",\"url\":\"u\","
	     "\"interfaces\":[\"org.varlink.service\",\"io.example.Test\"]}"),
	  false },
	{ "description",
	  BYTES(CALL("org.varlink.service.GetInterfaceDescription",
		     ",\"parameters\":{\"interface\":\"io.example.Test\"}") "\0"),
	  false, OK("{\"description\":\"interface io.example.Test\\n\"}"), false },
	{ "description of what is not here",
	  BYTES(CALL("org.varlink.service.GetInterfaceDescription",
		     ",\"parameters\":{\"interface\":\"a.b\"}") "\0"),
	  false, ERROR("org.varlink.service.InterfaceNotFound", "{\"interface\":\"a.b\"}"), false },
	{ "description of nothing",
	  BYTES(CALL("org.varlink.service.GetInterfaceDescription", "") "\0"), false,
	  ERROR("org.varlink.service.InvalidParameter", "{\"parameter\":\"interface\"}"), false },
	{ "unknown service method", BYTES(CALL("org.varlink.service.Nope", "") "\0"), false,
	  ERROR("org.varlink.service.MethodNotFound", "{\"method\":\"org.varlink.service.Nope\"}"),
	  false },
	{ "answered although the caller hung up",
	  BYTES(CALL("io.example.Test.Echo", "") "\0" CALL("io.example.Test.Echo", "") "\0"), true,
	  OK("{}") OK("{}"), true },
	{ "held, and hung up", BYTES(CALL("io.example.Test.Hold", ",\"more\":true") "\0"), true, "",
	  true },
	{ "hung up in mid-call", BYTES("{\"method\":\"io.exam"), true, "", true },
	{ "garbage", BYTES("GET / HTTP/1.1\r\n\r\n\0"), false, "", true },
	{ "empty message", BYTES("\0"), false, "", true },
	{ "garbage after a good call", BYTES(CALL("io.example.Test.Echo", "") "\0\1\2\3\0"), false,
	  OK("{}"), true },
	{ "too many calls ahead",
	  BYTES(CALL("io.example.Test.Hold", ",\"more\":true") "\0{}\0{}\0{}\0{}\0{}\0"), false, "",
	  true },
};

static void test_talk(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(talk_cases); i++) {
		char heard[4096];
		struct fixture *f;
		bool closed;

		print_message("%s\n", talk_cases[i].name);
		setup((void **)&f);
		say(f, talk_cases[i].input, talk_cases[i].len);
		if (talk_cases[i].hang_up)
			shutdown(f->fd, SHUT_WR);
		pump(f);
		hear(f, heard, sizeof(heard), &closed);
		assert_string_equal(heard, talk_cases[i].output);
		assert_int_equal(closed, talk_cases[i].closed);
		teardown((void **)&f);
	}
}

/* However the bytes are cut up, the answers are the same. */
static void test_byte_by_byte(void **state)
{
	static const char input[] =
		CALL("io.example.Test.Echo", ",\"parameters\":{\"a\":[1]}") "\0" CALL(
			"io.example.Test.Count", ",\"more\":true");
	struct fixture *f = *state;
	char heard[4096];
	bool closed;

	for (size_t i = 0; i < sizeof(input); i++) {
		say(f, input + i, 1);
		pump(f);
	}
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard,
			    OK("{\"a\":[1]}") "{\"parameters\":{\"n\":1},\"continues\":true}\n"
					      "{\"parameters\":{\"n\":2},\"continues\":true}"
					      "\n" OK("{}"));
	assert_false(closed);
}

static void test_oversize(void **state)
{
	struct fixture *f = *state;
	static char text[VARLINK_MAX_CALL + 64];
	char heard[64];
	bool closed;

	/* The longest call that is allowed ... */
	memset(text, ' ', VARLINK_MAX_CALL);
	memcpy(text, BYTES(CALL("io.example.Test.Echo", "")));
	say(f, text, VARLINK_MAX_CALL);
	say(f, "", 1);
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard, OK("{}"));
	assert_false(closed);

	/* ... and one byte more, without any NUL. */
	say(f, text, VARLINK_MAX_CALL);
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_false(closed);
	say(f, " ", 1);
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard, "");
	assert_true(closed);
}

static void test_deep_nesting(void **state)
{
	struct fixture *f = *state;
	static char text[200000];
	char heard[64];
	bool closed;

	memset(text, '[', sizeof(text) - 1);
	say(f, text, sizeof(text));
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard, "");
	assert_true(closed);
}

/* A held call does not keep the connection from being seen to end, even with its input full. */
static void test_hold_with_full_input(void **state)
{
	struct fixture *f = *state;
	static char junk[4096];

	say(f, BYTES(CALL("io.example.Test.Hold", ",\"more\":true") "\0"));
	pump(f);
	assert_non_null(f->held);
	memset(junk, 'x', sizeof(junk));
	for (unsigned i = 0; i < VARLINK_MAX_CALL / sizeof(junk) - 1; i++)
		say(f, junk, sizeof(junk));
	say(f, "", 1);
	say(f, junk, sizeof(junk));
	pump(f);
	assert_non_null(f->held);
	assert_int_equal(f->n_disconnects, 0);
	f->fd = close_fd(f->fd);
	pump(f);
	assert_int_equal(f->n_disconnects, 1);
	assert_null(f->held);
}

static void test_late_answer(void **state)
{
	struct fixture *f = *state;
	struct varlink_call *call;
	char heard[256];
	bool closed;

	say(f, BYTES(CALL("io.example.Test.Hold",
			  ",\"more\":true") "\0" CALL("io.example.Test.Echo", "") "\0"));
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard, ""); /* the second call waits for the first */

	assert_int_equal(varlink_call_creds(f->held)->uid, getuid());
	assert_int_equal(varlink_call_notify(f->held, json_pack("{s:i}", "n", 1)), 0);
	hear(f, heard, sizeof(heard), &closed); /* on the wire at once, without the loop */
	assert_string_equal(heard, "{\"parameters\":{\"n\":1},\"continues\":true}\n");

	call = take_ptr(f->held);
	assert_int_equal(varlink_call_reply(call, NULL), 0);
	assert_int_equal(varlink_call_notify(call, NULL), -ENOTCONN);
	varlink_call_unref(call);
	pump(f);
	hear(f, heard, sizeof(heard), &closed);
	assert_string_equal(heard, OK("{}") OK("{}"));
	assert_int_equal(f->n_disconnects, 0);
}

/* Answers do not pile up for somebody who does not read, and calls wait meanwhile. */
static void test_slow_reader(void **state)
{
	static char heard[500000];
	struct fixture *f = *state;
	int small = 4096;
	bool closed;

	assert_int_equal(setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (int i = 0; i < 4; i++)
		say(f, BYTES(CALL("io.example.Test.Big", "") "\0"));
	pump(f);
	assert_int_equal(hear(f, heard, sizeof(heard), &closed), 4 * 100024);
	assert_false(closed);
}

static void test_never_reads(void **state)
{
	struct fixture *f = *state;
	int r = 0;

	say(f, BYTES(CALL("io.example.Test.Hold", ",\"more\":true") "\0"));
	pump(f);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = varlink_call_notify(f->held, json_pack("{s:s}", "message", "hello"));
	assert_int_equal(r, -ENOBUFS);
	assert_non_null(f->held); /* not freed under whoever answers ... */
	pump(f);
	assert_null(f->held); /* ... but by the loop */
	assert_int_equal(f->n_disconnects, 1);
}

static void test_server_goes_first(void **state)
{
	struct fixture *f = *state;

	say(f, BYTES(CALL("io.example.Test.Hold", ",\"more\":true") "\0"));
	pump(f);
	f->server = varlink_server_free(f->server);
	assert_int_equal(f->n_disconnects, 1);
}

/* ---- listening, and the client ---- */

static void listen_at(struct fixture *f, char *dir, struct sockaddr_un *addr)
{
	int fd;

	assert_non_null(mkdtemp(dir));
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/sock", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(varlink_server_listen(f->server, fd), 0);
}

/* Who was answered, in order. */
static int method_note_uid(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_array_append_new(userdata, json_integer((json_int_t)varlink_call_creds(call)->uid));
	return varlink_call_reply(call, NULL);
}

/* However many others have asked before: root's calls come first. */
static void test_root_goes_first(void **state)
{
	static const struct varlink_method note_methods[] = {
		{ "Note", method_note_uid, false },
	};
	static const struct varlink_interface note_interface = {
		.name = "a.b",
		.description = "interface a.b\n",
		.methods = note_methods,
		.n_methods = 1,
	};
	static const char note[] = "{\"method\":\"a.b.Note\"}";
	_cleanup_(varlink_server_freep) struct varlink_server *server = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	json_auto_t *noted = json_array();
	int fds[4][2];

	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(varlink_server_new(event, &info, &note_interface, &limits, noted, &server),
			 0);
	for (size_t i = 0; i < 4; i++) {
		/* The kernel takes note of who makes the pair. */
		assert_int_equal(i < 3 ? seteuid(65534) : 0, 0);
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds[i]),
			0);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(varlink_server_add_connection(server, fds[i][0]), 0);
		for (size_t k = 0; k < 2; k++)
			assert_int_equal(send(fds[i][1], note, sizeof(note), 0), sizeof(note));
	}
	while (sd_event_run(event, 0) > 0)
		;
	assert_int_equal(json_array_size(noted), 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(json_integer_value(json_array_get(noted, i)), i < 2 ? 0 : 65534);
	for (size_t i = 0; i < 4; i++)
		close(fds[i][1]);
}

static void test_client(void **state)
{
	_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
	_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
	struct fixture *f = *state;
	char dir[] = "/tmp/test-varlink-XXXXXX";
	struct sockaddr_un addr;
	struct ucred creds;

	listen_at(f, dir, &addr);
	assert_int_equal(varlink_client_connect("/nonexistent/sock", 0, &client), -ENOENT);
	assert_int_equal(varlink_client_connect(addr.sun_path, 0, &client), 0);
	assert_int_equal(varlink_client_server_creds(client, &creds), 0);
	assert_int_equal(creds.pid, getpid());

	assert_int_equal(varlink_client_send(client, "io.example.Test.Count", NULL, true, 1000000),
			 0);
	assert_int_equal(varlink_client_receive(client, 0, &reply), -EAGAIN);
	assert_int_equal(varlink_client_receive(client, 1000, &reply), -ETIME);
	pump(f);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(varlink_client_receive(client, 0, &reply), 0);
		assert_true(reply.continues);
		assert_int_equal(json_integer_value(json_object_get(reply.parameters, "n")), i);
		varlink_reply_done(&reply);
	}
	assert_int_equal(varlink_client_receive(client, 0, &reply), 0);
	assert_false(reply.continues);
	varlink_reply_done(&reply);

	/* A call that is not answered in time leaves no answer for the next one. */
	assert_int_equal(varlink_client_call(client, "io.example.Test.Echo", NULL, 1000, &reply),
			 -ETIME);
	pump(f);
	assert_int_equal(varlink_client_receive(client, 0, &reply), -ECONNRESET);

	unlink(addr.sun_path);
	rmdir(dir);
}

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	bool close;
	int r;
} server_cases[] = {
	{ "reply", BYTES("{\"parameters\":{}}\0"), false, 0 },
	{ "unfinished", BYTES("{\"parameters\":{}}"), false, -EAGAIN },
	{ "unfinished, then gone", BYTES("{\"parameters\":{}}"), true, -ECONNRESET },
	{ "reply, then gone", BYTES("{\"parameters\":{}}\0"), true, 0 },
	{ "gone", BYTES(""), true, -ECONNRESET },
	{ "garbage", BYTES("hello\0"), false, -EBADMSG },
	{ "not a reply", BYTES("{\"error\":\"x\"}\0"), false, -EBADMSG },
};

static void test_client_hostile_server(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(server_cases); i++) {
		_cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
		_cleanup_(varlink_reply_done) struct varlink_reply reply = { 0 };
		int fds[2];

		print_message("%s\n", server_cases[i].name);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		assert_int_equal(varlink_client_new(fds[0], &client), 0);
		assert_int_equal(write(fds[1], server_cases[i].bytes, server_cases[i].len),
				 server_cases[i].len);
		if (server_cases[i].close)
			fds[1] = close_fd(fds[1]);
		assert_int_equal(varlink_client_receive(client, 0, &reply), server_cases[i].r);
		/* Whoever broke the protocol is not listened to again. */
		if (server_cases[i].r == -EBADMSG)
			assert_int_equal(varlink_client_receive(client, 0, &reply), -ECONNRESET);
		close_fd(fds[1]);
	}
}

/* The uid that the kernel tells decides; here it is our own, so root and others differ. */
static void test_places(void **state)
{
	struct fixture *f = *state;
	struct varlink_client *clients[16] = { 0 };
	char dir[] = "/tmp/test-varlink-XXXXXX";
	size_t n_served = 1, expected = getuid() == 0 ? 8 : 3; /* one is the fixture's */
	struct sockaddr_un addr;

	listen_at(f, dir, &addr);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		assert_int_equal(varlink_client_connect(addr.sun_path, 0, &clients[i]), 0);
	pump(f);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		struct varlink_reply reply;

		n_served += varlink_client_receive(clients[i], 0, &reply) == -EAGAIN;
		varlink_client_free(clients[i]);
	}
	assert_int_equal(n_served, expected);

	/* Places become free again. */
	pump(f);
	assert_int_equal(varlink_client_connect(addr.sun_path, 0, &clients[0]), 0);
	pump(f);
	assert_int_equal(varlink_client_receive(clients[0], 0, &(struct varlink_reply){ 0 }),
			 -EAGAIN);
	varlink_client_free(clients[0]);
	unlink(addr.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_parse),
		cmocka_unit_test(test_reply_parse),
		cmocka_unit_test(test_talk),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oversize, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deep_nesting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_with_full_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client, setup, teardown),
		cmocka_unit_test(test_client_hostile_server),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
	};

	const struct CMUnitTest for_root[] = {
		cmocka_unit_test(test_root_goes_first),
	};
	int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (getuid() != 0) {
		print_message("not root: the test of other users' connections is skipped\n");
		return n_failed ? n_failed : 77;
	}
	return n_failed + cmocka_run_group_tests(for_root, NULL, NULL);
}
