#include "agent/rtnl/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/rtnl/internal.h"

int rtnl_open(struct rtnl **ret_rtnl)
{
	_cleanup_(rtnl_freep) struct rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int r;

	if (!rtnl)
		return -ENOMEM;
	r = nlsock_open(NETLINK_ROUTE, &rtnl->sock);
	if (r < 0)
		return r;
	/* A host may have a great many routes. */
	nlsock_narrow_dumps(rtnl->sock);
	*ret_rtnl = take_ptr(rtnl);
	return 0;
}

struct rtnl *rtnl_free(struct rtnl *rtnl)
{
	if (!rtnl)
		return NULL;
	nlsock_free(rtnl->sock);
	free(rtnl);
	return NULL;
}

uint32_t rtnl_portid(const struct rtnl *rtnl)
{
	return nlsock_portid(rtnl->sock);
}

int rtnl_request(struct rtnl *rtnl, int built, struct nl_msg *msg, nlsock_answer_fn fn,
		 void *userdata)
{
	struct nlmsghdr *nlh;
	int r;

	/* What libnl has no memory for it may call too large. */
	if (built < 0 || !msg)
		return built == -NLE_INVAL || built == -NLE_MISSING_ATTR ? -EINVAL : -ENOMEM;
	nlh = nlmsg_hdr(msg);
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	r = nlsock_request(rtnl->sock, nlh, fn, NULL, userdata);
	nlmsg_free(msg);
	return r;
}

int rtnl_dump(struct rtnl *rtnl, const struct rtnl_dump *dump)
{
	struct nl_msg *msg = nlmsg_alloc_simple(dump->type, NLM_F_REQUEST | NLM_F_DUMP);
	int r = -ENOMEM;

	if (msg && nlmsg_append(msg, (void *)dump->header, dump->len, NLMSG_ALIGNTO) == 0)
		r = nlsock_request(rtnl->sock, nlmsg_hdr(msg), dump->fn, dump->restart,
				   dump->userdata);
	nlmsg_free(msg);
	return r;
}

int rtnl_read_object(const struct nlmsghdr *nlh, void (*fn)(struct nl_object *, void *userdata),
		     void *userdata)
{
	struct nl_msg *msg = nlmsg_convert((struct nlmsghdr *)nlh);
	int r;

	if (!msg)
		return -ENOMEM;
	nlmsg_set_proto(msg, NETLINK_ROUTE);
	r = nl_msg_parse(msg, fn, userdata);
	nlmsg_free(msg);
	if (r < 0)
		return r == -NLE_NOMEM ? -ENOMEM : -EBADMSG;
	return 0;
}

struct nl_addr *rtnl_addr_from_ip(const struct ip_addr *addr, unsigned prefix_len)
{
	struct nl_addr *nl = nl_addr_build(addr->family, addr->bytes, ip_addr_len(addr));

	if (nl)
		nl_addr_set_prefixlen(nl, (int)prefix_len);
	return nl;
}

bool rtnl_addr_to_prefix(const struct nl_addr *nl, struct ip_prefix *ret_prefix)
{
	struct ip_prefix prefix = { .addr.family = (sa_family_t)nl_addr_get_family(nl) };
	size_t len = ip_addr_len(&prefix.addr);

	/* A default route has an address without bytes. */
	if (len == 0 || nl_addr_get_len(nl) > len || nl_addr_get_prefixlen(nl) > 8 * len)
		return false;
	memcpy(prefix.addr.bytes, nl_addr_get_binary_addr(nl), nl_addr_get_len(nl));
	prefix.len = (uint8_t)nl_addr_get_prefixlen(nl);
	*ret_prefix = prefix;
	return true;
}

int prefix_list_add(struct prefix_list *list, const struct ip_prefix *prefix)
{
	int r = array_grow(&list->prefixes, &list->n_alloc, list->n, sizeof(*list->prefixes));

	if (r == 0)
		list->prefixes[list->n++] = *prefix;
	return r;
}

bool prefix_list_has(const struct prefix_list *list, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < list->n; i++)
		if (ip_prefix_compare(&list->prefixes[i], prefix) == 0)
			return true;
	return false;
}
