/* Maps as text: full ones, and plans as deltas (peergate-netmap(5), coord/PROTOCOL.md). */
#pragma once

#include "coord/map/frame.h"
#include "coord/map/plan.h"

/*
 * The full map of a node that exists. *ret_viewer is what it has been told thereby. One whose key
 * has expired gets a map without peers. Return: 0, -ENOMEM, -EIO.
 */
int map_write_full(struct world *world, struct world_node *node, struct map_viewer *ret_viewer,
		   struct map_frame **ret_frame);
/*
 * tokens: those of the plan are part of it; else, if they follow, null: whose connection ends in
 * between may not resume by those it had before, which may hold again by then. As above.
 */
int map_write_delta(struct world *world, const struct world_node *node, const struct map_plan *plan,
		    bool tokens, struct map_frame **ret_frame);
/* A delta that says how far the node has come; tokens may be NULL. */
int map_write_progress(const struct world *world, const struct map_tokens *tokens,
		       struct map_frame **ret_frame);
