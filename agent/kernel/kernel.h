/*
 * What the kernel has to do for a map: WireGuard link and peers, addresses, routes, nftables.
 * Wanted state is computed, the kernel's is observed, the difference applied: rights are taken
 * away in nftables first, then in WireGuard; given in reverse.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/netmap/netmap.h"
#include "common/cleanup.h"
#include "common/wgkey.h"

struct drop;
struct kernel;
struct nft_tally;

struct kernel_config {
	const char *ifname;    /* "mesh0" */
	uint16_t listen_port;  /* UDP */
	uint32_t fwmark;       /* 0: none */
	uint16_t gateway_port; /* of the gateway's loopback listeners: 2022 */
	bool own_table;	       /* keep others from changing the table (agent/nft/owner.h) */
};

/* Strings are copied; private_key is copied and wiped in kernel_free(). event may be NULL. */
int kernel_new(sd_event *event, const struct kernel_config *config,
	       const struct wg_key *private_key, struct kernel **ret_kernel);
/* The node has another key; the kernel has it with the next kernel_apply(). Return: 0, -EIO. */
int kernel_set_key(struct kernel *kernel, const struct wg_key *private_key);
/* Frees the object; what is in the kernel stays (sessions live through a restart). */
struct kernel *kernel_free(struct kernel *kernel);
DEFINE_CLEANUP(struct kernel *, kernel_free);

/* What an apply changed, for the log and for tests. */
struct kernel_changes {
	unsigned nft_elements_added, nft_elements_removed, nft_full_replacements;
	unsigned peers_added, peers_changed, peers_removed;
	unsigned addresses_added, addresses_removed, routes_added, routes_removed;
	unsigned links_created, links_changed; /* changed: name, group, state, MTU, WireGuard */
	unsigned sockets_destroyed;
};

/*
 * Make the kernel agree with the map. Expired peers (now_usec) count as absent. map NULL: block
 * the mesh (table that drops, no peers), keep the link. While the mesh has no route over the link,
 * its prefixes are unreachable: nothing meant for it leaves by another way, in the clear.
 * Return: 0 and *ret_changes; negative errno and *reterr_text (the caller's). On failure rights
 * are never wider than old and new map together, and a repeated call goes on where this one
 * stopped.
 */
int kernel_apply(struct kernel *kernel, const struct netmap *map, uint64_t now_usec,
		 struct kernel_changes *ret_changes, char **reterr_text);

/*
 * Somebody has changed something, and a kernel_apply() follows at once, which takes a while when
 * the map is large: if the table is not in force, have one that lets nothing in until then. What
 * cannot be shut so, is by taking the link down.
 */
void kernel_shut(struct kernel *kernel);

/*
 * Nothing can be put right for a moment: if the table is not in force, or the link has another
 * name, take it down until the next kernel_apply().
 */
void kernel_hold(struct kernel *kernel);

/*
 * Take everything out of the kernel again: link first, then routes that lead nowhere, then table.
 * A WireGuard link that has the name, but neither our mark nor our key, keeps all of it in place:
 * -EEXIST. Return: 0; negative errno and *reterr_text (the caller's, NULL before).
 */
int kernel_down(struct kernel *kernel, char **reterr_text);

struct kernel_peer_status {
	struct wg_key key;
	struct ip_endpoint endpoint; /* family AF_UNSPEC: unknown */
	uint64_t last_handshake;     /* usec since 1970; 0: never */
	uint64_t rx_bytes, tx_bytes;
};

/* Read WireGuard's peers. The caller frees *ret_peers. */
int kernel_peer_status(struct kernel *kernel, struct kernel_peer_status **ret_peers, size_t *ret_n);

struct kernel_handshake {
	uint64_t time_usec; /* since 1970 */
	uint64_t read_usec; /* CLOCK_MONOTONIC: WireGuard was asked then */
};

/*
 * The last handshake of a peer, as known from the last look at WireGuard (poll.h): asks
 * nobody. Return: whether one is known.
 */
bool kernel_last_handshake(const struct kernel *kernel, const struct wg_key *key,
			   struct kernel_handshake *ret_handshake);

/*
 * Give fn samples of what the packet filter drops; NULL: no more. The filter itself follows with
 * the next kernel_apply(), which the caller sees to. Return: 0; -EBUSY: another program has the
 * group of NFLOG; negative errno.
 */
int kernel_watch_drops(struct kernel *kernel, sd_event *event,
		       void (*fn)(const struct drop *drop, void *userdata), void *userdata);
/* Add to tally what the packet filter has counted since. Return: 0, negative errno. */
int kernel_count_packets(struct kernel *kernel, struct nft_tally *tally);

/*
 * fn is called (from the event loop, or within a kernel_apply() that comes across it) when there
 * was a change that we did not make, as far as one can tell: the owner calls kernel_apply() again,
 * and by what that changes knows whether it was so. what: a sentence, with the culprit if the
 * kernel says who it was. Of WireGuard the kernel tells nothing: see poll.h.
 */
void kernel_on_foreign_change(struct kernel *kernel, void (*fn)(void *userdata, const char *what),
			      void *userdata);
