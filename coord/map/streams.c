#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/text.h"
#include "coord/map/streams_internal.h"
#include "coord/policy/text.h"

/* ---- all of them: beginning ---- */

static int make_frame(const char *body, struct map_frame **ret_frame)
{
	struct policy_text text = { 0 };

	policy_text_puts(&text, body);
	return map_frame_take(&text, ret_frame);
}

static int make_frames(struct streams *streams)
{
	int r = make_frame("{\"type\":\"keepalive\"}", &streams->keepalive);

	if (r == 0)
		r = make_frame("{\"type\":\"end\",\"reason\":\"replaced\"}", &streams->replaced);
	if (r == 0)
		r = make_frame("{\"type\":\"end\",\"reason\":\"deleted\"}", &streams->deleted);
	if (r == 0)
		r = make_frame("{\"type\":\"end\",\"reason\":\"stopping\"}", &streams->stop);
	return r;
}

static void set_defaults(struct streams_config *config)
{
	if (!config->tick_usec)
		config->tick_usec = 50000;
	if (!config->keepalive_usec)
		config->keepalive_usec = 25 * USEC_PER_SEC;
	if (!config->max_streams)
		config->max_streams = 20000;
	if (!config->max_full)
		config->max_full = 50;
	if (!config->max_full_bytes)
		config->max_full_bytes = 256u << 20;
}

int streams_new(struct world *world, const struct streams_config *config,
		struct streams **ret_streams)
{
	_cleanup_(streams_freep) struct streams *streams = calloc(1, sizeof(*streams));
	int r;

	if (!streams)
		return -ENOMEM;
	streams->world = world;
	streams->config = *config;
	streams->flush_at = UINT64_MAX;
	set_defaults(&streams->config);
	TAILQ_INIT(&streams->todo);
	TAILQ_INIT(&streams->full_queue);
	if (getrandom(&streams->random, sizeof(streams->random), 0) < 0 || !streams->random)
		streams->random = 1;
	r = make_frames(streams);
	if (r < 0)
		return r;
	*ret_streams = take_ptr(streams);
	return 0;
}

void streams_wake(const struct streams *streams)
{
	if (streams->config.on_wake)
		streams->config.on_wake(streams->config.userdata);
}

/* ---- queues ---- */

static void unqueue(struct stream *s)
{
	if (s->in_todo)
		TAILQ_REMOVE(&s->owner->todo, s, queue);
	if (s->in_full_queue) {
		TAILQ_REMOVE(&s->owner->full_queue, s, queue);
		s->owner->stats.waiting_full--;
	}
	s->in_todo = s->in_full_queue = false;
}

void stream_queue(struct stream *s)
{
	if (s->state == STREAM_BEHIND)
		s->owner->stats.behind--;
	s->state = STREAM_QUEUED;
	if (s->in_todo || s->in_full_queue)
		return;
	TAILQ_INSERT_TAIL(&s->owner->todo, s, queue);
	s->in_todo = true;
	streams_wake(s->owner);
}

bool streams_may_send_full(const struct streams *streams)
{
	return streams->n_full == 0 || (streams->n_full < streams->config.max_full &&
					streams->full_bytes < streams->config.max_full_bytes);
}

void streams_next_full(struct streams *streams)
{
	struct stream *next = TAILQ_FIRST(&streams->full_queue);

	if (!next || !streams_may_send_full(streams))
		return;
	unqueue(next);
	stream_queue(next);
}

/* A full map has gone out, or its stream: somebody else's turn. */
static void full_is_gone(struct stream *s)
{
	struct streams *streams = s->owner;

	if (!s->full_bytes)
		return;
	streams->n_full--;
	streams->full_bytes -= s->full_bytes;
	s->full_bytes = 0;
	if (!TAILQ_EMPTY(&streams->full_queue))
		streams_wake(streams);
}

/* ---- one: end ---- */

static void free_stream(struct stream *s)
{
	map_frame_unref(s->hello);
	free(s->hello_head);
	frame_stream_done(&s->key);
	free(s);
}

