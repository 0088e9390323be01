#include "agent/known_hosts.h"

#include <errno.h>

/* Names, addresses and keys were validated by the map's parser: nothing needs quoting. */
static void print_peer(FILE *f, const struct netmap *map, const struct netmap_node *peer)
{
	char addr[IP_ADDR_STRLEN];

	for (size_t i = 0; i < peer->n_ssh_host_keys; i++) {
		fprintf(f, "%s,%s.%s", peer->name, peer->name, map->domain);
		for (size_t k = 0; k < peer->n_addresses; k++)
			fprintf(f, ",%s", ip_addr_to_string(&peer->addresses[k], addr));
		fprintf(f, " %s\n", peer->ssh_host_keys[i]);
	}
}

int known_hosts_format(const struct netmap *map, char **ret_text)
{
	char *text = NULL;
	size_t len;
	FILE *f;

	f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	fprintf(f, "# SSH host keys of the peers in %s, for %s.\n", map->domain, map->self.name);
	fputs("# Written by peergate-agent at every change of the map; do not edit.\n", f);
	for (size_t i = 0; i < map->n_peers; i++)
		print_peer(f, map, &map->peers[i]);
	if (fclose(f) < 0) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}
