/* The WireGuard device that a map asks for: pure. */
#pragma once

#include "agent/netmap/netmap.h"
#include "agent/wg/device.h"

/*
 * Peers whose key has expired at now_usec are left out. map NULL: no peers. Endpoints are the
 * first of the map's lists. A route of several peers is the first one's. Return: 0, -ENOMEM.
 */
int wg_wanted(const struct netmap *map, uint64_t now_usec, const struct wg_device *settings,
	      struct wg_device **ret_device);
