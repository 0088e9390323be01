#include "agent/wg/wanted.h"

#include <errno.h>
#include <stdlib.h>

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

/* A prefix in the hands of a peer. */
struct claim {
	struct ip_prefix prefix;
	size_t peer;
};

static int claim_order(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = ip_prefix_compare(&x->prefix, &y->prefix);

	return c ? c : (x->peer > y->peer) - (x->peer < y->peer);
}

static size_t list_claims(const struct wg_device *device, struct claim *claims)
{
	size_t n = 0;

	for (size_t i = 0; i < device->n_peers; i++)
		for (size_t j = 0; j < device->peers[i].n_allowed; j++)
			claims[n++] = (struct claim){ device->peers[i].allowed[j], i };
	if (n > 1)
		qsort(claims, n, sizeof(*claims), claim_order);
	return n;
}

/*
 * WireGuard gives a prefix to one peer only: of several routers for a network the first in the map
 * has it. Left to the kernel it would be the last, and each look would find it taken from another.
 */
static int settle_claims(struct wg_device *device)
{
	_cleanup_free_ struct claim *claims = NULL;
	size_t max = 0, n;

	for (size_t i = 0; i < device->n_peers; i++)
		max += device->peers[i].n_allowed;
	claims = calloc(max + 1, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	n = list_claims(device, claims);
	for (size_t i = 0; i < device->n_peers; i++)
		device->peers[i].n_allowed = 0;
	for (size_t i = 0; i < n; i++) {
		struct wg_peer *peer = &device->peers[claims[i].peer];

		if (i == 0 || ip_prefix_compare(&claims[i - 1].prefix, &claims[i].prefix) != 0)
			peer->allowed[peer->n_allowed++] = claims[i].prefix;
	}
	return 0;
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
	if (r == 0)
		r = settle_claims(device);
	if (r < 0)
		return r;
	wg_device_sort(device);
	*ret_device = take_ptr(device);
	return 0;
}
