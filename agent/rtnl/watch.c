#include "agent/rtnl/watch.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "agent/rtnl/rtnl.h"

#define MAX_PID (1u << 22) /* PID_MAX_LIMIT */

struct rtnl_watch {
	struct nlwatch *news;
	char ifname[IFNAMSIZ];
	int ifindex; /* 0: no link yet */
	uint32_t own_portid;
	void (*fn)(void *userdata, const char *what);
	void *userdata;
	char what[160];	 /* not told yet; "": nothing */
	bool about_link; /* what is: the rest goes along with that */
};

static const char *link_name(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(
		attr, nlh,
		sizeof(struct ifinfomsg)) if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
					      mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >=
						      0) return mnl_attr_get_str(attr);
	return "";
}

static const char *link_change(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	bool ours, named;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*info) || info->ifi_family != AF_UNSPEC)
		return NULL;
	ours = info->ifi_index == watch->ifindex;
	named = strcmp(link_name(nlh), watch->ifname) == 0;
	if (!ours && !named)
		return NULL;
	if (nlh->nlmsg_type == RTM_DELLINK)
		return "was deleted";
	if (!named)
		return "was renamed";
	if (ours && !(info->ifi_flags & IFF_UP))
		return "was taken down";
	return "was changed";
}

static const char *address_change(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *addr = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*addr) || watch->ifindex == 0 ||
	    addr->ifa_index != (uint32_t)watch->ifindex)
		return NULL;
	return nlh->nlmsg_type == RTM_DELADDR ? "lost an address" : "got an address";
}

static bool has_our_metric(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct rtmsg))
	{
		if (mnl_attr_get_type(attr) == RTA_PRIORITY &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			return mnl_attr_get_u32(attr) == RTNL_METRIC ||
			       mnl_attr_get_u32(attr) == RTNL_GUARD_METRIC;
	}
	return false;
}

/* A route that replaces one of ours is told without a word of the other. */
static const char *route_change(const struct nlmsghdr *nlh)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*route))
		return NULL;
	if (route->rtm_protocol != RTNL_PROTOCOL && route->rtm_protocol != RTNL_GUARD_PROTOCOL)
		return nlh->nlmsg_flags & NLM_F_REPLACE && has_our_metric(nlh)
			       ? "lost a route to another"
			       : NULL;
	return nlh->nlmsg_type == RTM_DELROUTE ? "lost a route" : "got a route";
}

static const char *classify(const struct rtnl_watch *watch, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_pid == watch->own_portid)
		return NULL;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_change(watch, nlh);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return address_change(watch, nlh);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_change(nlh);
	}
	return NULL;
}

/*
 * The kernel tells the port of the socket that asked for a change. A program's first socket has the
 * number of its process, as a rule.
 */
static bool maybe_process(uint32_t portid)
{
	return portid > 0 && portid <= MAX_PID && (kill((pid_t)portid, 0) == 0 || errno == EPERM);
}

static void on_message(const struct nlmsghdr *nlh, void *userdata)
{
	struct rtnl_watch *watch = userdata;
	const char *change = classify(watch, nlh);
	bool about_link = nlh->nlmsg_type == RTM_NEWLINK || nlh->nlmsg_type == RTM_DELLINK;

	if (!change || (watch->about_link && !about_link))
		return;
	watch->about_link = about_link;
	if (maybe_process(nlh->nlmsg_pid))
		snprintf(watch->what, sizeof(watch->what), "link %s %s, perhaps by process %u",
			 watch->ifname, change, nlh->nlmsg_pid);
	else
		snprintf(watch->what, sizeof(watch->what), "link %s %s", watch->ifname, change);
}

static void on_lost(void *userdata)
{
	struct rtnl_watch *watch = userdata;

	snprintf(watch->what, sizeof(watch->what), "news of link %s were lost", watch->ifname);
}

static void on_settled(void *userdata)
{
	struct rtnl_watch *watch = userdata;
	char what[sizeof(watch->what)];

	if (!watch->what[0])
		return;
	memcpy(what, watch->what, sizeof(what));
	watch->what[0] = '\0';
	watch->about_link = false;
	watch->fn(watch->userdata, what);
}

/*
 * A host that speaks BGP changes routes by the thousand: those of other protocols do not wake us,
 * unless they have replaced one. (Each news of a route is a message of its own.)
 */
#define LOAD_TYPE  BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type))
#define LOAD_FLAGS BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags))
#define LOAD_PROTOCOL \
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define IF_ANY(bits, yes, no)	 BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (yes), (no))

static int open_news(struct rtnl_watch *watch, sd_event *event)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE };
	/* Loaded as big-endian; netlink's are the host's. */
	struct sock_filter code[] = {
		LOAD_TYPE,
		IF_EQUAL(htons(RTM_NEWROUTE), 1, 0),
		IF_EQUAL(htons(RTM_DELROUTE), 0, 5),
		LOAD_PROTOCOL,
		IF_EQUAL(RTNL_PROTOCOL, 3, 0),
		IF_EQUAL(RTNL_GUARD_PROTOCOL, 2, 0),
		LOAD_FLAGS,
		IF_ANY(htons(NLM_F_REPLACE), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };
	const struct nlwatch_handler handler = {
		.message = on_message,
		.lost = on_lost,
		.settled = on_settled,
		.userdata = watch,
	};

	return nlwatch_new(event, NETLINK_ROUTE, groups, ARRAY_SIZE(groups), &filter, &handler,
			   &watch->news);
}

int rtnl_watch_new(sd_event *event, const char *ifname, uint32_t own_portid,
		   void (*fn)(void *userdata, const char *what), void *userdata,
		   struct rtnl_watch **ret_watch)
{
	_cleanup_(rtnl_watch_freep) struct rtnl_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	strncpy(watch->ifname, ifname, sizeof(watch->ifname) - 1);
	watch->own_portid = own_portid;
	watch->fn = fn;
	watch->userdata = userdata;
	r = open_news(watch, event);
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
