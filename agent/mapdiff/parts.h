/* The parts of mapdiff among themselves. JSON that a function returns is the caller's. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"

/* A mesh address that is a peer's in one of the maps at least. */
struct diff_address {
	struct ip_addr addr;
	const struct netmap_node *from, *to; /* whose it is; NULL: nobody's */
	size_t group;			     /* of what changes for it; 0: nothing */
};

/* Addresses of both maps, ascending, each once. Return: 0, -ENOMEM. */
int diff_addresses(const struct netmap *from, const struct netmap *to,
		   struct diff_address **ret_addresses, size_t *ret_n);

/* ---- groups: those for whom the same changes (groups.c) ---- */

struct diff_groups {
	json_t *index;	  /* change as text -> number of the group */
	json_t **changes; /* group 1 is changes[0] */
	json_t **who;	  /* of each: arrays of names */
	size_t n, n_alloc, n_who_alloc;
};

/* The group of a change, which is stolen; 0 for NULL: no change. Return: 0, -ENOMEM. */
int diff_group_of(struct diff_groups *groups, json_t *change, size_t *ret_group);
int diff_group_add(struct diff_groups *groups, size_t group, const char *who);
/* Name the peers in each group, once all addresses have theirs. addresses is reordered. */
int diff_groups_name(struct diff_groups *groups, struct diff_address *addresses, size_t n);
/* [{who, ...change}], those with most members first. NULL: no memory. */
json_t *diff_groups_json(struct diff_groups *groups);
void diff_groups_done(struct diff_groups *groups);

/* ---- the parts of the document; from may be NULL ---- */

/* NULL: no memory. */
json_t *diff_self(const struct netmap *from, const struct netmap *to);
json_t *diff_peers(const struct netmap *from, const struct netmap *to);
/* Return: 0, -ENOMEM, -E2BIG with *reterr_text. */
int diff_reach(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
	       char **reterr_text, json_t **ret_reach);
/* Return: 0, -ENOMEM. */
int diff_ssh(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
	     json_t **ret_ssh, bool *ret_cut);
