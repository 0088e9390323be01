/* The HTTP server over plain sockets: routes, what handlers see, answers, limits of size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "coord/http/internal.h"
#include "coord/http/rate.h"
#include "http-fixture.h"

struct fixture {
	struct http_fixture http;
	struct http_request *kept;
	struct http_rate *rate;
	struct http_reply reply;
	unsigned n_gone, n_handled;
};

static int handle_echo(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;
	char client[IP_ADDR_STRLEN] = "";
	size_t len;
	const char *body = http_request_body(req, &len);
	const char *id = http_request_param(req, "id");
	const char *q = http_request_query(req, "q", 0);
	const char *q1 = http_request_query(req, "q", 1);
	const char *header = http_request_header(req, "x-thing", 0);
	const char *header1 = http_request_header(req, "X-Thing", 1);

	f->n_handled++;
	if (http_request_client(req))
		ip_addr_to_string(http_request_client(req), client);
	return http_respond_json(
		req, 200,
		json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s%, s:s, s:b}",
			  "method", http_request_method(req), "path", http_request_raw_path(req),
			  "query", http_request_raw_query(req), "id", id, "q", q, "q1", q1,
			  "header", header, "header1", header1, "body", body, len, "client", client,
			  "secure", http_request_is_secure(req)));
}

static int handle_size(struct http_request *req, void *userdata)
{
	size_t len;

	(void)http_request_body(req, &len);
	return http_respond_json(req, 200, json_pack("{s:I}", "len", (json_int_t)len));
}

static void on_gone(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;

	f->n_gone++;
}

static int handle_later(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;

	http_request_unref(f->kept);
	f->kept = http_request_ref(req);
	http_request_on_gone(req, on_gone, f);
	return 0;
}

static int handle_fail(struct http_request *req, void *userdata)
{
	return http_request_query(req, "memory", 0) ? -ENOMEM : -EIO;
}

static int handle_silent(struct http_request *req, void *userdata)
{
	return 0;
}

static int handle_limited(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;
	int r;

	r = http_request_limit(req, f->rate);
	return r == 0 ? http_respond_json(req, 200, json_object()) : r;
}

static int handle_headers(struct http_request *req, void *userdata)
{
	const char *value = http_request_query(req, "forged", 0) ? "a\r\nSet-Cookie: b" : "fine";
	const struct http_header header = { "X-Own", value };
	_cleanup_(http_buf_unrefp) struct http_buf *body = http_buf_new("hello", 5);

	return http_respond(req, &(struct http_response){ .status = 201,
							  .content_type = "text/plain",
							  .headers = &header,
							  .n_headers = 1,
							  .body = body });
}

static int handle_creds(struct http_request *req, void *userdata)
{
	const struct ucred *creds = http_request_creds(req);

	return http_respond_json(req, 200,
				 json_pack("{s:i, s:i, s:b}", "uid", (int)creds->uid, "pid",
					   (int)creds->pid, "client", !!http_request_client(req)));
}

#define ANYWHERE (HTTP_ON_NETWORK | HTTP_ON_UNIX)

static const struct http_route routes[] = {
	{ "GET", "/echo", ANYWHERE, 0, handle_echo },
	{ "POST", "/echo", ANYWHERE, 0, handle_echo },
	{ "GET", "/nodes/{id}", ANYWHERE, 0, handle_echo },
	{ "DELETE", "/nodes/{id}", ANYWHERE, 0, handle_echo },
	{ "GET", "/nodes/{id}/keys", ANYWHERE, 0, handle_echo },
	{ "POST", "/size", ANYWHERE, 0, handle_size },
	{ "POST", "/big", ANYWHERE, 1u << 20, handle_size },
	{ "GET", "/later", ANYWHERE, 0, handle_later },
	{ "GET", "/fail", ANYWHERE, 0, handle_fail },
	{ "GET", "/silent", ANYWHERE, 0, handle_silent },
	{ "GET", "/limited", ANYWHERE, 0, handle_limited },
	{ "GET", "/headers", ANYWHERE, 0, handle_headers },
	{ "GET", "/local", HTTP_ON_UNIX, 0, handle_creds },
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
	http_rate_free(f->rate);
	free(f);
	return 0;
}

static void expect(struct fixture *f, const char *request, unsigned status, const char *text)
{
	unsigned actual = http_fixture_ask(&f->http, request, &f->reply);

	if (actual != status || !strstr(f->reply.text, text))
		fail_msg("%s -> %u (not %u, \"%s\"): %s", request, actual, status, text,
			 f->reply.text);
}

#define HOST "Host: coord.example\r\n"

static void test_routes(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	expect(f, "GET /echo?q=a%20b+c&q=%C3%BC&x HTTP/1.1\r\n" HOST "\r\n", 200,
	       "\"q\":\"a b c\",\"q1\":\"\xc3\xbc\"");
	expect(f, "GET /nodes/n%2F1 HTTP/1.1\r\n" HOST "\r\n", 200,
	       "\"path\":\"/nodes/n%2F1\",\"query\":null,\"id\":\"n/1\"");
	expect(f, "GET /nodes/n1/keys?z HTTP/1.1\r\n" HOST "\r\n", 200, "\"query\":\"z\"");
	expect(f, "GET /echo HTTP/1.1\r\n" HOST "x-tHiNg: 1\r\nX-Thing: \t2\r\n\r\n", 200,
	       "\"header\":\"1\",\"header1\":\"2\"");
	expect(f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab\"de", 200,
	       "\"body\":\"ab\\\"de\",\"client\":\"127.0.0.1\",\"secure\":false");
	assert_non_null(strstr(f->reply.text, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(f->reply.text, "Content-Type: application/json\r\n"));
	expect(f, "GET /nodes/ HTTP/1.1\r\n" HOST "\r\n", 404,
	       "{\"error\":{\"code\":\"not_found\"");
	expect(f, "GET /nodes HTTP/1.1\r\n" HOST "\r\n", 404, "\"not_found\"");
	expect(f, "GET /echo/ HTTP/1.1\r\n" HOST "\r\n", 404, "\"not_found\"");
	expect(f, "PUT /nodes/n1 HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET, HEAD, DELETE\r\n");
	expect(f, "HEAD /echo HTTP/1.1\r\n" HOST "\r\n", 200, "");
	assert_string_equal(http_reply_body(&f->reply), "");
	/* A Unix socket's only. */
	expect(f, "GET /local HTTP/1.1\r\n" HOST "\r\n", 404, "\"not_found\"");
}

