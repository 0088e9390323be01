#include "agent/wg/wanted.h"

#include <errno.h>

static int add_peer(struct wg_device *device, const struct netmap_node *node)
{
	struct wg_peer *peer = wg_device_add(device, &node->key);
	size_t n_alloc = 0;
	int r = 0;

	if (!peer)
		return -ENOMEM;
	if (node->n_endpoints > 0)
		peer->endpoint = node->endpoints[0];
	peer->keepalive = node->keepalive;
	for (size_t i = 0; i < node->n_addresses && r == 0; i++) {
		struct ip_prefix host = ip_prefix_host(&node->addresses[i]);

		r = wg_peer_allow(peer, &n_alloc, &host);
	}
	for (size_t i = 0; i < node->n_routes && r == 0; i++)
		r = wg_peer_allow(peer, &n_alloc, &node->routes[i]);
	return r;
}

int wg_wanted(const struct netmap *map, uint64_t now_usec, const struct wg_device *settings,
	      struct wg_device **ret_device)
{
	_cleanup_(wg_device_freep) struct wg_device *device = wg_device_new();
	int r = 0;

	if (!device)
		return -ENOMEM;
	device->public_key = settings->public_key;
	device->listen_port = settings->listen_port;
	device->fwmark = settings->fwmark;
	for (size_t i = 0; map && i < map->n_peers && r == 0; i++)
		if (!netmap_node_expired(&map->peers[i], now_usec))
			r = add_peer(device, &map->peers[i]);
	if (r < 0)
		return r;
	wg_device_sort(device);
	*ret_device = take_ptr(device);
	return 0;
}
