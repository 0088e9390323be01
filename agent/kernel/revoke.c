#include "agent/kernel/revoke.h"

#include <netinet/in.h>

#include "agent/netlink/nlsock.h"
#include "agent/rtnl/conntrack.h"
#include "agent/rtnl/sockdiag.h"

#define SSH_PORT 22

struct revocation {
	const struct filter_table *old, *new;
	bool spare_ssh;
	struct nlsock *conntrack;
};

static bool is_doomed(const struct ip_endpoint *local, const struct ip_endpoint *remote,
		      void *userdata)
{
	struct revocation *rev = userdata;
	bool outbound = false;

	if (rev->spare_ssh && local->port == SSH_PORT)
		return false;
	if (!filter_table_allows(rev->old, &remote->addr, &local->addr, IPPROTO_TCP, local->port,
				 NULL) ||
	    filter_table_allows(rev->new, &remote->addr, &local->addr, IPPROTO_TCP, local->port,
				NULL))
		return false;
	/* If conntrack cannot tell, the right decides. */
	(void)conntrack_is_outbound(rev->conntrack, local, remote, &outbound);
	return !outbound;
}

int kernel_revoke(const struct filter_table *old, const struct filter_table *new, bool spare_ssh,
		  unsigned *ret_n)
{
	_cleanup_(nlsock_freep) struct nlsock *conntrack = NULL;
	struct revocation rev = { .old = old, .new = new, .spare_ssh = spare_ssh };
	int r;

	r = nlsock_open(NETLINK_NETFILTER, &conntrack);
	if (r < 0)
		return r;
	rev.conntrack = conntrack;
	return sockdiag_destroy(old->own, old->n_own, is_doomed, &rev, ret_n);
}
