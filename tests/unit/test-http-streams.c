/* Streams over plain sockets: what goes out, who goes away, who is slow; and the end of a server.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "http-fixture.h"

#define MANY 1000u

struct fixture {
	struct http_fixture http;
	struct http_stream *streams[MANY];
	size_t n_streams;
	unsigned n_closed[3], n_drained, n_gone, n_stopped;
	struct http_request *kept;
	struct http_reply reply;
	bool write_when_drained;
};

static struct http_buf *message(const char *text)
{
	struct http_buf *buf = http_buf_new(text, strlen(text));

	assert_non_null(buf);
	return buf;
}

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct fixture *f = userdata;

	f->n_closed[why]++;
	for (size_t i = 0; i < f->n_streams; i++)
		if (f->streams[i] == stream)
			f->streams[i] = NULL;
}

static void on_drained(struct http_stream *stream, void *userdata)
{
	_cleanup_(http_buf_unrefp) struct http_buf *more = message("drained\n");
	struct fixture *f = userdata;

	f->n_drained++;
	if (f->write_when_drained)
		assert_int_equal(http_stream_write(stream, more), 0);
	f->write_when_drained = false;
}

static int open_stream(struct http_request *req, struct fixture *f)
{
	const struct http_stream_config config = {
		.content_type = "application/x-ndjson",
		.on_closed = on_closed,
		.on_drained = on_drained,
		.userdata = f,
	};

	assert_true(f->n_streams < MANY);
	return http_stream_open(req, &config, &f->streams[f->n_streams++]);
}

static int handle_stream(struct http_request *req, void *userdata)
{
	if (strcmp(http_request_method(req), "HEAD") == 0)
		return http_respond_error(req, 405, "method_not_allowed", "a stream has no head");
	return open_stream(req, userdata);
}

static void on_gone(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;

	f->n_gone++;
}

static int handle_later(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;

	f->kept = http_request_ref(req);
	http_request_on_gone(req, on_gone, f);
	return 0;
}

static const struct http_route routes[] = {
	{ "GET", "/stream", HTTP_ON_NETWORK, 0, handle_stream },
	{ "GET", "/later", HTTP_ON_NETWORK, 0, handle_later },
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	http_fixture_init(&f->http, routes, ARRAY_SIZE(routes), f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_fixture_done(&f->http);
	http_request_unref(f->kept);
	free(f);
	return 0;
}

#define GET_STREAM "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_LATER  "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"

static int open_client(struct fixture *f, const char *request)
{
	int fd = http_fixture_connect(&f->http);

	f->reply = (struct http_reply){ 0 };
	http_fixture_send(fd, request);
	http_fixture_receive(&f->http, fd, "\r\n\r\n", &f->reply);
	return fd;
}

static void write_to(struct fixture *f, size_t i, const char *text)
{
	_cleanup_(http_buf_unrefp) struct http_buf *buf = message(text);

	assert_int_equal(http_stream_write(f->streams[i], buf), 0);
}

/* The head is there before any message is; chunks follow; the end is a chunk, too. */
static void test_chunks(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = open_client(f, GET_STREAM);
	assert_non_null(strstr(f->reply.text, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(f->reply.text, "X-Accel-Buffering: no\r\n"));
	assert_non_null(strstr(f->reply.text, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(f->reply.text, "Content-Type: application/x-ndjson\r\n"));
	assert_non_null(strstr(f->reply.text, "Transfer-Encoding: chunked\r\n"));
	assert_int_equal(http_fixture_stats(&f->http).streams, 1);

	write_to(f, 0, "first\n");
	write_to(f, 0, "second\n");
	/* Both within one tick: one chunk. */
	http_fixture_receive(&f->http, fd, "\r\nD\r\nfirst\nsecond\n\r\n", &f->reply);
	http_fixture_wait(&f->http, f->n_drained == 1);
	write_to(f, 0, "last\n");
	f->streams[0] = http_stream_close(f->streams[0]);
	http_fixture_receive(&f->http, fd, "5\r\nlast\n\r\n0\r\n\r\n", &f->reply);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).streams == 0);
	/* Whoever closes is not told. */
	assert_int_equal(f->n_closed[HTTP_STREAM_GONE], 0);
	assert_int_equal(http_fixture_stats(&f->http).bytes_out, 18);
	close(fd);
}

