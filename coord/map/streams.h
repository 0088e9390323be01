/*
 * The nodes that are connected, and what goes to each of them: the first line, a full map or what
 * has changed since the one that it has, changes as they happen, keepalives, the end.
 *
 * No I/O, no clock and no HTTP here: lines go to sinks, and who owns the streams calls
 * streams_run() when streams_due() says so, or streams_changed() did (map.h does, in an event
 * loop). Times are microseconds of CLOCK_MONOTONIC, but for wall, which is since 1970.
 *
 * Nothing is dropped of what a sink has taken, as lines are numbered. A node whose sink is full is
 * told nothing more until all has gone out; then it gets what has changed since, at once: what has
 * been superseded in the meantime is not in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ed25519.h"
#include "common/wgkey.h"
#include "coord/http/buf.h"
#include "coord/map/token.h"

struct streams;
struct stream;
struct world;

/* ---- where lines go ---- */

struct stream_sink_ops {
	/*
	 * Queue one line, whole or not at all: head, which is copied, then body, of which a
	 * reference is taken; its newline is part of it. A line of any length finds place where
	 * nothing is queued. May not call back into the streams.
	 * Return: 0, -ENOBUFS (the reader is too slow: nothing was taken), -ENOMEM.
	 */
	int (*write)(void *sink, const char *head, size_t head_len, struct http_buf *body);
	/* End after what is queued. The streams do not use the sink any more, nor it them. */
	void (*close)(void *sink);
};

/* ---- streams ---- */

struct streams_config {
	const struct ed25519_key *key; /* the coordinator's; borrowed */
	uint64_t tick_usec;	       /* so long after changes the next go out; 0: 50 ms */
	uint64_t keepalive_usec;       /* 20 % more or less; 0: 25 s */
	unsigned max_streams;	       /* 0: 20000 */
	/* Full maps that are on their way at a time; the others wait for their turn. */
	unsigned max_full;     /* 0: 50 */
	size_t max_full_bytes; /* of them together, but one may go in any case; 0: 256 MiB */
	/* Borrowed with userdata. online: the node got its first, or lost its last stream. */
	void (*on_presence)(const char *node, bool online, void *userdata);
	/* There is something to be done at once, or streams_due() may have changed. */
	void (*on_wake)(void *userdata);
	void *userdata;
};

/* world is borrowed. Return: 0, -ENOMEM. */
int streams_new(struct world *world, const struct streams_config *config,
		struct streams **ret_streams);
/* Sinks are closed as they are; streams_stop() says goodbye. */
struct streams *streams_free(struct streams *streams);
DEFINE_CLEANUP(struct streams *, streams_free);

/* A request for maps, whose signature has been verified. */
struct stream_request {
	const char *node;	       /* id */
	struct ed25519_public machine; /* that signed */
	uint64_t nonce;
	struct wg_key ephemeral;	 /* of the agent */
	const struct map_resume *resume; /* NULL: from the beginning */
};

/*
 * Ready to answer, but for where: stream_start() or stream_free() is due before control returns to
 * the event loop. wall: what time the agent is told. Return: 0; -EINVAL: the agent's key shares no
 * secret (a bad request); -ENOENT: there is no such node; -EBUSY: too many streams, or stopping;
 * -ENOMEM; other negative errno.
 */
int stream_new(struct streams *streams, const struct stream_request *request, uint64_t wall,
	       struct stream **ret_stream);
/* Before stream_start() only. */
struct stream *stream_free(struct stream *stream);
DEFINE_CLEANUP(struct stream *, stream_free);
/*
 * Write the first line; maps follow. The stream is the streams' now, which close the sink when it
 * ends; an older one of the node ends here. Return: 0; negative errno: the stream is gone, the sink
 * (which has to be closed) is the caller's.
 */
int stream_start(struct stream *stream, const struct stream_sink_ops *ops, void *sink,
		 uint64_t now);

/* The sink tells: all that was queued has gone out. */
void stream_drained(struct stream *stream);
/* The sink tells: it has ended by itself. The stream is gone. */
void stream_gone(struct stream *stream);

/* ---- all of them ---- */

/*
 * The world will be another at its next flush. urgent: somebody lost something; it goes out at
 * once. So does what comes alone; else with what happens within a tick after the last flush.
 */
void streams_changed(struct streams *streams, bool urgent, uint64_t now);
/*
 * Do what is due: tell the changes, full maps whose turn it is, keepalives. Bounded work; call
 * again when streams_due() says.
 */
void streams_run(struct streams *streams, uint64_t now, uint64_t wall);
/* When to run next (of the first clock); UINT64_MAX: when something happens. */
uint64_t streams_due(const struct streams *streams, uint64_t now, uint64_t wall);
/* Say that the coordinator stops, and close. No stream is begun from now on. */
void streams_stop(struct streams *streams);

struct streams_stats {
	uint64_t streams;      /* now */
	uint64_t waiting_full; /* now: for their turn */
	uint64_t behind;       /* now: their sinks are full */
	uint64_t started;
	uint64_t replaced, deleted; /* ended for that */
	uint64_t full, full_bytes;
	uint64_t delta, delta_bytes;
	uint64_t delta_bodies; /* made: the others were shared */
	uint64_t keepalives;
	uint64_t resumed_delta; /* resumes that were answered by a delta */
	uint64_t resumed_full;	/* ...that had to be answered by a full map */
	uint64_t coalesced;	/* changes that were superseded before they went out */
	uint64_t queue_full;	/* sinks that took no more */
	uint64_t catch_ups;	/* nodes that were told what they had missed thereby */
	uint64_t failures;	/* no memory, or libcrypto: will be tried again */
	uint64_t flushes;
	uint64_t flush_usec, flush_usec_max; /* to work out changes and hand them to the sinks */
	uint64_t full_usec, full_usec_max;   /* to make and hand over one full map */
	uint64_t rebuilds, rebuild_usec_max; /* policy compiled anew */
};
void streams_get_stats(const struct streams *streams, struct streams_stats *ret_stats);
