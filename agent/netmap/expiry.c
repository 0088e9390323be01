#include "agent/netmap/expiry.h"

static void consider(uint64_t when, uint64_t now_usec, uint64_t *next)
{
	if (when > now_usec && when < *next)
		*next = when;
}

uint64_t netmap_next_expiry(const struct netmap *map, uint64_t now_usec)
{
	uint64_t next = UINT64_MAX;

	consider(map->self.key_expiry, now_usec, &next);
	for (size_t i = 0; i < map->n_peers; i++)
		consider(map->peers[i].key_expiry, now_usec, &next);
	for (size_t i = 0; i < map->n_ssh_rules; i++)
		consider(map->ssh_rules[i].rule_expires, now_usec, &next);
	return next;
}