static void unlink_stream(struct stream *s)
{
	unqueue(s);
	full_is_gone(s);
	if (s->state == STREAM_BEHIND)
		s->owner->stats.behind--;
	LIST_REMOVE(s, all);
	LIST_REMOVE(s, bucket);
	s->owner->stats.streams--;
}

static void tell_presence(const struct streams *streams, const char *node, bool online)
{
	if (streams->config.on_presence)
		streams->config.on_presence(node, online, streams->config.userdata);
}

static void leave(struct stream *s)
{
	struct world_node *node = s->viewer.node;

	unlink_stream(s);
	if (node->stream == s) {
		node->stream = NULL;
		tell_presence(s->owner, node->id, false);
	}
	free_stream(s);
}

void stream_gone(struct stream *s)
{
	leave(s);
}

void stream_end(struct stream *s, struct map_frame *why)
{
	if (why)
		stream_write(s, why);
	s->ops->close(s->sink);
	leave(s);
}

struct streams *streams_free(struct streams *streams)
{
	struct stream *s;

	if (!streams)
		return NULL;
	while ((s = LIST_FIRST(&streams->all)))
		stream_end(s, NULL);
	map_plan_done(&streams->plan);
	bodies_done(&streams->bodies);
	map_frame_unref(streams->keepalive);
	map_frame_unref(streams->replaced);
	map_frame_unref(streams->deleted);
	map_frame_unref(streams->stop);
	map_frame_unref(streams->progress);
	free(streams);
	return NULL;
}

void streams_stop(struct streams *streams)
{
	struct stream *s;

	streams->stopping = true;
	while ((s = LIST_FIRST(&streams->all)))
		stream_end(s, streams->stop);
}

/* ---- one: beginning ---- */

static int make_hello(struct stream *s, const struct wg_key *public, uint64_t wall)
{
	char key[BASE64URL_LEN(WG_KEY_LEN) + 1], time[32];
	struct policy_text text = { 0 };

	policy_text_puts(&text, "{\"type\":\"hello\",\"for\":");
	policy_text_string(&text, s->viewer.node->id);
	policy_text_printf(&text, ",\"ephemeral\":\"%s\",\"time\":\"%s\"}",
			   base64url_encode(public->bytes, WG_KEY_LEN, key),
			   format_rfc3339(wall, time, sizeof(time)));
	return map_frame_take(&text, &s->hello);
}

static int sign_hello(struct stream *s, const struct frame_id *id)
{
	char sig[FRAME_SIG_CHARS + 1];
	int r = frame_sign(s->owner->config.key, id, s->hello->digest, sig);

	if (r < 0)
		return r;
	s->hello_head = text_printf("%s ", sig);
	return s->hello_head ? 0 : -ENOMEM;
}

/* Our key lives no longer than this. */
static int agree(struct stream *s, const struct stream_request *request, uint64_t wall)
{
	const struct frame_id id = { .purpose = FRAME_HELLO,
				     .machine = request->machine,
				     .nonce = request->nonce };
	struct wg_key private, public;
	int r = wg_key_generate(&private);

	if (r == 0)
		r = wg_key_public(&private, &public);
	if (r == 0)
		r = make_hello(s, &public, wall);
	if (r == 0)
		r = frame_stream_begin(&private, &request->ephemeral, &id, s->hello->digest,
				       &s->key);
	if (r == 0)
		r = sign_hello(s, &id);
	wg_key_wipe(&private);
	return r;
}

static void read_resume(struct stream *s, const struct map_resume *resume)
{
	s->wants_full = !resume;
	s->resuming = true;
	if (!resume)
		return;
	s->since = resume->generation;
	map_tokens_parse(resume, &s->viewer.told);
}

int stream_new(struct streams *streams, const struct stream_request *request, uint64_t wall,
	       struct stream **ret_stream)
{
	_cleanup_(stream_freep) struct stream *s = NULL;
	struct world_node *node = world_find(streams->world, request->node);
	int r;

