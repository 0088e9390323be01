/* What each stream is told: of a flush, and when it is its turn. */
#include <errno.h>

#include "common/clock.h"
#include "coord/map/streams_internal.h"

#define RETRY_USEC	USEC_PER_SEC
#define ANSWERS_PER_RUN 256u
#define FULL_PER_RUN	4u

static void failed(struct streams *streams)
{
	streams->stats.failures++;
	streams->not_before = streams->now + RETRY_USEC;
}

static void note_time(uint64_t begin, uint64_t *sum, uint64_t *max)
{
	uint64_t usec = clock_usec(CLOCK_MONOTONIC) - begin;

	*sum += usec;
	if (usec > *max)
		*max = usec;
}

static void set_current(struct stream *s)
{
	s->state = STREAM_CURRENT;
	s->wants_full = s->resuming = false;
}

/* It knows everything up to s->since, and what follows it could not be told. */
static void fall_behind(struct stream *s, int error)
{
	/* What comes next is told by hashes: those of the engine's serials may be newer. */
	s->viewer.filter_serial = s->viewer.ssh_serial = 0;
	if (error != -ENOBUFS) {
		failed(s->owner);
		stream_queue(s);
		return;
	}
	s->owner->stats.queue_full++;
	if (s->state != STREAM_BEHIND)
		s->owner->stats.behind++;
	s->state = STREAM_BEHIND;
}

/* ---- plans ---- */

static int write_delta(struct stream *s, struct map_frame *frame)
{
	int r = stream_write(s, frame);

	if (r < 0)
		return r;
	s->owner->stats.delta++;
	s->owner->stats.delta_bytes += map_frame_len(frame);
	s->told = s->owner->world->generation;
	return 0;
}

static bool same_tokens(const struct map_tokens *a, const struct map_tokens *b)
{
	return map_hash_equal(&a->policy, &b->policy) && map_hash_equal(&a->filter, &b->filter) &&
	       map_hash_equal(&a->ssh, &b->ssh) && reach_view_equal(&a->view, &b->view);
}

static void note_told(struct stream *s, const struct map_plan *plan)
{
	s->since = s->owner->world->generation;
	s->resuming = false;
	s->viewer.tokens_due |= !same_tokens(&plan->tokens, &s->viewer.told);
	s->viewer.told = plan->tokens;
	s->viewer.filter_serial = plan->filter_serial;
	s->viewer.ssh_serial = plan->ssh_serial;
}

static int tell_shared(struct stream *s, const struct map_plan *plan)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	struct streams *streams = s->owner;
	int r = bodies_get(&streams->bodies, streams->world, s->viewer.node, plan, &frame);

	if (r == 0)
		r = write_delta(s, frame);
	if (r == 0)
		note_told(s, plan);
	return r;
}

/* With the tokens, as it is nobody else's anyway. */
static int tell_own(struct stream *s, const struct map_plan *plan)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	int r = map_write_delta(s->owner->world, s->viewer.node, plan, true, &frame);

	if (r == 0)
		r = write_delta(s, frame);
	if (r < 0)
		return r;
	s->owner->stats.delta_bodies++;
	note_told(s, plan);
	s->viewer.tokens_due = false;
	return 0;
}

/* Tokens are each node's own: they follow a delta that is not, on a line of their own. */
static int tell_tokens(struct stream *s)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	int r = map_write_progress(s->owner->world, &s->viewer.told, &frame);

	if (r == 0)
		r = write_delta(s, frame);
	if (r == 0)
		s->viewer.tokens_due = false;
	return r;
}

/* To many at once: as much as can be is shared. */
static int tell_flush(struct stream *s, struct map_plan *plan)
{
	int r = 0;

	if (!map_plan_is_shared(plan))
		return tell_own(s, plan);
	plan->tokens_follow = s->viewer.tokens_due || !same_tokens(&plan->tokens, &s->viewer.told);
	if (map_plan_is_empty(plan))
		note_told(s, plan);
	else
		r = tell_shared(s, plan);
	if (r == 0 && s->viewer.tokens_due)
		r = tell_tokens(s);
	return r;
}

/* To one: a single line, which finds place in any sink that is empty. */
static int tell_answer(struct stream *s, const struct map_plan *plan)
{
	bool tokens = s->viewer.tokens_due || !same_tokens(&plan->tokens, &s->viewer.told);

	if (tokens || !map_plan_is_shared(plan))
		return tell_own(s, plan);
	if (!map_plan_is_empty(plan) || s->resuming)
		return tell_shared(s, plan);
	note_told(s, plan);
	return 0;
}

/* ---- a flush ---- */

static void want_full(struct stream *s)
{
	s->wants_full = true;
	/* One that is behind is queued when its sink is empty. */
	if (s->state == STREAM_CURRENT)
		stream_queue(s);
}

static void tell_live(struct stream *s, struct plan_live *live)
{
	struct streams *streams = s->owner;
	int r;

	s->since = live->changes->from;
	map_plan_clear(&streams->plan);
	r = map_plan_live(live, &s->viewer, &streams->plan);
	if (r == 0)
		r = tell_flush(s, &streams->plan);
	if (r < 0)
		fall_behind(s, r);
}

/* One whose key has expired has a map that is about itself alone: a whole one is as short. */
static bool outsider_changed(const struct stream *s, const struct world_change *own)
{
	const struct world_node *node = s->viewer.node;

	return (own && (own->what & WORLD_SELF)) ||
	       (node->user != WORLD_NONE && s->owner->world->users[node->user].changed);
}