static void test_targets_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {
		"*",	       "http://coord.example/echo",
		"/a/../echo",  "/%2e%2e/echo",
		"/echo?q=%zz", "/nodes/%00",
		"/nodes/%0a",  "/nodes/%ff",
		"/nodes/%2",   "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
	};
	char request[256];

	http_fixture_start(&f->http, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
		expect(f, request, 400, "{\"error\":{\"code\":\"malformed\",\"message\":\"");
	}
	assert_int_equal(f->n_handled, 0);
}

/* What a proxy in front may read as two requests, or as another one. */
static void test_smuggling(void **state)
{
	struct fixture *f = *state;
	static const char *const heads[] = {
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
		"Content-Length: 3\r\nContent-Length: 3\r\n",
		"Content-Length: 3\r\nContent-Length: 30\r\n",
		"Content-Length: 3\r\ncontent-length: 4\r\n",
		"Content-Length: +3\r\n",
		"Content-Length: 3, 3\r\n",
		"Content-Length: 0x3\r\n",
		"Content-Length: -3\r\n",
		"Content-Length:\r\n",
		"Content-Length: 99999999999999999999\r\n",
		"Content-Length : 3\r\n",
		"Content-Length\t: 3\r\n",
		" Content-Length: 3\r\n",
		"X: y\r\n Content-Length: 3\r\n",
		"X: y\r\n\tContent-Length: 3\r\n",
		"Transfer-Encoding:\r\n chunked\r\n",
		"Content-Length:\r\n 3\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: identity\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: chunked \r\n",
		"Transfer-Encoding: \013chunked\r\n",
		"Transfer-Encoding\x0b: chunked\r\n",
		"X: y\nContent-Length: 3\r\n",
		"Content-Length: 3\n",
		"X: y\rContent-Length: 3\r\n",
		"No colon\r\n",
		": no name\r\n",
		"B\xc3\xa9: no token\r\n",
		"Host: other.example\r\n",
	};
	char request[512];

	http_fixture_start(&f->http, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		unsigned status;

		snprintf(request, sizeof(request),
			 "POST /echo HTTP/1.1\r\n" HOST "%s\r\nabcGET /echo HTTP/1.1\r\n" HOST
			 "\r\n",
			 heads[i]);
		status = http_fixture_ask(&f->http, request, &f->reply);
		if ((status != 400 && status != 413) ||
		    !strstr(f->reply.text, "Connection: close\r\n"))
			fail_msg("%s -> %u: %s", request, status, f->reply.text);
		/* Neither it nor what may be another request was handled. */
		assert_int_equal(f->n_handled, 0);
	}
}

