#include "coord/map/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NODES "nodes/"

struct history {
	struct world *world;
	struct store_watch *watch;
	uint64_t from, to; /* revisions that are asked for */
};

static void on_changes(uint64_t revision, const struct store_entry *changes, size_t n_changes,
		       void *userdata)
{
	struct history *history = userdata;
	struct removed *removed = &history->world->removed;

	/* Everything is watched, so that it is seen when all of it has come. */
	for (size_t i = 0; revision <= history->to && i < n_changes; i++)
		if (!changes[i].value && strncmp(changes[i].key, NODES, strlen(NODES)) == 0)
			removed_add(removed, revision, changes[i].key + strlen(NODES));
	if (revision < history->to)
		return;
	removed_reach_back(removed, history->from);
	history->watch = store_watch_free(history->watch);
}

/* The log does not go back so far any more: what is removed from now on is known. */
static void on_lost(void *userdata)
{
	struct history *history = userdata;

	history->watch = store_watch_free(history->watch);
}

int history_new(struct store *store, struct world *world, struct history **ret_history)
{
	_cleanup_(history_freep) struct history *history = calloc(1, sizeof(*history));
	int r = 0;

	if (!history)
		return -ENOMEM;
	history->world = world;
	history->from = store_oldest(store);
	history->to = store_revision(store);
	removed_begin(&world->removed, history->to);
	if (history->from < history->to)
		r = store_watch(store, "", history->from, on_changes, on_lost, history,
				&history->watch);
	if (r < 0)
		return r;
	*ret_history = take_ptr(history);
	return 0;
}

struct history *history_free(struct history *history)
{
	if (!history)
		return NULL;
	store_watch_free(history->watch);
	free(history);
	return NULL;
}