/* What is a stream's own goes before what is shared, and with it or not at all. */
static void test_lines(void **state)
{
	struct fixture *f = *state;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = message("shared\n");
	int fd;

	f->http.config.limits.stream_messages = 2;
	http_fixture_start(&f->http, NULL);
	fd = open_client(f, GET_STREAM);
	assert_int_equal(http_stream_write_line(f->streams[0], "one ", 4, buf), 0);
	assert_int_equal(http_stream_write_line(f->streams[0], "two ", 4, buf), 0);
	assert_int_equal(http_stream_write_line(f->streams[0], "three ", 6, buf), -ENOBUFS);
	http_fixture_receive(&f->http, fd, "\r\n16\r\none shared\ntwo shared\n\r\n", &f->reply);
	http_fixture_wait(&f->http, f->n_drained == 1);
	assert_int_equal(http_fixture_stats(&f->http).bytes_out, 22);
	close(fd);
}

/* As nginx asks by default. */
static void test_http10(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = open_client(f, "GET /stream HTTP/1.0\r\nConnection: close\r\n\r\n");
	assert_null(strstr(f->reply.text, "Transfer-Encoding"));
	write_to(f, 0, "first\n");
	http_fixture_receive(&f->http, fd, "\r\n\r\nfirst\n", &f->reply);
	write_to(f, 0, "second\n");
	http_stream_close(f->streams[0]);
	http_fixture_receive(&f->http, fd, NULL, &f->reply);
	assert_non_null(strstr(f->reply.text, "\r\n\r\nfirst\nsecond\n"));
	close(fd);
}

/* The right to a stream may have to be looked up first. */
static void test_stream_later(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = http_fixture_connect(&f->http);
		http_fixture_send(fds[i], GET_LATER);
		http_fixture_wait(&f->http, f->kept);
		assert_int_equal(open_stream(f->kept, f), 0);
		assert_int_equal(open_stream(f->kept, f), -EALREADY);
		f->n_streams--;
		f->kept = http_request_unref(f->kept);
		write_to(f, i, "first\n");
		if (i == 0)
			http_fixture_receive(&f->http, fds[0], "first\n", &f->reply);
		/* The other one leaves before it has got anything. */
		close(fds[i]);
		http_fixture_wait(&f->http, f->n_closed[HTTP_STREAM_GONE] == i + 1);
	}
	assert_int_equal(f->n_gone, 0);
}

/* Longer than whatever libmicrohttpd takes at once. */
static void test_long_message(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = malloc(50001);
	int fd;

	memset(text, 'x', 50000);
	text[49999] = '\n';
	text[50000] = '\0';
	http_fixture_start(&f->http, NULL);
	fd = open_client(f, "GET /stream HTTP/1.0\r\n\r\n");
	write_to(f, 0, text);
	http_stream_close(f->streams[0]);
	http_fixture_receive(&f->http, fd, NULL, &f->reply);
	assert_string_equal(http_reply_body(&f->reply), text);
	close(fd);
}