/* The same with NUL, which strings cannot hold. */
static void test_smuggling_nul(void **state)
{
	struct fixture *f = *state;
	static const char *const heads[] = {
		"X: y@\r\n",  "X: y@z\r\n",    "@X: y\r\n",
		"@\r\n",      "X@: y\r\n",     "X: y\r\n@",
		"X: y@@\r\n", "X: y@@b@c\r\n", "Content-Length: 3@\r\n",
	};
	char request[512];

	http_fixture_start(&f->http, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		int fd = http_fixture_connect(&f->http);
		int len = snprintf(request, sizeof(request),
				   "POST /echo HTTP/1.1\r\n" HOST "%s\r\n", heads[i]);

		for (int k = 0; k < len; k++)
			request[k] = request[k] == '@' ? '\0' : request[k];
		assert_int_equal(send(fd, request, (size_t)len, 0), len);
		f->reply = (struct http_reply){ 0 };
		http_fixture_receive(&f->http, fd, "HTTP/1.1 400", &f->reply);
		assert_int_equal(f->n_handled, 0);
		close(fd);
	}
}

/* First lines: an answer, or none at all, but never the handler. */
static void test_first_lines(void **state)
{
	struct fixture *f = *state;
	static const char *const lines[] = {
		"GET  /echo HTTP/1.1",
		"GET /echo  HTTP/1.1",
		"GET /echo HTTP/1.1 ",
		"GET\t/echo HTTP/1.1",
		"GET /ec ho HTTP/1.1",
		"GET /echo HTTP/2.0",
		"GET /echo HTTP/0.9",
		"GET /echo",
		"GET",
		"G(T /echo HTTP/1.1",
		"get /echo HTTP/1.1",
		"GET /echo HTTP/1.1x",
		"GET /ec\x01ho HTTP/1.1",
		"\x16\x03\x01\x02\x01",
		"GET /echo HTTPS/1.1",
	};
	char request[256];

	http_fixture_start(&f->http, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = http_fixture_connect(&f->http);

		snprintf(request, sizeof(request), "%s\r\n" HOST "Connection: close\r\n\r\n",
			 lines[i]);
		http_fixture_send(fd, request);
		f->reply = (struct http_reply){ 0 };
		http_fixture_receive(&f->http, fd, NULL, &f->reply);
		if (strstr(f->reply.text, "HTTP/1.1 200"))
			fail_msg("%s: %s", lines[i], f->reply.text);
		assert_int_equal(f->n_handled, 0);
		close(fd);
	}
}

/* Without Host there is no HTTP/1.1; HTTP/1.0 knows none. */
static void test_host(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	assert_int_equal(http_fixture_ask(&f->http, "GET /echo HTTP/1.1\r\n\r\n", &f->reply), 400);
	expect(f, "GET /echo HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n");
	expect(f, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200,
	       "Connection: Keep-Alive\r\n");
	expect(f, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
	       "HTTP/1.0 has no Transfer-Encoding");
}

