/*
 * The map in force, kept on disk for a start while its source has none: netmap.json in the state
 * directory, and how far the map has come (agent/state.h). Written by a thread, since a slow disk
 * must not hold up a revocation; once a second at most.
 */
#pragma once

#include <systemd/sd-event.h>

#include "agent/netmap/netmap.h"
#include "agent/state.h"
#include "common/cleanup.h"

#define MAPCACHE_FILE "netmap.json"

struct mapcache;

/* state is borrowed for good. Return: 0, negative errno. */
int mapcache_new(sd_event *event, const struct state *state, struct mapcache **ret_cache);
/* Writes what is due, and waits for it. */
struct mapcache *mapcache_free(struct mapcache *cache);
DEFINE_CLEANUP(struct mapcache *, mapcache_free);

/*
 * This map, which state has noted, is in force: it is written from the event loop, at once or when
 * a second has passed since the last one. What cannot be written is logged, and tried again twice a
 * minute. map is borrowed until the next call.
 */
void mapcache_put(struct mapcache *cache, const struct netmap *map);

/* There is no map in force any more; what is kept stays. */
void mapcache_drop(struct mapcache *cache);
/* The same, and what is kept goes. Waits for a write that is going on. */
void mapcache_forget(struct mapcache *cache);

/*
 * The map that was in force last, if it is from this source (state_check_kept()), and for this
 * node; NULL: for whichever.
 * Return: 0 and *ret_map (the caller's); negative errno and *reterr_text (the caller's, "PATH: why
 * not"; NULL when there is no memory for it).
 */
int mapcache_load(const struct state *state, const char *source, const char *node,
		  char **reterr_text, struct netmap **ret_map);
