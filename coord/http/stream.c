/* Answers that go on: a bounded queue of shared messages for each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/http/internal.h"

/*
 * What libmicrohttpd asks for at once where there are no chunks (HTTP/1.0), and keeps for each
 * stream; chunks are made in the connection's memory.
 */
#define BLOCK_HTTP10  1024u
#define BLOCK_CHUNKED 16u

static size_t message_len(const struct http_message *m)
{
	return m->head_len + http_buf_len(m->buf);
}

static void drop_first(struct http_stream *s)
{
	struct http_message *m = STAILQ_FIRST(&s->queue);

	STAILQ_REMOVE_HEAD(&s->queue, next);
	s->n_queued--;
	s->bytes_queued -= message_len(m);
	s->sent = 0;
	http_buf_unref(m->buf);
	free(m);
}

/* What is left of the first message, as far as it is in one piece. */
static const char *next_piece(const struct http_stream *s, const struct http_message *m,
			      size_t *ret_len)
{
	if (s->sent < m->head_len) {
		*ret_len = m->head_len - s->sent;
		return m->head + s->sent;
	}
	*ret_len = message_len(m) - s->sent;
	return http_buf_data(m->buf) + (s->sent - m->head_len);
}

/* Copy what fits. Return: bytes. */
static size_t take(struct http_stream *s, char *to, size_t max)
{
	struct http_message *m;
	size_t n = 0;

	while (n < max && (m = STAILQ_FIRST(&s->queue))) {
		size_t left, part;
		const char *piece = next_piece(s, m, &left);

		part = left < max - n ? left : max - n;
		memcpy(to + n, piece, part);
		n += part;
		s->sent += part;
		if (s->sent == message_len(m))
			drop_first(s);
	}
	return n;
}

/* libmicrohttpd has sent what it had, and asks for more. */
static ssize_t on_read(void *cls, uint64_t pos, char *to, size_t max)
{
	struct http_stream *s = cls;
	struct http_server *server = s->req->listener->server;
	size_t n;

	if (s->req->conn->gone || server->ending)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (STAILQ_EMPTY(&s->queue) && s->undrained && s->owned) {
		s->undrained = false;
		if (s->config.on_drained)
			s->config.on_drained(s, s->config.userdata);
	}
	n = take(s, to, max);
	if (n > 0) {
		server->stats.bytes_out += n;
		return (ssize_t)n;
	}
	if (s->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	http_request_suspend(s->req);
	return 0;
}

static struct MHD_Response *make_response(struct http_stream *s)
{
	size_t block = s->req->http10 ? BLOCK_HTTP10 : BLOCK_CHUNKED;
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, on_read, s, NULL);

	if (!response)
		return NULL;
	/* nginx keeps back what it gets, by default, without the last of these. */
	if (MHD_add_response_header(response, "Content-Type", s->config.content_type) == MHD_YES &&
	    MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
	    MHD_add_response_header(response, "X-Accel-Buffering", "no") == MHD_YES)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

int http_stream_open(struct http_request *req, const struct http_stream_config *config,
		     struct http_stream **ret_stream)
{
	_cleanup_free_ struct http_stream *s = NULL;
	struct MHD_Response *response;
	int r = http_respond_check(req);

	if (r < 0)
		return r;
	if (req->head)
		return -EOPNOTSUPP;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->req = req;
	STAILQ_INIT(&s->queue);
	response = make_response(s);
	if (!response)
		return -ENOMEM;
	r = http_respond_mhd(req, MHD_HTTP_OK, response);
	if (r < 0)
		return r;
	http_request_ref(req);
	req->stream = s;
	s->owned = true;
	req->listener->server->stats.streams++;
	req->listener->server->stats.streams_total++;
	*ret_stream = take_ptr(s);
	return 0;
}

static bool has_place(const struct http_stream *s, size_t len)
{
	const struct http_limits *limits = &s->req->listener->server->config.limits;

	if (STAILQ_EMPTY(&s->queue))
		return true;
	return s->n_queued < limits->stream_messages &&
	       s->bytes_queued + len <= limits->stream_bytes;
}

int http_stream_write_line(struct http_stream *s, const char *head, size_t head_len,
			   struct http_buf *buf)
{
	size_t len = head_len + http_buf_len(buf);
	struct http_message *m;

	if (!has_place(s, len)) {
		s->req->listener->server->stats.queue_full++;
		return -ENOBUFS;
	}
	m = malloc(sizeof(*m) + head_len);
	if (!m)
		return -ENOMEM;
	m->buf = http_buf_ref(buf);
	m->head_len = head_len;
	if (head_len > 0)
		memcpy(m->head, head, head_len);
	STAILQ_INSERT_TAIL(&s->queue, m, next);
	s->n_queued++;
	s->bytes_queued += len;
	s->undrained = true;
	http_flush_later(s->req);
	return 0;
}

int http_stream_write(struct http_stream *s, struct http_buf *buf)
{
	return http_stream_write_line(s, NULL, 0, buf);
}

size_t http_stream_queued(const struct http_stream *s)
{
	return s->n_queued;
}

struct http_stream *http_stream_close(struct http_stream *s)
{
	if (!s)
		return NULL;
	s->owned = false;
	s->closing = true;
	http_flush_later(s->req);
	return NULL;
}

static void disown(struct http_stream *s, enum http_stream_end why)
{
	bool owned = s->owned;

	s->owned = false;
	if (owned && s->config.on_closed)
		s->config.on_closed(s, why, s->config.userdata);
}

void http_stream_stop(struct http_stream *s)
{
	disown(s, HTTP_STREAM_STOP);
	http_stream_close(s);
}

void http_stream_ended(struct http_stream *s, enum http_stream_end why)
{
	struct http_server *server = s->req->listener->server;

	server->stats.streams--;
	if (why == HTTP_STREAM_SLOW)
		server->stats.slow_readers++;
	disown(s, server->ending ? HTTP_STREAM_STOP : why);
	while (!STAILQ_EMPTY(&s->queue))
		drop_first(s);
	s->req->stream = NULL;
	http_request_unref(s->req);
	free(s);
}
