#include "http-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

void http_fixture_init(struct http_fixture *f, const struct http_route *routes, size_t n_routes,
		       void *userdata)
{
	*f = (struct http_fixture){ 0 };
	assert_int_equal(sd_event_new(&f->event), 0);
	f->config.routes = routes;
	f->config.n_routes = n_routes;
	f->config.userdata = userdata;
	http_limits_default(&f->config.limits);
	f->config.limits.tick_usec = 5000;
}

void http_fixture_start(struct http_fixture *f, const struct http_tls_files *tls)
{
	struct ip_endpoint local = { .port = f->endpoint.port };
	char *text = NULL;

	assert_int_equal(ip_addr_parse("127.0.0.1", &local.addr), 0);
	assert_int_equal(http_server_new(f->event, &f->config, &f->server), 0);
	if (http_server_listen(f->server, &local, tls, &text) < 0)
		fail_msg("%s", text);
	assert_int_equal(http_server_endpoint(f->server, 0, &f->endpoint), 0);
}

void http_fixture_done(struct http_fixture *f)
{
	f->server = http_server_free(f->server);
	f->event = sd_event_unref(f->event);
}

struct http_stats http_fixture_stats(const struct http_fixture *f)
{
	struct http_stats stats;

	http_server_get_stats(f->server, &stats);
	return stats;
}

uint64_t http_fixture_deadline(void)
{
	return clock_usec(CLOCK_MONOTONIC);
}

void http_fixture_pump(struct http_fixture *f, uint64_t usec)
{
	uint64_t until = clock_usec(CLOCK_MONOTONIC) + usec, now;

	while ((now = clock_usec(CLOCK_MONOTONIC)) < until)
		assert_true(sd_event_run(f->event, until - now) >= 0);
}

int http_fixture_connect(struct http_fixture *f)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&f->endpoint, &ss);
	int fd = socket(f->endpoint.addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void http_fixture_send(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

void http_fixture_take(int fd, struct http_reply *reply)
{
	ssize_t n;

	while (!reply->end && reply->len < sizeof(reply->text) - 1) {
		n = recv(fd, reply->text + reply->len, sizeof(reply->text) - 1 - reply->len, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		reply->reset = n < 0;
		reply->end = n <= 0;
		if (n > 0)
			reply->len += (size_t)n;
		reply->text[reply->len] = '\0';
	}
}

void http_fixture_receive(struct http_fixture *f, int fd, const char *wanted,
			  struct http_reply *reply)
{
	uint64_t late = http_fixture_deadline() + HTTP_PATIENCE_USEC;

	for (;;) {
		http_fixture_take(fd, reply);
		if (wanted && strstr(reply->text, wanted))
			return;
		if (reply->end && !wanted)
			return;
		if (reply->end)
			fail_msg("connection ended without \"%s\": %s", wanted, reply->text);
		if (http_fixture_deadline() > late)
			fail_msg("waited in vain for %s: %s", wanted ? wanted : "the end",
				 reply->text);
		http_fixture_pump(f, 1000);
	}
}

const char *http_reply_body(const struct http_reply *reply)
{
	const char *end = strstr(reply->text, "\r\n\r\n");

	return end ? end + 4 : "";
}

/* Head and body are there, by Content-Length. */
static bool is_whole(const struct http_reply *reply, bool head)
{
	const char *end = strstr(reply->text, "\r\n\r\n");
	const char *length = strcasestr(reply->text, "\r\nContent-Length: ");

	if (!end || head)
		return end;
	if (!length || length > end)
		return reply->end;
	return strlen(end + 4) >= strtoul(strchr(length, ':') + 1, NULL, 10);
}

unsigned http_fixture_exchange(struct http_fixture *f, int fd, const char *request,
			       struct http_reply *reply)
{
	bool head = strncmp(request, "HEAD ", 5) == 0;
	unsigned status = 0;

	*reply = (struct http_reply){ 0 };
	http_fixture_send(fd, request);
	http_fixture_wait(f, (http_fixture_take(fd, reply), is_whole(reply, head) || reply->end));
	(void)sscanf(reply->text, "HTTP/1.%*c %u", &status);
	return status;
}

unsigned http_fixture_ask(struct http_fixture *f, const char *request, struct http_reply *reply)
{
	int fd = http_fixture_connect(f);
	unsigned status = http_fixture_exchange(f, fd, request, reply);

	close(fd);
	return status;
}
