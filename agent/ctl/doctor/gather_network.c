/* Links, routes, sockets and knobs of this network namespace, as anybody may see them. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>

#include "agent/ctl/doctor/doctor.h"
#include "agent/netlink/nlsock.h"
#include "common/cli/value.h"
#include "common/file.h"
#include "common/text.h"

#define PROC_MAX (16u << 20) /* bytes: a hundred thousand sockets */

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t len;

	return file_read(AT_FDCWD, path, PROC_MAX, &text, &len) == 0 ? text : NULL;
}

/* Return: -1 if there is no such number to be read. */
static int64_t read_number(const char *path)
{
	_cleanup_free_ char *text = read_text(path);
	int64_t value;

	return text && sscanf(text, "%" SCNd64, &value) == 1 ? value : -1;
}

static int read_mtu(const char *link)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };

	strncpy(req.ifr_name, link, sizeof(req.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &req) < 0)
		return 0;
	return req.ifr_mtu;
}

/* The kernel takes the stricter of both: Documentation/networking/ip-sysctl.rst. */
static int read_conf(const char *link, const char *knob)
{
	_cleanup_free_ char *all = text_printf("/proc/sys/net/ipv4/conf/all/%s", knob);
	_cleanup_free_ char *own = text_printf("/proc/sys/net/ipv4/conf/%s/%s", link, knob);
	int64_t a = all ? read_number(all) : -1, b = own ? read_number(own) : -1;

	return (int)(a > b ? a : b);
}

/* "eth0	00000000	0102A8C0	0003 ...": the first route to everywhere. */
static void read_default(struct doctor_facts *facts)
{
	_cleanup_free_ char *text = read_text("/proc/net/route");
	const char *line = text;

	while (line && (line = strchr(line, '\n'))) {
		char device[IFNAMSIZ];
		unsigned dst, mask;

		line++;
		if (sscanf(line, "%15s %x %*x %*x %*d %*d %*d %x", device, &dst, &mask) != 3 ||
		    dst != 0 || mask != 0)
			continue;
		strcpy(facts->default_device, device);
		facts->default_index = if_nametoindex(device);
		return;
	}
}

/* ---- routes ---- */

static int take_route(const struct nlmsghdr *nlh, void *userdata)
{
	struct doctor_route *route = userdata;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return 0;
	mnl_attr_for_each(attr, nlh, sizeof(struct rtmsg))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 &&
		    !if_indextoname(mnl_attr_get_u32(attr), route->device))
			route->device[0] = '\0';
	}
	return 0;
}

/* What "ip route get" asks: all rules and tables are looked at. */
static void ask_route(struct nlsock *sock, struct doctor_route *route)
{
	size_t len = ip_addr_len(&route->addr);
	struct nlmsghdr *nlh;
	struct rtmsg *rtm;
	char buf[128];

	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)route->addr.family;
	rtm->rtm_dst_len = (unsigned char)(len * 8);
	mnl_attr_put(nlh, RTA_DST, len, route->addr.bytes);
	if (nlsock_request(sock, nlh, take_route, NULL, route) < 0)
		route->device[0] = '\0';
}

static void add_peer_routes(struct doctor_facts *facts, struct nlsock *sock, const json_t *node)
{
	const json_t *addresses = json_object_get(node, "addresses");

	if (json_is_true(json_object_get(node, "keyExpired")))
		return;
	for (size_t i = 0; i < json_array_size(addresses); i++) {
		struct doctor_route route = { .peer = value_text(node, "nodeName") };
		const char *text = json_string_value(json_array_get(addresses, i));

		if (facts->n_routes == DOCTOR_MAX_ROUTES || !text ||
		    ip_addr_parse(text, &route.addr) < 0)
			continue;
		ask_route(sock, &route);
		facts->routes[facts->n_routes++] = route;
	}
}

static void ask_routes(struct doctor_facts *facts)
{
	const json_t *peers = json_object_get(facts->peers, "peers");
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;

	facts->routes = calloc(DOCTOR_MAX_ROUTES, sizeof(*facts->routes));
	if (!facts->routes || nlsock_open(NETLINK_ROUTE, &sock) < 0)
		return;
	for (size_t i = 0; i < json_array_size(peers); i++)
		add_peer_routes(facts, sock, json_object_get(json_array_get(peers, i), "node"));
}

static void list_links(struct doctor_facts *facts)
{
	const char *mesh = doctor_link_name(facts);
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *one = all; one && facts->n_links < DOCTOR_MAX_LINKS;
	     one = one->ifa_next) {
		struct doctor_link *link = &facts->links[facts->n_links];
		struct ip_endpoint ep;
		socklen_t len;

		if (!one->ifa_addr || strcmp(one->ifa_name, mesh) == 0)
			continue;
		len = one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6);
		if (ip_endpoint_from_sockaddr(one->ifa_addr, len, &ep) < 0)
			continue;
		strncpy(link->name, one->ifa_name, sizeof(link->name) - 1);
		link->addr = ep.addr;
		facts->n_links++;
	}
	freeifaddrs(all);
}

/* Whoever keeps the clock (timesyncd, chrony, ntpd) tells the kernel: adjtimex(2). */
static bool clock_is_synced(void)
{
	struct timex tx = { .modes = 0 };
	int state = adjtimex(&tx);

	return state >= 0 && state != TIME_ERROR && !(tx.status & STA_UNSYNC);
}

void doctor_gather_network(struct doctor_facts *facts)
{
	const char *link = doctor_link_name(facts);
	int64_t count, max;

	facts->mesh_index = if_nametoindex(link);
	facts->mtu = read_mtu(link);
	facts->rp_filter = read_conf(link, "rp_filter");
	facts->src_valid_mark = read_conf(link, "src_valid_mark");
	count = read_number("/proc/sys/net/netfilter/nf_conntrack_count");
	max = read_number("/proc/sys/net/netfilter/nf_conntrack_max");
	facts->conntrack_count = count > 0 ? (uint64_t)count : 0;
	facts->conntrack_max = max > 0 ? (uint64_t)max : 0;
	facts->udp = read_text("/proc/net/udp");
	facts->udp6 = read_text("/proc/net/udp6");
	facts->tcp = read_text("/proc/net/tcp");
	facts->tcp6 = read_text("/proc/net/tcp6");
	facts->legacy_tables = read_text("/proc/net/ip_tables_names");
	if (facts->legacy_tables && facts->legacy_tables[0] == '\0') {
		free(facts->legacy_tables);
		facts->legacy_tables = NULL;
	}
	facts->clock_synced = clock_is_synced();
	read_default(facts);
	ask_routes(facts);
	list_links(facts);
}
