/*
 * What the table does to packets: hosts are network namespaces, a veth pair named mesh0 stands in
 * for WireGuard, which to nftables is only a name and a group. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/filter/compile.h"
#include "agent/kernel/link_mark.h"
#include "agent/kernel/revoke.h"
#include "agent/netlink/nlsock.h"
#include "agent/nft/nft.h"
#include "common/text.h"

#define NOW	  1795564800000000u
#define EXIT_SKIP 77
#define SOON	  400 /* ms: what does not arrive until then was dropped */
#define PATIENCE  5000

#define SERVER	"100.64.0.1"
#define SERVER6 "fd00:1::1"
#define LAPTOP	"100.64.0.2"
#define LAPTOP6 "fd00:1::2"
#define DESKTOP "100.64.0.3"
#define SENSOR	"10.1.0.5" /* behind a subnet router */

/* 02:00:00:00:00:02, of the server on the LAN */
#define LAN_MAC                  \
	{                        \
		2, 0, 0, 0, 0, 2 \
	}

static int server_ns = -1, peers_ns = -1, lan_ns = -1;

static const char map_template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\","
	"            \"addresses\": [\"" SERVER "\", \"" SERVER6 "\"], \"ssh\": true},"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\","
	"            \"fd00:1::/48\"]},"
	" \"peers\": ["
	"  {\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"" LAPTOP "\", \"" LAPTOP6 "\"],"
	"   \"node_key\": \"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": [\"" DESKTOP "\"],"
	"   \"node_key\": \"M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"},"
	"  {\"id\": \"n4\", \"name\": \"router\", \"addresses\": [\"100.64.0.4\"],"
	"   \"node_key\": \"NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"routes\": [\"10.1.0.0/16\"]}],"
	" \"packet_filter\": [%s], \"ssh_rules\": []}";

#define RULE(src, dst, ports, rest) \
	"{\"src\": [\"" src "\"], \"dst\": [{\"ip\": \"" dst "\", \"ports\": [" ports "]}]" rest "}"
#define SSH_RULES                                          \
	RULE(LAPTOP, SERVER, "22, 22", ", \"proto\": [6]") \
	"," RULE(LAPTOP6, SERVER6, "22, 22", ", \"proto\": [6]")
#define WEB_RULES RULE(LAPTOP, SERVER, "80, 80", "") "," RULE(LAPTOP6, SERVER6, "80, 80", "")

static struct filter_table *compile(const char *filter)
{
	_cleanup_free_ char *text = text_printf(map_template, filter), *error = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct filter_table *table = NULL;

	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s: %s", filter, error);
	assert_int_equal(filter_compile(map, NOW, &table, &error), 0);
	return table;
}

/* Returns the table that was in force before. */
static struct filter_table *apply(const char *filter)
{
	const struct nft_config config = { .ifname = "mesh0", .gateway_port = 2022 };
	_cleanup_(nft_freep) struct nft *nft = NULL;
	struct filter_table *old = NULL;
	_cleanup_free_ char *error = NULL;
	struct nft_changes changes;

	assert_int_equal(nft_open(NULL, &config, &nft), 0);
	if (nft_apply(nft, compile(filter), true, &changes, &old, &error) < 0)
		fail_msg("%s", error);
	return old;
}

static void use_filter(const char *filter)
{
	filter_table_free(apply(filter));
}

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		fail_msg("setns: %s", strerror(errno));
}

static void run(int ns, const char *fmt, ...) _printf_(2, 3);
static void run(int ns, const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	enter(ns);
	if (system(command) != 0)
		fail_msg("%s", command);
	enter(server_ns);
}

static struct ip_endpoint endpoint(const char *addr, uint16_t port)
{
	struct ip_endpoint ep = { .port = port };

	assert_int_equal(ip_addr_parse(addr, &ep.addr), 0);
	return ep;
}

static int open_socket(int ns, int type, const char *addr, uint16_t port, bool transparent)
{
	struct ip_endpoint ep = endpoint(addr, port);
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&ep, &ss);
	bool v4 = ep.addr.family == AF_INET;
	int fd, on = 1;

	enter(ns);
	fd = socket(ep.addr.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enter(server_ns);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!v4)
		setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (transparent)
		assert_int_equal(setsockopt(fd, v4 ? SOL_IP : SOL_IPV6,
					    v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
					    sizeof(on)),
				 0);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		fail_msg("bind %s %u: %s", addr, port, strerror(errno));
	return fd;
}

static int listen_at(int ns, const char *addr, uint16_t port, bool transparent)
{
	int fd = open_socket(ns, SOCK_STREAM, addr, port, transparent);

	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static bool wait_for(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) > 0;
}

/* *ret_fd: connected. Return: 0, ECONNREFUSED and the like, ETIMEDOUT: no answer. */
static int dial(int ns, const char *from, const char *to, uint16_t port, int *ret_fd)
{
	struct ip_endpoint ep = endpoint(to, port);
	_cleanup_close_ int fd = open_socket(ns, SOCK_STREAM, from, 0, false);
	struct sockaddr_storage ss;
	int error = 0;
	socklen_t len = ip_endpoint_to_sockaddr(&ep, &ss), error_len = sizeof(error);

	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return errno;
	if (!wait_for(fd, POLLOUT, SOON))
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
	if (error == 0 && ret_fd)
		*ret_fd = take_fd(&fd);
	return error;
}

