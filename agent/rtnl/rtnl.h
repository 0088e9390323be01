/* The WireGuard link, its addresses and its routes: rtnetlink. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "common/cleanup.h"
#include "common/ip.h"

/* rtm_protocol of our routes, by which we know them again. */
#define RTNL_PROTOCOL 201
/* Metric of our routes: a host's own way to a network goes before the mesh's. */
#define RTNL_METRIC 1024
/* Likewise for the routes that lead nowhere, behind all others. */
#define RTNL_GUARD_PROTOCOL 202
#define RTNL_GUARD_METRIC   UINT32_MAX

struct rtnl;

int rtnl_open(struct rtnl **ret_rtnl);
struct rtnl *rtnl_free(struct rtnl *rtnl);
DEFINE_CLEANUP(struct rtnl *, rtnl_free);
/* Port of the socket that makes changes: they are ours in notifications. */
uint32_t rtnl_portid(const struct rtnl *rtnl);

struct rtnl_link_state {
	int ifindex;
	char name[IFNAMSIZ];
	bool wireguard;
	bool marked;  /* has the alias of agent/kernel/link_mark.h: it is ours, whatever its name */
	bool grouped; /* is in the group: the packet filter knows it, whatever its name */
	bool up;
	unsigned mtu;
};

/* Return: 0, -ENODEV, other negative errno. */
int rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state);
/* A link of WireGuard's with our alias, or with this number (0: any), whatever its name. */
int rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state);
/*
 * Make the link, which is down at first, and has its group from the beginning; and mark it. Return:
 * 0, -EOPNOTSUPP: this kernel has no WireGuard.
 */
int rtnl_create_link(struct rtnl *rtnl, const char *ifname, unsigned mtu);
/* Give it the alias, the group. */
int rtnl_mark_link(struct rtnl *rtnl, int ifindex);
int rtnl_group_link(struct rtnl *rtnl, int ifindex);
/* Return: 0; -EADDRINUSE (WireGuard's UDP port is taken), other negative errno. */
int rtnl_set_link_up(struct rtnl *rtnl, int ifindex, bool up);
int rtnl_set_link_mtu(struct rtnl *rtnl, int ifindex, unsigned mtu);
/* Return: 0; -EBUSY (it is up, and the kernel older than 6.2), -EEXIST, other negative errno. */
int rtnl_rename_link(struct rtnl *rtnl, int ifindex, const char *ifname);
int rtnl_delete_link(struct rtnl *rtnl, int ifindex);

/* Counts of what a sync has done. */
struct rtnl_changes {
	unsigned added, removed;
};

/* The link gets exactly these addresses, each with the length of a host. */
int rtnl_sync_addresses(struct rtnl *rtnl, int ifindex, const struct ip_addr *wanted, size_t n,
			struct rtnl_changes *changes);
/*
 * Of the routes with our protocol number exactly these stay, over the link, which must be up.
 * wanted: ascending, each once.
 */
int rtnl_sync_routes(struct rtnl *rtnl, int ifindex, const struct ip_prefix *wanted, size_t n,
		     struct rtnl_changes *changes);
/*
 * Exactly these prefixes are "unreachable" where no other route is there for them. Without that,
 * what is meant for the mesh would leave by the default route, in the clear, while the link is
 * down. wanted: as above.
 */
int rtnl_sync_guards(struct rtnl *rtnl, const struct ip_prefix *wanted, size_t n,
		     struct rtnl_changes *changes);
