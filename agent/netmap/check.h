/* Between the parts of the check of a map: what is checked, and the places that complaints name. */
#pragma once

#include "agent/netmap/read.h"

struct netmap_checking {
	const struct netmap *map;
	const struct netmap_places *places; /* NULL: a whole map */
	struct json_report *rep;
};

/* "peer ID", "peers_changed[65535]" */
#define NETMAP_NODE_STRLEN (NETMAP_MAX_ID + sizeof("peer "))

/* The chain of places for a member of a node: self.MEMBER[I] or peers[N].MEMBER[I]. */
struct node_at {
	char name[NETMAP_NODE_STRLEN];
	struct json_at root, list, node, member, element;
};
const struct json_at *node_at_init(struct node_at *at, const struct netmap_checking *check,
				   const struct netmap_node *node, const char *member);
const struct json_at *node_at_element(struct node_at *at, const struct netmap_checking *check,
				      const struct netmap_node *node, const char *member, size_t i);
/* "self", "peers[3]", "peer n7": written into buf, or static. */
const char *node_place_name(const struct netmap_checking *check, const struct netmap_node *node,
			    char *buf);

/* An id, a name, a key, an address and a route each have one owner. As netmap_check(). */
int netmap_check_unique(const struct netmap_checking *check);
