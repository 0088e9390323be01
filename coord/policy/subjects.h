/* Whom a selector means, one by one: for tests and explanations. */
#pragma once

#include "coord/policy/decide.h"

struct subjects {
	struct net_end *ends; /* addresses, those of one node next to each other */
	size_t n, size;
	struct id_list nodes; /* nodes among them, sorted by class */
};
void subjects_done(struct subjects *s);

/* All nodes that the selector means, or its single address. Return: 0, -ENOMEM. */
int subjects_find(const struct policy_engine *e, const struct selector *sel, struct subjects *s);
int subjects_add_node(const struct policy_engine *e, uint32_t node, struct subjects *s);

/*
 * Nodes for everybody and every tag that the selectors mean and that has none. They are as good as
 * others until imagined_remove().
 */
struct imagined {
	struct id_list nodes;
	unsigned __int128 next[2]; /* how far from the ends of the mesh prefixes they got */
};
int imagined_add(struct policy_engine *e, const struct selector *sel, struct imagined *imagined);
void imagined_remove(struct policy_engine *e, struct imagined *imagined);