static void test_no_head(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	assert_int_equal(
		http_fixture_ask(&f->http, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n", &f->reply),
		405);
}

static void test_write_when_drained(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = open_client(f, GET_STREAM);
	f->write_when_drained = true;
	write_to(f, 0, "first\n");
	http_fixture_receive(&f->http, fd, "drained\n", &f->reply);
	http_fixture_wait(&f->http, f->n_drained == 2);
	close(fd);
	http_fixture_wait(&f->http, f->n_closed[HTTP_STREAM_GONE] == 1);
}

/* Clients of a request without an answer, and of a stream without a message, are seen to leave. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = http_fixture_connect(&f->http);
	http_fixture_send(fd, GET_LATER);
	http_fixture_wait(&f->http, f->kept);
	close(fd);
	http_fixture_wait(&f->http, f->n_gone == 1);
	assert_int_equal(http_respond_json(f->kept, 200, json_object()), -ENOTCONN);
	assert_int_equal(http_fixture_stats(&f->http).requests[0], 1);

	fd = open_client(f, GET_STREAM);
	close(fd);
	http_fixture_wait(&f->http, f->n_closed[HTTP_STREAM_GONE] == 1);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

/* What comes together with the end is answered, but not waited for. */
static void test_half_closed(void **state)
{
	struct fixture *f = *state;
	int fds[3];

	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = http_fixture_connect(&f->http);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 3);
	http_fixture_send(fds[0], "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	http_fixture_send(fds[1], GET_STREAM);
	for (unsigned i = 0; i < 5; i++)
		http_fixture_send(fds[2], "GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
	http_fixture_send(fds[2], GET_LATER);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		shutdown(fds[i], SHUT_WR);
	/* Long before any time is up. */
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
	http_fixture_receive(&f->http, fds[0], "HTTP/1.1 405", &f->reply);
	assert_int_equal(f->n_closed[HTTP_STREAM_GONE], 1);
	assert_int_equal(f->n_gone, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* The end comes together with bytes that are no request yet. */
static void test_half_a_request(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 8; i++) {
		fd = http_fixture_connect(&f->http);
		http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 1);
		if (i % 2)
			http_fixture_send(fd, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
		if (i / 2 % 2) {
			http_fixture_send(fd, "GE");
			http_fixture_pump(&f->http, 20000);
		}
		http_fixture_send(fd, "GET /str");
		shutdown(fd, SHUT_WR);
		/* Long before any time is up. */
		http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
		close(fd);
	}
}

/* Not only those that say goodbye. */
static void leave(int fd, bool reset)
{
	const struct linger linger = { .l_onoff = reset };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

static void test_many_vanish(void **state)
{
	struct fixture *f = *state;
	static int fds[MANY];
	uint64_t began;

	f->http.config.limits.max_connections_per_address = 0;
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = http_fixture_connect(&f->http);
		http_fixture_send(fds[i], GET_STREAM);
	}
	http_fixture_wait(&f->http, f->n_streams == MANY);
	for (unsigned i = 0; i < MANY; i++)
		leave(fds[i], i % 2);
	began = clock_usec(CLOCK_MONOTONIC);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
	assert_int_equal(f->n_closed[HTTP_STREAM_GONE], MANY);
	/* Measured: 10 ms. One by one, with libmicrohttpd run for each, they take many times that.
	 */
	assert_true(clock_usec(CLOCK_MONOTONIC) - began < 5 * USEC_PER_SEC);
}

/* One buffer, a thousand readers. */
static void test_broadcast(void **state)
{
	struct fixture *f = *state;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = message("to all\n");
	static int fds[MANY];

	f->http.config.limits.max_connections_per_address = 0;
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = http_fixture_connect(&f->http);
		http_fixture_send(fds[i], GET_STREAM);
	}
	http_fixture_wait(&f->http, f->n_streams == MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(http_stream_write(f->streams[i], buf), 0);
	for (unsigned i = 0; i < MANY; i++) {
		f->reply = (struct http_reply){ 0 };
		http_fixture_receive(&f->http, fds[i], "7\r\nto all\n\r\n", &f->reply);
		close(fds[i]);
	}
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

/* Fill the sockets, then the queue. Return: messages that found place. */
static size_t fill(struct fixture *f, struct http_buf *buf)
{
	size_t n = 0;
	int r;

	for (unsigned full = 0; full < 20;) {
		r = http_stream_write(f->streams[0], buf);
		if (r == 0) {
			/* 100 MB: no socket takes that. */
			assert_true(n++ < 10000);
			full = 0;
			continue;
		}
		assert_int_equal(r, -ENOBUFS);
		/* The sockets may take more yet. */
		full++;
		http_fixture_pump(&f->http, 10000);
	}
	return n;
}

/* Read until it is drained. Return: the bytes that came. */
static size_t drain(struct fixture *f, int fd)
{
	uint64_t late = http_fixture_deadline() + HTTP_PATIENCE_USEC;
	size_t n = 0, before;
	bool drained;

	f->n_drained = 0;
	f->reply = (struct http_reply){ 0 };
	do {
		http_fixture_pump(&f->http, 1000);
		/* If so, what is left is in the socket. */
		drained = f->n_drained > 0;
		before = f->reply.len;
		http_fixture_take(fd, &f->reply);
		n += f->reply.len - before;
		drained &= f->reply.len == before;
		assert_false(f->reply.end);
		if (f->reply.len > sizeof(f->reply.text) / 2)
			f->reply.len = 0;
		assert_true(http_fixture_deadline() < late);
	} while (!drained);
	return n;
}

static void test_slow_reader(void **state)
{
	struct fixture *f = *state;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;
	_cleanup_free_ char *text = calloc(1, 10001);
	size_t n;
	int fd;

	memset(text, 'x', 10000);
	buf = message(text);
	f->http.config.limits.stream_bytes = 35000;
	f->http.config.limits.idle_usec = 2 * USEC_PER_SEC;
	http_fixture_start(&f->http, NULL);
	fd = open_client(f, "GET /stream HTTP/1.0\r\n\r\n");
	n = fill(f, buf);
	assert_true(n > 3);
	assert_true(http_stream_queued(f->streams[0]) <= 3);
	assert_true(http_fixture_stats(&f->http).queue_full > 0);
	/* Once it has taken that, there is place again. */
	assert_int_equal(drain(f, fd) % 10000, 0);
	write_to(f, 0, "more\n");
	assert_int_equal(drain(f, fd), strlen("more\n"));
	/* Read nothing, and it does not go on. */
	fill(f, buf);
	http_fixture_wait(&f->http, f->n_closed[HTTP_STREAM_SLOW] == 1);
	assert_int_equal(http_fixture_stats(&f->http).slow_readers, 1);
	close(fd);
}

/* A stream may be silent for longer than connections may be idle. */
static void test_silence(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->http.config.limits.idle_usec = USEC_PER_SEC;
	f->http.config.limits.request_usec = USEC_PER_SEC;
	http_fixture_start(&f->http, NULL);
	fd = open_client(f, GET_STREAM);
	http_fixture_pump(&f->http, 3 * USEC_PER_SEC);
	write_to(f, 0, "still here\n");
	http_fixture_receive(&f->http, fd, "still here\n", &f->reply);
	close(fd);
}

static void test_messages_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = message("x");
	int fd;

	f->http.config.limits.stream_messages = 5;
	http_fixture_start(&f->http, NULL);
	fd = open_client(f, GET_STREAM);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(http_stream_write(f->streams[0], buf), 0);
	assert_int_equal(http_stream_write(f->streams[0], buf), -ENOBUFS);
	assert_int_equal(http_stream_queued(f->streams[0]), 5);
	http_fixture_receive(&f->http, fd, "xxxxx", &f->reply);
	close(fd);
}

static void on_stopped(void *userdata)
{
	struct fixture *f = userdata;

	f->n_stopped++;
}

static bool is_refused(struct fixture *f)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&f->http.endpoint, &ss);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool refused = connect(fd, (struct sockaddr *)&ss, len) < 0 && errno == ECONNREFUSED;

	close(fd);
	return refused;
}

/* Streams end, what is asked already is answered, then it is over. */
static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct http_reply reply = { 0 };
	int stream, later;

	http_fixture_start(&f->http, NULL);
	stream = open_client(f, GET_STREAM);
	later = http_fixture_connect(&f->http);
	http_fixture_send(later, GET_LATER);
	http_fixture_wait(&f->http, f->kept);
	write_to(f, 0, "goodbye\n");
	assert_int_equal(http_server_stop(f->http.server, 60 * USEC_PER_SEC, on_stopped, f), 0);
	assert_int_equal(http_server_stop(f->http.server, 1, on_stopped, f), -EALREADY);
	assert_int_equal(f->n_closed[HTTP_STREAM_STOP], 1);
	assert_true(is_refused(f));
	http_fixture_receive(&f->http, stream, "goodbye\n\r\n0\r\n\r\n", &f->reply);
	assert_int_equal(f->n_stopped, 0);
	assert_int_equal(http_respond_json(f->kept, 200, json_object()), 0);
	http_fixture_receive(&f->http, later, "Connection: close\r\n", &reply);
	http_fixture_wait(&f->http, f->n_stopped == 1);
	close(stream);
	close(later);
}

