/* A WireGuard device and its peers, as plain data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "common/wgkey.h"

struct wg_peer {
	struct wg_key key;
	struct ip_endpoint endpoint; /* AF_UNSPEC: none */
	uint16_t keepalive;	     /* seconds; 0: none */
	uint16_t keepalive_later;    /* what it shall become: see keepalive.h */
	struct ip_prefix *allowed;   /* ascending */
	size_t n_allowed;

	/* Reported by the kernel. */
	uint64_t last_handshake; /* usec since 1970; 0: never */
	uint64_t rx_bytes, tx_bytes;
};

struct wg_device {
	struct wg_key public_key;
	uint16_t listen_port;
	uint32_t fwmark;
	struct wg_peer *peers; /* by key, ascending */
	size_t n_peers, n_peers_alloc;
};

/* NULL: no memory. */
struct wg_device *wg_device_new(void);
struct wg_device *wg_device_free(struct wg_device *device);
DEFINE_CLEANUP(struct wg_device *, wg_device_free);

/* A new peer at the end, zeroed but for its key. Borrowed; NULL: no memory. */
struct wg_peer *wg_device_add(struct wg_device *device, const struct wg_key *key);
int wg_peer_allow(struct wg_peer *peer, size_t *n_alloc, const struct ip_prefix *prefix);
/* Bring peers and their prefixes into order. */
void wg_device_sort(struct wg_device *device);
/* In a sorted device. Borrowed; NULL: not there. */
struct wg_peer *wg_device_find(const struct wg_device *device, const struct wg_key *key);
