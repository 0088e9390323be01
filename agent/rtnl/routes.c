#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/rtnl/internal.h"

/* What our routes of one kind have in common. */
struct route_kind {
	uint8_t protocol, type;
	uint32_t metric;
	int ifindex; /* 0: of no link */
};

/* A route with our protocol number. */
struct own_route {
	struct ip_prefix dst;
	struct rtnl_route *object; /* as the kernel reported it, for its deletion */
	bool as_made;		   /* main table, and all that the kind says */
};

struct route_dump {
	struct route_kind kind;
	struct own_route *routes;
	size_t n, n_alloc;
	size_t n_before; /* of the families that are done */
};

static int add_nexthop(struct rtnl_route *route, int ifindex)
{
	struct rtnl_nexthop *nexthop = rtnl_route_nh_alloc();

	if (!nexthop)
		return -ENOMEM;
	rtnl_route_nh_set_ifindex(nexthop, ifindex);
	rtnl_route_add_nexthop(route, nexthop);
	return 0;
}

static uint8_t scope_of(const struct route_kind *kind, const struct ip_prefix *dst)
{
	return kind->ifindex && dst->addr.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static struct rtnl_route *route_object(const struct route_kind *kind, const struct ip_prefix *dst)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct nl_addr *addr = rtnl_addr_from_ip(&dst->addr, dst->len);

	if (route && addr && rtnl_route_set_family(route, (uint8_t)dst->addr.family) == 0 &&
	    rtnl_route_set_dst(route, addr) == 0 &&
	    (kind->ifindex == 0 || add_nexthop(route, kind->ifindex) == 0)) {
		rtnl_route_set_protocol(route, kind->protocol);
		rtnl_route_set_priority(route, kind->metric);
		rtnl_route_set_scope(route, scope_of(kind, dst));
		rtnl_route_set_table(route, RT_TABLE_MAIN);
		rtnl_route_set_type(route, kind->type);
	} else if (route) {
		rtnl_route_put(route);
		route = NULL;
	}
	if (addr)
		nl_addr_put(addr);
	return route;
}

static bool over_link(struct rtnl_route *route, int ifindex)
{
	struct rtnl_nexthop *nexthop;

	/* The kernel reports some link ("lo") for routes of none. */
	if (ifindex == 0)
		return true;
	if (rtnl_route_get_nnexthops(route) != 1)
		return false;
	nexthop = rtnl_route_nexthop_n(route, 0);
	return nexthop && rtnl_route_nh_get_ifindex(nexthop) == ifindex;
}

static int take_route(struct route_dump *dump, struct rtnl_route *route)
{
	struct nl_addr *dst = rtnl_route_get_dst(route);
	struct own_route own = { .object = route };
	int r;

	if (rtnl_route_get_protocol(route) != dump->kind.protocol || !dst ||
	    !rtnl_addr_to_prefix(dst, &own.dst))
		return 0;
	own.as_made = over_link(route, dump->kind.ifindex) &&
		      rtnl_route_get_table(route) == RT_TABLE_MAIN &&
		      rtnl_route_get_type(route) == dump->kind.type &&
		      rtnl_route_get_priority(route) == dump->kind.metric;
	r = array_grow(&dump->routes, &dump->n_alloc, dump->n, sizeof(*dump->routes));
	if (r < 0)
		return r;
	nl_object_get((struct nl_object *)route);
	dump->routes[dump->n++] = own;
	return 0;
}

static int on_route(const struct nlmsghdr *nlh, void *userdata)
{
	struct rtnl_route *route = NULL;
	int r;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return 0;
	r = rtnl_route_parse((struct nlmsghdr *)nlh, &route);
	if (r < 0)
		return r == -NLE_NOMEM ? -ENOMEM : 0;
	r = take_route(userdata, route);
	rtnl_route_put(route);
	return r;
}

static void forget_routes(struct route_dump *dump, size_t n_kept)
{
	while (dump->n > n_kept)
		rtnl_route_put(dump->routes[--dump->n].object);
}

static void begin_anew(void *userdata)
{
	struct route_dump *dump = userdata;

	forget_routes(dump, dump->n_before);
}

