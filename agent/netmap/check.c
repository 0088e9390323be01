/*
 * Checks across a whole map. Their sense: an address, a key and a name each mean one node, so that
 * nobody can be given another's identity, and a route can never take over a mesh address (all
 * mesh addresses lie within the mesh prefixes, and no route may touch those).
 */
#include <errno.h>
#include <string.h>

#include "agent/netmap/check.h"

/* A wider mesh prefix would cut the host off: traffic to it from elsewhere is dropped. */
#define MIN_PREFIX_LEN_V4 8
#define MIN_PREFIX_LEN_V6 16

/* Where a peer stands in the document. */
struct peer_place {
	const char *list; /* NULL: not in this document */
	size_t index;
};

static struct peer_place place_of(const struct netmap_checking *check, size_t peer)
{
	const struct netmap_places *places = check->places;

	if (!places)
		return (struct peer_place){ "peers", peer };
	if (peer < places->n_kept)
		return (struct peer_place){ NULL };
	peer -= places->n_kept;
	if (peer < places->n_changed)
		return (struct peer_place){ "peers_changed", peer };
	return (struct peer_place){ "peers_patched", peer - places->n_changed };
}

static const char *peer_name(const struct netmap_checking *check, size_t peer, char *buf)
{
	snprintf(buf, NETMAP_NODE_STRLEN, "peer %s", check->map->peers[peer].id);
	return buf;
}

const struct json_at *node_at_init(struct node_at *at, const struct netmap_checking *check,
				   const struct netmap_node *node, const char *member)
{
	struct peer_place place;
	size_t peer;

	*at = (struct node_at){ 0 };
	if (node == &check->map->self) {
		at->node = (struct json_at){ .parent = &at->root, .key = "self" };
	} else {
		peer = (size_t)(node - check->map->peers);
		place = place_of(check, peer);
		at->list = (struct json_at){ .parent = &at->root, .key = place.list };
		at->node = (struct json_at){ .parent = &at->list, .index = place.index };
		if (!place.list)
			at->node = (struct json_at){ .parent = &at->root,
						     .key = peer_name(check, peer, at->name) };
	}
	at->member = (struct json_at){ .parent = &at->node, .key = member };
	return &at->member;
}

const struct json_at *node_at_element(struct node_at *at, const struct netmap_checking *check,
				      const struct netmap_node *node, const char *member, size_t i)
{
	at->element =
		(struct json_at){ .parent = node_at_init(at, check, node, member), .index = i };
	return &at->element;
}

const char *node_place_name(const struct netmap_checking *check, const struct netmap_node *node,
			    char *buf)
{
	struct peer_place place;
	size_t peer;

	if (node == &check->map->self)
		return "self";
	peer = (size_t)(node - check->map->peers);
	place = place_of(check, peer);
	if (!place.list)
		return peer_name(check, peer, buf);
	snprintf(buf, NETMAP_NODE_STRLEN, "%s[%zu]", place.list, place.index);
	return buf;
}

static bool is_special_prefix(const struct ip_prefix *p)
{
	struct ip_addr first = ip_prefix_first(p), last = ip_prefix_last(p);

	return ip_addr_is_special(&first) || ip_addr_is_special(&last);
}

static int check_mesh_prefix(const struct netmap_checking *check, size_t i,
			     const struct json_at *at)
{
	const struct netmap *map = check->map;
	struct json_report *rep = check->rep;
	const struct ip_prefix *p = &map->prefixes[i];
	unsigned min = p->addr.family == AF_INET ? MIN_PREFIX_LEN_V4 : MIN_PREFIX_LEN_V6;
	char text[IP_PREFIX_STRLEN];

	ip_prefix_to_string(p, text);
	if (p->len < min)
		return json_fail(rep, at, "%s is too wide; expected /%u or longer", text, min);
	if (is_special_prefix(p))
		return json_fail(rep, at,
				 "%s is reserved for other purposes; expected a prefix of ordinary "
				 "addresses",
				 text);
	for (size_t k = 0; k < i; k++)
		if (ip_prefix_overlaps(p, &map->prefixes[k]))
			return json_fail(rep, at,
					 "%s overlaps mesh.prefixes[%zu]; expected prefixes apart "
					 "from one another",
					 text, k);
	return 0;
}

static int check_mesh(const struct netmap_checking *check)
{
	const struct netmap *map = check->map;
	const struct json_at root = { 0 };
	const struct json_at mesh = { .parent = &root, .key = "mesh" };
	const struct json_at prefixes = { .parent = &mesh, .key = "prefixes" };

	if (map->n_prefixes == 0)
		return json_fail(check->rep, &prefixes, "is empty; expected at least one prefix");
	for (size_t i = 0; i < map->n_prefixes; i++) {
		const struct json_at at = { .parent = &prefixes, .index = i };
		int r = check_mesh_prefix(check, i, &at);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool in_mesh(const struct netmap *map, const struct ip_addr *addr)
{
	for (size_t i = 0; i < map->n_prefixes; i++)
		if (ip_prefix_contains(&map->prefixes[i], addr))
			return true;
	return false;
}

static int check_addresses(const struct netmap_checking *check, const struct netmap_node *node)
{
	char text[IP_ADDR_STRLEN];
	struct node_at at;

	for (size_t i = 0; i < node->n_addresses; i++) {
		const struct ip_addr *addr = &node->addresses[i];

		if (in_mesh(check->map, addr) && !ip_addr_is_special(addr))
			continue;
		return json_fail(check->rep, node_at_element(&at, check, node, "addresses", i),
				 "%s is no address of the mesh; expected one within mesh.prefixes",
				 ip_addr_to_string(addr, text));
	}
	return 0;
}

static int check_route(const struct netmap *map, const struct ip_prefix *route,
		       const struct json_at *at, struct json_report *rep)
{
	char text[IP_PREFIX_STRLEN];

	ip_prefix_to_string(route, text);
	for (size_t i = 0; i < map->n_prefixes; i++)
		if (ip_prefix_overlaps(route, &map->prefixes[i]))
			return json_fail(
				rep, at,
				"%s overlaps mesh.prefixes[%zu]; expected a subnet outside "
				"of the mesh",
				text, i);
	if (is_special_prefix(route))
		return json_fail(rep, at,
				 "%s is reserved for other purposes; expected a subnet of ordinary "
				 "addresses",
				 text);
	return 0;
}

static int check_node(const struct netmap_checking *check, const struct netmap_node *node)
{
	struct node_at at;
	int r = check_addresses(check, node);

	for (size_t i = 0; r == 0 && i < node->n_routes; i++)
		r = check_route(check->map, &node->routes[i],
				node_at_element(&at, check, node, "routes", i), check->rep);
	return r;
}

static int check_for(const struct netmap_checking *check)
{
	const struct netmap *map = check->map;
	const struct json_at root = { 0 };
	const struct json_at at = { .parent = &root, .key = "for" };

	if (strcmp(map->for_node, map->self.id) == 0)
		return 0;
	return json_fail(check->rep, &at, "the map is for node \"%s\", but self.id is \"%s\"",
			 map->for_node, map->self.id);
}

int netmap_check(const struct netmap *map, const struct netmap_places *places,
		 struct json_report *rep)
{
	const struct netmap_checking check = { .map = map, .places = places, .rep = rep };
	int r = check_for(&check);

	if (r == 0)
		r = check_mesh(&check);
	if (r == 0)
		r = check_node(&check, &map->self);
	for (size_t i = 0; r == 0 && i < map->n_peers; i++)
		r = check_node(&check, &map->peers[i]);
	return r < 0 ? r : netmap_check_unique(&check);
}
