/* Shared by the files of this folder. */
#pragma once

#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/object.h>

#include "agent/netlink/nlsock.h"
#include "agent/rtnl/rtnl.h"

/* libnl makes and reads messages; they are exchanged as all others, so that no answer is lost. */
struct rtnl {
	struct nlsock *sock;
};

/*
 * Send what a function of libnl has built (which returned built), and take the answer; fn (may be
 * NULL) is called for each message. msg is consumed. Return: 0, the kernel's or fn's error, other
 * negative errno.
 */
int rtnl_request(struct rtnl *rtnl, int built, struct nl_msg *msg, nlsock_answer_fn fn,
		 void *userdata);

struct rtnl_dump {
	int type;
	const void *header; /* the kernel checks it strictly, and filters by it */
	size_t len;
	nlsock_answer_fn fn;		 /* for each message */
	void (*restart)(void *userdata); /* forget what this dump has brought: it begins anew */
	void *userdata;
};
/* Return: as above; -EBUSY: it kept being interrupted by changes. */
int rtnl_dump(struct rtnl *rtnl, const struct rtnl_dump *dump);

/* fn is called with the object that a message tells of. Return: 0; -EBADMSG: none, -ENOMEM. */
int rtnl_read_object(const struct nlmsghdr *nlh, void (*fn)(struct nl_object *, void *userdata),
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
