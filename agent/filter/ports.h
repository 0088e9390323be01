/* Overlapping port ranges of several rules, cut so that each port belongs to one rule. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"

struct port_claim {
	struct port_range ports;
	uint32_t rule;
};

/*
 * The rule with the lowest number keeps a port that several claim; neighbours of one rule are
 * joined. claims is reordered. out needs room for 2 * n claims. Return: 0 and *ret_n, -ENOMEM.
 */
int port_claims_resolve(struct port_claim *claims, size_t n, struct port_claim *out, size_t *ret_n);
