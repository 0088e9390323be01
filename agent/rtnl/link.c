#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/route/link.h>
#include <string.h>

#include "agent/kernel/link_mark.h"
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

struct link_search {
	bool any;    /* whichever comes */
	int ifindex; /* of WireGuard's: with our alias, or this one */
	bool found;
	struct rtnl_link_state state;
};

static void on_object(struct nl_object *object, void *userdata)
{
	struct link_search *search = userdata;
	struct rtnl_link_state state;

	describe((struct rtnl_link *)object, &state);
	if (search->found || !(search->any || (state.wireguard &&
					       (state.marked || state.ifindex == search->ifindex))))
		return;
	search->found = true;
	search->state = state;
}

static int on_link(const struct nlmsghdr *nlh, void *userdata)
{
	int r = nlh->nlmsg_type == RTM_NEWLINK ? rtnl_read_object(nlh, on_object, userdata) : 0;

	/* There are links of all kinds. */
	return r == -ENOMEM ? r : 0;
}

static void begin_anew(void *userdata)
{
	struct link_search *search = userdata;

	search->found = false;
}

int rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state)
{
	struct link_search search = { .any = true };
	struct nl_msg *msg = NULL;
	int r;

	r = rtnl_link_build_get_request(0, ifname, &msg);
	r = rtnl_request(rtnl, r, msg, on_link, &search);
	if (r < 0)
		return r;
	if (!search.found)
		return -EBADMSG;
	*ret_state = search.state;
	return 0;
}

int rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state)
{
	static const struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	struct link_search search = { .ifindex = ifindex };
	int r;

	r = rtnl_dump(rtnl, &(struct rtnl_dump){ RTM_GETLINK, &header, sizeof(header), on_link,
						 begin_anew, &search });
	if (r < 0)
		return r;
	if (!search.found)
		return -ENODEV;
	*ret_state = search.state;
	return 0;
}

/* Change what "wanted" has set of the link that "ifindex" is. wanted is consumed. */
static int change_link(struct rtnl *rtnl, int ifindex, struct rtnl_link *wanted)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *msg = NULL;
	int r = -ENOMEM;

	if (link) {
		rtnl_link_set_ifindex(link, ifindex);
		r = rtnl_link_build_change_request(link, wanted, 0, &msg);
		r = rtnl_request(rtnl, r, msg, NULL, NULL);
		rtnl_link_put(link);
	}
	rtnl_link_put(wanted);
	return r;
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
	struct nl_msg *msg = NULL;
	int r;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_name(link, ifname);
	rtnl_link_set_mtu(link, mtu);
	rtnl_link_set_group(link, LINK_GROUP);
	r = rtnl_link_set_type(link, "wireguard");
	if (r == 0)
		r = rtnl_link_build_add_request(link, NLM_F_CREATE | NLM_F_EXCL, &msg);
	r = rtnl_request(rtnl, r, msg, NULL, NULL);
	rtnl_link_put(link);
	return r;
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

	if (!wanted)
		return -ENOMEM;
	if (up)
		rtnl_link_set_flags(wanted, IFF_UP);
	else
		rtnl_link_unset_flags(wanted, IFF_UP);
	return change_link(rtnl, ifindex, wanted);
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
	struct nl_msg *msg = NULL;
	int r;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, ifindex);
	r = rtnl_link_build_delete_request(link, &msg);
	r = rtnl_request(rtnl, r, msg, NULL, NULL);
	rtnl_link_put(link);
	return r;
}