static int accept_now(int listener)
{
	return wait_for(listener, POLLIN, SOON) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

static bool arrives(int from, int to, int ms)
{
	char buf[16];

	assert_int_equal(send(from, "hello", 5, MSG_NOSIGNAL), 5);
	return wait_for(to, POLLIN, ms) && recv(to, buf, sizeof(buf), MSG_DONTWAIT) == 5;
}

/* A connection from the laptop to the server's port 80. */
static void connect_web(const char *from, const char *to, int *ret_client, int *ret_server)
{
	_cleanup_close_ int listener = listen_at(server_ns, to, 80, false);

	assert_int_equal(dial(peers_ns, from, to, 80, ret_client), 0);
	*ret_server = accept_now(listener);
	assert_true(*ret_server >= 0);
	assert_true(arrives(*ret_client, *ret_server, SOON));
	assert_true(arrives(*ret_server, *ret_client, SOON));
}

static bool datagram_arrives(int from_ns, const char *from, int to_ns, const char *to)
{
	_cleanup_close_ int sender = open_socket(from_ns, SOCK_DGRAM, from, 0, false);
	_cleanup_close_ int receiver = open_socket(to_ns, SOCK_DGRAM, to, 99, false);
	struct ip_endpoint ep = endpoint(to, 99);
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&ep, &ss);

	assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&ss, len), 1);
	return wait_for(receiver, POLLIN, SOON);
}

struct services {
	int gateway4, gateway6, sshd4, sshd6;
};

static struct services start_services(void)
{
	return (struct services){
		.gateway4 = listen_at(server_ns, "127.0.0.1", 2022, true),
		.gateway6 = listen_at(server_ns, "::1", 2022, true),
		.sshd4 = listen_at(server_ns, "0.0.0.0", 22, false),
		.sshd6 = listen_at(server_ns, "::", 22, false),
	};
}

static void stop_services(struct services *services)
{
	services->gateway4 = close_fd(services->gateway4);
	services->gateway6 = close_fd(services->gateway6);
	services->sshd4 = close_fd(services->sshd4);
	services->sshd6 = close_fd(services->sshd6);
}

static void assert_accepts_as(int listener, const char *addr, uint16_t port)
{
	_cleanup_close_ int fd = accept_now(listener);
	struct ip_endpoint expected = endpoint(addr, port), local;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &local), 0);
	assert_true(ip_endpoint_equal(&local, &expected));
}

static void test_ssh_goes_to_the_gateway(void **state)
{
	struct services s = start_services();

	use_filter(SSH_RULES);
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 22, NULL), 0);
	assert_accepts_as(s.gateway4, SERVER, 22);
	assert_int_equal(dial(peers_ns, LAPTOP6, SERVER6, 22, NULL), 0);
	assert_accepts_as(s.gateway6, SERVER6, 22);
	/* No right: no answer, though the gateway listens. */
	assert_int_equal(dial(peers_ns, DESKTOP, SERVER, 22, NULL), ETIMEDOUT);
	/* The gateway's own port is nobody's. */
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 2022, NULL), ETIMEDOUT);
	assert_int_equal(accept_now(s.gateway4), -1);
	assert_int_equal(accept_now(s.sshd4), -1);
	assert_int_equal(accept_now(s.sshd6), -1);
	stop_services(&s);
}

static void test_no_gateway_no_answer(void **state)
{
	struct services s = start_services();

	use_filter(SSH_RULES);
	s.gateway4 = close_fd(s.gateway4);
	s.gateway6 = close_fd(s.gateway6);
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 22, NULL), ETIMEDOUT);
	assert_int_equal(dial(peers_ns, LAPTOP6, SERVER6, 22, NULL), ETIMEDOUT);
	assert_int_equal(accept_now(s.sshd4), -1);
	assert_int_equal(accept_now(s.sshd6), -1);
	stop_services(&s);
}

static void test_other_interfaces(void **state)
{
	struct services s = start_services();

	use_filter(SSH_RULES "," RULE(LAPTOP, SERVER, "0, 65535", ""));
	/* The mesh address belongs to the mesh... */
	assert_int_equal(dial(lan_ns, "192.0.2.2", SERVER, 22, NULL), ETIMEDOUT);
	assert_int_equal(dial(lan_ns, "2001:db8::2", SERVER6, 22, NULL), ETIMEDOUT);
	assert_int_equal(dial(lan_ns, "192.0.2.2", SERVER, 2022, NULL), ETIMEDOUT);
	/* ... and to the host itself; its other addresses are as ever... */
	assert_int_equal(dial(server_ns, SERVER, SERVER, 22, NULL), 0);
	assert_accepts_as(s.sshd4, SERVER, 22);
	assert_int_equal(dial(server_ns, SERVER6, SERVER6, 22, NULL), 0);
	assert_accepts_as(s.sshd6, SERVER6, 22);
	assert_int_equal(dial(lan_ns, "192.0.2.2", "192.0.2.1", 22, NULL), 0);
	assert_accepts_as(s.sshd4, "192.0.2.1", 22);
	/* ... but not through the mesh. */
	assert_int_equal(dial(peers_ns, LAPTOP, "192.0.2.1", 22, NULL), ETIMEDOUT);
	stop_services(&s);
}

