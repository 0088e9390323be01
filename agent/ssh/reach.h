/*
 * Which peers the packet filter lets through to tcp/22 of this host. An SSH login needs both a
 * packet filter rule and an SSH rule: logins and leases are judged by this as well, and it serves
 * to point out where one of the two lacks.
 */
#pragma once

#include "agent/netmap/netmap.h"
#include "common/cleanup.h"

struct ssh_reach;

/* Part of a parsed map (map->ssh_reach). Return: 0, -ENOMEM. */
int ssh_reach_new(const struct netmap *map, struct ssh_reach **ret_reach);
struct ssh_reach *ssh_reach_free(struct ssh_reach *reach);
DEFINE_CLEANUP(struct ssh_reach *, ssh_reach_free);

/* From this address to that own address; to one that is not an own address never. */
bool ssh_reach_has(const struct ssh_reach *reach, const struct ip_addr *from,
		   const struct ip_addr *to);
/* From this address to any own address. */
bool ssh_reach_has_any(const struct ssh_reach *reach, const struct ip_addr *from);
/* From any of the peer's addresses to any own address. */
bool ssh_reach_has_node(const struct ssh_reach *reach, const struct netmap_node *peer);
