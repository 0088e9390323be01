/* The HTTP server over TLS: certificates made here, exchanged while it serves. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http-fixture.h"
#include "tests/unit/certificate.h"

struct fixture {
	struct http_fixture http;
	char dir[32], cert[64], key[64];
	struct http_tls_files files;
	struct http_stream *stream;
	SSL_CTX *ctx;
	unsigned n_closed;
};

struct client {
	SSL *ssl;
	int fd;
	struct http_reply reply;
};

static int handle_secure(struct http_request *req, void *userdata)
{
	return http_respond_json(req, 200,
				 json_pack("{s:b, s:i}", "secure", http_request_is_secure(req),
					   "transport", (int)http_request_transport(req)));
}

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct fixture *f = userdata;

	assert_int_equal(why, HTTP_STREAM_GONE);
	f->n_closed++;
}

static int handle_stream(struct http_request *req, void *userdata)
{
	struct fixture *f = userdata;
	const struct http_stream_config config = {
		.content_type = "text/plain",
		.on_closed = on_closed,
		.userdata = f,
	};

	return http_stream_open(req, &config, &f->stream);
}

static const struct http_route routes[] = {
	{ "GET", "/", HTTP_ON_NETWORK, 0, handle_secure },
	{ "GET", "/stream", HTTP_ON_NETWORK, 0, handle_stream },
};

/* A key and its certificate for this name, or only one of them. */
static void make_certificate(struct fixture *f, const char *name, bool with_cert, bool with_key)
{
	certificate_make(name, NULL, with_cert ? f->cert : NULL, with_key ? f->key : NULL);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/http-tls-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key.pem", f->dir);
	f->files = (struct http_tls_files){ f->cert, f->key };
	f->ctx = SSL_CTX_new(TLS_client_method());
	http_fixture_init(&f->http, routes, ARRAY_SIZE(routes), f);
	make_certificate(f, "first", true, true);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_fixture_done(&f->http);
	SSL_CTX_free(f->ctx);
	unlink(f->cert);
	unlink(f->key);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* Return: whether the handshake came about. */
static bool client_connect(struct fixture *f, struct client *c)
{
	int r = 0, error;

	*c = (struct client){ .fd = http_fixture_connect(&f->http), .ssl = SSL_new(f->ctx) };
	SSL_set_fd(c->ssl, c->fd);
	http_fixture_wait(&f->http,
			  (r = SSL_connect(c->ssl),
			   error = r > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r),
			   error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE));
	return r > 0;
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
}

static void client_take(struct client *c)
{
	size_t room = sizeof(c->reply.text) - 1 - c->reply.len;
	int n = SSL_read(c->ssl, c->reply.text + c->reply.len, (int)room);

	c->reply.len += n > 0 ? (size_t)n : 0;
}

static void client_ask(struct fixture *f, struct client *c, const char *path, const char *wanted)
{
	char request[128];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);

	c->reply = (struct http_reply){ 0 };
	assert_int_equal(SSL_write(c->ssl, request, len), len);
	http_fixture_wait(&f->http, (client_take(c), strstr(c->reply.text, wanted)));
}

static bool is_presented(const struct client *c, const char *name)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);
	char actual[64] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, actual,
				  sizeof(actual));
	X509_free(cert);
	return strcmp(actual, name) == 0;
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	struct client c;

	http_fixture_start(&f->http, &f->files);
	assert_true(client_connect(f, &c));
	assert_true(is_presented(&c, "first"));
	assert_int_equal(SSL_version(c.ssl), TLS1_3_VERSION);
	client_ask(f, &c, "/", "{\"secure\":true,\"transport\":1}");
	/* The connection stays. */
	client_ask(f, &c, "/", "{\"secure\":true,\"transport\":1}");
	assert_int_equal(http_fixture_stats(&f->http).connections_total, 1);
	client_close(&c);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	_cleanup_(http_buf_unrefp) struct http_buf *buf = http_buf_new("message\n", 8);
	struct client c;

	http_fixture_start(&f->http, &f->files);
	assert_true(client_connect(f, &c));
	client_ask(f, &c, "/stream", "\r\n\r\n");
	assert_int_equal(http_stream_write(f->stream, buf), 0);
	http_fixture_wait(&f->http, (client_take(&c), strstr(c.reply.text, "message\n")));
	/* It goes away without a word. */
	client_close(&c);
	http_fixture_wait(&f->http, f->n_closed == 1);
}