static void tell_one(struct stream *s, struct plan_live *live)
{
	const struct world_change *own = world_change_of(live->changes, s->viewer.node);
	bool outside = s->viewer.node->index == WORLD_NONE;

	if (own && (own->what & WORLD_REMOVED)) {
		s->owner->stats.deleted++;
		stream_end(s, s->owner->deleted);
		return;
	}
	if (live->changes->everybody || (outside && outsider_changed(s, own)))
		want_full(s);
	else if (s->state == STREAM_CURRENT && !outside)
		tell_live(s, live);
}

static void miss(struct stream *s, const struct world_changes *changes)
{
	s->since = changes->from;
	fall_behind(s, -ENOMEM);
}

static void tell_all(struct streams *streams, const struct world_changes *changes)
{
	struct plan_live live;
	struct stream *s, *next;
	bool ready = plan_live_begin(streams->world, changes, &live) == 0;

	for (s = LIST_FIRST(&streams->all); s; s = next) {
		next = LIST_NEXT(s, all);
		if (!ready && s->state == STREAM_CURRENT)
			miss(s, changes);
		tell_one(s, &live);
	}
	plan_live_done(&live);
}

void streams_flush(struct streams *streams, uint64_t wall)
{
	uint64_t begin = clock_usec(CLOCK_MONOTONIC), made = streams->bodies.n_made;
	struct world_changes changes;
	bool rebuild = streams->world->rebuild;
	int r;

	streams->flush_at = UINT64_MAX;
	streams->flushed_at = streams->now;
	bodies_done(&streams->bodies);
	r = world_flush(streams->world, wall, &changes);
	if (r < 0) {
		/* Without a mesh or a policy there is nothing to be told yet. */
		streams->flush_at = streams->now;
		streams->not_before = streams->now + RETRY_USEC;
		streams->stats.failures += r != -EAGAIN;
		return;
	}
	if (rebuild) {
		streams->stats.rebuilds++;
		note_time(begin, &(uint64_t){ 0 }, &streams->stats.rebuild_usec_max);
	}
	tell_all(streams, &changes);
	world_changes_done(streams->world, &changes);
	streams->stats.flushes++;
	streams->stats.delta_bodies += streams->bodies.n_made - made;
	note_time(begin, &streams->stats.flush_usec, &streams->stats.flush_usec_max);
}

/* ---- answers ---- */

/* Return: 0, 1: it has to be a full map. */
static int answer_since(struct stream *s)
{
	struct streams *streams = s->owner;
	bool resuming = s->resuming;
	int r;

	map_plan_clear(&streams->plan);
	r = map_plan_since(streams->world, &s->viewer, s->since, &streams->plan);
	if (r == MAP_PLAN_FULL) {
		streams->stats.resumed_full += s->resuming;
		return 1;
	}
	if (r == 0)
		r = tell_answer(s, &streams->plan);
	if (r < 0) {
		fall_behind(s, r);
		return 0;
	}
	if (resuming)
		streams->stats.resumed_delta++;
	else
		streams->stats.catch_ups++;
	set_current(s);
	return 0;
}

static int write_full(struct stream *s)
{
	_cleanup_(map_frame_unrefp) struct map_frame *frame = NULL;
	struct streams *streams = s->owner;
	struct map_viewer told;
	int r = map_write_full(streams->world, s->viewer.node, &told, &frame);

	if (r == 0)
		r = stream_write(s, frame);
	if (r < 0)
		return r;
	s->viewer = told;
	s->told = streams->world->generation;
	s->full_bytes = map_frame_len(frame);
	streams->n_full++;
	streams->full_bytes += s->full_bytes;
	streams->stats.full++;
	streams->stats.full_bytes += s->full_bytes;
	return 0;
}

static void answer_full(struct stream *s)
{
	struct streams *streams = s->owner;
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);
	int r;

	s->wants_full = true;
	/* It would find no place behind other lines. */
	if (s->undrained) {
		s->state = STREAM_BEHIND;
		streams->stats.behind++;
		return;
	}
	if (!streams_may_send_full(streams)) {
		TAILQ_INSERT_TAIL(&streams->full_queue, s, queue);
		s->in_full_queue = true;
		streams->stats.waiting_full++;
		return;
	}
	r = write_full(s);
	if (r < 0)
		fall_behind(s, r);
	else
		set_current(s);
	note_time(begin, &streams->stats.full_usec, &streams->stats.full_usec_max);
}

static void answer(struct stream *s)
{
	TAILQ_REMOVE(&s->owner->todo, s, queue);
	s->in_todo = false;
	if (s->wants_full || answer_since(s) == 1)
		answer_full(s);
}

/* A node that came after the last flush: nothing can be said of it before the next one. */
static bool is_shown(const struct stream *s)
{
	return s->viewer.node->exists && s->owner->world->now.engine;
}

void streams_answer(struct streams *streams, uint64_t wall)
{
	uint64_t made = streams->bodies.n_made, full = streams->stats.full;
	struct stream *s;

	streams_next_full(streams);
	for (unsigned i = 0; i < ANSWERS_PER_RUN && streams->stats.full - full < FULL_PER_RUN;
	     i++) {
		s = TAILQ_FIRST(&streams->todo);
		if (!s || streams->not_before > streams->now)
			break;
		if (is_shown(s))
			answer(s);
		else
			streams_flush(streams, wall);
	}
	streams->stats.delta_bodies += streams->bodies.n_made - made;
}
