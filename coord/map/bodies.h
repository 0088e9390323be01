/*
 * Deltas that were made for one generation: nodes whose plans are the same are told by the same
 * body. One that tells a node of itself, or has a text that is its own, is nobody else's.
 */
#pragma once

#include "coord/map/write.h"

struct body {
	uint64_t hash;
	struct plan_entry *entries;
	size_t n;
	bool has_filter, has_ssh, tokens_follow;
	struct map_hash filter, ssh;
	struct map_frame *frame; /* NULL: unused */
};

/* Zero-initialise; bodies_done() frees. */
struct bodies {
	struct body *items; /* hashed; size is a power of two */
	size_t n, size;
	uint64_t n_made;
};
void bodies_done(struct bodies *bodies);

/*
 * The plan as a delta, without tokens: it says that there are none if they follow. It may be shared
 * (map_plan_is_shared()). Return: 0 and the caller's reference; -ENOMEM, -EIO.
 */
int bodies_get(struct bodies *bodies, struct world *world, const struct world_node *node,
	       const struct map_plan *plan, struct map_frame **ret_frame);
bool map_plan_is_shared(const struct map_plan *plan);
