#include "coord/registry/registry.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/registry/default_policy.h"
#include "coord/registry/op.h"
#include "coord/registry/reaper.h"

#define KEY_LIFETIME_USEC   (180 * DAY_USEC)
#define EVENT_LIFETIME_USEC (400 * DAY_USEC)
#define MAX_EVENTS	    200000u

#define RETRY_USEC (UINT64_C(1) * 1000000)

/* Sleeps no longer than this: a clock that was set is noticed. */
#define MAX_SLEEP_USEC (UINT64_C(30) * 1000000)

const struct registry_actor registry_self = { .who = "coordinator", .scopes = SCOPE_ALL };

struct registry_subscription {
	struct registry *registry;
	struct registry_subscription *next;
	registry_changes_fn fn; /* NULL: has ended while others were told */
	void *userdata;
};

uint64_t registry_clock(void)
{
	return clock_usec(CLOCK_REALTIME);
}

uint64_t registry_now(const struct registry *registry)
{
	return registry->clock();
}

uint64_t registry_revision(const struct registry *registry)
{
	return registry->state->revision;
}

void registry_complain(struct registry *registry, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (registry->problem)
		registry->problem(text ? text : "Out of memory", registry->userdata);
}

/* ---- subscriptions ---- */

int registry_subscribe(struct registry *registry, registry_changes_fn fn, void *userdata,
		       struct registry_subscription **ret_subscription)
{
	struct registry_subscription *sub = calloc(1, sizeof(*sub)), **last;

	if (!sub)
		return -ENOMEM;
	sub->registry = registry;
	sub->fn = fn;
	sub->userdata = userdata;
	for (last = &registry->subscriptions; *last; last = &(*last)->next)
		;
	*last = sub;
	*ret_subscription = sub;
	return 0;
}

static void sweep_subscriptions(struct registry *registry)
{
	struct registry_subscription **link = &registry->subscriptions;

	while (*link) {
		struct registry_subscription *sub = *link;

		if (sub->fn) {
			link = &sub->next;
			continue;
		}
		*link = sub->next;
		free(sub);
	}
}

struct registry_subscription *registry_subscription_free(struct registry_subscription *sub)
{
	if (!sub)
		return NULL;
	sub->fn = NULL;
	if (sub->registry->telling == 0)
		sweep_subscriptions(sub->registry);
	return NULL;
}

void registry_tell(struct registry *registry, uint64_t revision,
		   const struct registry_change *changes, size_t n)
{
	if (n == 0)
		return;
	registry->telling++;
	for (struct registry_subscription *sub = registry->subscriptions; sub; sub = sub->next)
		if (sub->fn)
			sub->fn(revision, changes, n, sub->userdata);
	registry->telling--;
	if (registry->telling == 0)
		sweep_subscriptions(registry);
}

/* ---- time ---- */

void registry_tick(struct registry *registry)
{
	if (!registry->is_watched && !registry->next) {
		int r = registry_load(registry);

		if (r < 0) {
			registry_complain(registry, "The state cannot be loaded: %s", strerror(-r));
			registry_due(registry, registry->clock() + RETRY_USEC);
		}
	}
	if (registry->is_ready)
		reap(registry);
}

/* On a clock that nobody sets; how long to sleep comes from the one that people go by. */
static void set_timer(struct registry *registry, uint64_t when)
{
	uint64_t now = registry->clock(), sleep = when > now ? when - now : 0, base;

	if (sleep > MAX_SLEEP_USEC)
		sleep = MAX_SLEEP_USEC;
	if (sd_event_now(registry->event, CLOCK_MONOTONIC, &base) < 0)
		base = clock_usec(CLOCK_MONOTONIC);
	registry->timer_at = base + sleep;
	if (sd_event_source_set_time(registry->timer, registry->timer_at) < 0 ||
	    sd_event_source_set_enabled(registry->timer, SD_EVENT_ONESHOT) < 0)
		registry_complain(registry, "The registry's timer cannot be set");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct registry *registry = userdata;

	registry->due = UINT64_MAX;
	registry_tick(registry);
	if (registry->is_ready)
		registry_due(registry, reap_next(registry));
	set_timer(registry, registry->due);
	return 0;
}

