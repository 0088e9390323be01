#include "agent/ssh/known_hosts.h"

#include <errno.h>

#include "common/text_stream.h"

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
	struct text_stream out;
	char *text;

	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	fprintf(out.file, "# SSH host keys of the peers in %s, for %s.\n", map->domain,
		map->self.name);
	fputs("# Written by peergate-agent at every change of the map; do not edit.\n", out.file);
	for (size_t i = 0; i < map->n_peers; i++)
		print_peer(out.file, map, &map->peers[i]);
	text = text_stream_close(&out);
	if (!text)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}
