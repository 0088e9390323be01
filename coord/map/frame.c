#include "coord/map/frame.h"

#include <errno.h>
#include <stdlib.h>

#include "coord/policy/text.h"

/* Text grows by doubling, and lines may wait for their readers. A NUL stays at the end. */
static char *shrunk(char *data, size_t len)
{
	char *smaller = realloc(data, len);

	return smaller ? smaller : data;
}

static int frame_new(struct policy_text *text, struct map_frame **ret_frame)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = calloc(1, sizeof(*frame));
	size_t len = text->len;
	char *data;

	if (!frame)
		return -ENOMEM;
	frame->n_refs = 1;
	policy_text_puts(text, "\n");
	data = policy_text_take(text);
	if (!data)
		return -ENOMEM;
	frame->line = http_buf_take(shrunk(data, len + 2), len + 1);
	if (!frame->line)
		return -ENOMEM;
	if (sha256(http_buf_data(frame->line), len, frame->digest) < 0)
		return -EIO;
	*ret_frame = take_ptr(frame);
	return 0;
}

int map_frame_take(struct policy_text *text, struct map_frame **ret_frame)
{
	int r = frame_new(text, ret_frame);

	policy_text_done(text);
	return r;
}

struct map_frame *map_frame_ref(struct map_frame *frame)
{
	frame->n_refs++;
	return frame;
}

struct map_frame *map_frame_unref(struct map_frame *frame)
{
	if (!frame || --frame->n_refs > 0)
		return NULL;
	http_buf_unref(frame->line);
	free(frame);
	return NULL;
}

size_t map_frame_len(const struct map_frame *frame)
{
	return http_buf_len(frame->line);
}