void registry_due(struct registry *registry, uint64_t when)
{
	if (when >= registry->due)
		return;
	registry->due = when;
	set_timer(registry, when);
}

/* ---- beginning and end ---- */

static int set_default_policy(struct registry *registry)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	struct policy_current *current = &registry->default_current;
	size_t len = strlen(default_policy);

	current->head.id = strdup("current");
	current->text = strdup(default_policy);
	current->author = strdup(registry_self.who);
	if (!current->head.id || !current->text || !current->author)
		return -ENOMEM;
	if (sha256(default_policy, len, current->hash) < 0)
		return -ENOMEM;
	return policy_parse(default_policy, len, &problems, &registry->default_policy);
}

static int configure(struct registry *registry, const struct registry_config *config)
{
	registry->key_lifetime_usec =
		config->key_lifetime_usec ? config->key_lifetime_usec : KEY_LIFETIME_USEC;
	registry->event_lifetime_usec =
		config->event_lifetime_usec ? config->event_lifetime_usec : EVENT_LIFETIME_USEC;
	registry->max_pending_from =
		config->max_pending_from ? config->max_pending_from : REGISTRY_MAX_PENDING_FROM;
	registry->max_events = config->max_events ? config->max_events : MAX_EVENTS;
	registry->coordinator_key = strdup(config->coordinator_key);
	if (!registry->coordinator_key)
		return -ENOMEM;
	return mappings_copy(config->mappings, config->n_mappings, &registry->mappings);
}

static int prepare(struct registry *registry, const struct registry_config *config)
{
	int r = configure(registry, config);

	if (r == 0)
		r = set_default_policy(registry);
	if (r == 0) {
		registry->state = state_new(NULL, NULL);
		r = registry->state ? 0 : -ENOMEM;
	}
	registry->due = UINT64_MAX;
	if (r == 0)
		r = sd_event_add_time(registry->event, &registry->timer, CLOCK_MONOTONIC,
				      UINT64_MAX, 0, on_timer, registry);
	return r < 0 ? r : sd_event_source_set_enabled(registry->timer, SD_EVENT_OFF);
}

int registry_new(struct store *store, sd_event *event, registry_clock_fn clock,
		 const struct registry_config *config, registry_ready_fn ready,
		 registry_problem_fn problem, void *userdata, struct registry **ret_registry)
{
	_cleanup_(registry_freep) struct registry *registry = calloc(1, sizeof(*registry));
	int r;

	if (!registry)
		return -ENOMEM;
	registry->store = store;
	registry->event = sd_event_ref(event);
	registry->clock = clock;
	registry->ready = ready;
	registry->problem = problem;
	registry->userdata = userdata;
	r = prepare(registry, config);
	if (r < 0)
		return r;
	*ret_registry = registry;
	r = registry_load(registry);
	if (r < 0) {
		*ret_registry = NULL;
		return r;
	}
	(void)take_ptr(registry);
	return 0;
}

struct registry *registry_free(struct registry *registry)
{
	if (!registry)
		return NULL;
	ops_abandon(registry);
	store_watch_free(registry->watch);
	while (registry->subscriptions) {
		registry->subscriptions->fn = NULL;
		sweep_subscriptions(registry);
	}
	sd_event_source_unref(registry->timer);
	free(registry->events_after);
	sd_event_unref(registry->event);
	state_free(registry->state);
	state_free(registry->next);
	free(registry->list_after);
	policy_current_done(&registry->default_current);
	policy_free(registry->default_policy);
	free(registry->coordinator_key);
	mappings_done(&registry->mappings);
	free(registry);
	return NULL;
}
