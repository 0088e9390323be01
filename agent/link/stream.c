#include "agent/link/stream.h"

#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/frame_sig.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_HELLO    4096u
#define MAX_LINE     (FRAME_MAC_CHARS + 1 + FRAME_MAX_BODY)
#define FIRST_BUFFER 4096u
/* What is kept between lines; deltas and keepalives fit. */
#define KEPT_BUFFER (64u << 10)

struct link_stream {
	struct link_stream_config config;
	struct frame_stream frames;
	char *line; /* what has come of the present one */
	size_t len, n_alloc;
	uint64_t n_lines;
};

int link_stream_new(const struct link_stream_config *config, struct link_stream **ret_stream)
{
	struct link_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->config = *config;
	*ret_stream = stream;
	return 0;
}

struct link_stream *link_stream_free(struct link_stream *stream)
{
	if (!stream)
		return NULL;
	wg_key_wipe(&stream->config.ephemeral);
	frame_stream_done(&stream->frames);
	free(stream->line);
	free(stream);
	return NULL;
}

uint64_t link_stream_lines(const struct link_stream *stream)
{
	return stream->n_lines;
}

static int fail(int error, const char *why, char **reterr_text)
{
	*reterr_text = strdup(why);
	return error;
}

/* ---- lines ---- */

static size_t max_line(const struct link_stream *stream)
{
	return stream->n_lines == 0 ? MAX_HELLO : MAX_LINE;
}

static int make_room(struct link_stream *stream, size_t len)
{
	size_t wanted = stream->len + len, n = stream->n_alloc ? stream->n_alloc : FIRST_BUFFER;
	char *line;

	if (wanted <= stream->n_alloc)
		return 0;
	while (n < wanted)
		n *= 2;
	line = realloc(stream->line, n);
	if (!line)
		return -ENOMEM;
	stream->line = line;
	stream->n_alloc = n;
	return 0;
}

static int append(struct link_stream *stream, const char *data, size_t len, char **reterr_text)
{
	int r;

	if (len > max_line(stream) - stream->len)
		return fail(-EMSGSIZE, "a line is too long", reterr_text);
	r = make_room(stream, len);
	if (r < 0)
		return r;
	memcpy(stream->line + stream->len, data, len);
	stream->len += len;
	return 0;
}

/* The line is done with; a large one is not worth its memory. */
static void drop_line(struct link_stream *stream)
{
	stream->len = 0;
	if (stream->n_alloc <= KEPT_BUFFER)
		return;
	free(stream->line);
	stream->line = NULL;
	stream->n_alloc = 0;
}

/* ---- objects ---- */

static int parse_object(const char *body, size_t len, json_t **ret_object, char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	json_auto_t *object = NULL;
	int r;

	r = json_parse(body, len, &rep, &object);
	if (r == -EINVAL)
		*reterr_text = text_printf("an object of the stream: %s", rep.text);
	if (r < 0)
		return r;
	if (!json_is_object(object))
		return fail(-EINVAL, "a line of the stream has no object", reterr_text);
	*ret_object = take_ptr(object);
	return 0;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

/* Return: 0, -EINVAL. */
static int read_hello(const struct link_stream *stream, const json_t *hello,
		      struct wg_key *ret_theirs)
{
	const json_t *ephemeral = json_object_get(hello, "ephemeral");

	if (!is_text(hello, "type", "hello") || !is_text(hello, "for", stream->config.node_id) ||
	    !json_is_string(ephemeral))
		return -EINVAL;
	return base64url_decode(json_string_value(ephemeral), json_string_length(ephemeral),
				ret_theirs->bytes, WG_KEY_LEN);
}

static int begin(struct link_stream *stream, const struct frame_id *id, const char *body,
		 size_t len, char **reterr_text)
{
	json_auto_t *hello = NULL;
	uint8_t digest[SHA256_LEN];
	struct wg_key theirs;
	int r;

	r = parse_object(body, len, &hello, reterr_text);
	if (r < 0)
		return r;
	if (read_hello(stream, hello, &theirs) < 0)
		return fail(-EINVAL,
			    "the first line of the stream is not as it should be, or for another "
			    "node",
			    reterr_text);
	r = sha256(body, len, digest);
	if (r == 0)
		r = frame_stream_begin(&stream->config.ephemeral, &theirs, id, digest,
				       &stream->frames);
	/* It has served. */
	wg_key_wipe(&stream->config.ephemeral);
	return r == -EINVAL ? fail(r, "the coordinator's key for the stream is none", reterr_text)
			    : r;
}

static int take_hello(struct link_stream *stream, const char *line, size_t len, char **reterr_text)
{
	const struct frame_id id = {
		.purpose = FRAME_HELLO,
		.machine = stream->config.machine,
		.nonce = stream->config.nonce,
	};
	size_t body_len;
	const char *body;
	int r;

	r = frame_verify_line(&stream->config.coordinator, &id, line, len, &body, &body_len);
	if (r < 0)
		return fail(r,
			    "the stream does not begin with a line that this host's coordinator "
			    "has signed",
			    reterr_text);
	r = begin(stream, &id, body, body_len, reterr_text);
	if (r < 0)
		return r;
	stream->n_lines++;
	drop_line(stream);
	stream->config.on_hello(stream->config.userdata);
	return 0;
}

static int type_of(const json_t *object, enum link_object *ret_type)
{
	static const char *const names[] = {
		[LINK_OBJECT_FULL] = "full",
		[LINK_OBJECT_DELTA] = "delta",
		[LINK_OBJECT_KEEPALIVE] = "keepalive",
		[LINK_OBJECT_END] = "end",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (is_text(object, "type", names[i])) {
			*ret_type = (enum link_object)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_object(struct link_stream *stream, const char *line, size_t len, char **reterr_text)
{
	json_auto_t *object = NULL;
	enum link_object type;
	size_t body_len;
	const char *body;
	int r;

	r = frame_stream_open(&stream->frames, line, len, &body, &body_len);
	if (r < 0)
		return fail(r,
			    "a line of the stream is not what the coordinator sent as the next one",
			    reterr_text);
	r = parse_object(body, body_len, &object, reterr_text);
	if (r < 0)
		return r;
	stream->n_lines++;
	drop_line(stream);
	if (type_of(object, &type) < 0)
		return fail(-EINVAL,
			    "the stream has an object of a type that this agent does not know",
			    reterr_text);
	return stream->config.on_object(type, object, stream->config.userdata, reterr_text);
}

static int take_line(struct link_stream *stream, const char *line, size_t len, char **reterr_text)
{
	if (len > max_line(stream))
		return fail(-EMSGSIZE, "a line is too long", reterr_text);
	return stream->n_lines == 0 ? take_hello(stream, line, len, reterr_text)
				    : take_object(stream, line, len, reterr_text);
}

int link_stream_take(struct link_stream *stream, const char *data, size_t len, char **reterr_text)
{
	int r = 0;

	while (len > 0 && r == 0) {
		const char *newline = memchr(data, '\n', len);
		size_t part = newline ? (size_t)(newline - data) : len;

		/* A line that came in one piece is not copied. */
		if (!newline || stream->len > 0)
			r = append(stream, data, part, reterr_text);
		if (r == 0 && newline)
			r = stream->len > 0
				    ? take_line(stream, stream->line, stream->len, reterr_text)
				    : take_line(stream, data, part, reterr_text);
		if (newline)
			part++;
		data += part;
		len -= part;
	}
	return r;
}
