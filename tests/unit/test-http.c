/* The HTTP server over plain sockets: routes, what handlers see, answers, limits of size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

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

static int handle_json(struct http_request *req, void *userdata)
{
	json_t *body;
	int r;

	r = http_request_json(req, &body);
	return r == 0 ? http_respond_json(req, 200, body) : r;
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
	{ "POST", "/json", ANYWHERE, 0, handle_json },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
