#include "common/text_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/cleanup.h"

/* For len bytes and a final NUL. Return: 0, -ENOMEM. */
static int make_room(struct text_stream *stream, size_t len)
{
	size_t size = stream->size ? stream->size : 256;
	char *bigger;

	while (size - stream->len <= len)
		if (__builtin_mul_overflow(size, 2, &size))
			return -ENOMEM;
	if (size == stream->size)
		return 0;
	bigger = realloc(stream->data, size);
	if (!bigger)
		return -ENOMEM;
	stream->data = bigger;
	stream->size = size;
	return 0;
}

static ssize_t store(void *cookie, const char *data, size_t len)
{
	struct text_stream *stream = cookie;

	if (stream->failed || make_room(stream, len) < 0) {
		stream->failed = true;
		return 0; /* an error, for stdio */
	}
	memcpy(stream->data + stream->len, data, len);
	stream->len += len;
	stream->data[stream->len] = '\0';
	return (ssize_t)len;
}

int text_stream_open(struct text_stream *stream)
{
	*stream = (struct text_stream){ 0 };
	stream->file = fopencookie(stream, "w", (cookie_io_functions_t){ .write = store });
	if (!stream->file)
		return -ENOMEM;
	/* One of stdio's own would be allocated at the first character, and its lack not told. */
	if (setvbuf(stream->file, stream->buffer, _IOFBF, sizeof(stream->buffer)) != 0)
		stream->failed = true;
	return 0;
}

char *text_stream_close(struct text_stream *stream)
{
	if (fclose(stream->file) != 0)
		stream->failed = true;
	/* An empty text is one as well. */
	(void)store(stream, "", 0);
	if (stream->failed)
		free(stream->data);
	return stream->failed ? NULL : take_ptr(stream->data);
}
