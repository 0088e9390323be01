/*
 * First come the pages of the store, one at a time, each when the client has taken the one before
 * it; then what the registry tells. What happens in the meantime may be in a page, be told, or
 * both, in any order: the ids of these few are remembered, so that each comes once.
 *
 * What is told while the client has not taken what is queued waits, and goes as one message. A
 * stream lasts no longer than the API key that it was asked for with.
 * A line that says nothing follows after a while of silence: proxies take silence for the end, and
 * a client that has vanished is noticed by what cannot be sent to it.
 */
#include "coord/api/admin_follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text_stream.h"

#define MAX_FOLLOWERS 16u
#define PAGE	      200u
#define MAX_RECENT    1000u
#define ID_SIZE	      64u

/* An event that is newer than the stream. */
struct recent {
	char id[ID_SIZE];
	struct http_buf *line; /* told, and has to wait; NULL: it is out */
};

struct follower {
	struct api *api;
	struct http_stream *stream; /* NULL: has ended, while a page is awaited */
	struct registry_subscription *changes;
	char apikey[32]; /* "": on the unix socket */
	sd_event_source *expiry;
	sd_event_source *keepalive;
	uint64_t start;	 /* revision */
	bool in_pages;	 /* the store's events are not all out */
	bool is_reading; /* a page is awaited */
	char after[ID_SIZE];
	struct recent *recent;
	size_t n_recent;
};

static void follower_free(struct follower *f)
{
	sd_event_source_disable_unref(f->expiry);
	registry_subscription_free(f->changes);
	sd_event_source_disable_unref(f->keepalive);
	for (size_t i = 0; i < f->n_recent; i++)
		http_buf_unref(f->recent[i].line);
	free(f->recent);
	free(f);
}

/* The stream is over; the memory stays as long as a page is to come. */
static void follower_end(struct follower *f)
{
	f->stream = http_stream_close(f->stream);
	f->changes = registry_subscription_free(f->changes);
	f->expiry = sd_event_source_disable_unref(f->expiry);
	f->keepalive = sd_event_source_disable_unref(f->keepalive);
	f->api->n_followers--;
	if (!f->is_reading)
		follower_free(f);
}

static void on_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct follower *f = userdata;

	f->stream = NULL;
	follower_end(f);
}

/* ---- the key ---- */

static bool may_follow(const struct follower *f)
{
	const struct apikey_record *key;

	if (!f->apikey[0])
		return true;
	key = registry_apikey(f->api->registry, f->apikey);
	return key && !key->revoked && key->expires > registry_now(f->api->registry) &&
	       (key->scopes & SCOPE_EVENTS_READ);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
	follower_end(userdata);
	return 0;
}

static int watch_expiry(struct follower *f)
{
	const struct apikey_record *key =
		f->apikey[0] ? registry_apikey(f->api->registry, f->apikey) : NULL;
	uint64_t now = registry_now(f->api->registry);

	if (!key || key->expires == RECORD_NEVER)
		return 0;
	return sd_event_add_time_relative(f->api->event, &f->expiry, CLOCK_BOOTTIME,
					  key->expires > now ? key->expires - now : 0, 0, on_expiry,
					  f);
}

/* ---- lines ---- */

static int rest(struct follower *f)
{
	int r = sd_event_source_set_time_relative(f->keepalive, f->api->follow_keepalive_usec);

	if (r >= 0)
		r = sd_event_source_set_enabled(f->keepalive, SD_EVENT_ONESHOT);
	return r < 0 ? r : 0;
}

static int say(struct follower *f, struct http_buf *buf)
{
	int r = http_stream_write(f->stream, buf);

	return r < 0 ? r : rest(f);
}

static int keep_alive(struct follower *f)
{
	static const char line[] = "{\"type\":\"keepalive\"}\n";
	_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;

	/* What is queued says as much, and so will a page. */
	if (f->in_pages || http_stream_queued(f->stream) > 0)
		return rest(f);
	buf = http_buf_new(line, strlen(line));
	return buf ? say(f, buf) : -ENOMEM;
}

static int on_keepalive(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct follower *f = userdata;

	if (keep_alive(f) < 0)
		follower_end(f);
	return 0;
}

static struct http_buf *line_of(const struct event_record *event)
{
	json_auto_t *json = admin_event_json(event);
	size_t len = 0;
	char *text = json ? json_compact(json, &len) : NULL;

	/* The NUL makes room for the end of the line. */
	if (text)
		text[len] = '\n';
	return http_buf_take(text, len + 1);
}

static struct recent *find_recent(const struct follower *f, const char *id)
{
	for (size_t i = 0; i < f->n_recent; i++)
		if (strcmp(f->recent[i].id, id) == 0)
			return &f->recent[i];
	return NULL;
}

/* Takes line. Return: 0, -ENOBUFS, -ENOMEM. */
static int remember(struct follower *f, const char *id, struct http_buf *line)
{
	struct recent *grown;

	grown = f->n_recent < MAX_RECENT
			? reallocarray(f->recent, f->n_recent + 1, sizeof(*f->recent))
			: NULL;
	if (!grown) {
		http_buf_unref(line);
		return f->n_recent < MAX_RECENT ? -ENOMEM : -ENOBUFS;
	}
	f->recent = grown;
	snprintf(grown[f->n_recent].id, ID_SIZE, "%s", id);
	grown[f->n_recent++].line = line;
	return 0;
}

static void forget(struct follower *f, struct recent *recent)
{
	http_buf_unref(recent->line);
	*recent = f->recent[--f->n_recent];
}

