/* What makes lookups in a map quick: lists in order, addresses to peers. */
#pragma once

#include "agent/netmap/netmap.h"

/* By login, by address: as the lookups want them. */
void netmap_sort_users(struct netmap *map);
void ssh_rule_sort(struct ssh_rule *rule);

/*
 * When everything has been read and checked, once: put the peers in order, as the first n_sorted
 * are already, and build map->index and map->ssh_reach. Return: 0, -ENOMEM.
 */
int netmap_finish(struct netmap *map, size_t n_sorted);
