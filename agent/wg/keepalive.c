#include "agent/wg/keepalive.h"

#include <errno.h>

void wg_keepalive_hold(const struct wg_device *from, struct wg_device *to)
{
	unsigned n = 0;

	for (size_t i = 0; i < to->n_peers; i++) {
		struct wg_peer *peer = &to->peers[i];
		const struct wg_peer *old = wg_device_find(from, &peer->key);

		if (peer->keepalive == 0 || (old && old->keepalive != 0) ||
		    n++ < WG_KEEPALIVE_BURST)
			continue;
		peer->keepalive_later = peer->keepalive;
		peer->keepalive = 0;
	}
}

bool wg_keepalive_waits(const struct wg_device *device)
{
	for (size_t i = 0; i < device->n_peers; i++)
		if (device->peers[i].keepalive_later)
			return true;
	return false;
}

int wg_keepalive_release(struct wg_device *device, struct wg_diff *ret_diff)
{
	struct wg_diff diff = { .changes = calloc(WG_KEEPALIVE_BURST, sizeof(*diff.changes)) };

	if (!diff.changes)
		return -ENOMEM;
	for (size_t i = 0; i < device->n_peers && diff.n_changes < WG_KEEPALIVE_BURST; i++) {
		struct wg_peer *peer = &device->peers[i];

		if (!peer->keepalive_later)
			continue;
		peer->keepalive = peer->keepalive_later;
		peer->keepalive_later = 0;
		diff.changes[diff.n_changes++] =
			(struct wg_change){ .peer = peer, .set_keepalive = true };
		diff.n_changed++;
	}
	*ret_diff = diff;
	return 0;
}
