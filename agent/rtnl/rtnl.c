#include "agent/rtnl/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/rtnl/internal.h"

int rtnl_errno(int nl_error)
{
	switch (nl_error < 0 ? -nl_error : nl_error) {
	case NLE_SUCCESS:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_INVAL:
		return -EINVAL;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_NOADDR:
		return -EADDRNOTAVAIL;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_NOACCESS:
		return -EACCES;
	case NLE_PERM:
		return -EPERM;
	case NLE_DUMP_INTR:
		return -EINTR;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	}
	return -EIO;
}

int rtnl_open(struct rtnl **ret_rtnl)
{
	_cleanup_(rtnl_freep) struct rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int r, on = 1;

	if (!rtnl)
		return -ENOMEM;
	rtnl->sock = nl_socket_alloc();
	if (!rtnl->sock)
		return -ENOMEM;
	r = nl_connect(rtnl->sock, NETLINK_ROUTE);
	if (r < 0)
		return rtnl_errno(r);
	/* Dumps can be narrowed by the kernel: a host may have a great many routes. */
	(void)setsockopt(nl_socket_get_fd(rtnl->sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
			 sizeof(on));
	*ret_rtnl = take_ptr(rtnl);
	return 0;
}

struct rtnl *rtnl_free(struct rtnl *rtnl)
{
	if (!rtnl)
		return NULL;
	nl_socket_free(rtnl->sock);
	free(rtnl);
	return NULL;
}

uint32_t rtnl_portid(const struct rtnl *rtnl)
{
	return nl_socket_get_local_port(rtnl->sock);
}

int rtnl_dump(struct rtnl *rtnl, int type, const void *header, size_t len, nl_recvmsg_msg_cb_t fn,
	      void *userdata)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r = -NLE_NOMEM;

	if (msg && cb) {
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, fn, userdata);
		r = nlmsg_append(msg, (void *)header, len, NLMSG_ALIGNTO);
		if (r == 0)
			r = nl_send_auto(rtnl->sock, msg);
		if (r >= 0)
			r = nl_recvmsgs(rtnl->sock, cb);
	}
	nlmsg_free(msg);
	if (cb)
		nl_cb_put(cb);
	return r < 0 ? rtnl_errno(r) : 0;
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
