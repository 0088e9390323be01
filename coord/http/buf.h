/* Bytes that are shared, not copied: one message for any number of streams. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/cleanup.h"

struct http_buf;

/* Each has one reference, the caller's. NULL: no memory. */
struct http_buf *http_buf_new(const void *data, size_t len);
/* Takes data (malloc()), also on failure; NULL gives NULL. */
struct http_buf *http_buf_take(char *data, size_t len);
/* In compact form. json is borrowed, an object or array. */
struct http_buf *http_buf_json(const json_t *json);

struct http_buf *http_buf_ref(struct http_buf *buf);
struct http_buf *http_buf_unref(struct http_buf *buf); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct http_buf *, http_buf_unref);

const char *http_buf_data(const struct http_buf *buf);
size_t http_buf_len(const struct http_buf *buf);