/* Packets counted by the rule of a chain that has this text. */
static long counted(const char *chain, const char *text)
{
	_cleanup_free_ char *command =
		text_printf("nft list chain inet peergate %s | grep '%s'", chain, text);
	char line[512] = "";
	const char *packets;
	FILE *in = popen(command, "re");

	assert_non_null(in);
	assert_non_null(fgets(line, sizeof(line), in));
	assert_int_equal(pclose(in), 0);
	packets = strstr(line, "packets ");
	assert_non_null(packets);
	return strtol(packets + strlen("packets "), NULL, 10);
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *words = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* A datagram in a frame of its own making, from the LAN: its source is what it says. */
static void send_spoofed(const char *from, const char *to, uint16_t port)
{
	struct ether_header eth = {
		.ether_dhost = LAN_MAC,
		.ether_shost = { 2, 0, 0, 0, 0, 9 },
		.ether_type = htons(ETH_P_IPV6),
	};
	struct ip6_hdr ip = { 0 };
	struct {
		struct in6_addr src, dst;
		uint32_t len, next;
		struct udphdr udp;
	} sum = {
		.len = htonl(sizeof(struct udphdr)),
		.next = htonl(IPPROTO_UDP),
		.udp = { .source = htons(9), .dest = htons(port), .len = htons(8) },
	};
	struct iovec frame[] = { { &eth, sizeof(eth) }, { &ip, sizeof(ip) }, { &sum.udp, 8 } };
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	const struct msghdr msg = { &at, sizeof(at), frame, ARRAY_SIZE(frame) };
	_cleanup_close_ int fd = -1;

	assert_int_equal(inet_pton(AF_INET6, from, &sum.src), 1);
	assert_int_equal(inet_pton(AF_INET6, to, &sum.dst), 1);
	ip.ip6_flow = htonl(6u << 28);
	ip.ip6_plen = sum.udp.len;
	ip.ip6_nxt = IPPROTO_UDP;
	ip.ip6_hlim = 64;
	ip.ip6_src = sum.src;
	ip.ip6_dst = sum.dst;
	sum.udp.check = checksum(&sum, sizeof(sum));
	enter(lan_ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IPV6));
	at.sll_ifindex = (int)if_nametoindex("eth1");
	enter(server_ns);
	assert_true(fd >= 0);
	assert_int_equal(sendmsg(fd, &msg, 0), 14 + 40 + 8);
}

/* IPv6 knows no martians: an own address as source must not pass for the host itself. */
static void test_own_source_from_elsewhere(void **state)
{
	static const char *const sources[] = { "2001:db8::1", SERVER6, "2001:db8::2" };
	_cleanup_close_ int listener = open_socket(server_ns, SOCK_DGRAM, "::", 53, false);
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		use_filter(WEB_RULES);
		send_spoofed(sources[i], SERVER6, 53);
		if (wait_for(listener, POLLIN, SOON))
			fail_msg("a packet from the LAN with source %s came in", sources[i]);
		assert_int_equal(counted("input", "ip6 daddr @own6"), 1);
		/* The frame is a good one: it is our table that keeps it out. */
		run(server_ns, "nft delete table inet peergate");
		send_spoofed(sources[i], SERVER6, 53);
		assert_true(wait_for(listener, POLLIN, SOON));
		assert_int_equal(recv(listener, &byte, 1, 0), 0);
	}
}

static void test_no_forwarding(void **state)
{
	_cleanup_close_ int lan = listen_at(lan_ns, "192.0.2.2", 80, false);
	_cleanup_close_ int laptop = listen_at(peers_ns, LAPTOP, 80, false);

	use_filter(RULE(LAPTOP, SERVER, "0, 65535", ""));
	assert_int_equal(dial(peers_ns, LAPTOP, "192.0.2.2", 80, NULL), ETIMEDOUT);
	assert_int_equal(dial(lan_ns, "192.0.2.2", LAPTOP, 80, NULL), ETIMEDOUT);
	/* Not even one way. */
	assert_false(datagram_arrives(peers_ns, LAPTOP, lan_ns, "192.0.2.2"));
	assert_false(datagram_arrives(lan_ns, "192.0.2.2", peers_ns, LAPTOP));
	/* The way is there: it is our table that shuts it. */
	run(server_ns, "nft delete table inet peergate");
	assert_int_equal(dial(peers_ns, LAPTOP, "192.0.2.2", 80, NULL), 0);
	assert_accepts_as(lan, "192.0.2.2", 80);
	assert_int_equal(dial(lan_ns, "192.0.2.2", LAPTOP, 80, NULL), 0);
	assert_accepts_as(laptop, LAPTOP, 80);
	assert_true(datagram_arrives(peers_ns, LAPTOP, lan_ns, "192.0.2.2"));
	assert_true(datagram_arrives(lan_ns, "192.0.2.2", peers_ns, LAPTOP));
}

