#include "agent/link/addresses.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "agent/netlink/nlsock.h"
#include "agent/netlink/nlwatch.h"
#include "common/clock.h"

#define MAX_ADDRESSES 1024u
/* An interface that comes up has its addresses by and by. */
#define SETTLE_USEC (USEC_PER_SEC)

/* ---- which ones ---- */

/* What container and virtual machine managers call interfaces that lead to nobody else. */
static const char *const inner_prefixes[] = {
	"docker", "br-",  "veth",   "virbr", "vnet",  "cni",   "flannel",   "cali",
	"cilium", "kube", "podman", "lxcbr", "lxdbr", "vmnet", "nodelocal", "tailscale",
};

static bool is_inner(const char *ifname)
{
	for (size_t i = 0; i < ARRAY_SIZE(inner_prefixes); i++)
		if (strncmp(ifname, inner_prefixes[i], strlen(inner_prefixes[i])) == 0)
			return true;
	return false;
}

static bool is_private(const struct ip_addr *a)
{
	static const char *const prefixes[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
						"100.64.0.0/10", "fc00::/7" };
	struct ip_prefix prefix;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (ip_prefix_parse(prefixes[i], &prefix) == 0 && ip_prefix_contains(&prefix, a))
			return true;
	return false;
}

/* Order: global IPv4, global IPv6, private ones likewise; then by value, so that it is stable. */
static int compare(const void *pa, const void *pb)
{
	const struct ip_endpoint *a = pa, *b = pb;
	int private_a = is_private(&a->addr), private_b = is_private(&b->addr);

	return private_a != private_b ? private_a - private_b : ip_addr_compare(&a->addr, &b->addr);
}

static bool is_worth_telling(const struct link_address *address, const char *mesh)
{
	return address->up && !address->passing && strcmp(address->ifname, mesh) != 0 &&
	       !is_inner(address->ifname) && !ip_addr_is_special(&address->addr);
}

size_t link_addresses_choose(const struct link_address *addresses, size_t n, const char *mesh,
			     uint16_t port, struct ip_endpoint *endpoints, size_t max)
{
	struct ip_endpoint all[MAX_ADDRESSES];
	size_t n_all = 0, n_chosen = 0;

	for (size_t i = 0; i < n && n_all < MAX_ADDRESSES; i++)
		if (is_worth_telling(&addresses[i], mesh))
			all[n_all++] = (struct ip_endpoint){ addresses[i].addr, port };
	qsort(all, n_all, sizeof(*all), compare);
	for (size_t i = 0; i < n_all && n_chosen < max; i++)
		if (i == 0 || !ip_endpoint_equal(&all[i], &all[i - 1]))
			endpoints[n_chosen++] = all[i];
	return n_chosen;
}

/* ---- what there is ---- */

/* A link that has addresses. */
struct interface {
	int index;
	char name[IFNAMSIZ];
	bool up;
};

struct dump {
	struct interface *interfaces;
	size_t n_interfaces;
	struct link_address *addresses;
	int *indices; /* of the addresses' interfaces */
	size_t n;
};

static void dump_done(struct dump *dump)
{
	free(dump->interfaces);
	free(dump->addresses);
	free(dump->indices);
}

/* One more place in an array. Return: NULL: no memory, or enough of them. */
static void *grow(void **array, size_t n, size_t size)
{
	void *larger;

	if (n >= MAX_ADDRESSES)
		return NULL;
	larger = reallocarray(*array, n + 1, size);
	if (!larger)
		return NULL;
	*array = larger;
	return (char *)larger + n * size;
}

static int on_link(const struct nlmsghdr *nlh, void *userdata)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	struct dump *dump = userdata;
	struct interface *interface;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return 0;
	interface = grow((void **)&dump->interfaces, dump->n_interfaces, sizeof(*interface));
	if (!interface)
		return dump->n_interfaces >= MAX_ADDRESSES ? 0 : -ENOMEM;
	*interface = (struct interface){ .index = info->ifi_index,
					 .up = info->ifi_flags & IFF_UP &&
					       !(info->ifi_flags & IFF_LOOPBACK) };
	mnl_attr_for_each(attr, nlh, sizeof(*info)) if (mnl_attr_get_type(attr) == IFLA_IFNAME)
		strncpy(interface->name, mnl_attr_get_str(attr), sizeof(interface->name) - 1);
	dump->n_interfaces++;
	return 0;
}

/* IFA_LOCAL is this end of a point-to-point link; IPv6 has IFA_ADDRESS only. */
static bool read_address(const struct nlmsghdr *nlh, const struct ifaddrmsg *info,
			 struct link_address *ret_address)
{
	const void *bytes = NULL, *local = NULL;
	size_t len = info->ifa_family == AF_INET ? 4 : 16;
	uint32_t flags = info->ifa_flags;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		bool whole = mnl_attr_get_payload_len(attr) >= len;