/* Only routes of our protocol are reported, by kernels that can choose (4.20). */
static int dump_routes(struct rtnl *rtnl, struct route_dump *dump)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		const struct rtmsg header = {
			.rtm_family = families[i],
			.rtm_protocol = dump->kind.protocol,
		};

		dump->n_before = dump->n;
		r = rtnl_dump(rtnl, &(struct rtnl_dump){ RTM_GETROUTE, &header, sizeof(header),
							 on_route, begin_anew, dump });
	}
	return r;
}

static int prefix_order(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static const struct ip_prefix *find(const struct ip_prefix *prefixes, size_t n,
				    const struct ip_prefix *prefix)
{
	return n > 0 ? bsearch(prefix, prefixes, n, sizeof(*prefix), prefix_order) : NULL;
}

static int request_route(struct rtnl *rtnl, struct rtnl_route *route, int flags)
{
	struct nl_msg *msg = NULL;
	int r = rtnl_route_build_add_request(route, flags, &msg);

	return rtnl_request(rtnl, r, msg, NULL, NULL);
}

/*
 * A route of other metric stands beside ours. One of the same is in its place, and somebody has
 * replaced ours by it, as a rule: then it has to give way.
 */
static int add_route(struct rtnl *rtnl, const struct route_kind *kind, const struct ip_prefix *dst)
{
	struct rtnl_route *route = route_object(kind, dst);
	int r;

	if (!route)
		return -ENOMEM;
	r = request_route(rtnl, route, NLM_F_CREATE | NLM_F_EXCL);
	if (r == -EEXIST)
		r = request_route(rtnl, route, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_route_put(route);
	return r;
}

/* It may have gone by itself. */
static int remove_route(struct rtnl *rtnl, struct rtnl_route *route)
{
	struct nl_msg *msg = NULL;
	int r = rtnl_route_build_del_request(route, 0, &msg);

	r = rtnl_request(rtnl, r, msg, NULL, NULL);
	return r == -ESRCH ? 0 : r;
}

/* Deletes what is not wanted, and notes which of the wanted ones are there. */
static int remove_others(struct rtnl *rtnl, const struct route_dump *dump,
			 const struct ip_prefix *wanted, size_t n, bool *present,
			 struct rtnl_changes *changes)
{
	int r;

	for (size_t i = 0; i < dump->n; i++) {
		const struct ip_prefix *match = find(wanted, n, &dump->routes[i].dst);

		if (match && dump->routes[i].as_made) {
			present[match - wanted] = true;
			continue;
		}
		r = remove_route(rtnl, dump->routes[i].object);
		if (r < 0)
			return r;
		changes->removed++;
	}
	return 0;
}

static int make_so(struct rtnl *rtnl, const struct route_dump *dump, const struct ip_prefix *wanted,
		   size_t n, struct rtnl_changes *changes)
{
	_cleanup_free_ bool *present = calloc(n + 1, sizeof(*present));
	int r;

	if (!present)
		return -ENOMEM;
	r = remove_others(rtnl, dump, wanted, n, present, changes);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (present[i])
			continue;
		r = add_route(rtnl, &dump->kind, &wanted[i]);
		if (r == 0)
			changes->added++;
	}
	return r;
}

static int sync_kind(struct rtnl *rtnl, const struct route_kind *kind,
		     const struct ip_prefix *wanted, size_t n, struct rtnl_changes *changes)
{
	struct route_dump dump = { .kind = *kind };
	int r = dump_routes(rtnl, &dump);

	if (r == 0)
		r = make_so(rtnl, &dump, wanted, n, changes);
	forget_routes(&dump, 0);
	free(dump.routes);
	return r;
}

int rtnl_sync_routes(struct rtnl *rtnl, int ifindex, const struct ip_prefix *wanted, size_t n,
		     struct rtnl_changes *changes)
{
	const struct route_kind kind = {
		.protocol = RTNL_PROTOCOL,
		.type = RTN_UNICAST,
		.metric = RTNL_METRIC,
		.ifindex = ifindex,
	};

	return sync_kind(rtnl, &kind, wanted, n, changes);
}

int rtnl_sync_guards(struct rtnl *rtnl, const struct ip_prefix *wanted, size_t n,
		     struct rtnl_changes *changes)
{
	static const struct route_kind kind = {
		.protocol = RTNL_GUARD_PROTOCOL,
		.type = RTN_UNREACHABLE,
		.metric = RTNL_GUARD_METRIC,
	};

	return sync_kind(rtnl, &kind, wanted, n, changes);
}
