/* Which nodes were removed before this process began: what the store still remembers. */
#pragma once

#include "coord/map/world.h"
#include "coord/store/store.h"

struct history;

/*
 * Reads the store's log into the world; resumes from as far back as it goes are answered by what
 * has changed, once it is there. The store and the world are borrowed. Return: 0, -ENOMEM.
 */
int history_new(struct store *store, struct world *world, struct history **ret_history);
struct history *history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free);
