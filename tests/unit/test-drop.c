/* Messages of NFLOG with packets of all kinds, and the lines that agentctl drops makes of answers.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ctl/drops/drops.h"
#include "agent/kernel/drop.h"
#include "agent/netlink/nflog.h"
#include "agent/nft/layout.h"
#include "common/cleanup.h"

#define V4	    "\x45\0\0\x3c\0\0\0\0\x40"
#define V4_ADDR	    "\0\0\x64\x40\0\2\x64\x40\0\1"
#define V6	    "\x60\0\0\0\0\x08"
#define V6_ADDR	    "\x40\xfd\x7a\0\0\0\0\0\0\0\0\0\0\0\0\0\2\xfd\x7a\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define PORTS	    "\x9c\x40\x11\x5c" /* 40000, 4444 */
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const struct {
	const uint8_t *packet;
	size_t len;
	const char *src; /* NULL: cannot be read */
	uint8_t proto;
	bool has_ports;
} cases[] = {
	{ BYTES(V4 "\6" V4_ADDR PORTS), "100.64.0.2", IPPROTO_TCP, true },
	{ BYTES(V4 "\x11" V4_ADDR PORTS), "100.64.0.2", IPPROTO_UDP, true },
	{ BYTES(V4 "\1" V4_ADDR "\x08\0\0\0"), "100.64.0.2", IPPROTO_ICMP, false },
	/* Options before the ports; more of them than there is. */
	{ BYTES("\x46\0\0\x3c\0\0\0\0\x40\6" V4_ADDR "\1\1\1\1" PORTS), "100.64.0.2", IPPROTO_TCP,
	  true },
	{ BYTES("\x4f\0\0\x3c\0\0\0\0\x40\6" V4_ADDR PORTS), "100.64.0.2", IPPROTO_TCP, false },
	{ BYTES("\x41\0\0\x3c\0\0\0\0\x40\6" V4_ADDR PORTS), "100.64.0.2", IPPROTO_TCP, false },
	/* A later fragment; the first one. */
	{ BYTES("\x45\0\0\x3c\0\0\0\1\x40\6" V4_ADDR PORTS), "100.64.0.2", IPPROTO_TCP, false },
	{ BYTES("\x45\0\0\x3c\0\0\x20\0\x40\6" V4_ADDR PORTS), "100.64.0.2", IPPROTO_TCP, true },
	/* Cut off: in the ports, in the addresses; nothing; no IP. */
	{ BYTES(V4 "\6" V4_ADDR "\x9c\x40\x11"), "100.64.0.2", IPPROTO_TCP, false },
	{ BYTES(V4 "\6\0\0\x64\x40"), NULL, 0, false },
	{ BYTES(""), NULL, 0, false },
	{ BYTES("\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), NULL, 0, false },

	{ BYTES(V6 "\6" V6_ADDR PORTS), "fd7a::2", IPPROTO_TCP, true },
	{ BYTES(V6 "\x3a" V6_ADDR "\x80\0\0\0"), "fd7a::2", IPPROTO_ICMPV6, false },
	{ BYTES(V6 "\0" V6_ADDR "\x2b\0\0\0\0\0\0\0\x11\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0" PORTS),
	  "fd7a::2", IPPROTO_UDP, true },
	{ BYTES(V6 "\x2c" V6_ADDR "\x11\0\0\1\0\0\0\0" PORTS), "fd7a::2", IPPROTO_UDP, true },
	{ BYTES(V6 "\x2c" V6_ADDR "\x11\0\0\x08\0\0\0\0" PORTS), "fd7a::2", 0, false },
	{ BYTES(V6 "\0" V6_ADDR "\6\xff\0\0\0\0\0\0" PORTS), "fd7a::2", 0, false },
	{ BYTES(V6 "\0" V6_ADDR "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\6\0\0\0\0\0\0"
		   "\0\6\0\0\0\0\0\0\0" PORTS),
	  "fd7a::2", 0, false },
	{ BYTES(V6 "\6" V6_ADDR), "fd7a::2", IPPROTO_TCP, false },
	{ BYTES(V6 "\6\x40\xfd"), NULL, 0, false },
};

static struct nlmsghdr *message(char *buf, const char *prefix, const uint8_t *packet, size_t len)
{
	const struct nfulnl_msg_packet_hdr hdr = { .hook = NF_INET_FORWARD };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	mnl_attr_put(nlh, NFULA_PACKET_HDR, sizeof(hdr), &hdr);
	mnl_attr_put_strz(nlh, NFULA_PREFIX, prefix);
	mnl_attr_put_u32(nlh, NFULA_IFINDEX_INDEV, htonl(7));
	mnl_attr_put_u32(nlh, NFULA_IFINDEX_OUTDEV, htonl(9));
	mnl_attr_put(nlh, NFULA_PAYLOAD, len, packet);
	return nlh;
}

static void test_packets(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[2048], addr[IP_ADDR_STRLEN];
		struct drop drop;

		print_message("case %zu\n", i);
		assert_int_equal(
			drop_parse(message(buf, "why", cases[i].packet, cases[i].len), &drop), 0);
		assert_string_equal(drop.reason, "why");
		assert_int_equal(drop.hook, NF_INET_FORWARD);
		assert_int_equal(drop.iif, 7);
		assert_int_equal(drop.oif, 9);
		assert_int_equal(drop.proto, cases[i].proto);
		assert_int_equal(drop.has_ports, cases[i].has_ports);
		assert_int_equal(drop.sport, cases[i].has_ports ? 40000 : 0);
		assert_int_equal(drop.dport, cases[i].has_ports ? 4444 : 0);
		if (!cases[i].src) {
			assert_int_equal(drop.src.family, AF_UNSPEC);
			continue;
		}
		assert_string_equal(ip_addr_to_string(&drop.src, addr), cases[i].src);
		assert_int_equal(drop.dst.family, drop.src.family);
	}
}

static void test_other_messages(void **state)
{
	char buf[2048], prefix[200];
	struct nlmsghdr *nlh;
	struct drop drop;

	memset(prefix, 'x', sizeof(prefix));
	prefix[sizeof(prefix) - 1] = '\0';
	assert_int_equal(drop_parse(message(buf, prefix, NULL, 0), &drop), 0);
	assert_int_equal(strlen(drop.reason), DROP_REASON_LEN - 1);
	nlh = message(buf, "", NULL, 0);
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	assert_int_equal(drop_parse(nlh, &drop), -EBADMSG);
	nlh = message(buf, "", NULL, 0);
	nlh->nlmsg_len = NLMSG_HDRLEN + 2;
	assert_int_equal(drop_parse(nlh, &drop), -EBADMSG);
}

/* ---- from the kernel ---- */

static void keep_drop(const struct nlmsghdr *nlh, void *userdata)
{
	struct drop *drop = userdata;

	if (drop_parse(nlh, drop) < 0)
		drop->hook = UINT8_MAX;
}

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

/* To ourselves, in a namespace of our own. */
static void send_datagram(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(4444),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
}

static void test_nflog(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(nflog_freep) struct nflog *log = NULL, *other = NULL;
	struct drop drop = { 0 };
	char addr[IP_ADDR_STRLEN];
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(sd_event_new(&event), 0);
	r = nflog_open(event, NFT_LOG_GROUP, NFT_LOG_BYTES, keep_drop, &drop, &log);
	if (r == -EINVAL)
		skip(); /* this kernel has none */
	assert_int_equal(r, 0);
	assert_int_equal(nflog_open(event, NFT_LOG_GROUP, NFT_LOG_BYTES, keep_drop, &drop, &other),
			 -EBUSY);
	run("ip link set lo up");
	run("nft add table inet t");
	run("nft 'add chain inet t c { type filter hook input priority 0; }'");
	run("nft 'add rule inet t c udp dport 4444 limit rate 10/second log prefix \"just so\" "
	    "group 5182 snaplen 128'");
	run("nft 'add rule inet t c udp dport 4444 drop'");
	send_datagram();
	for (int i = 0; i < 50 && !drop.reason[0]; i++)
		sd_event_run(event, 100000);
	assert_string_equal(drop.reason, "just so");
	assert_int_equal(drop.hook, NF_INET_LOCAL_IN);
	assert_int_equal(drop.iif, 1);
	assert_string_equal(ip_addr_to_string(&drop.src, addr), "127.0.0.1");
	assert_int_equal(drop.proto, IPPROTO_UDP);
	assert_int_equal(drop.dport, 4444);

	/* Who leaves makes room. */
	log = nflog_free(log);
	assert_int_equal(nflog_open(event, NFT_LOG_GROUP, NFT_LOG_BYTES, keep_drop, &drop, &other),
			 0);
}

static const struct {
	const char *json, *line; /* behind the time */
} lines[] = {
	{ "{\"time\":0,\"reason\":\"no rule lets it "
	  "in\",\"hook\":\"input\",\"interface\":\"mesh0\","
	  "\"source\":\"100.64.0.2\",\"destination\":\"100.64.0.1\",\"sourceNode\":\"laptop\","
	  "\"protocol\":6,\"sourcePort\":40000,\"destinationPort\":4444}",
	  "laptop (100.64.0.2) -> 100.64.0.1 tcp/4444, input mesh0: no rule lets it in\n" },
	{ "{\"time\":0,\"reason\":\"right was taken "
	  "away\",\"hook\":\"output\",\"interface\":\"mesh0\","
	  "\"source\":\"fd7a::1\",\"destination\":\"fd7a::2\",\"destinationNode\":\"laptop\","
	  "\"protocol\":58}",
	  "fd7a::1 -> laptop (fd7a::2) icmpv6, output mesh0: right was taken away\n" },
	{ "{\"time\":0,\"reason\":\"mesh to "
	  "elsewhere\",\"hook\":\"forward\",\"source\":\"10.0.0.1\","
	  "\"destination\":\"10.0.0.2\",\"protocol\":99}",
	  "10.0.0.1 -> 10.0.0.2 protocol 99, forward -: mesh to elsewhere\n" },
	{ "{\"time\":0,\"reason\":\"no rule lets it in\",\"suppressed\":1234}",
	  "1234 more not shown: no rule lets it in\n" },
	{ "{\"time\":0,\"reason\":\"x\\u001b[2J\",\"hook\":\"\\n\",\"source\":\"\\r\"}",
	  "? -> -, ? -: x?[2J\n" },
	{ "{}", "- -> -, - -: -\n" },
};

static void test_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		json_auto_t *json = json_loads(lines[i].json, 0, NULL);
		_cleanup_free_ char *text = NULL;
		struct cli_out out = { 0 };
		size_t len;

		assert_non_null(json);
		out.file = open_memstream(&text, &len);
		assert_int_equal(drops_render(json, &out), 0);
		fclose(out.file);
		/* "HH:MM:SS  " */
		assert_true(len > 10 && text[2] == ':' && text[8] == ' ');
		assert_string_equal(text + 10, lines[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nflog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