static void test_stop_in_vain(void **state)
{
	struct fixture *f = *state;
	struct http_reply reply = { 0 };
	int later;

	http_fixture_start(&f->http, NULL);
	later = http_fixture_connect(&f->http);
	http_fixture_send(later, GET_LATER);
	http_fixture_wait(&f->http, f->kept);
	assert_int_equal(http_server_stop(f->http.server, 100000, on_stopped, f), 0);
	http_fixture_wait(&f->http, f->n_stopped == 1);
	assert_int_equal(f->n_gone, 0);
	f->http.server = http_server_free(f->http.server);
	assert_int_equal(f->n_gone, 1);
	http_fixture_receive(&f->http, later, NULL, &reply);
	assert_int_equal(reply.len, 0);
	close(later);
}

static void free_server(void *userdata)
{
	struct fixture *f = userdata;

	f->n_stopped++;
	f->http.server = http_server_free(f->http.server);
}

static void test_stop_idle(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	assert_int_equal(http_server_stop(f->http.server, 60 * USEC_PER_SEC, free_server, f), 0);
	http_fixture_wait(&f->http, f->n_stopped == 1);
}

/*
 * Where a head leaves libmicrohttpd no memory for an answer, it closes the connection, and of some
 * of these requests it never says that they have ended: they are gone all the same.
 */