/* Ways that no right opens: to a LAN address of this host, to the LAN behind it, from there. */
static void check_ways(int expected)
{
	const struct {
		int from_ns;
		const char *from;
		int to_ns;
		const char *to;
	} ways[] = {
		{ peers_ns, LAPTOP, server_ns, "192.0.2.1" },
		{ peers_ns, LAPTOP6, server_ns, "2001:db8::1" },
		{ peers_ns, LAPTOP, lan_ns, "192.0.2.2" },
		{ peers_ns, LAPTOP6, lan_ns, "2001:db8::2" },
		{ lan_ns, "192.0.2.2", peers_ns, LAPTOP },
		{ lan_ns, "2001:db8::2", peers_ns, LAPTOP6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		int listener = listen_at(ways[i].to_ns, ways[i].to, 80, false);
		int r = dial(ways[i].from_ns, ways[i].from, ways[i].to, 80, NULL);

		close_fd(listener);
		if (r != expected)
			fail_msg("from %s to %s: %s", ways[i].from, ways[i].to, strerror(r));
	}
}

/* Nothing new by the link, and nothing on connections that were open. */
static void check_filtered(const char *how)
{
	_cleanup_close_ int client4 = -1, server4 = -1, client6 = -1, server6 = -1;
	struct services s;

	use_filter(WEB_RULES);
	connect_web(LAPTOP, SERVER, &client4, &server4);
	connect_web(LAPTOP6, SERVER6, &client6, &server6);
	run(server_ns, "%s", how);
	assert_true(arrives(client4, server4, SOON));
	assert_true(arrives(client6, server6, SOON));
	/* Who has a right has no other one than before. */
	assert_int_equal(dial(peers_ns, LAPTOP, "192.0.2.1", 80, NULL), ETIMEDOUT);
	use_filter("");
	assert_false(arrives(client4, server4, SOON));
	assert_false(arrives(client6, server6, SOON));
	assert_false(arrives(server4, client4, SOON));
	assert_false(arrives(server6, client6, SOON));
	check_ways(ETIMEDOUT);
	/* SSH is the gateway's still. */
	s = start_services();
	use_filter(SSH_RULES);
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 22, NULL), 0);
	assert_accepts_as(s.gateway4, SERVER, 22);
	assert_int_equal(dial(peers_ns, LAPTOP6, SERVER6, 22, NULL), 0);
	assert_accepts_as(s.gateway6, SERVER6, 22);
	stop_services(&s);
	/* The ways are there: it is our table that shuts them. */
	run(server_ns, "nft delete table inet peergate");
	check_ways(0);
}

/* From Linux 6.2 on a link can be renamed while it is up: that does not take it out of the filter.
 */
static void test_live_rename(void **state)
{
	if (system("ip link set mesh0 name foo0 2>/dev/null") != 0)
		skip();
	run(server_ns, "ip link set foo0 name mesh0");
	check_filtered("ip link set mesh0 name foo0");
}

static void test_other_group(void **state)
{
	check_filtered("ip link set mesh0 group default");
}

static void check_revocation(const char *from, const char *to)
{
	_cleanup_close_ int client = -1, server = -1;

	use_filter(WEB_RULES);
	connect_web(from, to, &client, &server);
	use_filter(SSH_RULES);
	assert_false(arrives(client, server, SOON));
	assert_false(arrives(server, client, SOON));
	assert_int_equal(dial(peers_ns, from, to, 80, NULL), ETIMEDOUT);
	/* Given again, the connection goes on: TCP repeats what was lost. */
	use_filter(WEB_RULES);
	assert_true(wait_for(server, POLLIN, PATIENCE));
	assert_true(wait_for(client, POLLIN, PATIENCE));
}

static void test_revocation(void **state)
{
	check_revocation(LAPTOP, SERVER);
	check_revocation(LAPTOP6, SERVER6);
}

static void forget_connections(void)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	char buf[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg->nfgen_family = AF_UNSPEC;
	assert_int_equal(nlsock_open(NETLINK_NETFILTER, &sock), 0);
	assert_int_equal(nlsock_request(sock, nlh, NULL, NULL, NULL), 0);
}

/* Once conntrack has forgotten the connection, the server's packets must not open it anew. */
static void test_forgotten_connection(void **state)
{
	_cleanup_close_ int client = -1, server = -1;

	use_filter(WEB_RULES);
	connect_web(LAPTOP, SERVER, &client, &server);
	use_filter(SSH_RULES);
	forget_connections();
	assert_false(arrives(server, client, SOON));
	assert_false(arrives(client, server, SOON));
	/* With the right, it is the client's packet that opens it. */
	use_filter(WEB_RULES);
	assert_true(wait_for(server, POLLIN, PATIENCE));
}

