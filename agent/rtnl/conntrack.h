/* Asking conntrack who began a connection. */
#pragma once

#include <stdbool.h>

#include "agent/netlink/nlsock.h"
#include "common/ip.h"

/*
 * Was this TCP connection opened by the local end? sock: of NETLINK_NETFILTER.
 * Return: 0; -ENOENT (conntrack does not know it), other negative errno.
 */
int conntrack_is_outbound(struct nlsock *sock, const struct ip_endpoint *local,
			  const struct ip_endpoint *remote, bool *ret_outbound);
