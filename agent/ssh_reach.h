/*
 * Which peers the packet filter lets through to tcp/22 of this host. An SSH login needs both a
 * packet filter rule and an SSH rule; this is for pointing out where one of them lacks.
 */
#pragma once

#include "agent/netmap.h"
#include "common/cleanup.h"

struct ssh_reach;

int ssh_reach_new(const struct netmap *map, struct ssh_reach **ret_reach);
struct ssh_reach *ssh_reach_free(struct ssh_reach *reach);
DEFINE_CLEANUP(struct ssh_reach *, ssh_reach_free);

/* From this address to an own address of the same family. */
bool ssh_reach_has(const struct ssh_reach *reach, const struct ip_addr *addr);
/* From any of the peer's addresses. */
bool ssh_reach_has_node(const struct ssh_reach *reach, const struct netmap_node *peer);