static void test_keep_alive(void **state)
{
	struct fixture *f = *state;
	struct http_stats stats;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = http_fixture_connect(&f->http);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(http_fixture_exchange(&f->http, fd,
						       "GET /echo HTTP/1.1\r\n" HOST "\r\n",
						       &f->reply),
				 200);
		/* Nor do refusals end it. */
		assert_int_equal(http_fixture_exchange(&f->http, fd,
						       "POST /none HTTP/1.1\r\n" HOST
						       "Content-Length: 3\r\n\r\nabc",
						       &f->reply),
				 404);
	}
	stats = http_fixture_stats(&f->http);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.connections_total, 1);
	assert_int_equal(stats.requests[2], 3);
	assert_int_equal(stats.requests[4], 3);
	close(fd);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

/* Several at once are answered one after the other, also if the first is to wait. */
static void test_pipelining(void **state)
{
	struct fixture *f = *state;
	const char *second, *third;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = http_fixture_connect(&f->http);
	http_fixture_send(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n"
			      "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
			      "GET /nodes/n7 HTTP/1.1\r\n" HOST "\r\n");
	http_fixture_wait(&f->http, f->kept);
	http_fixture_pump(&f->http, 50000);
	assert_int_equal(f->n_handled, 0);
	assert_int_equal(http_respond_json(f->kept, 200, json_pack("{s:s}", "late", "answer")), 0);
	http_fixture_receive(&f->http, fd, "\"id\":\"n7\"", &f->reply);
	second = strstr(f->reply.text, "{\"late\":\"answer\"}");
	third = strstr(f->reply.text, "\"body\":\"abc\"");
	assert_true(second && third && second < third);
	close(fd);
}

static void test_chunked_body(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	/* Nothing behind it is read: others may see its end at another place. */
	expect(f,
	       "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
	       "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: z\r\n\r\n"
	       "GET /echo HTTP/1.1\r\n" HOST "\r\n",
	       200, "\"body\":\"abcde\"");
	assert_non_null(strstr(f->reply.text, "Connection: close\r\n"));
	http_fixture_pump(&f->http, 50000);
	assert_int_equal(f->n_handled, 1);
	expect(f, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3x\r\nabc\r\n",
	       400, "");
	assert_int_equal(f->n_handled, 1);
}

