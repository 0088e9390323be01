/* What must be told to WireGuard to get from one device to another: pure. */
#pragma once

#include <stdbool.h>

#include "agent/wg/device.h"

struct wg_change {
	const struct wg_peer *peer; /* wanted; to be removed: as it was. Borrowed */
	bool remove;
	bool add; /* not known to the kernel so far */
	bool set_endpoint;
	bool set_keepalive;
	bool replace_allowed;		 /* the list is complete: others are to go */
	const struct ip_prefix *allowed; /* to be allowed; NULL with n_allowed 0 */
	size_t n_allowed;
};

struct wg_diff {
	bool set_private_key, set_listen_port, set_fwmark;
	struct wg_change *changes; /* removals first */
	size_t n_changes;
	unsigned n_added, n_changed, n_removed;
};

/*
 * from: as the kernel has it. last: what we told it before (endpoints as the map had them); NULL:
 * unknown, since we have just started. An endpoint is sent when the map's has changed since then:
 * never to undo a peer's roaming. Unknown: when the kernel has none, or one that has been silent
 * at now_usec for longer than a session lives.
 * Return: 0, -ENOMEM.
 */
int wg_diff_build(const struct wg_device *from, const struct wg_device *last,
		  const struct wg_device *to, uint64_t now_usec, struct wg_diff *ret_diff);
void wg_diff_done(struct wg_diff *diff);
bool wg_diff_empty(const struct wg_diff *diff);
