/* Shared by the files of this folder. */
#pragma once

#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "agent/rtnl/rtnl.h"

/* A dump that others keep disturbing is given up after so many attempts. */
#define RTNL_DUMP_ATTEMPTS 10

struct rtnl {
	struct nl_sock *sock;
};

/* libnl's error numbers as negative errno. */
int rtnl_errno(int nl_error);

/*
 * Dump with this request header (the kernel checks it strictly, and filters by it); fn is called
 * for each message. Return: 0, -EINTR (try again from the start), other negative errno.
 */
int rtnl_dump(struct rtnl *rtnl, int type, const void *header, size_t len, nl_recvmsg_msg_cb_t fn,
	      void *userdata);

struct nl_addr *rtnl_addr_from_ip(const struct ip_addr *addr, unsigned prefix_len);
/* Return: false if it is no IPv4 or IPv6 address. */
bool rtnl_addr_to_prefix(const struct nl_addr *nl, struct ip_prefix *ret_prefix);

/* A growing list of prefixes. */
struct prefix_list {
	struct ip_prefix *prefixes;
	size_t n, n_alloc;
};
int prefix_list_add(struct prefix_list *list, const struct ip_prefix *prefix);
bool prefix_list_has(const struct prefix_list *list, const struct ip_prefix *prefix);