static void test_expect_continue(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = http_fixture_connect(&f->http);
	http_fixture_send(fd, "POST /size HTTP/1.1\r\n" HOST
			      "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	http_fixture_receive(&f->http, fd, "HTTP/1.1 100 Continue\r\n\r\n", &f->reply);
	http_fixture_send(fd, "abc");
	http_fixture_receive(&f->http, fd, "{\"len\":3}", &f->reply);
	close(fd);
}

/* Send a body of so many bytes, as far as it is taken. Return: the status of the answer. */
static unsigned post(struct fixture *f, const char *path, size_t len, bool chunked)
{
	int fd = http_fixture_connect(&f->http);
	_cleanup_free_ char *body = calloc(1, len + 64);
	char head[256];
	unsigned status = 0;
	size_t sent = 0;

	f->reply = (struct http_reply){ 0 };
	if (chunked) {
		snprintf(head, sizeof(head),
			 "POST %s HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", path);
		memset(body + snprintf(body, 32, "%zx\r\n", len), 'x', len);
		strcat(body, "\r\n0\r\n\r\n");
		len = strlen(body);
	} else {
		snprintf(head, sizeof(head),
			 "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", path, len);
	}
	http_fixture_send(fd, head);
	http_fixture_wait(&f->http, ({
		ssize_t n = sent < len ? send(fd, body + sent, len - sent, MSG_NOSIGNAL) : 0;

		sent += n > 0 ? (size_t)n : 0;
		http_fixture_take(fd, &f->reply);
		strstr(f->reply.text, "}") || f->reply.end;
	}));
	(void)sscanf(f->reply.text, "HTTP/1.1 %u", &status);
	close(fd);
	return status;
}

static void test_body_limits(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	for (unsigned chunked = 0; chunked < 2; chunked++) {
		assert_int_equal(post(f, "/size", 65536, chunked), 200);
		assert_non_null(strstr(f->reply.text, "{\"len\":65536}"));
		/* The connection lives, for the body was read to its end. */
		assert_int_equal(post(f, "/size", 65537, chunked), 413);
		assert_non_null(strstr(f->reply.text, "\"code\":\"body_too_large\""));
		assert_int_equal(!strstr(f->reply.text, "Connection: close\r\n"), !chunked);
		assert_int_equal(post(f, "/big", 1u << 20, chunked), 200);
		assert_int_equal(post(f, "/none", 100000, chunked), 404);
	}
	/* Too much to be read for nothing. */
	assert_int_equal(post(f, "/size", 8u << 20, false), 413);
	assert_non_null(strstr(f->reply.text, "Connection: close\r\n"));
	assert_int_equal(post(f, "/size", 8u << 20, true), 0);
	assert_true(f->reply.end);
}

/* A head with one header of so many bytes. */
static unsigned ask_with_head(struct fixture *f, size_t len)
{
	_cleanup_free_ char *request = calloc(1, len + 128);
	char *end = stpcpy(request, "GET /echo HTTP/1.1\r\n" HOST "X-Long: ");

	memset(end, 'x', len);
	strcpy(end + len, "\r\n\r\n");
	return http_fixture_ask(&f->http, request, &f->reply);
}

static unsigned ask_with_fields(struct fixture *f, unsigned n)
{
	char request[4096] = "GET /echo HTTP/1.1\r\n" HOST;

	while (n-- > 0)
		strcat(request, "a: b\r\n");
	strcat(request, "\r\n");
	return http_fixture_ask(&f->http, request, &f->reply);
}

static void test_head_limits(void **state)
{
	struct fixture *f = *state;
	unsigned n_json = 0, status;

	http_fixture_start(&f->http, NULL);
	assert_int_equal(ask_with_head(f, 4000), 200);
	assert_int_equal(ask_with_fields(f, 47), 200);
	assert_int_equal(ask_with_fields(f, 48), 431);
	assert_non_null(strstr(f->reply.text, "\"code\":\"head_too_large\""));
	/*
	 * The answer is ours first; libmicrohttpd's own where the head does not even fit; and there
	 * is none in between, where it leaves no memory for an answer.
	 */
	for (size_t len = 4000; len < 8000; len += 61) {
		status = ask_with_head(f, len);
		n_json += status == 431 && strstr(f->reply.text, "\"code\":\"head_too_large\"");
		if (status == 0)
			assert_in_range(len, 5500, 6144);
		else if (status != 431 && (status != 200 || len > 5000))
			fail_msg("%zu -> %u: %s", len, status, f->reply.text);
	}
	assert_true(n_json > 10);
	assert_int_equal(
		http_fixture_ask(&f->http, "GET /echo HTTP/1.1\r\n" HOST "\r\n", &f->reply), 200);
}

static void test_long_target(void **state)
{
	struct fixture *f = *state;
	char request[20000] = "GET /echo?";

	http_fixture_start(&f->http, NULL);
	memset(request + 10, 'x', 15000);
	strcat(request, " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(http_fixture_ask(&f->http, request, &f->reply), 414);
	assert_int_equal(f->n_handled, 0);
}

/* A query of so many parameters, the first with a value of so many bytes. */
static unsigned ask_with_parameters(struct fixture *f, unsigned n, size_t len)
{
	char request[8192] = "GET /echo?a=";
	char *end = request + strlen(request);

	memset(end, 'x', len);
	end += len;
	while (--n > 0)
		end = stpcpy(end, "&b");
	strcpy(end, " HTTP/1.1\r\n" HOST "\r\n");
	return http_fixture_ask(&f->http, request, &f->reply);
}

/* Many parameters, and long ones, are answered by us: they cost no memory of the connection. */
static void test_many_parameters(void **state)
{
	static const unsigned too_many[] = { 65, 96, 97, 120, 500, 1000, 2000 };
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	assert_int_equal(ask_with_parameters(f, 64, 1), 200);
	assert_int_equal(ask_with_parameters(f, 64, 4000), 200);
	f->n_handled = 0;
	for (size_t i = 0; i < ARRAY_SIZE(too_many); i++) {
		if (ask_with_parameters(f, too_many[i], 1) != 400 ||
		    !strstr(f->reply.text, "too many parameters"))
			fail_msg("%u parameters: %s", too_many[i], f->reply.text);
	}
	assert_int_equal(f->n_handled, 0);
}

/* A byte now and then does not keep a connection. */
static void trickle(struct fixture *f, const char *beginning)
{
	int fd = http_fixture_connect(&f->http);
	unsigned n = 0;

	f->reply = (struct http_reply){ 0 };
	http_fixture_send(fd, beginning);
	while (!f->reply.end) {
		(void)send(fd, "x", 1, MSG_NOSIGNAL);
		http_fixture_pump(&f->http, 100000);
		http_fixture_take(fd, &f->reply);
		assert_true(n++ < 200);
	}
	assert_true(n >= 5);
	assert_int_equal(f->reply.len, 0);
	close(fd);
}

static void test_slow_sender(void **state)
{
	struct fixture *f = *state;

	f->http.config.limits.request_usec = 1000000;
	http_fixture_start(&f->http, NULL);
	trickle(f, "G");
	trickle(f, "GET /echo HTTP/1.1\r\n" HOST "X-Slow: ");
	trickle(f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
	assert_int_equal(http_fixture_stats(&f->http).slow_senders, 3);
	assert_int_equal(f->n_handled, 0);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

/* Nor does silence; but an answer that takes longer is waited for. */
static void test_idle(void **state)
{
	struct fixture *f = *state;
	struct http_reply reply = { 0 };
	int idle, busy;

	f->http.config.limits.idle_usec = 1000000;
	http_fixture_start(&f->http, NULL);
	idle = http_fixture_connect(&f->http);
	busy = http_fixture_connect(&f->http);
	http_fixture_send(busy, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	http_fixture_wait(&f->http, f->kept);
	http_fixture_receive(&f->http, idle, NULL, &f->reply);
	http_fixture_pump(&f->http, 2500000);
	assert_int_equal(f->n_gone, 0);
	assert_int_equal(http_respond_json(f->kept, 200, json_object()), 0);
	http_fixture_receive(&f->http, busy, "{}", &reply);
	close(idle);
	close(busy);
}

static void test_errors_of_handlers(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, NULL);
	expect(f, "GET /fail HTTP/1.1\r\n" HOST "\r\n", 500, "\"code\":\"internal\"");
	expect(f, "GET /fail?memory HTTP/1.1\r\n" HOST "\r\n", 503, "\"code\":\"out_of_memory\"");
	expect(f, "GET /silent HTTP/1.1\r\n" HOST "\r\n", 500, "\"code\":\"internal\"");
	expect(f, "GET /headers HTTP/1.1\r\n" HOST "\r\n", 201, "X-Own: fine\r\n");
	assert_string_equal(http_reply_body(&f->reply), "hello");
	expect(f, "GET /headers?forged HTTP/1.1\r\n" HOST "\r\n", 500, "");
	assert_null(strstr(f->reply.text, "Set-Cookie"));
}

/* Whoever drops the last reference without an answer has not forgotten the client. */
static void test_answer_later(void **state)
{
	struct fixture *f = *state;
	int fd;

	http_fixture_start(&f->http, NULL);
	fd = http_fixture_connect(&f->http);
	http_fixture_send(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	http_fixture_wait(&f->http, f->kept);
	assert_string_equal(http_request_header(f->kept, "host", 0), "coord.example");
	assert_int_equal(http_respond_json(f->kept, 200, json_object()), 0);
	assert_int_equal(http_respond_json(f->kept, 200, json_object()), -EALREADY);
	http_fixture_receive(&f->http, fd, "HTTP/1.1 200 OK", &f->reply);
	f->kept = http_request_unref(f->kept);

	http_fixture_send(fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	http_fixture_wait(&f->http, f->kept);
	f->kept = http_request_unref(f->kept);
	http_fixture_receive(&f->http, fd, "HTTP/1.1 500", &f->reply);
	assert_int_equal(f->n_gone, 0);
	close(fd);
}

static void test_rate(void **state)
{
	struct fixture *f = *state;
	const struct http_rate_config config = { .per_second = 0.001,
						 .burst = 3,
						 .max_addresses = 8 };

	assert_int_equal(http_rate_new(&config, &f->rate), 0);
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 3; i++)
		expect(f, "GET /limited HTTP/1.1\r\n" HOST "\r\n", 200, "{}");
	expect(f, "GET /limited HTTP/1.1\r\n" HOST "\r\n", 429, "Retry-After: 1000\r\n");
	assert_non_null(strstr(f->reply.text, "\"code\":\"too_many_requests\""));
	assert_int_equal(http_fixture_stats(&f->http).rate_limited, 1);
}

/* Who asks, by a proxy's word or in spite of it. */
static void test_forwarded(void **state)
{
	struct fixture *f = *state;
	struct ip_prefix trusted[2];
	static const char asked[] =
		"GET /echo HTTP/1.1\r\n" HOST "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.9\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n\r\n";

	http_fixture_start(&f->http, NULL);
	expect(f, asked, 200, "\"client\":\"127.0.0.1\",\"secure\":false");
	f->http.server = http_server_free(f->http.server);

	assert_int_equal(ip_prefix_parse("127.0.0.0/8", &trusted[0]), 0);
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &trusted[1]), 0);
	f->http.config.trusted_proxies = trusted;
	f->http.config.n_trusted_proxies = 2;
	http_fixture_start(&f->http, NULL);
	expect(f, asked, 200, "\"client\":\"192.0.2.7\",\"secure\":true");
}

static void test_connection_limit(void **state)
{
	struct fixture *f = *state;
	int fds[3];

	f->http.config.limits.max_connections = 2;
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = http_fixture_connect(&f->http);
		http_fixture_send(fds[i], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	}
	http_fixture_wait(&f->http, f->n_handled == 2);
	http_fixture_pump(&f->http, 100000);
	assert_int_equal(f->n_handled, 2);
	/* A place that becomes free is for the one that waits. */
	close(fds[0]);
	http_fixture_wait(&f->http, f->n_handled == 3);
	close(fds[1]);
	close(fds[2]);
}

static void test_address_limit(void **state)
{
	struct fixture *f = *state;
	int fds[3];

	f->http.config.limits.max_connections_per_address = 2;
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = http_fixture_connect(&f->http);
		http_fixture_pump(&f->http, 20000);
	}
	http_fixture_receive(&f->http, fds[2], NULL, &f->reply);
	assert_int_equal(http_fixture_exchange(&f->http, fds[0],
					       "GET /echo HTTP/1.1\r\n" HOST "\r\n", &f->reply),
			 200);
	assert_int_equal(http_fixture_stats(&f->http).connections_full, 1);
	close(fds[2]);
	/* A place that becomes free may be taken. */
	close(fds[1]);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 1);
	fds[1] = http_fixture_connect(&f->http);
	assert_int_equal(http_fixture_exchange(&f->http, fds[1],
					       "GET /echo HTTP/1.1\r\n" HOST "\r\n", &f->reply),
			 200);
	close(fds[0]);
	close(fds[1]);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
	assert_null(f->http.server->sources.tree);
}

/* All come from the proxy's address. */
static void test_address_limit_behind_proxy(void **state)
{
	struct fixture *f = *state;
	struct ip_prefix proxy;
	int fds[5];

	assert_int_equal(ip_prefix_parse("127.0.0.1", &proxy), 0);
	f->http.config.trusted_proxies = &proxy;
	f->http.config.n_trusted_proxies = 1;
	f->http.config.limits.max_connections_per_address = 2;
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 5; i++)
		fds[i] = http_fixture_connect(&f->http);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 5);
	assert_int_equal(http_fixture_stats(&f->http).connections_full, 0);
	for (unsigned i = 0; i < 5; i++)
		close(fds[i]);
}