/* A segment that no connection can have (SYN and FIN), out of the mesh. */
static bool send_invalid(uint16_t port)
{
	struct ip_endpoint src = endpoint(SERVER, 0), dst = endpoint(LAPTOP, 0);
	struct tcphdr tcp = { .source = htons(port), .dest = htons(port), .doff = 5 };
	struct sockaddr_storage ss;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	socklen_t len = ip_endpoint_to_sockaddr(&src, &ss);

	tcp.syn = tcp.fin = 1;
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = ip_endpoint_to_sockaddr(&dst, &ss);
	return sendto(fd, &tcp, sizeof(tcp), 0, (struct sockaddr *)&ss, len) == sizeof(tcp);
}

/* What belongs to no connection has no direction, and would need no right. */
static void test_invalid_does_not_leave(void **state)
{
	_cleanup_close_ int laptop = -1;
	char buf[128];

	enter(peers_ns);
	laptop = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	enter(server_ns);
	use_filter("");
	while (recv(laptop, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	/* Whoever sends what is dropped on its way out is told so. */
	assert_false(send_invalid(4242));
	assert_int_equal(errno, EPERM);
	assert_false(wait_for(laptop, POLLIN, SOON));
	assert_int_equal(counted("output", "of no connection"), 1);
	run(server_ns, "nft delete table inet peergate");
	assert_true(send_invalid(4242));
	assert_true(wait_for(laptop, POLLIN, SOON));
}

/* Where tracking is switched off, answers need the right all the same. */
static void test_untracked(void **state)
{
	_cleanup_close_ int server = open_socket(server_ns, SOCK_DGRAM, SERVER, 80, false);
	_cleanup_close_ int client = open_socket(peers_ns, SOCK_DGRAM, LAPTOP, 81, false);
	struct ip_endpoint to_server = endpoint(SERVER, 80), to_client = endpoint(LAPTOP, 81);
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&to_server, &ss);

	run(server_ns, "nft -f - <<'END'\n"
		       "table ip untracked {\n"
		       " chain in { type filter hook prerouting priority raw; notrack; }\n"
		       " chain out { type filter hook output priority raw; notrack; }\n"
		       "}\n"
		       "END\n");
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), 0);
	len = ip_endpoint_to_sockaddr(&to_client, &ss);
	assert_int_equal(connect(server, (struct sockaddr *)&ss, len), 0);
	use_filter(WEB_RULES);
	assert_true(arrives(client, server, SOON));
	assert_true(arrives(server, client, SOON));
	use_filter(SSH_RULES);
	assert_false(arrives(client, server, SOON));
	assert_int_equal(send(server, "hello", 5, 0), -1);
	assert_int_equal(errno, EPERM);
}

