/* The lookup part of a parsed map: lists in order, addresses to peers. */
#pragma once

#include "agent/netmap.h"

/*
 * Sort peers, users and principals, and build map->index. Once, when everything has been checked.
 * Return: 0, -ENOMEM.
 */
int netmap_build_index(struct netmap *map);
