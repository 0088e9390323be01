/* The lookup part of a parsed map: peers in order, addresses to peers. */
#pragma once

#include "agent/netmap.h"

/*
 * Sort the peers by id and build map->index. Once, when everything has been checked.
 * Return: 0, -ENOMEM.
 */
int netmap_build_index(struct netmap *map);
