/*
 * The address space cut along source prefixes and subnet routes: within one segment every address
 * has the same rules, and lies behind the same subnet router.
 */
#pragma once

#include <stdbool.h>

#include "agent/filter/rulelist.h"
#include "agent/netmap/netmap.h"

/* A prefix: of a rule's sources, or (router set) a peer's route. */
struct span {
	struct ip_addr first, last;
	uint32_t rule;
	const struct netmap_node *router;
};

struct segment {
	struct ip_addr first, last;
	uint32_t list;			  /* of rules: id in rulelists */
	const struct netmap_node *router; /* of the narrowest route here; NULL: no route */
};

struct segments {
	struct segment *segments; /* ascending, disjoint; parts without any span are left out */
	size_t n, n_alloc;
};

/*
 * spans (prefixes: nested or disjoint, never crossing) are reordered. *budget is what the caller
 * allows in steps; it is reduced. Return: 0, -ENOMEM, -E2BIG (budget spent).
 */
int segments_build(struct span *spans, size_t n, struct rulelists *lists, size_t *budget,
		   struct segments *ret_segments);
void segments_done(struct segments *segments);

/* The segment that holds the address; NULL if none. */
const struct segment *segments_find(const struct segments *segments, const struct ip_addr *addr);
