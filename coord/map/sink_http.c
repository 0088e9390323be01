/* Streams of maps as answers to HTTP requests. */
#include <errno.h>
#include <stdlib.h>

#include "coord/http/http.h"
#include "coord/map/map.h"

/* Lives until the HTTP stream has ended by itself, or was closed. */
struct http_sink {
	struct http_stream *http;
	struct stream *stream;
};

static int sink_write(void *userdata, const char *head, size_t head_len, struct http_buf *body)
{
	struct http_sink *sink = userdata;

	return http_stream_write_line(sink->http, head, head_len, body);
}

static void sink_close(void *userdata)
{
	struct http_sink *sink = userdata;

	http_stream_close(sink->http);
	free(sink);
}

static const struct stream_sink_ops sink_ops = { .write = sink_write, .close = sink_close };

static void on_closed(struct http_stream *http, enum http_stream_end why, void *userdata)
{
	struct http_sink *sink = userdata;

	stream_gone(sink->stream);
	free(sink);
}

static void on_drained(struct http_stream *http, void *userdata)
{
	struct http_sink *sink = userdata;

	stream_drained(sink->stream);
}

int map_start_http(struct map *map, struct stream *stream, struct http_request *request)
{
	struct http_sink *sink = calloc(1, sizeof(*sink));
	const struct http_stream_config config = { .content_type = "application/x-ndjson",
						   .on_closed = on_closed,
						   .on_drained = on_drained,
						   .userdata = sink };
	int r = sink ? http_stream_open(request, &config, &sink->http) : -ENOMEM;

	if (r < 0) {
		stream_free(stream);
		free(sink);
		return r;
	}
	sink->stream = stream;
	r = map_start(map, stream, &sink_ops, sink);
	if (r < 0)
		sink_close(sink);
	return r;
}