/* New connections get the new one, those that are there live on. */
static void test_reload(void **state)
{
	struct fixture *f = *state;
	struct client old, new;
	char *text;

	http_fixture_start(&f->http, &f->files);
	assert_true(client_connect(f, &old));
	for (unsigned i = 0; i < 3; i++) {
		make_certificate(f, "second", true, true);
		assert_int_equal(http_server_reload_tls(f->http.server, &text), 0);
	}
	assert_true(client_connect(f, &new));
	assert_true(is_presented(&new, "second"));
	client_ask(f, &old, "/", "{\"secure\":true");
	client_close(&old);
	client_close(&new);
}

static void expect_refusal(struct fixture *f, const char *path, const char *what)
{
	struct client c;
	char *text = NULL;

	assert_true(http_server_reload_tls(f->http.server, &text) < 0);
	if (!text || strncmp(text, path, strlen(path)) != 0 || !strstr(text, what))
		fail_msg("%s (not: %s ... %s)", text, path, what);
	free(text);
	/* What was in force stays. */
	assert_true(client_connect(f, &c));
	assert_true(is_presented(&c, "first"));
	client_close(&c);
}

static void test_reload_refused(void **state)
{
	struct fixture *f = *state;

	http_fixture_start(&f->http, &f->files);
	make_certificate(f, "second", true, false);
	expect_refusal(f, f->key, "is not the certificate's key");
	assert_int_equal(truncate(f->key, 40), 0);
	expect_refusal(f, f->key, "no private key in PEM form");
	assert_int_equal(unlink(f->key), 0);
	expect_refusal(f, f->key, "No such file");
	assert_int_equal(truncate(f->cert, 100), 0);
	expect_refusal(f, f->cert, "no chain of certificates in PEM form");
}

static void test_start_refused(void **state)
{
	struct fixture *f = *state;
	struct ip_endpoint any = { 0 };
	char *text = NULL;

	assert_int_equal(ip_addr_parse("127.0.0.1", &any.addr), 0);
	assert_int_equal(http_server_new(f->http.event, &f->http.config, &f->http.server), 0);
	make_certificate(f, "second", false, true);
	assert_int_equal(http_server_listen(f->http.server, &any, &f->files, &text), -EINVAL);
	assert_non_null(strstr(text, "is not the certificate's key"));
	free(text);
	assert_int_equal(http_server_endpoint(f->http.server, 0, &any), -ENOENT);
}

/* Old versions, and what is no TLS. */
static void test_hostile(void **state)
{
	struct fixture *f = *state;
	struct http_reply reply = { 0 };
	struct client c;
	int fd;

	http_fixture_start(&f->http, &f->files);
	SSL_CTX_set_security_level(f->ctx, 0);
	SSL_CTX_set_min_proto_version(f->ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(f->ctx, TLS1_1_VERSION);
	assert_false(client_connect(f, &c));
	client_close(&c);
	SSL_CTX_set_max_proto_version(f->ctx, TLS1_2_VERSION);
	assert_true(client_connect(f, &c));
	client_close(&c);

	fd = http_fixture_connect(&f->http);
	http_fixture_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	http_fixture_receive(&f->http, fd, NULL, &reply);
	assert_null(strstr(reply.text, "HTTP/1.1"));
	close(fd);
	http_fixture_wait(&f->http, http_fixture_stats(&f->http).connections == 0);
}

/* A handshake that does not go on is cut as a request would be. */
static void test_slow_handshake(void **state)
{
	struct fixture *f = *state;
	struct http_reply reply = { 0 };
	int fd;

	f->http.config.limits.request_usec = 500000;
	http_fixture_start(&f->http, &f->files);
	fd = http_fixture_connect(&f->http);
	assert_int_equal(send(fd, "\x16\x03\x01", 3, 0), 3);
	http_fixture_receive(&f->http, fd, NULL, &reply);
	assert_int_equal(http_fixture_stats(&f->http).slow_senders, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_handshake, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
