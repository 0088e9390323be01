/*
 * A connection to the HTTP server, from its first byte to its last: whatever comes, the server goes
 * on, and it never sees more requests than a reader who knows RFC 9112 and nothing else. Byte 0
 * chooses where the bytes are cut into two writes; what follows is also read by the parts that are
 * pure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "coord/http/forwarded.h"
#include "coord/http/http.h"
#include "coord/http/target.h"

#define MAX_INPUT 16384u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_handled;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static int handle(struct http_request *req, void *userdata)
{
	size_t len;
	const char *body = http_request_body(req, &len);
	const char *id = http_request_param(req, "id");

	n_handled++;
	require(body[len] == '\0' && len <= 1000);
	require(http_request_raw_path(req)[0] == '/');
	require(!id || (id[0] && text_is_utf8(id) && !text_has_control(id)));
	(void)http_request_header(req, "signature", 0);
	return http_respond_json(req, 200, json_pack("{s:s%}", "body", body, len));
}

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
}

static int handle_stream(struct http_request *req, void *userdata)
{
	const struct http_stream_config config = { .content_type = "text/plain",
						   .on_closed = on_closed };
	struct http_stream *stream;

	n_handled++;
	return http_stream_open(req, &config, &stream);
}

static const struct http_route routes[] = {
	{ "GET", "/", HTTP_ON_UNIX, 0, handle },
	{ "POST", "/a/{id}", HTTP_ON_UNIX, 0, handle },
	{ "GET", "/s", HTTP_ON_UNIX, 0, handle_stream },
};

static sd_event *event;
static struct http_server *server;
static struct sockaddr_un name = { .sun_family = AF_UNIX };
static socklen_t name_len = sizeof(name);

static void drop_line(void *userdata, int level, const char *text)
{
}

static void start(void)
{
	struct http_config config = { .routes = routes, .n_routes = ARRAY_SIZE(routes) };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char *text;

	log_set_sink(drop_line, NULL);
	http_limits_default(&config.limits);
	config.limits.max_body = 1000;
	config.limits.tick_usec = 0;
	require(sd_event_new(&event) >= 0 && http_server_new(event, &config, &server) == 0);
	require(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)) == 0 &&
		listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&name, &name_len) == 0);
	require(http_server_listen_fd(server, fd, NULL, &text) == 0);
}

/* ---- the reader who is strict ---- */

struct reader {
	const char *at, *end;
};

/*
 * A line that ends in CR LF and has neither within, nor NUL. (NUL in the place of CR cannot be told
 * from it, for libmicrohttpd overwrites both.)
 */
static bool next_line(struct reader *r, const char **line, size_t *len)
{
	const char *lf = memchr(r->at, '\n', (size_t)(r->end - r->at));

	if (!lf || lf == r->at || (lf[-1] != '\r' && lf[-1] != '\0'))
		return false;
	*line = r->at;
	*len = (size_t)(lf - r->at) - 1;
	r->at = lf + 1;
	return !memchr(*line, '\0', *len) && !memchr(*line, '\r', *len);
}

static bool is_field(const char *line, size_t len, const char *field, const char **value,
		     size_t *value_len)
{
	size_t n = strlen(field);

	if (len <= n || line[n] != ':' || strncasecmp(line, field, n) != 0)
		return false;
	*value = line + n + 1;
	*value_len = len - n - 1;
	while (*value_len > 0 && strchr(" \t", **value)) {
		(*value)++;
		(*value_len)--;
	}
	return true;
}

/* Step over a request. Return: whether there is one, whole; *last: another cannot follow. */
static bool next_request(struct reader *r, bool *last)
{
	unsigned n_lengths = 0, n_encodings = 0;
	const char *line, *value;
	size_t len, value_len, length = 0;

	/* Empty lines before it are passed over (RFC 9112, 2.2); libmicrohttpd is more liberal. */
	while (r->at < r->end && (*r->at == '\r' || *r->at == '\n' || *r->at == '\0')) {
		const char *lf = memchr(r->at, '\n', (size_t)(r->end - r->at));

		if (!lf || (*r->at == '\r' && lf != r->at + 1))
			break;
		r->at = lf + 1;
	}
	if (!next_line(r, &line, &len) || len == 0)
		return false;
	for (;;) {
		if (!next_line(r, &line, &len))
			return false;
		if (len == 0)
			break;
		if (strchr(" \t:", line[0]) || !memchr(line, ':', len))
			return false;
		if (is_field(line, len, "Content-Length", &value, &value_len)) {
			n_lengths++;
			for (length = 0; value_len > 0 && length < MAX_INPUT;
			     value_len--, value++) {
				if (*value < '0' || *value > '9')
					return false;
				length = length * 10 + (size_t)(*value - '0');
			}
		}
		n_encodings += is_field(line, len, "Transfer-Encoding", &value, &value_len);
	}
	*last = n_encodings > 0;
	if (n_lengths + n_encodings > 1 || length > (size_t)(r->end - r->at))
		return false;
	r->at += length;
	return true;
}

static unsigned count_requests(const char *data, size_t size)
{
	struct reader r = { data, data + size };
	bool last = false;
	unsigned n = 0;

	while (!last && next_request(&r, &last))
		n++;
	return n;
}

/* ---- */

/* Is the server done with all of so many connections? */
static bool is_over(uint64_t n)
{
	struct http_stats stats;

	http_server_get_stats(server, &stats);
	return stats.connections_total == n && stats.connections == 0;
}

static void talk(const char *data, size_t size, size_t cut)
{
	static uint64_t n_connections;
	uint64_t began = clock_usec(CLOCK_MONOTONIC);
	char answer[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	n_connections++;
	require(fd >= 0 && connect(fd, (struct sockaddr *)&name, name_len) == 0);
	(void)send(fd, data, cut, MSG_NOSIGNAL);
	for (unsigned i = 0; i < 4; i++)
		require(sd_event_run(event, 0) >= 0);
	(void)send(fd, data + cut, size - cut, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while (!is_over(n_connections)) {
		/* It sees the end, rather than that the connection is idle. */
		require(clock_usec(CLOCK_MONOTONIC) - began < 20 * USEC_PER_SEC);
		require(sd_event_run(event, 100000) >= 0);
		while (recv(fd, answer, sizeof(answer), 0) > 0)
			;
	}
	close(fd);
}

static void read_parts(const char *data, size_t size)
{
	struct ip_prefix trusted;
	struct http_proxies proxies = { &trusted, 1 };
	struct ip_addr peer;
	struct http_target target;
	const char *why = NULL;
	char *text = strndup(data, size);
	const char *values[2] = { text, text };

	require(text && ip_prefix_parse("10.0.0.0/8", &trusted) == 0 &&
		ip_addr_parse("10.0.0.1", &peer) == 0);
	if (http_target_parse(text, &target, &why) == 0) {
		for (size_t i = 0; i < target.n_segments; i++)
			require(text_is_utf8(target.segments[i]) &&
				!text_has_control(target.segments[i]) &&
				strcmp(target.segments[i], "..") != 0);
		http_target_done(&target);
	} else {
		require(why);
	}
	peer = http_forwarded_client(&proxies, &peer, values, 2);
	require(peer.family == AF_INET || peer.family == AF_INET6);
	(void)http_forwarded_secure(text);
	(void)http_host_is(text, "[2001:db8::1]:8443");
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size < 2 || size > MAX_INPUT)
		return 0;
	if (!server)
		start();
	size--;
	read_parts(text, size);
	n_handled = 0;
	talk(text, size, size * data[0] / 255);
	require(n_handled <= count_requests(text, size));
	return 0;
}