static void test_sockets_are_destroyed(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL, *new = compile(SSH_RULES);
	_cleanup_close_ int client = -1, server = -1, laptop = -1, outbound = -1, inbound = -1;
	unsigned n = 0;
	char byte;

	use_filter(RULE(LAPTOP, SERVER, "0, 65535", ""));
	connect_web(LAPTOP, SERVER, &client, &server);
	laptop = listen_at(peers_ns, LAPTOP, 8080, false);
	assert_int_equal(dial(server_ns, SERVER, LAPTOP, 8080, &outbound), 0);
	inbound = accept_now(laptop);

	old = apply(SSH_RULES);
	assert_int_equal(kernel_revoke(old, new, true, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNABORTED);
	/* What this host opened goes on. */
	assert_true(arrives(outbound, inbound, SOON));
	assert_true(arrives(inbound, outbound, SOON));
}

/* The gateway says good-bye itself; a listener on all addresses has mapped ones. */
static void test_gateway_connections_are_spared(void **state)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL, *new = compile("");
	_cleanup_close_ int client = -1, server = -1, web = -1, web_client = -1, mapped = -1;
	struct services s = start_services();
	unsigned n = 0;
	int off = 0;
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(80) };

	use_filter(SSH_RULES "," WEB_RULES);
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 22, &client), 0);
	server = accept_now(s.gateway4);
	web = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(web, SOL_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	assert_int_equal(bind(web, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(web, 1), 0);
	assert_int_equal(dial(peers_ns, LAPTOP, SERVER, 80, &web_client), 0);
	mapped = accept_now(web);

	old = apply("");
	assert_int_equal(kernel_revoke(old, new, true, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(kernel_revoke(old, new, false, &n), 0);
	assert_int_equal(n, 1);
	stop_services(&s);
}

/* Eight different sequence numbers: eight checksums, which stand where ports would. */
static bool ping4(const char *from, const char *to)
{
	struct ip_endpoint src = endpoint(from, 0), dst = endpoint(to, 0);
	struct sockaddr_storage ss;
	_cleanup_close_ int fd = -1;
	socklen_t len;

	enter(peers_ns);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	enter(server_ns);
	len = ip_endpoint_to_sockaddr(&src, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = ip_endpoint_to_sockaddr(&dst, &ss);
	for (uint16_t i = 0; i < 8; i++) {
		struct icmphdr echo = { .type = ICMP_ECHO,
					.un.echo = { .id = 7, .sequence = (uint16_t)(i * 9973) } };
		char buf[128];

		echo.checksum = checksum(&echo, sizeof(echo));
		assert_int_equal(sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&ss, len),
				 sizeof(echo));
		if (!wait_for(fd, POLLIN, SOON) || recv(fd, buf, sizeof(buf), 0) < 28 ||
		    buf[20] != ICMP_ECHOREPLY)
			return false;
	}
	return true;
}

static bool ping6(const char *from, const char *to)
{
	const struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST };
	struct ip_endpoint src = endpoint(from, 0), dst = endpoint(to, 0);
	struct icmp6_filter filter;
	struct sockaddr_storage ss;
	_cleanup_close_ int fd = -1;
	socklen_t len;
	char buf[128];

	enter(peers_ns);
	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	enter(server_ns);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	len = ip_endpoint_to_sockaddr(&src, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = ip_endpoint_to_sockaddr(&dst, &ss);
	assert_int_equal(sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&ss, len),
			 sizeof(echo));
	return wait_for(fd, POLLIN, SOON) && recv(fd, buf, sizeof(buf), 0) > 0;
}

static void test_ping(void **state)
{
	use_filter(WEB_RULES);
	assert_true(ping4(LAPTOP, SERVER));
	assert_true(ping6(LAPTOP6, SERVER6));
	assert_false(ping4(DESKTOP, SERVER));
	use_filter(SSH_RULES);
	assert_false(ping4(LAPTOP, SERVER));
	assert_false(ping6(LAPTOP6, SERVER6));
}

static void test_udp(void **state)
{
	_cleanup_close_ int server = open_socket(server_ns, SOCK_DGRAM, SERVER, 80, false);
	_cleanup_close_ int client = open_socket(peers_ns, SOCK_DGRAM, LAPTOP, 0, false);
	struct ip_endpoint to = endpoint(SERVER, 80);
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&to, &ss), from_len = sizeof(ss);
	char byte;

	use_filter(RULE(LAPTOP, SERVER, "80, 80", ", \"proto\": [17]"));
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(client, "q", 1, 0), 1);
	assert_true(wait_for(server, POLLIN, SOON));
	assert_int_equal(recvfrom(server, &byte, 1, 0, (struct sockaddr *)&ss, &from_len), 1);
	assert_int_equal(connect(server, (struct sockaddr *)&ss, from_len), 0);
	assert_int_equal(send(server, "a", 1, 0), 1);
	assert_true(wait_for(client, POLLIN, SOON));
	assert_int_equal(recv(client, &byte, 1, 0), 1);
	/* Nobody there: the error about it may leave. */
	server = close_fd(server);
	assert_int_equal(send(client, "q", 1, 0), 1);
	assert_true(wait_for(client, POLLIN, SOON));
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	use_filter(SSH_RULES);
	assert_int_equal(send(client, "q", 1, 0), 1);
	assert_false(wait_for(client, POLLIN, SOON));
}

/* The port of the laptop stays the same: what the server was told to send to. */
struct udp_pair {
	int client, server;
};

static void connect_to(int fd, const char *addr, uint16_t port)
{
	struct ip_endpoint to = endpoint(addr, port);
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&to, &ss);

	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
}

static struct udp_pair udp_pair(const char *server, uint16_t server_port, const char *client,
				uint16_t client_port)
{
	struct udp_pair pair = {
		.server = open_socket(server_ns, SOCK_DGRAM, server, server_port, false),
		.client = open_socket(peers_ns, SOCK_DGRAM, client, client_port, false),
	};

	connect_to(pair.client, server, server_port);
	connect_to(pair.server, client, client_port);
	return pair;
}

static void udp_pair_close(struct udp_pair *pair)
{
	pair->server = close_fd(pair->server);
	pair->client = close_fd(pair->client);
}

static bool refused(int from)
{
	return send(from, "hello", 5, MSG_NOSIGNAL) < 0 && errno == EPERM;
}

static void check_revoked_udp(const char *server, const char *client)
{
	struct udp_pair pair = udp_pair(server, 80, client, 8181);

	use_filter(WEB_RULES);
	assert_true(arrives(pair.client, pair.server, SOON));
	assert_true(arrives(pair.server, pair.client, SOON));
	use_filter(SSH_RULES);
	assert_true(refused(pair.server));
	forget_connections();
	assert_true(refused(pair.server));
	assert_false(arrives(pair.client, pair.server, SOON));
	/* Given again, and forgotten again: the server may go on, and the peer ask. */
	use_filter(WEB_RULES);
	assert_true(arrives(pair.server, pair.client, SOON));
	assert_true(arrives(pair.client, pair.server, SOON));
	/* Now the flow is one that this host began: the peer's questions need their right in it. */
	use_filter(SSH_RULES);
	assert_true(refused(pair.server));
	assert_false(arrives(pair.client, pair.server, SOON));
	udp_pair_close(&pair);
}

