/* What decides who sees whom, the nodes' own records apart, as hashes (token.h). Pure. */
#pragma once

#include "coord/map/token.h"

struct world;

/*
 * Of the parts of a policy's text that say something of the network: not comments and layout, not
 * SSH rules, not tests. Return: 0, -EINVAL: it is no policy; -ENOMEM, -EIO.
 */
int network_part_hash(const char *text, size_t len, struct map_hash *ret_hash);
/* Of that of the policy, the mesh, the roles and groups of people. Return: 0, -ENOMEM, -EIO. */
int network_base_hash(const struct world *world, const struct map_hash *part,
		      struct map_hash *ret_hash);
/* Token "policy" of a node that has these addresses. As above. */
struct policy_node;
int network_node_hash(const struct world *world, const struct policy_node *node,
		      struct map_hash *ret_hash);
