#include "agent/names.h"

#include <assert.h>
#include <errno.h>

#include "common/names.h"

static_assert(NETMAP_MAX_ADDRESSES <= NAMES_MAX_ADDRESSES, "a node's addresses have to be found");
static_assert((NETMAP_MAX_PEERS + 1) * NETMAP_MAX_ADDRESSES <= NAMES_MAX_RECORDS,
	      "every map has to fit");

static void add_node(const struct netmap_node *node, struct names_entry *entries, size_t *n)
{
	for (size_t i = 0; i < node->n_addresses; i++)
		entries[(*n)++] = (struct names_entry){ node->name, node->addresses[i] };
}

int names_of_map(const struct netmap *map, char **ret_text, size_t *ret_len)
{
	_cleanup_free_ struct names_entry *entries = NULL;
	size_t n = 0;

	entries = calloc((map->n_peers + 1) * NETMAP_MAX_ADDRESSES, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	add_node(&map->self, entries, &n);
	for (size_t i = 0; i < map->n_peers; i++)
		add_node(&map->peers[i], entries, &n);
	return names_format(map->domain, entries, n, ret_text, ret_len);
}
