/* The policy applied to the nodes of a world: made anew, or followed. */
#pragma once

#include "coord/map/world.h"

/* Will the node be in maps? With its identity: pending, or in the engine of now. */
typedef const struct policy_node *(*engine_identity_fn)(const struct world *world,
							const struct world_node *node,
							const void *userdata);
/*
 * All nodes that identity() gives one for, users and prefixes. policy is borrowed. Return: 0 and
 * *ret_engine without a policy; -ENOMEM.
 */
int world_engine_make(const struct world *world, const struct policy *policy,
		      engine_identity_fn identity, const void *userdata,
		      struct world_engine *ret_engine);
/* Room to note which slot a node of the next index has. Return: 0, -ENOMEM. */
int world_engine_reserve(struct world_engine *engine);
