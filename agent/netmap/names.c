#include "agent/netmap/names.h"

#include <string.h>
#include <strings.h>

/* Length of the node's own label in name; 0: it is in another domain, or no name. */
static size_t label_len(const struct netmap *map, const char *name)
{
	size_t len = strlen(name), domain_len = strlen(map->domain);

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len > domain_len + 1 && name[len - domain_len - 1] == '.' &&
	    strncasecmp(name + len - domain_len, map->domain, domain_len) == 0)
		len -= domain_len + 1;
	return memchr(name, '.', len) ? 0 : len;
}

static bool is_called(const struct netmap_node *node, const char *label, size_t len)
{
	return strlen(node->name) == len && strncasecmp(node->name, label, len) == 0;
}

const struct netmap_node *netmap_node_by_name(const struct netmap *map, const char *name)
{
	size_t len = label_len(map, name);

	if (len == 0)
		return NULL;
	if (is_called(&map->self, name, len))
		return &map->self;
	for (size_t i = 0; i < map->n_peers; i++)
		if (is_called(&map->peers[i], name, len))
			return &map->peers[i];
	return NULL;
}

const struct netmap_node *netmap_router_of(const struct netmap *map, const struct ip_addr *addr,
					   uint64_t now_usec, bool expired)
{
	const struct netmap_node *router = NULL;
	uint8_t len = 0;

	for (size_t i = 0; i < map->n_peers; i++) {
		const struct netmap_node *peer = &map->peers[i];

		if (netmap_node_expired(peer, now_usec) != expired)
			continue;
		for (size_t k = 0; k < peer->n_routes; k++) {
			if (!ip_prefix_contains(&peer->routes[k], addr) ||
			    (router && peer->routes[k].len <= len))
				continue;
			router = peer;
			len = peer->routes[k].len;
		}
	}
	return router;
}
