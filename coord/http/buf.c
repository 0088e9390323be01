#include "coord/http/buf.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"

struct http_buf {
	unsigned n_refs;
	size_t len;
	char *data;
};

struct http_buf *http_buf_take(char *data, size_t len)
{
	struct http_buf *buf;

	if (!data)
		return NULL;
	buf = malloc(sizeof(*buf));
	if (!buf) {
		free(data);
		return NULL;
	}
	*buf = (struct http_buf){ .n_refs = 1, .len = len, .data = data };
	return buf;
}

struct http_buf *http_buf_new(const void *data, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return http_buf_take(copy, len);
}

struct http_buf *http_buf_json(const json_t *json)
{
	size_t len;
	char *text = json_compact(json, &len);

	return http_buf_take(text, len);
}

struct http_buf *http_buf_ref(struct http_buf *buf)
{
	buf->n_refs++;
	return buf;
}

struct http_buf *http_buf_unref(struct http_buf *buf)
{
	if (!buf || --buf->n_refs > 0)
		return NULL;
	free(buf->data);
	free(buf);
	return NULL;
}

const char *http_buf_data(const struct http_buf *buf)
{
	return buf->data;
}

size_t http_buf_len(const struct http_buf *buf)
{
	return buf->len;
}