static void test_stop_after_heads_without_answer(void **state)
{
	static char request[8192];
	struct fixture *f = *state;
	unsigned n_unanswered = 0;

	http_fixture_start(&f->http, NULL);
	for (size_t len = 5000; len < 6100; len += 31) {
		snprintf(
			request, sizeof(request),
			"GET /nothing HTTP/1.1\r\nHost: c\r\nCookie: a=0123456789; b=0123456789\r\n"
			"X-Long: %0*d\r\n\r\n",
			(int)len, 0);
		n_unanswered += http_fixture_ask(&f->http, request, &f->reply) == 0;
	}
	assert_true(n_unanswered > 0);
	assert_int_equal(http_server_stop(f->http.server, 600 * USEC_PER_SEC, on_stopped, f), 0);
	http_fixture_wait(&f->http, f->n_stopped == 1);
}

/* At once, with all there is. */
static void test_free_at_once(void **state)
{
	struct fixture *f = *state;
	int stream, later;

	http_fixture_start(&f->http, NULL);
	stream = open_client(f, GET_STREAM);
	later = http_fixture_connect(&f->http);
	http_fixture_send(later, GET_LATER);
	http_fixture_wait(&f->http, f->kept);
	write_to(f, 0, "lost\n");
	f->http.server = http_server_free(f->http.server);
	assert_int_equal(f->n_closed[HTTP_STREAM_STOP], 1);
	assert_int_equal(f->n_gone, 1);
	close(stream);
	close(later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_http10, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_when_drained, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_vanish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broadcast, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_in_vain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_after_heads_without_answer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_free_at_once, setup, teardown),
	};
	struct rlimit files;

	/* Two for each of the many. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * MANY + 100) {
		files.rlim_cur = files.rlim_max < 2 * MANY + 100 ? files.rlim_max : 2 * MANY + 100;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