	if (!node || (node->pending && node->removed))
		return -ENOENT;
	if (streams->stopping ||
	    (!node->stream && streams->stats.streams >= streams->config.max_streams))
		return -EBUSY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->owner = streams;
	s->viewer.node = node;
	read_resume(s, request->resume);
	r = agree(s, request, wall);
	if (r < 0)
		return r;
	*ret_stream = take_ptr(s);
	return 0;
}

struct stream *stream_free(struct stream *s)
{
	if (s)
		free_stream(s);
	return NULL;
}

static void replace(struct stream *s)
{
	struct world_node *node = s->viewer.node;
	struct stream *older = node->stream;

	node->stream = s;
	if (!older) {
		tell_presence(s->owner, node->id, true);
		return;
	}
	s->owner->stats.replaced++;
	stream_end(older, s->owner->replaced);
}

int stream_start(struct stream *s, const struct stream_sink_ops *ops, void *sink, uint64_t now)
{
	struct streams *streams = s->owner;
	int r;

	streams->now = now;
	s->ops = ops;
	s->sink = sink;
	r = ops->write(sink, s->hello_head, strlen(s->hello_head), s->hello->line);
	if (r < 0) {
		free_stream(s);
		return r;
	}
	s->undrained = true;
	s->hello = map_frame_unref(s->hello);
	free(take_ptr(s->hello_head));
	LIST_INSERT_HEAD(&streams->all, s, all);
	streams->stats.streams++;
	streams->stats.started++;
	stream_rest(s);
	stream_wind(s);
	replace(s);
	stream_queue(s);
	return 0;
}

/* ---- one: lines ---- */

int stream_write(struct stream *s, struct map_frame *frame)
{
	char head[FRAME_MAC_CHARS + 1];
	int r = frame_stream_seal(&s->key, frame->digest, head);

	if (r < 0)
		return r;
	head[FRAME_MAC_CHARS] = ' ';
	r = s->ops->write(s->sink, head, sizeof(head), frame->line);
	if (r < 0) {
		s->key.next--;
		return r;
	}
	s->undrained = true;
	stream_rest(s);
	return 0;
}

void stream_drained(struct stream *s)
{
	s->undrained = false;
	full_is_gone(s);
	if (s->state == STREAM_BEHIND)
		stream_queue(s);
}

/* ---- all of them: what is due ---- */

void streams_changed(struct streams *streams, bool urgent, uint64_t now)
{
	uint64_t at = streams->flushed_at + streams->config.tick_usec;

	streams->now = now;
	if (urgent || at < now)
		at = now;
	if (at >= streams->flush_at)
		return;
	streams->flush_at = at;
	streams_wake(streams);
}

static uint64_t flush_due(const struct streams *streams, uint64_t now, uint64_t wall)
{
	uint64_t expiry = streams->world->next_expiry, due = streams->flush_at;

	if (expiry <= wall)
		due = now;
	else if (expiry != UINT64_MAX && expiry - wall < due && now + (expiry - wall) < due)
		due = now + (expiry - wall);
	return due > streams->not_before ? due : streams->not_before;
}

void streams_run(struct streams *streams, uint64_t now, uint64_t wall)
{
	streams->now = now;
	if (flush_due(streams, now, wall) <= now)
		streams_flush(streams, wall);
	if (streams->not_before <= now)
		streams_answer(streams, wall);
	streams_turn(streams);
	if (TAILQ_EMPTY(&streams->todo))
		bodies_done(&streams->bodies);
}

uint64_t streams_due(const struct streams *streams, uint64_t now, uint64_t wall)
{
	uint64_t due = flush_due(streams, now, wall), turn = streams_turn_due(streams);

	if (!TAILQ_EMPTY(&streams->todo) ||
	    (!TAILQ_EMPTY(&streams->full_queue) && streams_may_send_full(streams)))
		due = streams->not_before > now ? streams->not_before : now;
	return due < turn ? due : turn;
}

void streams_get_stats(const struct streams *streams, struct streams_stats *ret_stats)
{
	*ret_stats = streams->stats;
	ret_stats->coalesced = streams->world->n_superseded;
}
