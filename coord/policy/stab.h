/*
 * Which of many ranges touch a given one? For each family an interval tree in an array: sorted by
 * where the ranges begin, each subtree knowing where the last of its ranges ends.
 */
#pragma once

#include <stdint.h>

#include "coord/policy/range.h"

struct stab {
	struct stab_tree {
		struct stab_item *items;
		size_t n, size;
	} trees[2]; /* IPv4, IPv6 */
};
void stab_done(struct stab *stab);

/* Return: 0, -ENOMEM. stab_finish() comes before the first query. */
int stab_add(struct stab *stab, const struct range *range, uint32_t value);
void stab_finish(struct stab *stab);

/* Calls found() with the value of each range that overlaps r; stops when it returns negative. */
int stab_query(const struct stab *stab, const struct range *r,
	       int (*found)(uint32_t value, void *userdata), void *userdata);
