/* A Unix stream socket that carries NUL-terminated JSON messages, with bounds in both directions.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct varlink_stream {
	int fd; /* owned, non-blocking */
	size_t max_message, max_output;

	char *in;
	size_t in_start, in_end, in_size;
	size_t in_message;   /* where the unfinished message begins */
	unsigned n_messages; /* finished and not taken yet */

	char *out;
	size_t out_start, out_end, out_size;
};

/* Takes fd. max_message bounds one incoming message, and all that is read ahead. */
void varlink_stream_init(struct varlink_stream *s, int fd, size_t max_message, size_t max_output);
void varlink_stream_done(struct varlink_stream *s);

enum {
	VARLINK_STREAM_END = 1, /* the other side has said all it had to say */
};
/* Is there space to read into? Messages that are not taken use it up. */
bool varlink_stream_has_room(const struct varlink_stream *s);
/*
 * Read once.
 * Return: 0 (something came), VARLINK_STREAM_END, -EAGAIN, -EMSGSIZE (message beyond the limit),
 * -EBADMSG (descriptors came), -ENOBUFS (no room), -ENOMEM, other negative errno of the socket.
 */
int varlink_stream_read(struct varlink_stream *s);
/* Take the next message, which is borrowed until the next read. Return: false when there is none.
 */
bool varlink_stream_next(struct varlink_stream *s, const char **ret_text, size_t *ret_len);

/* Queue a message. Return: 0, -ENOBUFS (beyond max_output), -ENOMEM. */
int varlink_stream_queue(struct varlink_stream *s, const json_t *message);
bool varlink_stream_has_output(const struct varlink_stream *s);
/* Write what the socket takes. Return: 0 (all is out), -EAGAIN, negative errno of the socket. */
int varlink_stream_flush(struct varlink_stream *s);