		if (mnl_attr_get_type(attr) == IFA_LOCAL && whole)
			local = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS && whole)
			bytes = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_FLAGS &&
			 mnl_attr_get_payload_len(attr) >= sizeof(flags))
			flags = mnl_attr_get_u32(attr);
	}
	if (local)
		bytes = local;
	if (!bytes)
		return false;
	*ret_address = (struct link_address){
		.passing = flags &
			   (IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED),
		.addr = { .family = info->ifa_family },
	};
	memcpy(ret_address->addr.bytes, bytes, len);
	return true;
}

static int on_address(const struct nlmsghdr *nlh, void *userdata)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(nlh);
	struct dump *dump = userdata;
	struct link_address address, *place;
	size_t n = dump->n;
	int *index;

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    !read_address(nlh, info, &address) || n >= MAX_ADDRESSES)
		return 0;
	place = grow((void **)&dump->addresses, n, sizeof(*place));
	index = grow((void **)&dump->indices, n, sizeof(*index));
	if (!place || !index)
		return -ENOMEM;
	*place = address;
	*index = (int)info->ifa_index;
	dump->n++;
	return 0;
}

static void restart_links(void *userdata)
{
	struct dump *dump = userdata;

	dump->n_interfaces = 0;
}

static void restart_addresses(void *userdata)
{
	struct dump *dump = userdata;

	dump->n = 0;
}

static int ask(struct nlsock *sock, uint16_t type, nlsock_answer_fn fn,
	       void (*restart)(void *userdata), struct dump *dump)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtgenmsg *gen;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	/* The longer of the two heads: what is left of it is zero. */
	gen = mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	gen->rtgen_family = AF_UNSPEC;
	return nlsock_request(sock, nlh, fn, restart, dump);
}

static void name_interfaces(struct dump *dump)
{
	for (size_t i = 0; i < dump->n; i++) {
		for (size_t j = 0; j < dump->n_interfaces; j++) {
			const struct interface *interface = &dump->interfaces[j];

			if (interface->index != dump->indices[i])
				continue;
			memcpy(dump->addresses[i].ifname, interface->name, IFNAMSIZ);
			dump->addresses[i].up = interface->up;
		}
	}
}

int link_addresses_read(struct link_address **ret_addresses, size_t *ret_n)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	_cleanup_(dump_done) struct dump dump = { 0 };
	int r;

	r = nlsock_open(NETLINK_ROUTE, &sock);
	if (r == 0)
		r = ask(sock, RTM_GETLINK, on_link, restart_links, &dump);
	if (r == 0)
		r = ask(sock, RTM_GETADDR, on_address, restart_addresses, &dump);
	if (r < 0)
		return r;
	name_interfaces(&dump);
	*ret_addresses = take_ptr(dump.addresses);
	*ret_n = dump.n;
	return 0;
}

/* ---- news ---- */

struct link_addresses {
	struct nlwatch *news;
	sd_event_source *timer;
	void (*fn)(void *userdata);
	void *userdata;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct link_addresses *watch = userdata;

	watch->fn(watch->userdata);
	return 0;
}

/* Not put off by what follows: a host whose addresses never rest tells of them all the same. */
static void on_news(void *userdata)
{
	struct link_addresses *watch = userdata;
	int enabled = SD_EVENT_OFF;

	if (sd_event_source_get_enabled(watch->timer, &enabled) >= 0 && enabled != SD_EVENT_OFF)
		return;
	if (sd_event_source_set_time_relative(watch->timer, SETTLE_USEC) >= 0)
		(void)sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static void on_message(const struct nlmsghdr *nlh, void *userdata)
{
}

int link_addresses_watch(sd_event *event, void (*fn)(void *userdata), void *userdata,
			 struct link_addresses **ret_watch)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };
	_cleanup_(link_addresses_freep) struct link_addresses *watch = calloc(1, sizeof(*watch));
	const struct nlwatch_handler handler = {
		.message = on_message,
		.lost = on_news,
		.settled = on_news,
		.userdata = watch,
	};
	int r;

	if (!watch)
		return -ENOMEM;
	watch->fn = fn;
	watch->userdata = userdata;
	r = sd_event_add_time(event, &watch->timer, CLOCK_MONOTONIC, 0, 0, on_timer, watch);
	if (r >= 0)
		r = sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = nlwatch_new(event, NETLINK_ROUTE, groups, ARRAY_SIZE(groups), NULL, &handler,
				&watch->news);
	if (r < 0)
		return r;
	*ret_watch = take_ptr(watch);
	return 0;
}

struct link_addresses *link_addresses_free(struct link_addresses *watch)
{
	if (!watch)
		return NULL;
	nlwatch_free(watch->news);
	sd_event_source_disable_unref(watch->timer);
	free(watch);
	return NULL;
}
