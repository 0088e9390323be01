#include "coord/store/watch.h"

#include <errno.h>
#include <string.h>

struct watch_event *watch_event_new(size_t n, store_answer_fn fn, void *userdata)
{
	struct watch_event *event = calloc(1, sizeof(*event));

	if (!event)
		return NULL;
	event->fn = fn;
	event->userdata = userdata;
	return entry_rows_init(&event->changes, n) < 0 ? watch_event_free(event) : event;
}

struct watch_event *watch_event_free(struct watch_event *event)
{
	if (!event)
		return NULL;
	entry_rows_done(&event->changes);
	free(event);
	return NULL;
}

/* ---- watches ---- */

int watch_new(struct watch_hub *hub, const char *prefix, uint64_t from_revision, store_watch_fn fn,
	      store_lost_fn lost, void *userdata, struct store_watch **ret_watch)
{
	struct store_watch *watch = calloc(1, sizeof(*watch)), **end = &hub->watches;

	if (watch)
		watch->prefix = strdup(prefix);
	if (!watch || !watch->prefix) {
		free(watch);
		return -ENOMEM;
	}
	watch->hub = hub;
	watch->told = from_revision;
	watch->fn = fn;
	watch->lost = lost;
	watch->userdata = userdata;
	/* The oldest first: who came later may rely on what they keep. */
	while (*end)
		end = &(*end)->next;
	*end = watch;
	*ret_watch = watch;
	return 0;
}

static void remove_freed(struct watch_hub *hub)
{
	for (struct store_watch **p = &hub->watches; *p;) {
		struct store_watch *watch = *p;

		if (!watch->freed) {
			p = &watch->next;
			continue;
		}
		*p = watch->next;
		free(watch->prefix);
		free(watch);
	}
}

struct store_watch *store_watch_free(struct store_watch *watch)
{
	if (!watch)
		return NULL;
	watch->silent = watch->freed = true;
	/* Else somebody further up is going through the list. */
	if (watch->hub->busy == 0)
		remove_freed(watch->hub);
	return NULL;
}

void watch_tell(struct store_watch *watch, uint64_t revision, const struct entry_rows *changes)
{
	struct store_entry matching[STORE_MAX_TXN];
	size_t n = 0, prefix_len = strlen(watch->prefix);

	if (watch->silent || revision <= watch->told)
		return;
	watch->told = revision;
	for (size_t i = 0; i < changes->n; i++)
		if (strncmp(changes->entries[i].key, watch->prefix, prefix_len) == 0)
			matching[n++] = changes->entries[i];
	if (n > 0)
		watch->fn(revision, matching, n, watch->userdata);
}

void watch_lose(struct store_watch *watch)
{
	if (watch->silent)
		return;
	watch->silent = true;
	watch->lost(watch->userdata);
}

/* ---- telling ---- */

static void tell(struct watch_hub *hub, const struct watch_event *event)
{
	const struct store_answer answer = { .revision = event->revision };

	for (struct store_watch *watch = hub->watches; watch; watch = watch->next)
		watch_tell(watch, event->revision, &event->changes);
	event->fn(&answer, event->userdata);
}

static struct watch_event *take_first(struct watch_hub *hub)
{
	struct watch_event *event = hub->first;

	if (event)
		hub->first = event->next;
	if (!hub->first)
		hub->last = NULL;
	return event;
}

void watch_hub_hold(struct watch_hub *hub)
{
	hub->busy++;
}

void watch_hub_release(struct watch_hub *hub)
{
	struct watch_event *event;

	while (hub->busy == 1 && (event = take_first(hub))) {
		tell(hub, event);
		watch_event_free(event);
	}
	if (--hub->busy == 0)
		remove_freed(hub);
}

void watch_hub_answer(struct watch_hub *hub, const struct store_answer *answer, store_answer_fn fn,
		      void *userdata)
{
	watch_hub_hold(hub);
	fn(answer, userdata);
	watch_hub_release(hub);
}

void watch_hub_queue(struct watch_hub *hub, struct watch_event *event)
{
	if (hub->last)
		hub->last->next = event;
	else
		hub->first = event;
	hub->last = event;
	watch_hub_hold(hub);
	watch_hub_release(hub);
}

void watch_hub_done(struct watch_hub *hub)
{
	struct watch_event *event;

	while ((event = take_first(hub)))
		watch_event_free(event);
}
