/*
 * Requests of agents that are held until there is something to say, for 55 seconds at most: the
 * usual proxies cut what is silent for a minute.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct agent_call;
struct waiter;

struct waiters_kind {
	/*
	 * Is there something to say? Then the call is answered, as it is in any case if at_end.
	 * what: as given to waiters_hold(). Return: whether it was answered; the call is gone then.
	 */
	bool (*look)(struct agent_call *call, const char *what, bool at_end);
	unsigned max;
	bool newest_only; /* of those that wait for the same; older ones are told how things are */
	const char *too_many; /* for people */
};

struct waiters {
	const struct waiters_kind *kind;
	sd_event *event; /* borrowed */
	sd_event_source *wake;
	LIST_HEAD(, waiter) list;
	unsigned n;
};

/* Zero-initialise; waiters_done() drops all that wait. Return: 0, negative errno of sd-event. */
int waiters_init(struct waiters *waiters, sd_event *event, const struct waiters_kind *kind);
void waiters_done(struct waiters *waiters);

/*
 * Look, and hold the call if there is nothing to say yet. It is taken over: answered in the end,
 * or dropped when its client goes away. Return: 0, negative errno, for the handler.
 */
int waiters_hold(struct waiters *waiters, struct agent_call *call, const char *what);
/* Does one wait for what begins like this? */
bool waiters_any(const struct waiters *waiters, const char *prefix);
/* Something has changed: look at all of them, from the event loop. */
void waiters_wake(struct waiters *waiters);
