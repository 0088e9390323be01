#include "agent/rtnl/watch.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

struct rtnl_watch {
	struct nlwatch *news;
	char ifname[IFNAMSIZ];
	int ifindex; /* 0: no link yet */
	uint32_t own_portid;
	void (*fn)(void *userdata, const char *what);
	void *userdata;
};

static bool has_our_name(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg)) if (
		mnl_attr_get_type(attr) ==
		IFLA_IFNAME) return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		strcmp(mnl_attr_get_str(attr), watch->ifname) == 0;
	return false;
}

static const char *link_change(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*info) || info->ifi_family != AF_UNSPEC ||
	    (info->ifi_index != watch->ifindex && !has_our_name(watch, nlh)))
		return NULL;
	if (nlh->nlmsg_type == RTM_DELLINK)
		return "the link was deleted";
	return "the link was changed";
}

static const char *address_change(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *addr = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*addr) || watch->ifindex == 0 ||
	    addr->ifa_index != (uint32_t)watch->ifindex)
		return NULL;
	return "the link's addresses were changed";
}

static const char *classify(const struct nlmsghdr *nlh, void *userdata)
{
	const struct rtnl_watch *watch = userdata;

	if (nlh->nlmsg_pid == watch->own_portid)
		return NULL;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_change(watch, nlh);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return address_change(watch, nlh);
	}
	return NULL;
}

static void notify(void *userdata, const char *what)
{
	struct rtnl_watch *watch = userdata;

	watch->fn(watch->userdata, what);
}

int rtnl_watch_new(sd_event *event, const char *ifname, uint32_t own_portid,
		   void (*fn)(void *userdata, const char *what), void *userdata,
		   struct rtnl_watch **ret_watch)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };
	_cleanup_(rtnl_watch_freep) struct rtnl_watch *watch = calloc(1, sizeof(*watch));
	struct nlwatch_handler handler = {
		.classify = classify,
		.notify = notify,
		.lost = "news of the link were lost",
		.userdata = watch,
	};
	int r;

	if (!watch)
		return -ENOMEM;
	strncpy(watch->ifname, ifname, sizeof(watch->ifname) - 1);
	watch->own_portid = own_portid;
	watch->fn = fn;
	watch->userdata = userdata;
	r = nlwatch_new(event, NETLINK_ROUTE, groups, ARRAY_SIZE(groups), &handler, &watch->news);
	if (r < 0)
		return r;
	*ret_watch = take_ptr(watch);
	return 0;
}

struct rtnl_watch *rtnl_watch_free(struct rtnl_watch *watch)
{
	if (!watch)
		return NULL;
	watch->news = nlwatch_free(watch->news);
	free(watch);
	return NULL;
}

void rtnl_watch_set_ifindex(struct rtnl_watch *watch, int ifindex)
{
	watch->ifindex = ifindex;
}
