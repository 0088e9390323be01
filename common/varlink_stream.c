#include "common/varlink_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/passed.h"

#define FIRST_SIZE (4u << 10)

void varlink_stream_init(struct varlink_stream *s, int fd, size_t max_message, size_t max_output)
{
	*s = (struct varlink_stream){
		.fd = fd,
		.max_message = max_message,
		.max_output = max_output,
	};
	passed_prepare(fd);
	json_watch_memory();
}

void varlink_stream_done(struct varlink_stream *s)
{
	s->fd = passed_close(s->fd);
	free(s->in);
	free(s->out);
	s->in = s->out = NULL;
}

/* Make the buffer hold wanted bytes (at most max). */
static int grow(char **data, size_t *size, size_t wanted, size_t max)
{
	size_t new_size = *size ? *size : FIRST_SIZE;
	char *new_data;

	while (new_size < wanted)
		new_size *= 2;
	if (new_size > max)
		new_size = max;
	new_data = realloc(*data, new_size);
	if (!new_data)
		return -ENOMEM;
	*data = new_data;
	*size = new_size;
	return 0;
}

/* The most that the input buffer holds: a message and its NUL. */
static size_t in_max(const struct varlink_stream *s)
{
	return s->max_message + 1;
}

bool varlink_stream_has_room(const struct varlink_stream *s)
{
	return s->in_end - s->in_start < in_max(s);
}

static void compact_input(struct varlink_stream *s)
{
	if (s->in_start == 0)
		return;
	memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
	s->in_end -= s->in_start;
	s->in_message -= s->in_start;
	s->in_start = 0;
}

static int make_input_room(struct varlink_stream *s)
{
	if (s->in_end < s->in_size)
		return 0;
	compact_input(s);
	if (s->in_end < s->in_size)
		return 0;
	if (s->in_size >= in_max(s))
		return -ENOBUFS;
	return grow(&s->in, &s->in_size, s->in_size + 1, in_max(s));
}

/* Count the messages that the bytes from "from" on finish. */
static int scan_input(struct varlink_stream *s, size_t from)
{
	const char *nul;

	while (from < s->in_end && (nul = memchr(s->in + from, '\0', s->in_end - from))) {
		from = (size_t)(nul - s->in) + 1;
		s->in_message = from;
		s->n_messages++;
	}
	return s->in_end - s->in_message > s->max_message ? -EMSGSIZE : 0;
}

int varlink_stream_read(struct varlink_stream *s)
{
	size_t from;
	ssize_t n;
	int r;

	r = make_input_room(s);
	if (r < 0)
		return r;
	n = passed_read(s->fd, s->in + s->in_end, s->in_size - s->in_end);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return VARLINK_STREAM_END;
	from = s->in_end;
	s->in_end += (size_t)n;
	return scan_input(s, from);
}

bool varlink_stream_next(struct varlink_stream *s, const char **ret_text, size_t *ret_len)
{
	if (s->n_messages == 0)
		return false;
	*ret_text = s->in + s->in_start;
	*ret_len = strlen(*ret_text);
	s->in_start += *ret_len + 1;
	s->n_messages--;
	return true;
}

int varlink_stream_queue(struct varlink_stream *s, const json_t *message)
{
	_cleanup_free_ char *text = NULL;
	size_t len, wanted;
	int r;

	text = json_compact(message, &len);
	if (!text)
		return -ENOMEM;
	len++;

	if (s->out_start > 0) {
		memmove(s->out, s->out + s->out_start, s->out_end - s->out_start);
		s->out_end -= s->out_start;
		s->out_start = 0;
	}
	wanted = s->out_end + len;
	if (wanted > s->max_output)
		return -ENOBUFS;
	if (wanted > s->out_size) {
		r = grow(&s->out, &s->out_size, wanted, s->max_output);
		if (r < 0)
			return r;
	}
	memcpy(s->out + s->out_end, text, len);
	s->out_end = wanted;
	return 0;
}

bool varlink_stream_has_output(const struct varlink_stream *s)
{
	return s->out_start < s->out_end;
}

/* A big answer's memory is not kept for the small ones to come. */
static void release_output(struct varlink_stream *s)
{
	s->out_start = s->out_end = 0;
	if (s->out_size <= FIRST_SIZE)
		return;
	free(s->out);
	s->out = NULL;
	s->out_size = 0;
}

int varlink_stream_flush(struct varlink_stream *s)
{
	while (varlink_stream_has_output(s)) {
		ssize_t n = send(s->fd, s->out + s->out_start, s->out_end - s->out_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		s->out_start += (size_t)n;
	}
	release_output(s);
	return 0;
}
