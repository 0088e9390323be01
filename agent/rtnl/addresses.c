#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <string.h>

#include "agent/rtnl/internal.h"

/* Sets the address that a request is about. */
static struct rtnl_addr *address_object(int ifindex, const struct ip_prefix *prefix)
{
	struct rtnl_addr *object = rtnl_addr_alloc();
	struct nl_addr *local = rtnl_addr_from_ip(&prefix->addr, prefix->len);

	if (object && local && rtnl_addr_set_local(object, local) == 0) {
		rtnl_addr_set_ifindex(object, ifindex);
		/* Nobody else on a tunnel could have the address. */
		if (prefix->addr.family == AF_INET6)
			rtnl_addr_set_flags(object, IFA_F_NODAD);
	} else if (object) {
		rtnl_addr_put(object);
		object = NULL;
	}
	if (local)
		nl_addr_put(local);
	return object;
}

static int add_address(struct rtnl *rtnl, int ifindex, const struct ip_prefix *prefix)
{
	struct rtnl_addr *object = address_object(ifindex, prefix);
	int r;

	if (!object)
		return -ENOMEM;
	r = rtnl_addr_add(rtnl->sock, object, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_addr_put(object);
	return r == -NLE_EXIST ? 0 : rtnl_errno(r);
}

static int remove_address(struct rtnl *rtnl, int ifindex, const struct ip_prefix *prefix)
{
	struct rtnl_addr *object = address_object(ifindex, prefix);
	int r;

	if (!object)
		return -ENOMEM;
	r = rtnl_addr_delete(rtnl->sock, object, 0);
	rtnl_addr_put(object);
	return r == -NLE_NOADDR || r == -NLE_OBJ_NOTFOUND ? 0 : rtnl_errno(r);
}

/* A prefix of an address object keeps its host bits: it is an address with a length. */
static int collect(struct nl_cache *cache, int ifindex, struct prefix_list *list)
{
	struct nl_object *object;
	struct ip_prefix prefix;
	int r = 0;

	for (object = nl_cache_get_first(cache); object && r == 0;
	     object = nl_cache_get_next(object)) {
		struct rtnl_addr *addr = (struct rtnl_addr *)object;

		if (rtnl_addr_get_ifindex(addr) == ifindex && rtnl_addr_get_local(addr) &&
		    rtnl_addr_to_prefix(rtnl_addr_get_local(addr), &prefix))
			r = prefix_list_add(list, &prefix);
	}
	return r;
}

static int list_addresses(struct rtnl *rtnl, int ifindex, struct prefix_list *list)
{
	struct nl_cache *cache = NULL;
	int r;

	r = rtnl_addr_alloc_cache(rtnl->sock, &cache);
	if (r < 0)
		return rtnl_errno(r);
	r = collect(cache, ifindex, list);
	nl_cache_free(cache);
	return r;
}

static bool is_wanted(const struct ip_prefix *prefix, const struct ip_addr *wanted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ip_prefix host = ip_prefix_host(&wanted[i]);

		if (ip_prefix_compare(&host, prefix) == 0)
			return true;
	}
	return false;
}

/* The kernel's own; it comes and goes with the link. */
static bool is_link_local(const struct ip_prefix *prefix)
{
	return prefix->addr.family == AF_INET6 && prefix->addr.bytes[0] == 0xfe &&
	       (prefix->addr.bytes[1] & 0xc0) == 0x80;
}

static int make_so(struct rtnl *rtnl, int ifindex, const struct prefix_list *present,
		   const struct ip_addr *wanted, size_t n, struct rtnl_changes *changes)
{
	int r;

	for (size_t i = 0; i < present->n; i++) {
		if (is_wanted(&present->prefixes[i], wanted, n) ||
		    is_link_local(&present->prefixes[i]))
			continue;
		r = remove_address(rtnl, ifindex, &present->prefixes[i]);
		if (r < 0)
			return r;
		changes->removed++;
	}
	for (size_t i = 0; i < n; i++) {
		struct ip_prefix host = ip_prefix_host(&wanted[i]);

		if (prefix_list_has(present, &host))
			continue;
		r = add_address(rtnl, ifindex, &host);
		if (r < 0)
			return r;
		changes->added++;
	}
	return 0;
}

int rtnl_sync_addresses(struct rtnl *rtnl, int ifindex, const struct ip_addr *wanted, size_t n,
			struct rtnl_changes *changes)
{
	struct prefix_list present = { 0 };
	int r;

	r = list_addresses(rtnl, ifindex, &present);
	if (r == 0)
		r = make_so(rtnl, ifindex, &present, wanted, n, changes);
	free(present.prefixes);
	return r;
}