static void test_sources(void **state)
{
	struct http_sources sources = { 0 };
	struct http_source *held[3];
	struct ip_addr a, b, c;

	assert_int_equal(ip_addr_parse("2001:db8::1", &a), 0);
	assert_int_equal(ip_addr_parse("2001:db8::ffff:1", &b), 0);
	assert_int_equal(ip_addr_parse("2001:db8:0:1::1", &c), 0);
	held[0] = http_sources_add(&sources, &a);
	held[1] = http_sources_add(&sources, &b);
	held[2] = http_sources_add(&sources, &c);
	assert_int_equal(http_sources_count(&sources, &a), 2);
	assert_int_equal(http_sources_count(&sources, &c), 1);
	http_sources_drop(&sources, held[0]);
	assert_int_equal(http_sources_count(&sources, &b), 1);
	http_sources_drop(&sources, held[1]);
	assert_int_equal(http_sources_count(&sources, &b), 0);
	http_sources_done(&sources);
}

/* A listener on a Unix socket knows who asks, and has routes of its own. */
static void test_unix(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t len;
	char *text, expected[64];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	/* Autobind: a name that is nobody else's. */
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listener, 1), 0);
	len = sizeof(name);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &len), 0);
	http_fixture_start(&f->http, NULL);
	assert_int_equal(http_server_listen_fd(f->http.server, listener, NULL, &text), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(http_fixture_exchange(&f->http, fd, "GET /local HTTP/1.1\r\n" HOST "\r\n",
					       &f->reply),
			 200);
	snprintf(expected, sizeof(expected), "{\"uid\":%d,\"pid\":%d,\"client\":false}",
		 (int)getuid(), (int)getpid());
	assert_string_equal(http_reply_body(&f->reply), expected);
	close(fd);
}