/* A server of UDP goes on sending when conntrack has forgotten the question: no new flow. */
static void test_forgotten_udp(void **state)
{
	check_revoked_udp(SERVER, LAPTOP);
	check_revoked_udp(SERVER6, LAPTOP6);
}

/* A new table knows who has asked; as the one before it did. */
static void test_forgotten_udp_in_a_new_table(void **state)
{
	struct udp_pair pair = udp_pair(SERVER, 80, LAPTOP, 8181);
	struct udp_pair pair6 = udp_pair(SERVER6, 80, LAPTOP6, 8181);

	forget_connections();
	use_filter(WEB_RULES);
	assert_true(arrives(pair.client, pair.server, SOON));
	assert_true(arrives(pair6.client, pair6.server, SOON));
	run(server_ns, "nft add chain inet peergate foreign");
	use_filter(SSH_RULES);
	run(server_ns, "! nft list chain inet peergate foreign 2>/dev/null");
	forget_connections();
	assert_true(refused(pair.server));
	assert_true(refused(pair6.server));
	udp_pair_close(&pair);
	udp_pair_close(&pair6);
}

/* What this host asks is its own affair: from any port, to any, though the peer has no right. */
static void test_udp_questions_to_the_mesh(void **state)
{
	static const struct {
		uint16_t own, peer;
	} ports[] = { { 0, 53 }, { 123, 123 }, { 5060, 5062 }, { 60001, 443 } };

	use_filter(WEB_RULES);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		_cleanup_close_ int own =
			open_socket(server_ns, SOCK_DGRAM, SERVER, ports[i].own, false);
		_cleanup_close_ int peer =
			open_socket(peers_ns, SOCK_DGRAM, LAPTOP, ports[i].peer, false);
		struct sockaddr_in local;
		socklen_t len = sizeof(local);

		assert_int_equal(getsockname(own, (struct sockaddr *)&local, &len), 0);
		connect_to(own, LAPTOP, ports[i].peer);
		connect_to(peer, SERVER, ntohs(local.sin_port));
		/* Unasked, the peer's are none. */
		assert_false(arrives(peer, own, SOON));
		for (int j = 0; j < 2; j++) {
			assert_true(arrives(own, peer, SOON));
			assert_true(arrives(peer, own, SOON));
			forget_connections();
		}
	}
}

/* Both speak from the same port, and one of them lost its right: the other's is still there. */
static void test_udp_from_the_same_port(void **state)
{
	struct udp_pair pair = udp_pair(SERVER, 123, LAPTOP, 123);

	use_filter(RULE(LAPTOP, SERVER, "123, 123", ""));
	assert_true(arrives(pair.client, pair.server, SOON));
	assert_true(arrives(pair.server, pair.client, SOON));
	forget_connections();
	assert_true(arrives(pair.server, pair.client, SOON));
	assert_true(arrives(pair.client, pair.server, SOON));
	udp_pair_close(&pair);
	/* Who has asked nothing yet is not affected by who has. */
	pair = udp_pair(SERVER, 123, DESKTOP, 123);
	assert_true(arrives(pair.server, pair.client, SOON));
	assert_true(arrives(pair.client, pair.server, SOON));
	udp_pair_close(&pair);
}

static void test_behind_a_router(void **state)
{
	_cleanup_close_ int client = -1, server = -1;

	use_filter(RULE("10.1.0.0/24", SERVER, "80, 80", ", \"proto\": [6]"));
	connect_web(SENSOR, SERVER, &client, &server);
	assert_int_equal(dial(peers_ns, "10.1.1.5", SERVER, 80, NULL), ETIMEDOUT);
	use_filter("");
	assert_false(arrives(client, server, SOON));
	assert_false(arrives(server, client, SOON));
}

/* Other tables that use marks must not see our classes. */
static void test_mark_is_reset(void **state)
{
	_cleanup_close_ int client = -1, server = -1;

	run(server_ns,
	    "nft -f - <<'END'\n"
	    "table ip spy {\n"
	    " chain input { type filter hook input priority 10; meta mark != 0 drop; }\n"
	    " chain output { type filter hook output priority 10; meta mark != 0 drop; }\n"
	    "}\n"
	    "END\n");
	use_filter(WEB_RULES);
	connect_web(LAPTOP, SERVER, &client, &server);
}

static void test_counters(void **state)
{
	_cleanup_close_ int client = -1, server = -1;
	long dropped;

	use_filter(WEB_RULES);
	assert_int_equal(counted("acl_0", "acl:0"), 0);
	connect_web(LAPTOP, SERVER, &client, &server);
	assert_true(counted("acl_0", "acl:0") > 0);
	dropped = counted("input", "no rule lets it in");
	assert_int_equal(dial(peers_ns, DESKTOP, SERVER, 80, NULL), ETIMEDOUT);
	assert_true(counted("input", "no rule lets it in") > dropped);
}

