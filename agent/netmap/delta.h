/*
 * A change of the map in force, as the coordinator's stream brings it (peergate-netmap(5),
 * "Deltas"; coord/PROTOCOL.md). Applied to a map it gives a new one: what the delta does not name
 * is shared by both, so that it costs neither a second reading nor a second copy.
 */
#pragma once

#include "agent/netmap/netmap.h"

/*
 * The map that the delta makes of base, checked as a whole map is; base stays as it is. source
 * names the delta in messages ("https://coord.example").
 *
 * Return: 0 and *ret_map (the caller's). -EINVAL: the delta is no good, or its result is none;
 * -ESTALE: it is none of this map (another node's, of an older generation, with a patch for a peer
 * that is not there), so that a whole map has to be asked for. Both with *reterr_text (the
 * caller's): the place in the delta, what is wrong, what would be right. -ENOMEM.
 */
int netmap_delta_from_json(const struct netmap *base, const json_t *delta, const char *source,
			   char **reterr_text, struct netmap **ret_map);
