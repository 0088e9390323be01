/* Between the parts of agent/netmap/delta.h. */
#pragma once

#include "agent/netmap/read.h"

/* What was reported makes the delta one of another map: -ESTALE in place of -EINVAL. */
int netmap_delta_stale(int r);

/*
 * Make the peers of map, which has none yet, of those of base and what the delta says of peers.
 * They are in the order of *ret_places, not yet in that of ids. Return: 0, -EINVAL and -ESTALE
 * (reported), -ENOMEM; what is in map then is its owner's to free.
 */
int netmap_delta_read_peers(const json_t *delta, const struct netmap *base,
			    const struct json_at *at, struct json_report *rep, struct netmap *map,
			    struct netmap_places *ret_places);