/* Saved and loaded by nft(8), it means the same: every key has its bytes in the same order. */
static void test_reloaded(void **state)
{
	static const char *const ports[] = { "80, 80", "80, 81" };

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		_cleanup_close_ int client = -1, server = -1;
		_cleanup_free_ char *rules =
			text_printf("{\"src\": [\"" LAPTOP "\"], \"dst\": [{\"ip\": \"" SERVER
				    "\", \"ports\": [%s]}]}",
				    ports[i]);

		use_filter(rules);
		run(server_ns, "rules=$(nft list table inet peergate) && nft flush ruleset && "
			       "echo \"$rules\" | nft -f -");
		connect_web(LAPTOP, SERVER, &client, &server);
		assert_int_equal(dial(peers_ns, DESKTOP, SERVER, 80, NULL), ETIMEDOUT);
	}
}

static int new_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* As WireGuard does, mesh0 knows no neighbours: same hardware address at both ends, no ARP. */
static void connect_peers(void)
{
	static const char *const addresses[] = { LAPTOP, DESKTOP, LAPTOP6 "/128 nodad", SENSOR,
						 "10.1.1.5" };

	run(server_ns, "ip link add mesh0 address 02:00:00:00:00:01 type veth peer name peer0 "
		       "address 02:00:00:00:00:01");
	run(server_ns, "ip link set peer0 netns /proc/%d/fd/%d", getpid(), peers_ns);
	run(server_ns,
	    "ip addr add " SERVER " dev mesh0 && ip addr add " SERVER6
	    "/128 nodad dev mesh0 && ip link set mesh0 group %u arp off up && "
	    "ip route add 100.64.0.0/10 dev mesh0 && ip route add 10.1.0.0/16 dev mesh0 "
	    "&& ip route add fd00:1::/48 dev mesh0",
	    LINK_GROUP);
	run(peers_ns, "ip link set lo up && ip link set peer0 arp off up");
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		run(peers_ns, "ip addr add %s dev peer0", addresses[i]);
	run(peers_ns, "ip route add default dev peer0 && ip -6 route add default dev peer0");
}

static void connect_lan(void)
{
	run(server_ns,
	    "ip link add eth0 address 02:00:00:00:00:02 type veth peer name eth1 && ip link set "
	    "eth1 netns "
	    "/proc/%d/fd/%d",
	    getpid(), lan_ns);
	run(server_ns, "ip link set lo up && ip addr add 192.0.2.1/24 dev eth0 && ip addr add "
		       "2001:db8::1/64 nodad dev eth0 && ip link set eth0 up && "
		       "echo 1 >/proc/sys/net/ipv4/ip_forward && "
		       "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	run(lan_ns, "ip link set lo up && ip addr add 192.0.2.2/24 dev eth1 && ip addr add "
		    "2001:db8::2/64 nodad dev eth1 && ip link set eth1 up && ip route add default "
		    "via 192.0.2.1 && ip route add default via 2001:db8::1");
}

static int setup_hosts(void **state)
{
	connect_peers();
	connect_lan();
	return 0;
}

static int setup(void **state)
{
	run(server_ns,
	    "nft flush ruleset; ip link set foo0 name mesh0 2>/dev/null; "
	    "ip link set mesh0 group %u",
	    LINK_GROUP);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ssh_goes_to_the_gateway, setup),
		cmocka_unit_test_setup(test_no_gateway_no_answer, setup),
		cmocka_unit_test_setup(test_other_interfaces, setup),
		cmocka_unit_test_setup(test_own_source_from_elsewhere, setup),
		cmocka_unit_test_setup(test_no_forwarding, setup),
		cmocka_unit_test_setup(test_live_rename, setup),
		cmocka_unit_test_setup(test_other_group, setup),
		cmocka_unit_test_setup(test_revocation, setup),
		cmocka_unit_test_setup(test_forgotten_connection, setup),
		cmocka_unit_test_setup(test_invalid_does_not_leave, setup),
		cmocka_unit_test_setup(test_untracked, setup),
		cmocka_unit_test_setup(test_sockets_are_destroyed, setup),
		cmocka_unit_test_setup(test_gateway_connections_are_spared, setup),
		cmocka_unit_test_setup(test_ping, setup),
		cmocka_unit_test_setup(test_udp, setup),
		cmocka_unit_test_setup(test_forgotten_udp, setup),
		cmocka_unit_test_setup(test_forgotten_udp_in_a_new_table, setup),
		cmocka_unit_test_setup(test_udp_questions_to_the_mesh, setup),
		cmocka_unit_test_setup(test_udp_from_the_same_port, setup),
		cmocka_unit_test_setup(test_behind_a_router, setup),
		cmocka_unit_test_setup(test_mark_is_reset, setup),
		cmocka_unit_test_setup(test_counters, setup),
		cmocka_unit_test_setup(test_reloaded, setup),
	};

	peers_ns = new_namespace();
	lan_ns = new_namespace();
	server_ns = new_namespace();
	if (server_ns < 0 || system("nft list ruleset >/dev/null 2>&1") != 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, setup_hosts, NULL);
}
