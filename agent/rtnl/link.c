#include <errno.h>
#include <netlink/errno.h>
#include <netlink/route/link.h>
#include <string.h>

#include "agent/link_mark.h"
#include "agent/rtnl/internal.h"

static void describe(struct rtnl_link *link, struct rtnl_link_state *ret_state)
{
	const char *type = rtnl_link_get_type(link), *alias = rtnl_link_get_ifalias(link);
	const char *name = rtnl_link_get_name(link);

	*ret_state = (struct rtnl_link_state){
		.ifindex = rtnl_link_get_ifindex(link),
		.wireguard = type && strcmp(type, "wireguard") == 0,
		.marked = alias && strcmp(alias, LINK_ALIAS) == 0,
		.grouped = rtnl_link_get_group(link) == LINK_GROUP,
		.up = rtnl_link_get_flags(link) & IFF_UP,
		.mtu = rtnl_link_get_mtu(link),
	};
	if (name)
		strncpy(ret_state->name, name, sizeof(ret_state->name) - 1);
}

int rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state)
{
	struct rtnl_link *link = NULL;
	int r;

	r = rtnl_link_get_kernel(rtnl->sock, 0, ifname, &link);
	if (r == -NLE_OBJ_NOTFOUND)
		return -ENODEV;
	if (r < 0)
		return rtnl_errno(r);
	describe(link, ret_state);
	rtnl_link_put(link);
	return 0;
}

static bool pick(struct nl_cache *links, int ifindex, struct rtnl_link_state *ret_state)
{
	struct rtnl_link_state state;

	for (struct nl_object *object = nl_cache_get_first(links); object;
	     object = nl_cache_get_next(object)) {
		describe((struct rtnl_link *)object, &state);
		if (!state.wireguard || !(state.marked || state.ifindex == ifindex))
			continue;
		*ret_state = state;
		return true;
	}
	return false;
}

int rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state)
{
	struct nl_cache *links = NULL;
	int r = -NLE_DUMP_INTR;

	for (int i = 0; i < RTNL_DUMP_ATTEMPTS && r == -NLE_DUMP_INTR; i++)
		r = rtnl_link_alloc_cache(rtnl->sock, AF_UNSPEC, &links);
	if (r < 0)
		return rtnl_errno(r);
	r = pick(links, ifindex, ret_state) ? 0 : -ENODEV;
	nl_cache_free(links);
	return r;
}

/* Change what "wanted" has set of the link that "ifindex" is. wanted is consumed. */
static int change_link(struct rtnl *rtnl, int ifindex, struct rtnl_link *wanted)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int r = -NLE_NOMEM;

	if (link) {
		rtnl_link_set_ifindex(link, ifindex);
		r = rtnl_link_change(rtnl->sock, link, wanted, 0);
		rtnl_link_put(link);
	}
	rtnl_link_put(wanted);
	return rtnl_errno(r);
}

int rtnl_mark_link(struct rtnl *rtnl, int ifindex)
{
	struct rtnl_link *wanted = rtnl_link_alloc();

	if (!wanted)
		return -ENOMEM;
	rtnl_link_set_ifalias(wanted, LINK_ALIAS);
	return change_link(rtnl, ifindex, wanted);
}

int rtnl_group_link(struct rtnl *rtnl, int ifindex)
{
	struct rtnl_link *wanted = rtnl_link_alloc();

	if (!wanted)
		return -ENOMEM;
	rtnl_link_set_group(wanted, LINK_GROUP);
	return change_link(rtnl, ifindex, wanted);
}

static int add_link(struct rtnl *rtnl, const char *ifname, unsigned mtu)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int r;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_name(link, ifname);
	rtnl_link_set_mtu(link, mtu);
	rtnl_link_set_group(link, LINK_GROUP);
	r = rtnl_link_set_type(link, "wireguard");
	if (r == 0)
		r = rtnl_link_add(rtnl->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	return rtnl_errno(r);
}

int rtnl_create_link(struct rtnl *rtnl, const char *ifname, unsigned mtu)
{
	struct rtnl_link_state state;
	int r;

	r = add_link(rtnl, ifname, mtu);
	if (r == 0)
		r = rtnl_get_link(rtnl, ifname, &state);
	if (r == 0)
		r = rtnl_mark_link(rtnl, state.ifindex);
	return r;
}

int rtnl_set_link_up(struct rtnl *rtnl, int ifindex, bool up)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	int r;

	if (!wanted)
		return -ENOMEM;
	if (up)
		rtnl_link_set_flags(wanted, IFF_UP);
	else
		rtnl_link_unset_flags(wanted, IFF_UP);
	r = change_link(rtnl, ifindex, wanted);
	/* libnl has one number for both, and nothing "exists" here. */
	return r == -EEXIST ? -EADDRINUSE : r;
}

int rtnl_set_link_mtu(struct rtnl *rtnl, int ifindex, unsigned mtu)
{
	struct rtnl_link *wanted = rtnl_link_alloc();

	if (!wanted)
		return -ENOMEM;
	rtnl_link_set_mtu(wanted, mtu);
	return change_link(rtnl, ifindex, wanted);
}

int rtnl_rename_link(struct rtnl *rtnl, int ifindex, const char *ifname)
{
	struct rtnl_link *wanted = rtnl_link_alloc();

	if (!wanted)
		return -ENOMEM;
	rtnl_link_set_name(wanted, ifname);
	return change_link(rtnl, ifindex, wanted);
}

int rtnl_delete_link(struct rtnl *rtnl, int ifindex)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int r;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, ifindex);
	r = rtnl_link_delete(rtnl->sock, link);
	rtnl_link_put(link);
	return rtnl_errno(r);
}
