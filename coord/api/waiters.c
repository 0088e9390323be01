#include "coord/api/waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "coord/api/agent_call.h"

#define WAIT_USEC (55 * USEC_PER_SEC)

struct waiter {
	struct waiters *waiters;
	struct agent_call *call; /* NULL: it was answered */
	char *what;		 /* may be a secret */
	sd_event_source *timer;
	LIST_ENTRY(waiter) entry;
};

static void waiter_free(struct waiter *waiter)
{
	sd_event_source_disable_unref(waiter->timer);
	agent_call_free(waiter->call);
	if (waiter->what)
		explicit_bzero(waiter->what, strlen(waiter->what));
	free(waiter->what);
	free(waiter);
}

static void waiter_end(struct waiter *waiter)
{
	LIST_REMOVE(waiter, entry);
	waiter->waiters->n--;
	waiter_free(waiter);
}

static void on_gone(struct http_request *req, void *userdata)
{
	waiter_end(userdata);
}

/* The request may outlive the waiter, if its answer fails. */
static void look(struct waiter *waiter, bool at_end)
{
	http_request_on_gone(waiter->call->req, NULL, NULL);
	if (waiter->waiters->kind->look(waiter->call, waiter->what, at_end)) {
		waiter->call = NULL;
		waiter_end(waiter);
	} else {
		http_request_on_gone(waiter->call->req, on_gone, waiter);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	look(userdata, true);
	return 0;
}

static int on_wake(sd_event_source *source, void *userdata)
{
	struct waiters *waiters = userdata;
	struct waiter *waiter, *next;

	for (waiter = LIST_FIRST(&waiters->list); waiter; waiter = next) {
		next = LIST_NEXT(waiter, entry);
		look(waiter, false);
	}
	return 0;
}

int waiters_init(struct waiters *waiters, sd_event *event, const struct waiters_kind *kind)
{
	int r;

	*waiters = (struct waiters){ .kind = kind, .event = event };
	LIST_INIT(&waiters->list);
	r = sd_event_add_defer(event, &waiters->wake, on_wake, waiters);
	return r < 0 ? r : sd_event_source_set_enabled(waiters->wake, SD_EVENT_OFF);
}

void waiters_done(struct waiters *waiters)
{
	struct waiter *waiter;

	while ((waiter = LIST_FIRST(&waiters->list))) {
		http_request_on_gone(waiter->call->req, NULL, NULL);
		waiter_end(waiter);
	}
	waiters->wake = sd_event_source_disable_unref(waiters->wake);
}

bool waiters_any(const struct waiters *waiters, const char *prefix)
{
	const struct waiter *waiter;

	LIST_FOREACH(waiter, &waiters->list, entry)
	{
		if (strncmp(waiter->what, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

void waiters_wake(struct waiters *waiters)
{
	sd_event_source_set_enabled(waiters->wake, SD_EVENT_ONESHOT);
}

/* Takes over the call, if 0. */
static int waiter_new(struct waiters *waiters, struct agent_call *call, const char *what)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int r;

	if (!waiter)
		return -ENOMEM;
	waiter->what = strdup(what);
	r = waiter->what ? 0 : -ENOMEM;
	if (r == 0)
		r = sd_event_add_time_relative(waiters->event, &waiter->timer, CLOCK_MONOTONIC,
					       WAIT_USEC, 0, on_timer, waiter);
	if (r < 0) {
		waiter_free(waiter);
		return r;
	}
	waiter->waiters = waiters;
	waiter->call = call;
	LIST_INSERT_HEAD(&waiters->list, waiter, entry);
	waiters->n++;
	http_request_on_gone(call->req, on_gone, waiter);
	return 0;
}

static void send_home(struct waiters *waiters, const char *what)
{
	struct waiter *waiter, *next;

	for (waiter = LIST_FIRST(&waiters->list); waiter; waiter = next) {
		next = LIST_NEXT(waiter, entry);
		if (strcmp(waiter->what, what) == 0)
			look(waiter, true);
	}
}

int waiters_hold(struct waiters *waiters, struct agent_call *call, const char *what)
{
	int r;

	if (waiters->kind->newest_only)
		send_home(waiters, what);
	if (waiters->n >= waiters->kind->max)
		return agent_call_refuse(call, 429, "too-many", "%s; try again later",
					 waiters->kind->too_many);
	if (waiters->kind->look(call, what, false))
		return 0;
	r = waiter_new(waiters, call, what);
	return r < 0 ? agent_call_refuse(call, 503, "unavailable", "%s", strerror(-r)) : 0;
}
