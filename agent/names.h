/* The host names of the mesh as libnss_peergate(8) reads them. */
#pragma once

#include "agent/netmap/netmap.h"

/*
 * The names file (common/names.h) for a map: this node and every peer, those with an expired key as
 * well, as in known_hosts: the name of a host does not depend on whether it may be reached. The
 * same map gives the same bytes.
 * Return: 0 and *ret_text (the caller's) with *ret_len, -ENOMEM.
 */
int names_of_map(const struct netmap *map, char **ret_text, size_t *ret_len);
