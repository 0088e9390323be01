/*
 * Behind real reverse proxies: nginx, told nothing but where to pass requests and who asks (it
 * speaks HTTP/1.0 and keeps answers back, by default), and Caddy. Where one is not installed its
 * tests are skipped; tests/run.sh installs both.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/text.h"
#include "http-fixture.h"
#include "tests/unit/program.h"

struct proxy {
	const char *name;
	const char *const *argv;   /* started in the directory with the file */
	const char *file, *config; /* printf: own port, the server's port */
};

static const struct proxy nginx = {
	.name = "nginx",
	.argv = (const char *const[]){ "nginx", "-p", ".", "-c", "nginx.conf", "-e", "error.log",
				       NULL },
	.file = "nginx.conf",
	.config = "daemon off; master_process off; pid nginx.pid;\n"
		  "events {}\n"
		  "http {\n"
		  "	access_log off;\n"
		  "	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path "
		  "fastcgi;\n"
		  "	uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
		  "	server {\n"
		  "		listen 127.0.0.1:%u;\n"
		  "		location / {\n"
		  "			proxy_pass http://127.0.0.1:%u;\n"
		  "			proxy_set_header X-Forwarded-For "
		  "$proxy_add_x_forwarded_for;\n"
		  "			proxy_set_header X-Forwarded-Proto $scheme;\n"
		  "		}\n"
		  "	}\n"
		  "}\n",
};

static const struct proxy caddy = {
	.name = "caddy",
	.argv = (const char *const[]){ "caddy", "run", "--config", "Caddyfile", NULL },
	.file = "Caddyfile",
	.config = "{\n\tadmin off\n\tauto_https off\n}\n"
		  ":%u {\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:%u\n}\n",
};

struct fixture {
	struct http_fixture http;
	struct ip_prefix trusted;
	char dir[32];
	pid_t pid;
	struct http_stream *stream;
	struct http_request *kept;
	struct http_reply reply;
	unsigned n_closed;
};

static int handle_who(struct http_request *req, void *userdata)
{
	char client[IP_ADDR_STRLEN];
	size_t len;

	(void)http_request_body(req, &len);
	return http_respond_json(req, 200,
				 json_pack("{s:s, s:i, s:b}", "client",
					   ip_addr_to_string(http_request_client(req), client),
					   "len", (int)len, "secure", http_request_is_secure(req)));
}

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct fixture *f = userdata;

	f->n_closed++;
	f->stream = NULL;
}

static int handle_later(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;

	f->kept = http_request_ref(req);
	return 0;
}

static const struct http_route routes[] = {
	{ "POST", "/who", HTTP_ON_NETWORK, 0, handle_who },
	{ "POST", "/stream", HTTP_ON_NETWORK, 0, handle_later },
	{ "GET", "/later", HTTP_ON_NETWORK, 0, handle_later },
};

/* Serve behind the proxy; from then on the fixture's clients talk to it. */
static void start(struct fixture *f, const struct proxy *proxy)
{
	_cleanup_free_ char *text = NULL, *path = text_printf("%s/%s", f->dir, proxy->file);
	uint16_t port;

	if (!program_is_installed(proxy->name))
		skip();
	http_fixture_start(&f->http, NULL);
	port = program_free_port();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	text = text_printf(proxy->config, port, f->http.endpoint.port);
#pragma GCC diagnostic pop
	assert_int_equal(file_write_new(AT_FDCWD, path, text, strlen(text), 0600), 0);
	program_start(f->dir, proxy->argv, port, &f->pid);
	f->http.endpoint.port = port;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/http-proxy-XXXXXX");
	if (!mkdtemp(f->dir) || ip_prefix_parse("127.0.0.1", &f->trusted) < 0)
		return -1;
	http_fixture_init(&f->http, routes, ARRAY_SIZE(routes), f);
	f->http.config.trusted_proxies = &f->trusted;
	f->http.config.n_trusted_proxies = 1;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *remove = text_printf("rm -rf %s", f->dir);

	program_stop(f->pid);
	http_fixture_done(&f->http);
	http_request_unref(f->kept);
	assert_int_equal(system(remove), 0);
	free(f);
	return 0;
}

