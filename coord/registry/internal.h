/* What the parts of the registry share. */
#pragma once

#include "coord/registry/mapping.h"
#include "coord/registry/registry.h"
#include "coord/registry/state.h"

#define DAY_USEC (UINT64_C(86400) * 1000000)

#define QUARANTINE_USEC	      DAY_USEC /* before a released address is given away again */
#define PENDING_LIFETIME_USEC (UINT64_C(15) * 60 * 1000000)
#define EPHEMERAL_GONE_USEC   (UINT64_C(3600) * 1000000)
#define DEAD_KEY_USEC	      (30 * DAY_USEC) /* keys that are of no use are shown this long */

struct op;

struct registry {
	struct store *store;
	sd_event *event;
	registry_clock_fn clock;
	char *coordinator_key;
	uint64_t key_lifetime_usec, event_lifetime_usec, max_events;
	unsigned max_pending_from;
	struct mappings mappings;
	registry_ready_fn ready;
	registry_problem_fn problem;
	void *userdata;

	struct state *state;		/* what is served */
	struct state *next;		/* what is being loaded; NULL */
	char *list_after;		/* the last key of the list so far */
	uint64_t list_first, list_last; /* revisions of its first and last page */
	struct store_watch *watch;
	bool is_ready;	    /* state can be served */
	bool is_watched;    /* and is kept up to date */
	uint64_t loaded_at; /* by the clock */

	struct policy_current default_current;
	struct policy *default_policy;
	uint32_t address_cursor; /* where to look for a free one next */

	struct registry_subscription *subscriptions;
	struct op *ops;
	unsigned telling; /* subscribers are being told, one within the other */
	sd_event_source *timer;
	uint64_t due, timer_at; /* by the clock; by CLOCK_MONOTONIC */
	uint64_t refusals_from; /* second of refusals_told */
	unsigned refusals_told;
	bool is_reaping;     /* an operation of the reaper is under way */
	uint64_t not_before; /* it had no luck: when to try again */
	uint64_t events_due; /* when to look for old events */
	char *events_after;  /* the last of them that was looked at; NULL: from the oldest on */
};

/* For the log. */
void registry_complain(struct registry *registry, const char *fmt, ...) _printf_(2, 3);
/* Something may be due sooner than the timer is set for. */
void registry_due(struct registry *registry, uint64_t when);
/* Tell subscribers. */
void registry_tell(struct registry *registry, uint64_t revision,
		   const struct registry_change *changes, size_t n);
/* Begin to load, or to load anew. */
int registry_load(struct registry *registry);

/* What the coordinator does by itself. */
extern const struct registry_actor registry_self;
