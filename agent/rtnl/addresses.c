#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
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
	struct nl_msg *msg = NULL;
	int r;

	if (!object)
		return -ENOMEM;
	r = rtnl_addr_build_add_request(object, NLM_F_CREATE | NLM_F_EXCL, &msg);
	r = rtnl_request(rtnl, r, msg, NULL, NULL);
	rtnl_addr_put(object);
	return r == -EEXIST ? 0 : r;
}

static int remove_address(struct rtnl *rtnl, int ifindex, const struct ip_prefix *prefix)
{
	struct rtnl_addr *object = address_object(ifindex, prefix);
	struct nl_msg *msg = NULL;
	int r;

	if (!object)
		return -ENOMEM;
	r = rtnl_addr_build_delete_request(object, 0, &msg);
	r = rtnl_request(rtnl, r, msg, NULL, NULL);
	rtnl_addr_put(object);
	return r == -EADDRNOTAVAIL ? 0 : r;
}

struct address_dump {
	int ifindex;
	struct prefix_list list; /* host bits are kept: addresses with a length */
	size_t n_before;	 /* of the families that are done */
	int error;
};

static void on_object(struct nl_object *object, void *userdata)
{
	struct rtnl_addr *addr = (struct rtnl_addr *)object;
	struct address_dump *dump = userdata;
	struct ip_prefix prefix;

	if (rtnl_addr_get_ifindex(addr) == dump->ifindex && rtnl_addr_get_local(addr) &&
	    rtnl_addr_to_prefix(rtnl_addr_get_local(addr), &prefix))
		dump->error = prefix_list_add(&dump->list, &prefix);
}

static int on_address(const struct nlmsghdr *nlh, void *userdata)
{
	struct address_dump *dump = userdata;
	int r = 0;

	if (nlh->nlmsg_type == RTM_NEWADDR)
		r = rtnl_read_object(nlh, on_object, dump);
	return r == -ENOMEM ? r : dump->error;
}

static void forget_addresses(void *userdata)
{
	struct address_dump *dump = userdata;

	dump->list.n = dump->n_before;
}

static int dump_addresses(struct rtnl *rtnl, struct address_dump *dump)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		const struct ifaddrmsg header = {
			.ifa_family = families[i],
			.ifa_index = (unsigned)dump->ifindex,
		};

		dump->n_before = dump->list.n;
		r = rtnl_dump(rtnl, &(struct rtnl_dump){ RTM_GETADDR, &header, sizeof(header),
							 on_address, forget_addresses, dump });
	}
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
	struct address_dump dump = { .ifindex = ifindex };
	int r = dump_addresses(rtnl, &dump);

	if (r == 0)
		r = make_so(rtnl, ifindex, &dump.list, wanted, n, changes);
	free(dump.list.prefixes);
	return r;
}