#define HEAD "Host: coord.example\r\nX-Forwarded-Proto: https\r\n"

/* The client has another address than the proxy, and claims a third. */
static int connect_as_client(struct fixture *f)
{
	struct ip_endpoint own = { 0 };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ip_addr_parse("127.0.0.2", &own.addr), 0);
	len = ip_endpoint_to_sockaddr(&own, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = ip_endpoint_to_sockaddr(&f->http.endpoint, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void check_requests(struct fixture *f)
{
	_cleanup_free_ char *request = calloc(1, 60000);
	int fd = connect_as_client(f);
	size_t len;

	strcpy(request, "POST /who HTTP/1.1\r\n" HEAD "X-Forwarded-For: 192.0.2.66\r\n"
			"Content-Length: 50000\r\n\r\n");
	len = strlen(request);
	memset(request + len, 'x', 50000);
	assert_int_equal(http_fixture_exchange(&f->http, fd, request, &f->reply), 200);
	if (!strstr(f->reply.text, "{\"client\":\"127.0.0.2\",\"len\":50000,\"secure\":false}"))
		fail_msg("%s", f->reply.text);
	/* Of unknown length. */
	assert_int_equal(http_fixture_exchange(&f->http, fd,
					       "POST /who HTTP/1.1\r\n" HEAD
					       "Transfer-Encoding: chunked\r\n\r\n"
					       "3\r\nabc\r\n0\r\n\r\n",
					       &f->reply),
			 200);
	assert_non_null(strstr(f->reply.text, "\"len\":3"));
	http_fixture_send(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
	http_fixture_wait(&f->http, f->kept);
	assert_int_equal(http_respond_error(f->kept, 404, "gone", "nothing came of it"), 0);
	f->reply = (struct http_reply){ 0 };
	http_fixture_receive(&f->http, fd, "nothing came of it", &f->reply);
	f->kept = http_request_unref(f->kept);
	close(fd);
}

/*
 * Caddy 2.6 drops its connection to us, and with it the client's, if the answer begins before it
 * has noticed the end of the request's body. Agents ask again; here it has the time.
 */
#define CADDY_USEC 200000u

static int open_stream(struct fixture *f)
{
	const struct http_stream_config config = {
		.content_type = "application/x-ndjson",
		.on_closed = on_closed,
		.userdata = f,
	};
	int fd = connect_as_client(f);

	f->reply = (struct http_reply){ 0 };
	http_fixture_send(fd, "POST /stream HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\n{}");
	http_fixture_wait(&f->http, f->kept);
	http_fixture_pump(&f->http, CADDY_USEC);
	assert_int_equal(http_stream_open(f->kept, &config, &f->stream), 0);
	f->kept = http_request_unref(f->kept);
	http_fixture_receive(&f->http, fd, "\r\n\r\n", &f->reply);
	return fd;
}

/* Each message is there before the next is written: nobody keeps them back. */
static void check_stream(struct fixture *f)
{
	int fd = open_stream(f);
	char text[32];

	for (unsigned i = 0; i < 5; i++) {
		_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;

		snprintf(text, sizeof(text), "{\"seq\":%u}\n", i);
		buf = http_buf_new(text, strlen(text));
		assert_int_equal(http_stream_write(f->stream, buf), 0);
		http_fixture_receive(&f->http, fd, text, &f->reply);
	}
	f->stream = http_stream_close(f->stream);
	http_fixture_receive(&f->http, fd, "\r\n0\r\n\r\n", &f->reply);
	close(fd);

	/* That the client goes away is passed on. */
	fd = open_stream(f);
	close(fd);
	http_fixture_wait(&f->http, f->n_closed == 1);
}

static void test_nginx(void **state)
{
	start(*state, &nginx);
	check_requests(*state);
	check_stream(*state);
}

static void test_caddy(void **state)
{
	start(*state, &caddy);
	check_requests(*state);
	check_stream(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nginx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_caddy, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
