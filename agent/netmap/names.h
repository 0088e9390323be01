/* Nodes of a map by what people say: names, and addresses that lie behind a node. Pure. */
#pragma once

#include "agent/netmap/netmap.h"

/*
 * "server", "server.mesh.example"; with a final dot or in capitals as well; this node itself too.
 * Borrowed; NULL: no node of the map is called that.
 */
const struct netmap_node *netmap_node_by_name(const struct netmap *map, const char *name);

/*
 * The peer with the narrowest route to the address, of those whose key has (expired) or has not
 * expired. Borrowed; NULL: none.
 */
const struct netmap_node *netmap_router_of(const struct netmap *map, const struct ip_addr *addr,
					   uint64_t now_usec, bool expired);
