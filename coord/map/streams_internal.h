/* Streams from within. */
#pragma once

#include <sys/queue.h>

#include "common/frame_stream.h"
#include "coord/map/bodies.h"
#include "coord/map/streams.h"

enum stream_state {
	STREAM_NEW,	/* has no sink yet */
	STREAM_QUEUED,	/* it is its turn soon: a full map, or what it has missed */
	STREAM_CURRENT, /* it was told everything up to the last flush */
	STREAM_BEHIND,	/* its sink is full; when that is empty it is queued */
};

TAILQ_HEAD(stream_queue, stream);
LIST_HEAD(stream_list, stream);

struct stream {
	struct streams *owner;
	struct map_viewer viewer;
	struct frame_stream key;
	const struct stream_sink_ops *ops;
	void *sink;
	struct map_frame *hello; /* and its signature, until it is written */
	char *hello_head;
	enum stream_state state;
	bool in_todo, in_full_queue; /* STREAM_QUEUED: which queue it waits in */
	bool wants_full;	     /* else what has changed since */
	bool resuming;		     /* has had no map in this stream */
	bool undrained;		     /* something is queued in the sink */
	uint64_t since;		     /* not STREAM_CURRENT: it was told everything up to this */
	uint64_t told;		     /* generation that the node knows */
	uint64_t keepalive_at;
	size_t full_bytes; /* of a full map on its way; 0: none */
	LIST_ENTRY(stream) all;
	LIST_ENTRY(stream) bucket; /* of the wheel */
	TAILQ_ENTRY(stream) queue;
};

/* Keepalives: a bucket for each unit of time, of which there are more than a keepalive waits. */
#define WHEEL_BUCKETS	    64u
#define WHEEL_PER_KEEPALIVE 25u

struct streams {
	struct world *world;
	struct streams_config config;
	struct stream_list all;
	struct stream_queue todo, full_queue;
	struct stream_list wheel[WHEEL_BUCKETS];
	uint64_t wheel_at; /* units of time that were dealt with */
	uint64_t random;
	uint64_t now;
	uint64_t flush_at;   /* UINT64_MAX: nothing has changed */
	uint64_t flushed_at; /* the last time; 0: never */
	uint64_t not_before; /* after a failure */
	bool stopping;
	unsigned n_full; /* full maps on their way */
	size_t full_bytes;
	struct map_plan plan;
	struct bodies bodies; /* of this generation */
	struct map_frame *keepalive, *replaced, *deleted, *stop;
	struct map_frame *progress; /* up to progress_at; NULL: none yet */
	uint64_t progress_at;
	struct streams_stats stats;
};

/* ---- streams.c ---- */

/*
 * Write a line. Return: 0; -ENOBUFS; -ENOMEM, -EIO. What is not written has no number.
 */
int stream_write(struct stream *s, struct map_frame *frame);
/* Into the todo queue, if it is not there. */
void stream_queue(struct stream *s);
/* Say why, close the sink, free. */
void stream_end(struct stream *s, struct map_frame *why);
void streams_wake(const struct streams *streams);
bool streams_may_send_full(const struct streams *streams);
/* The next one that waits for it, into the todo queue. */
void streams_next_full(struct streams *streams);

/* ---- streams_tell.c ---- */

/* Flush the world, and tell everybody who is current. */
void streams_flush(struct streams *streams, uint64_t wall);
/* Answer those in the queue, a bounded number of them. */
void streams_answer(struct streams *streams, uint64_t wall);

/* ---- streams_wheel.c ---- */

/* Something was written: the keepalive is due so long after it. */
void stream_rest(struct stream *s);
/* It is in the wheel from now on. */
void stream_wind(struct stream *s);
void streams_turn(struct streams *streams);
/* When the wheel has to be turned next; UINT64_MAX: there are no streams. */
uint64_t streams_turn_due(const struct streams *streams);
