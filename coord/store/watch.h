/*
 * Who is told what, in which order: watches, and transactions that have happened and are still to
 * be told to them and answered. No backend's business; one that learns of changes from elsewhere
 * queues them here as well.
 */
#pragma once

#include "coord/store/rows.h"

/* Zero-initialise. */
struct watch_hub {
	struct store_watch *watches;
	struct watch_event *first, *last;
	unsigned busy; /* callbacks that are running, one within the other */
};

struct store_watch {
	struct store_watch *next;
	struct watch_hub *hub;
	char *prefix;
	uint64_t told; /* all up to this revision */
	bool silent;   /* lost or freed: nothing is told any more */
	bool freed;
	store_watch_fn fn;
	store_lost_fn lost;
	void *userdata;
};

/* A transaction that has happened. */
struct watch_event {
	struct watch_event *next;
	uint64_t revision;
	struct entry_rows changes;
	store_answer_fn fn;
	void *userdata;
};
/* Room for n changes. NULL: no memory. */
struct watch_event *watch_event_new(size_t n, store_answer_fn fn, void *userdata);
struct watch_event *watch_event_free(struct watch_event *event);
DEFINE_CLEANUP(struct watch_event *, watch_event_free);

/* Takes the event. It is told now, or by who is telling another one. */
void watch_hub_queue(struct watch_hub *hub, struct watch_event *event);

/* Between these, events are queued only; the last release tells them. */
void watch_hub_hold(struct watch_hub *hub);
void watch_hub_release(struct watch_hub *hub);
/* An answer that waits for no event. */
void watch_hub_answer(struct watch_hub *hub, const struct store_answer *answer, store_answer_fn fn,
		      void *userdata);

/* Return: 0, -ENOMEM. It is told what is queued from then on and not older than from_revision. */
int watch_new(struct watch_hub *hub, const char *prefix, uint64_t from_revision, store_watch_fn fn,
	      store_lost_fn lost, void *userdata, struct store_watch **ret_watch);
/* The hub has to be held, as these call back. */
void watch_tell(struct store_watch *watch, uint64_t revision, const struct entry_rows *changes);
void watch_lose(struct store_watch *watch);

/* Events that nobody will be told. */
void watch_hub_done(struct watch_hub *hub);
