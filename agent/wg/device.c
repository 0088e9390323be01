#include "agent/wg/device.h"

#include <string.h>

#include "agent/grow.h"

struct wg_device *wg_device_new(void)
{
	return calloc(1, sizeof(struct wg_device));
}

struct wg_device *wg_device_free(struct wg_device *device)
{
	if (!device)
		return NULL;
	for (size_t i = 0; i < device->n_peers; i++)
		free(device->peers[i].allowed);
	free(device->peers);
	free(device);
	return NULL;
}

struct wg_peer *wg_device_add(struct wg_device *device, const struct wg_key *key)
{
	struct wg_peer *peer;

	if (array_grow(&device->peers, &device->n_peers_alloc, device->n_peers,
		       sizeof(*device->peers)) < 0)
		return NULL;
	peer = &device->peers[device->n_peers++];
	*peer = (struct wg_peer){ .key = *key };
	return peer;
}

int wg_peer_allow(struct wg_peer *peer, size_t *n_alloc, const struct ip_prefix *prefix)
{
	int r = array_grow(&peer->allowed, n_alloc, peer->n_allowed, sizeof(*peer->allowed));

	if (r == 0)
		peer->allowed[peer->n_allowed++] = *prefix;
	return r;
}

static int prefix_order(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static int peer_order(const void *a, const void *b)
{
	const struct wg_peer *x = a, *y = b;

	return memcmp(x->key.bytes, y->key.bytes, WG_KEY_LEN);
}

void wg_device_sort(struct wg_device *device)
{
	for (size_t i = 0; i < device->n_peers; i++) {
		struct wg_peer *peer = &device->peers[i];

		if (peer->n_allowed > 1)
			qsort(peer->allowed, peer->n_allowed, sizeof(*peer->allowed), prefix_order);
	}
	if (device->n_peers > 1)
		qsort(device->peers, device->n_peers, sizeof(*device->peers), peer_order);
}

struct wg_peer *wg_device_find(const struct wg_device *device, const struct wg_key *key)
{
	struct wg_peer wanted = { .key = *key };

	if (device->n_peers == 0)
		return NULL;
	return bsearch(&wanted, device->peers, device->n_peers, sizeof(wanted), peer_order);
}