static void test_bad_sockets(void **state)
{
	struct fixture *f = *state;
	char *text;
	int r;

	http_fixture_start(&f->http, NULL);
	r = http_server_listen_fd(f->http.server, socket(AF_INET, SOCK_STREAM, 0), NULL, &text);
	assert_int_equal(r, -EINVAL);
	assert_non_null(text);
	free(text);
	r = http_server_listen_fd(f->http.server, socket(AF_INET, SOCK_DGRAM, 0), NULL, &text);
	assert_int_equal(r, -EINVAL);
	free(text);
	/* Taken already. */
	r = http_server_listen(f->http.server, &f->http.endpoint, NULL, &text);
	assert_int_equal(r, -EADDRINUSE);
	assert_non_null(strstr(text, "127.0.0.1:"));
	free(text);
	/* The first one serves on. */
	expect(f, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, "");
}

static void test_bad_config(void **state)
{
	struct fixture *f = *state;
	static const struct http_route bad[] = {
		{ "GET", "echo", HTTP_ON_UNIX, 0, handle_echo },
		{ "GET", "/echo", 0, 0, handle_echo },
		{ "GET", "/echo", HTTP_ON_UNIX, 0, NULL },
		{ NULL, "/echo", HTTP_ON_UNIX, 0, handle_echo },
	};

	f->http.config.n_routes = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f->http.config.routes = &bad[i];
		assert_int_equal(http_server_new(f->http.event, &f->http.config, &f->http.server),
				 -EINVAL);
	}
	f->http.config.routes = routes;
	f->http.config.limits.idle_usec = 999999;
	assert_int_equal(http_server_new(f->http.event, &f->http.config, &f->http.server), -EINVAL);
}

static unsigned n_lines;
static bool told;

static void on_line(void *userdata, int level, const char *text)
{
	n_lines++;
	told |= strstr(text, "secret") || strstr(text, "password");
	assert_true(level >= LOG_INFO);
}

/* A flood of refusals is a few lines, and none tells what was asked. */
static void test_log(void **state)
{
	struct fixture *f = *state;

	log_set_sink(on_line, NULL);
	http_fixture_start(&f->http, NULL);
	for (unsigned i = 0; i < 100; i++)
		expect(f, "GET /secret?password=1 HTTP/1.1\r\n" HOST "Cookie: secret\r\n\r\n", 404,
		       "");
	log_set_sink(NULL, NULL);
	assert_in_range(n_lines, 1, 30);
	assert_false(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_targets_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smuggling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smuggling_nul, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipelining, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chunked_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expect_continue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_target, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_of_handlers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forwarded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connection_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_limit_behind_proxy, setup, teardown),
		cmocka_unit_test(test_sources),
		cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_sockets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
