/* Tells of changes to the link, its addresses and our routes that others make. */
#pragma once

#include "agent/netlink/nlwatch.h"

struct rtnl_watch;

/*
 * own_portid: changes made from that socket are ours. Older kernels do not say of every change who
 * made it (links before 6.2, IPv6 addresses): those of ours are told as well. fn is given a
 * sentence, which names a process where one can be guessed.
 * Return: 0, negative errno.
 */
int rtnl_watch_new(sd_event *event, const char *ifname, uint32_t own_portid,
		   void (*fn)(void *userdata, const char *what), void *userdata,
		   struct rtnl_watch **ret_watch);
struct rtnl_watch *rtnl_watch_free(struct rtnl_watch *watch);
DEFINE_CLEANUP(struct rtnl_watch *, rtnl_watch_free);
/* Addresses are reported by the number of their link. */
void rtnl_watch_set_ifindex(struct rtnl_watch *watch, int ifindex);
