/* Which rules each source address has: the input of the classes. */
#pragma once

#include "agent/filter/openings.h"
#include "agent/filter/rulelist.h"
#include "agent/filter/segments.h"

/* One address, or a range behind a subnet router. */
struct member {
	struct ip_addr first, last;
	const struct netmap_node *peer; /* who sends from there */
	uint32_t list;			/* of rules */
};

struct members {
	struct member *exact;
	size_t n_exact, n_exact_alloc;
	struct member *nets;
	size_t n_nets, n_nets_alloc;
};

/* Members without rules are left out. Return: 0, -ENOMEM, -E2BIG (budget spent). */
int members_build(const struct netmap *map, uint64_t now_usec, const struct openings *openings,
		  struct rulelists *lists, size_t *budget, struct members *ret_members);
void members_done(struct members *members);
