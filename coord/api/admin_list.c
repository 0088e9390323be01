/*
 * Lists. Ten thousand hosts are some 250 ms of work and 6 MB, for which the maps of those hosts
 * must not wait: a long list is a stream, of which each part is made when the one before it has
 * gone out. What comes and goes meanwhile may be in it or not; whatever stays is in it, once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text_stream.h"
#include "coord/api/admin.h"

#define PART 200u

json_t *admin_list_json(const struct api *api, const char *key, size_t n,
			json_t *(*item)(const struct api *api, size_t i))
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, item(api, i)) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o}", key, list);
}

/* ---- parts ---- */

struct listing {
	const struct api *api;
	const struct admin_list *list;
	struct http_stream *stream;
	char after[RECORD_MAX_LOGIN + 1]; /* id of the last one; "": none yet */
	bool complete;			  /* all that is left is to be sent */
};

/* The first one whose id comes later. */
static size_t position_after(const struct listing *l, const char *id)
{
	const struct registry *registry = l->api->registry;
	size_t low = 0, high = l->list->count(registry);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(l->list->head(registry, middle)->id, id) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int print_item(const struct listing *l, size_t i, FILE *file)
{
	json_auto_t *json = l->list->item(l->api, i);
	_cleanup_free_ char *text = NULL;
	size_t len;

	text = json ? json_compact(json, &len) : NULL;
	if (!text)
		return -ENOMEM;
	fwrite(text, 1, len, file);
	return 0;
}

static int print_part(struct listing *l, FILE *file)
{
	const struct registry *registry = l->api->registry;
	size_t i = position_after(l, l->after), n = l->list->count(registry);
	size_t end = n - i > PART ? i + PART : n;
	int r = 0;

	if (l->after[0] == '\0')
		fprintf(file, "{\"%s\":[", l->list->key);
	for (; r == 0 && i < end; i++) {
		if (l->after[0] != '\0')
			fputc(',', file);
		snprintf(l->after, sizeof(l->after), "%s", l->list->head(registry, i)->id);
		r = print_item(l, i, file);
	}
	l->complete = end == n;
	if (l->complete)
		fputs("]}", file);
	return r;
}

static int send_part(struct listing *l)
{
	_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;
	struct text_stream out;
	char *text;
	int r = text_stream_open(&out);

	if (r < 0)
		return r;
	r = print_part(l, out.file);
	text = text_stream_close(&out);
	buf = http_buf_take(text, text ? strlen(text) : 0);
	if (r < 0 || !buf)
		return r < 0 ? r : -ENOMEM;
	return http_stream_write(l->stream, buf);
}

/* ---- the stream ---- */

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	free(userdata);
}

/* A list that breaks off is no JSON, as whoever reads it sees. */
static void on_drained(struct http_stream *stream, void *userdata)
{
	struct listing *l = userdata;

	if (!l->complete && send_part(l) == 0)
		return;
	http_stream_close(stream);
	free(l);
}

/* Takes the call. */
static int begin(struct admin_call *call, struct listing *l)
{
	const struct http_stream_config config = {
		.content_type = "application/json",
		.on_closed = on_closed,
		.on_drained = on_drained,
		.userdata = l,
	};
	int r = http_stream_open(call->req, &config, &l->stream);

	if (r < 0) {
		free(l);
		return admin_call_fail(call, r);
	}
	admin_call_free(call);
	on_drained(l->stream, l);
	return 0;
}

int admin_list(struct admin_call *call, const struct admin_list *list)
{
	const struct api *api = call->api;
	size_t n = list->count(api->registry);
	struct listing *l;

	/* HEAD has no stream. */
	if (n <= PART || strcmp(http_request_method(call->req), "HEAD") == 0)
		return admin_call_answer(
			call, 200,
			admin_list_json(api, list->key, n < PART ? n : PART, list->item));
	l = calloc(1, sizeof(*l));
	if (!l)
		return admin_call_fail(call, -ENOMEM);
	l->api = api;
	l->list = list;
	return begin(call, l);
}
