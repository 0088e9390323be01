/* Keepalives: one wheel for all streams, which costs nothing while other lines are written. */
#include "coord/map/streams_internal.h"

/* How many generations a node may be behind before a keepalive tells it how far it has come. */
#define MAX_LAG 32u

static uint64_t unit(const struct streams *streams)
{
	return streams->config.keepalive_usec / WHEEL_PER_KEEPALIVE;
}

/* xorshift64: nobody gains anything by knowing it. */
static uint64_t next_random(struct streams *streams)
{
	uint64_t x = streams->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	streams->random = x;
	return x;
}

void stream_rest(struct stream *s)
{
	uint64_t usec = s->owner->config.keepalive_usec;

	s->keepalive_at = s->owner->now + usec * 4 / 5 + next_random(s->owner) % (usec * 2 / 5 + 1);
}

void stream_wind(struct stream *s)
{
	uint64_t at = s->keepalive_at / unit(s->owner);

	if (at <= s->owner->wheel_at)
		at = s->owner->wheel_at + 1;
	LIST_INSERT_HEAD(&s->owner->wheel[at % WHEEL_BUCKETS], s, bucket);
}

/* The same for all: only that they are current has to be known. */
static struct map_frame *progress_of(struct streams *streams)
{
	struct world *w = streams->world;

	if (streams->progress && streams->progress_at == w->generation)
		return streams->progress;
	streams->progress = map_frame_unref(streams->progress);
	streams->progress_at = w->generation;
	return map_write_progress(w, NULL, &streams->progress) < 0 ? NULL : streams->progress;
}

/*
 * A node that nothing happens to would be told, when it resumes, of all that has happened to others
 * (whom it may not know, which is not known any more), or not be able to.
 */
static struct map_frame *keepalive_of(struct stream *s)
{
	struct map_frame *progress = NULL;

	if (s->state == STREAM_CURRENT && s->owner->world->generation - s->told >= MAX_LAG &&
	    s->viewer.node->index != WORLD_NONE)
		progress = progress_of(s->owner);
	return progress ? progress : s->owner->keepalive;
}

static void keep_alive(struct stream *s)
{
	struct map_frame *frame = keepalive_of(s);

	/* A sink that is full needs none. */
	if (stream_write(s, frame) < 0)
		stream_rest(s);
	else if (frame == s->owner->progress)
		s->told = s->owner->world->generation;
	s->owner->stats.keepalives++;
}

/* None comes back into the bucket that is being turned: a keepalive waits for half a turn. */
static void turn_bucket(struct streams *streams, struct stream_list *bucket)
{
	struct stream *s, *next;

	for (s = LIST_FIRST(bucket); s; s = next) {
		next = LIST_NEXT(s, bucket);
		LIST_REMOVE(s, bucket);
		if (s->keepalive_at <= streams->now)
			keep_alive(s);
		stream_wind(s);
	}
}

void streams_turn(struct streams *streams)
{
	uint64_t now = streams->now / unit(streams);

	/* After a long sleep once around is all there is. */
	if (now > streams->wheel_at + WHEEL_BUCKETS)
		streams->wheel_at = now - WHEEL_BUCKETS;
	while (streams->wheel_at < now) {
		streams->wheel_at++;
		turn_bucket(streams, &streams->wheel[streams->wheel_at % WHEEL_BUCKETS]);
	}
}

uint64_t streams_turn_due(const struct streams *streams)
{
	return LIST_EMPTY(&streams->all) ? UINT64_MAX : (streams->wheel_at + 1) * unit(streams);
}