/* ---- what is told ---- */

static int take_event(struct follower *f, const struct event_record *event)
{
	struct recent *known = find_recent(f, event->head.id);
	struct http_buf *line;
	int r;

	if (known) {
		forget(f, known);
		return 0;
	}
	line = line_of(event);
	if (!line)
		return -ENOMEM;
	if (f->in_pages || http_stream_queued(f->stream) > 0)
		return remember(f, event->head.id, line);
	r = say(f, line);
	http_buf_unref(line);
	return r;
}

static void on_changes(uint64_t revision, const struct registry_change *changes, size_t n,
		       void *userdata)
{
	struct follower *f = userdata;

	if (!may_follow(f)) {
		follower_end(f);
		return;
	}
	for (size_t i = 0; i < n; i++)
		/* Too slow, or no memory: the client asks again, from what it has on. */
		if (changes[i].kind == REGISTRY_EVENT && take_event(f, changes[i].event) < 0) {
			follower_end(f);
			return;
		}
}

/* ---- pages ---- */

static int print_event(struct follower *f, const struct event_record *event, FILE *file)
{
	_cleanup_(http_buf_unrefp) struct http_buf *line = NULL;

	snprintf(f->after, sizeof(f->after), "%s", event->head.id);
	/* Has been told, and comes after the pages. */
	if (find_recent(f, event->head.id))
		return 0;
	line = line_of(event);
	if (!line)
		return -ENOMEM;
	fwrite(http_buf_data(line), 1, http_buf_len(line), file);
	return event->head.revision > f->start ? remember(f, event->head.id, NULL) : 0;
}

/* Events that were told and had to wait; of the others only the ids are left. */
static void print_waiting(struct follower *f, FILE *file)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n_recent; i++) {
		struct recent *recent = &f->recent[i];

		if (recent->line)
			fwrite(http_buf_data(recent->line), 1, http_buf_len(recent->line), file);
		else
			f->recent[kept++] = *recent;
		http_buf_unref(recent->line);
	}
	f->n_recent = kept;
}

static int print_page(struct follower *f, const struct registry_result *page, FILE *file)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < page->n_events; i++)
		r = print_event(f, &page->events[i], file);
	if (r == 0 && !page->more) {
		f->in_pages = false;
		print_waiting(f, file);
	}
	return r;
}

/* A page; NULL: only what waits. All of it is one message. */
static int write_lines(struct follower *f, const struct registry_result *page)
{
	_cleanup_(http_buf_unrefp) struct http_buf *buf = NULL;
	struct text_stream out;
	char *text;
	int r = text_stream_open(&out);

	if (r < 0)
		return r;
	if (page)
		r = print_page(f, page, out.file);
	else
		print_waiting(f, out.file);
	text = text_stream_close(&out);
	buf = http_buf_take(text, text ? strlen(text) : 0);
	if (r < 0 || !buf)
		return r < 0 ? r : -ENOMEM;
	return http_buf_len(buf) > 0 ? say(f, buf) : 0;
}

static void read_page(struct follower *f);

static void on_page(const struct registry_result *page, void *userdata)
{
	struct follower *f = userdata;
	int r;

	f->is_reading = false;
	if (!f->stream) {
		follower_free(f);
		return;
	}
	r = page->code == REGISTRY_OK ? write_lines(f, page) : -EIO;
	if (r < 0)
		follower_end(f);
	else if (f->in_pages && http_stream_queued(f->stream) == 0)
		read_page(f); /* all of the page had been told already */
}

static void read_page(struct follower *f)
{
	f->is_reading = true;
	registry_events(f->api->registry, f->after, PAGE, on_page, f);
}

static void on_drained(struct http_stream *stream, void *userdata)
{
	struct follower *f = userdata;

	if (f->in_pages && !f->is_reading)
		read_page(f);
	else if (!f->in_pages && f->n_recent > 0 && write_lines(f, NULL) < 0)
		follower_end(f);
}

/* ---- beginning ---- */

static int open_stream(struct follower *f, struct admin_call *call)
{
	const struct http_stream_config config = {
		.content_type = "application/x-ndjson",
		.on_closed = on_closed,
		.on_drained = on_drained,
		.userdata = f,
	};
	int r = registry_subscribe(f->api->registry, on_changes, f, &f->changes);

	if (r == 0)
		r = watch_expiry(f);
	if (r >= 0)
		r = sd_event_add_time_relative(f->api->event, &f->keepalive, CLOCK_MONOTONIC,
					       f->api->follow_keepalive_usec, 0, on_keepalive, f);
	if (r >= 0)
		r = http_stream_open(call->req, &config, &f->stream);
	if (r == 0)
		f->api->n_followers++;
	return r;
}

int admin_follow(struct admin_call *call, const char *after)
{
	struct follower *f;
	int r;

	if (call->api->n_followers >= MAX_FOLLOWERS)
		return admin_call_refuse(call, 429, "too-many",
					 "as many follow the events as may; try again later");
	f = calloc(1, sizeof(*f));
	if (!f)
		return admin_call_fail(call, -ENOMEM);
	f->api = call->api;
	f->start = registry_revision(f->api->registry);
	f->in_pages = after != NULL;
	snprintf(f->apikey, sizeof(f->apikey), "%s", call->apikey);
	snprintf(f->after, sizeof(f->after), "%s", after ? after : "");
	r = open_stream(f, call);
	if (r < 0) {
		follower_free(f);
		return admin_call_fail(call, r);
	}
	admin_call_free(call);
	if (f->in_pages)
		read_page(f);
	return 0;
}
