/*
 * Everything that a map does to the kernel, in a network namespace of its own. Needs root; what is
 * about WireGuard needs a kernel that has it (tests/vm/run).
 */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/kernel/kernel.h"
#include "agent/rtnl/rtnl.h"
#include "agent/rtnl/watch.h"
#include "common/text.h"
#include "tests/unit/foreign.h"
#include "tests/unit/netns.h"

#define NOW  1795564800000000u /* 2026-11-25T00:00:00Z */
#define HOUR 3600000000u

#define KEY2 "dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="
#define KEY3 "M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="
#define KEY4 "NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI="

#define SELF                                                                                \
	"\"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": [\"100.64.0.1\", " \
	"\"fd00:1::1\"]}"
#define LAPTOP_AT(endpoint)                                                                      \
	"{\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\", \"fd00:1::2\"]," \
	" \"node_key\": \"" KEY2 "\", \"endpoints\": [\"" endpoint "\"], \"keepalive\": 25}"
#define LAPTOP LAPTOP_AT("192.0.2.7:51820")
#define DESKTOP                                                                    \
	"{\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": [\"100.64.0.3\"]," \
	" \"node_key\": \"" KEY3 "\"}"
#define ROUTER                                                                    \
	"{\"id\": \"n4\", \"name\": \"router\", \"addresses\": [\"100.64.0.4\"]," \
	" \"node_key\": \"" KEY4 "\", \"key_expiry\": \"2026-11-25T00:30:00Z\","  \
	" \"routes\": [\"10.1.0.0/16\", \"2001:db8:1::/64\"]}"
#define RULE(src)                                                                            \
	"{\"src\": [\"" src "\"], \"dst\": [{\"ip\": \"100.64.0.1\", \"ports\": [22, 22]}]," \
	" \"proto\": [6]}"

static struct netmap *make_map(const char *self, const char *peers, const char *filter)
{
	_cleanup_free_ char *text = NULL, *error = NULL;
	struct netmap *map = NULL;

	text = text_printf(
		"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
		" %s, \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\":"
		" [\"100.64.0.0/10\", \"fd00:1::/48\"]}, \"peers\": [%s],"
		" \"packet_filter\": [%s], \"ssh_rules\": []}",
		self, peers, filter);
	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

static struct kernel *open_kernel(sd_event *event)
{
	const struct kernel_config config = {
		.ifname = "mesh0",
		.listen_port = 51820,
		.gateway_port = 2022,
	};
	struct wg_key key = { .bytes = { 1, 2, 3 } };
	struct kernel *kernel = NULL;

	assert_int_equal(kernel_new(event, &config, &key, &kernel), 0);
	return kernel;
}

static struct kernel_changes apply_at(struct kernel *kernel, const struct netmap *map, uint64_t now)
{
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;
	int r = kernel_apply(kernel, map, now, &changes, &error);

	if (r < 0)
		fail_msg("%s (%s)", error, strerror(-r));
	return changes;
}

static struct kernel_changes apply(struct kernel *kernel, const char *peers, const char *filter)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(SELF, peers, filter);

	return apply_at(kernel, map, NOW);
}

static void assert_no_changes(struct kernel_changes changes)
{
	static const struct kernel_changes none;

	if (memcmp(&changes, &none, sizeof(none)) != 0)
		fail_msg("nft +%u -%u full %u; peers +%u ~%u -%u; addresses +%u -%u; routes +%u "
			 "-%u; links +%u ~%u",
			 changes.nft_elements_added, changes.nft_elements_removed,
			 changes.nft_full_replacements, changes.peers_added, changes.peers_changed,
			 changes.peers_removed, changes.addresses_added, changes.addresses_removed,
			 changes.routes_added, changes.routes_removed, changes.links_created,
			 changes.links_changed);
}

static int setup(void **state)
{
	run("for l in mesh0 foo old0 other0 new0; do ip link del $l 2>/dev/null; done; "
	    "ip route flush table main 2>/dev/null; ip -6 route flush table main 2>/dev/null; "
	    "nft flush ruleset");
	return 0;
}

static void test_foreign_link_is_refused(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(SELF, LAPTOP, "");
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;

	run("ip link add mesh0 type veth peer name other0");
	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), -EEXIST);
	assert_string_equal(error,
			    "link mesh0 exists, and is not WireGuard's: remove it, or choose "
			    "another Interface= for the mesh");
	run("ip -d link show mesh0 | grep -q veth");
}

/* What is told of routes and links, and what is none of our business. */
static void test_news(void **state)
{
	static const struct {
		const char *command, *what; /* "": nothing */
	} cases[] = {
		{ "ip route add 192.0.2.0/24 dev mesh0 proto 201", "link mesh0 got a route" },
		{ "ip route add unreachable 100.64.0.0/10 proto 202", "link mesh0 got a route" },
		{ "ip route del 192.0.2.0/24 dev mesh0 proto 201", "link mesh0 lost a route" },
		{ "ip route add 192.0.2.0/24 dev mesh0", "" },
		{ "ip route add 198.51.100.0/24 dev mesh0 proto bgp metric 1024", "" },
		{ "ip route replace 192.0.2.0/24 dev other0", "" },
		{ "ip route replace 198.51.100.0/24 dev other0 metric 1024",
		  "link mesh0 lost a route to another" },
		{ "ip -6 route add 2001:db8::/32 dev mesh0 proto 201", "link mesh0 got a route" },
		{ "ip addr add 192.0.2.1/32 dev other0", "" },
		{ "ip addr add 192.0.2.1/32 dev mesh0", "link mesh0 got an address" },
		{ "ip addr flush dev mesh0", "link mesh0 lost an address" },
		{ "ip link set other0 mtu 1400", "" },
		{ "ip link set mesh0 mtu 1400", "link mesh0 was changed" },
		{ "ip link set mesh0 down", "link mesh0 was taken down" },
		{ "ip link set mesh0 name foo", "link mesh0 was renamed" },
		{ "ip link set other0 down && ip link set other0 name mesh0",
		  "link mesh0 was changed" },
		{ "ip link del foo", "link mesh0 was deleted" },
	};
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(rtnl_watch_freep) struct rtnl_watch *watch = NULL;
	_cleanup_(rtnl_freep) struct rtnl *rtnl = NULL;
	struct rtnl_link_state link;
	struct foreign foreign;

	run("ip link add mesh0 type veth peer name other0 && ip link set mesh0 up && "
	    "ip link set other0 up");
	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(rtnl_open(&rtnl), 0);
	assert_int_equal(rtnl_get_link(rtnl, "mesh0", &link), 0);
	assert_int_equal(
		rtnl_watch_new(event, "mesh0", rtnl_portid(rtnl), note_foreign, &foreign, &watch),
		0);
	rtnl_watch_set_ifindex(watch, link.ifindex);
	/* Until IPv6 has settled. */
	run("sleep 2.5");
	settle(event);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		foreign = (struct foreign){ 0 };
		run(cases[i].command);
		settle(event);
		if (strncmp(foreign.what, cases[i].what, strlen(cases[i].what)) != 0 ||
		    (!cases[i].what[0] && foreign.n > 0))
			fail_msg("%s: told \"%s\"", cases[i].command, foreign.what);
	}
	/* Ours are no news. */
	run("ip link add new0 type veth peer name foo");
	settle(event);
	foreign = (struct foreign){ 0 };
	assert_int_equal(rtnl_sync_guards(rtnl, NULL, 0, &(struct rtnl_changes){ 0 }), 0);
	settle(event);
	assert_int_equal(foreign.n, 0);
	assert_output("ip route show proto 202", "");
}

static const char list_guards[] =
	"(ip -4 route show proto 202; ip -6 route show proto 202) | "
	"sed 's/ pref medium//; s/ dev lo//; s/ *$//; s/ *metric 4294967295$/ last/'";

/* The routes that lead nowhere, by themselves. */
static void test_guards(void **state)
{
	struct ip_prefix wanted[3];
	_cleanup_(rtnl_freep) struct rtnl *rtnl = NULL;
	struct rtnl_changes changes = { 0 };

	assert_int_equal(ip_prefix_parse("100.64.0.0/10", &wanted[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00:1::/48", &wanted[1]), 0);
	assert_int_equal(ip_prefix_parse("fd00:2::/48", &wanted[2]), 0);
	assert_int_equal(rtnl_open(&rtnl), 0);
	/* Another's route to the same place goes before ours, and is left alone. */
	run("ip link set lo up && ip route add 100.64.0.0/10 dev lo metric 5");
	assert_int_equal(rtnl_sync_guards(rtnl, wanted, 2, &changes), 0);
	assert_int_equal(changes.added, 2);
	assert_output(list_guards,
		      "unreachable 100.64.0.0/10 last\nunreachable fd00:1::/48 last\n");
	run("ip route get 100.64.0.2 | grep -q 'dev lo'");
	run("ip route del 100.64.0.0/10 dev lo metric 5");
	run("! ip route get 100.64.0.2 2>/dev/null");

	changes = (struct rtnl_changes){ 0 };
	assert_int_equal(rtnl_sync_guards(rtnl, wanted, 2, &changes), 0);
	assert_int_equal(changes.added + changes.removed, 0);
	/* Others', in the place of ours. */
	run("ip route replace blackhole 100.64.0.0/10 metric 4294967295 && "
	    "ip -6 route replace blackhole fd00:1::/48 metric 4294967295");
	assert_output(list_guards, "");
	assert_int_equal(rtnl_sync_guards(rtnl, wanted, 2, &changes), 0);
	assert_output(list_guards,
		      "unreachable 100.64.0.0/10 last\nunreachable fd00:1::/48 last\n");
	run("! ip route show type blackhole | grep . && ! ip -6 route show type blackhole | grep "
	    ".");
	changes = (struct rtnl_changes){ 0 };
	/* Other prefixes; one that is not as we make it. */
	run("ip route del 100.64.0.0/10 proto 202 && "
	    "ip route add blackhole 100.64.0.0/10 proto 202 metric 4294967295");
	wanted[1] = wanted[2];
	assert_int_equal(rtnl_sync_guards(rtnl, wanted, 2, &changes), 0);
	assert_int_equal(changes.added, 2);
	assert_int_equal(changes.removed, 2);
	assert_output(list_guards,
		      "unreachable 100.64.0.0/10 last\nunreachable fd00:2::/48 last\n");
	assert_int_equal(rtnl_sync_guards(rtnl, NULL, 0, &changes), 0);
	assert_output(list_guards, "");
	run("ip link set lo down");
}

/* The table is there before the link: also where there will be no link. */
static void test_no_wireguard(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(SELF, LAPTOP, RULE("100.64.0.2"));
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;

	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), -EOPNOTSUPP);
	assert_non_null(strstr(error, "this kernel has no WireGuard"));
	run("nft list table inet peergate >/dev/null");
	free(error);
	error = NULL;
	assert_int_equal(kernel_down(kernel, &error), 0);
	assert_output("nft list ruleset", "");
}

static void test_everything(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	struct kernel_changes changes;
	_cleanup_free_ struct kernel_peer_status *peers = NULL;
	size_t n;

	changes = apply(kernel, LAPTOP "," DESKTOP "," ROUTER, RULE("100.64.0.2"));
	assert_int_equal(changes.links_created, 1);
	assert_int_equal(changes.peers_added, 3);
	assert_int_equal(changes.addresses_added, 2);
	assert_int_equal(changes.routes_added, 6); /* two of them lead nowhere */
	assert_int_equal(changes.nft_full_replacements, 1);
	assert_output("ip -o addr show mesh0 | sed 's/  */ /g' | cut -d' ' -f3-4 | sort",
		      "inet 100.64.0.1/32\ninet6 fd00:1::1/128\n");
	assert_output("(ip -4 route show proto 201; ip -6 route show proto 201) | "
		      "sed 's/ pref medium//; s/ *$//'",
		      "10.1.0.0/16 dev mesh0 scope link metric 1024\n"
		      "100.64.0.0/10 dev mesh0 scope link metric 1024\n"
		      "2001:db8:1::/64 dev mesh0 metric 1024\n"
		      "fd00:1::/48 dev mesh0 metric 1024\n");
	run("ip link show mesh0 | grep 'UP.*mtu 1420.*group 5182'");
	assert_output("wg show mesh0 listen-port", "51820\n");
	assert_output("wg show mesh0 allowed-ips | tr '\\t' ' ' | sort", KEY3
		      " 100.64.0.3/32\n" KEY4 " 10.1.0.0/16 100.64.0.4/32 2001:db8:1::/64\n" KEY2
		      " 100.64.0.2/32 fd00:1::2/128\n");
	assert_output("wg show mesh0 persistent-keepalive | grep -v off", KEY2 "\t25\n");
	assert_int_equal(kernel_peer_status(kernel, &peers, &n), 0);
	assert_int_equal(n, 3);
}

static void test_restart_changes_nothing(void **state)
{
	static const char peers[] = LAPTOP "," DESKTOP "," ROUTER;
	struct kernel *first = open_kernel(NULL);
	_cleanup_(kernel_freep) struct kernel *second = NULL;

	apply(first, peers, RULE("100.64.0.2"));
	kernel_free(first);
	second = open_kernel(NULL);
	assert_no_changes(apply(second, peers, RULE("100.64.0.2")));
	assert_no_changes(apply(second, peers, RULE("100.64.0.2")));
}

static void test_roaming(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);

	apply(kernel, LAPTOP, "");
	run("wg set mesh0 peer " KEY2 " endpoint 198.51.100.9:9");
	assert_no_changes(apply(kernel, LAPTOP, ""));
	apply(kernel, LAPTOP "," DESKTOP, RULE("100.64.0.2"));
	assert_output("wg show mesh0 endpoints | grep -v none", KEY2 "\t198.51.100.9:9\n");
	assert_int_equal(apply(kernel, LAPTOP_AT("192.0.2.8:1") "," DESKTOP, "").peers_changed, 1);
	assert_output("wg show mesh0 endpoints | grep -v none", KEY2 "\t192.0.2.8:1\n");
}

static void test_expiry(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map =
		make_map(SELF, DESKTOP "," ROUTER, RULE("10.1.0.0/16") "," RULE("100.64.0.4"));
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	struct kernel_changes changes;

	apply_at(kernel, map, NOW);
	changes = apply_at(kernel, map, NOW + HOUR);
	assert_int_equal(changes.peers_removed, 1);
	assert_int_equal(changes.routes_removed, 2);
	assert_int_equal(changes.nft_full_replacements, 0);
	assert_true(changes.nft_elements_removed >= 2);
	assert_output("wg show mesh0 peers", KEY3 "\n");
}

static void test_address_moves(void **state)
{
	static const char taken[] = "{\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": "
				    "[\"100.64.0.2\"], \"node_key\": \"" KEY3 "\"}";
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	struct kernel_changes changes;

	apply(kernel, LAPTOP "," DESKTOP, RULE("100.64.0.2"));
	changes = apply(kernel, taken, RULE("100.64.0.2"));
	assert_int_equal(changes.peers_removed, 1);
	assert_int_equal(changes.peers_changed, 1);
	assert_output("wg show mesh0 allowed-ips", KEY3 "\t100.64.0.2/32\n");
	run("nft list map inet peergate src4 | grep -q '100.64.0.2 comment \"desktop\"'");
}

static void test_own_address_changes(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map =
		make_map("\"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": "
			 "[\"100.64.0.9\"]}",
			 LAPTOP, "");
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	struct kernel_changes changes;

	apply(kernel, LAPTOP, "");
	changes = apply_at(kernel, map, NOW);
	assert_int_equal(changes.addresses_added, 1);
	assert_int_equal(changes.addresses_removed, 2);
	assert_no_changes(apply_at(kernel, map, NOW));
}

static void test_no_map(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);

	apply(kernel, LAPTOP, RULE("100.64.0.2"));
	assert_int_equal(apply_at(kernel, NULL, NOW).peers_removed, 1);
	assert_output("wg show mesh0 peers", "");
	run("ip link show mesh0 >/dev/null");
	run("nft list table inet peergate | grep -q 'no rule lets it in'");
	assert_int_equal(apply(kernel, LAPTOP, RULE("100.64.0.2")).peers_added, 1);
}

/* WireGuard is looked at once a second; all else is told at once. */
static void await_foreign(sd_event *event, const struct foreign *foreign, const char *command)
{
	for (int i = 0; i < 100 && foreign->n == 0; i++)
		assert_true(sd_event_run(event, 100000) >= 0);
	if (foreign->n == 0)
		fail_msg("%s: not noticed", command);
}

/* What others do is told, and undone by the next apply. */
static void test_foreign_changes(void **state)
{
	static const struct {
		const char *command, *what;
	} cases[] = {
		{ "nft add chain inet peergate other", "was changed by nft (pid " },
		{ "nft flush ruleset", "was deleted by nft (pid " },
		{ "ip addr del 100.64.0.1/32 dev mesh0", "link mesh0 lost an address" },
		{ "ip addr add 192.0.2.1/24 dev mesh0", "link mesh0 got an address" },
		{ "ip addr flush dev mesh0", "link mesh0 lost" },
		{ "ip route del 100.64.0.0/10 dev mesh0", "link mesh0 lost a route" },
		{ "ip route flush proto 201", "link mesh0 lost a route" },
		{ "ip -6 route flush proto 201", "link mesh0 lost a route" },
		{ "ip route flush proto 202", "link mesh0 lost a route" },
		{ "ip route add 192.0.2.0/24 dev mesh0 proto 201", "link mesh0 got a route" },
		{ "ip route replace unreachable 100.64.0.0/10 metric 1024",
		  "lost a route to another" },
		{ "ip link set mesh0 down", "link mesh0 was taken down" },
		{ "ip link set mesh0 mtu 1300", "link mesh0 was changed" },
		{ "ip link set mesh0 group default", "link mesh0 was changed" },
		{ "ip link set mesh0 down && ip link set mesh0 name foo", "link mesh0 was " },
		{ "ip link del mesh0", "link mesh0 was deleted" },
		{ "wg set mesh0 peer " KEY2 " remove", "link mesh0: WireGuard" },
		{ "wg set mesh0 peer " KEY2 " allowed-ips 100.64.0.9/32", "link mesh0: WireGuard" },
		{ "wg set mesh0 peer " KEY3 " allowed-ips 100.64.0.2/32", "link mesh0: WireGuard" },
		{ "wg set mesh0 listen-port 51000", "link mesh0: WireGuard" },
		{ "wg genkey >key.tmp && wg set mesh0 private-key key.tmp; rm key.tmp",
		  "link mesh0: WireGuard" },
	};
	static const char list[] =
		"ip -o addr show mesh0 | cut -d' ' -f2- | sort; "
		"ip route | sed 's/ *$//'; ip -6 route | grep -v fe80; "
		"wg show mesh0 | grep -v transfer; ip link show mesh0 | cut -d: -f2-; "
		"nft -s list ruleset";
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	_cleanup_free_ char *before = NULL;
	struct foreign foreign = { 0 };

	assert_int_equal(sd_event_new(&event), 0);
	kernel = open_kernel(event);
	kernel_on_foreign_change(kernel, note_foreign, &foreign);
	apply(kernel, LAPTOP "," ROUTER, RULE("100.64.0.2"));
	before = output_of(list);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct kernel_changes none;
		_cleanup_free_ char *after = NULL;
		struct kernel_changes changes;

		settle(event);
		assert_no_changes(apply(kernel, LAPTOP "," ROUTER, RULE("100.64.0.2")));
		settle(event);
		foreign.n = 0;
		run(cases[i].command);
		await_foreign(event, &foreign, cases[i].command);
		settle(event);
		if (!strstr(foreign.what, cases[i].what))
			fail_msg("%s: told \"%s\"", cases[i].command, foreign.what);
		changes = apply(kernel, LAPTOP "," ROUTER, RULE("100.64.0.2"));
		if (memcmp(&changes, &none, sizeof(none)) == 0)
			fail_msg("%s: nothing was put right", cases[i].command);
		after = output_of(list);
		if (strcmp(before, after) != 0)
			fail_msg("%s:\n%s\n-- before:\n%s", cases[i].command, after, before);
	}
}

/* A link of that name that another program made is left alone; ours is closed while it has it. */
static void test_foreign_wireguard(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(SELF, LAPTOP, RULE("100.64.0.2"));
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	_cleanup_free_ char *error = NULL, *foreign_link = NULL, *later = NULL;
	struct foreign foreign = { 0 };
	struct kernel_changes changes;

	assert_int_equal(sd_event_new(&event), 0);
	kernel = open_kernel(event);
	kernel_on_foreign_change(kernel, note_foreign, &foreign);
	run("ip link add mesh0 type wireguard && wg genkey >key.tmp && "
	    "wg set mesh0 private-key key.tmp peer " KEY3 " allowed-ips 10.9.0.0/16; rm key.tmp");
	foreign_link = output_of("wg showconf mesh0");
	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), -EEXIST);
	assert_non_null(strstr(error, "link mesh0 is another program's, with the WireGuard key "));
	later = output_of("wg showconf mesh0");
	assert_string_equal(later, foreign_link);
	assert_output("nft list ruleset", "");

	settle(event);
	foreign.n = 0;
	run("ip link del mesh0");
	await_foreign(event, &foreign, "ip link del mesh0");
	apply_at(kernel, map, NOW);

	/* It takes the name while we have a link. */
	run("ip link set mesh0 down && ip link set mesh0 name foo && ip link set foo up && "
	    "ip link add mesh0 type veth peer name other0 && ip link set mesh0 up");
	free(error);
	error = NULL;
	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), -EEXIST);
	run("ip link show foo | grep -q 'state DOWN' && ip -d link show mesh0 | grep -q 'veth'");
	run("nft list table inet peergate >/dev/null");
	run("ip link del mesh0");
	assert_int_equal(apply_at(kernel, map, NOW).links_created, 0);
	run("! ip link show foo 2>/dev/null && ip -d link show mesh0 | grep -q 'alias peergate'");
	run("wg show mesh0 peers | grep -q " KEY2 " && ip link show mesh0 | grep -q 'UP'");
}

/* Of an agent that knew no marks, and of one with another name for the link, or another key. */
static void test_earlier_link(void **state)
{
	struct kernel *first = open_kernel(NULL);
	_cleanup_(kernel_freep) struct kernel *second = NULL;

	apply(first, LAPTOP, RULE("100.64.0.2"));
	kernel_free(first);
	run("ip link set mesh0 alias ''");
	second = open_kernel(NULL);
	assert_no_changes(apply(second, LAPTOP, RULE("100.64.0.2")));
	run("ip link show mesh0 | grep -q 'alias peergate'");
	second = kernel_free(second);

	run("ip link set mesh0 down && ip link set mesh0 name old0 && ip link set old0 up");
	second = open_kernel(NULL);
	assert_int_equal(apply(second, LAPTOP, RULE("100.64.0.2")).links_created, 0);
	run("wg show mesh0 >/dev/null && ! ip link show old0 2>/dev/null");
	second = kernel_free(second);

	run("wg genkey >key.tmp && wg set mesh0 private-key key.tmp; rm key.tmp");
	second = open_kernel(NULL);
	assert_int_equal(apply(second, LAPTOP, RULE("100.64.0.2")).links_created, 0);
}

/* Until something can be put right the link is shut, if the table is gone. */
static void test_hold(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);

	apply(kernel, LAPTOP, RULE("100.64.0.2"));
	kernel_hold(kernel);
	run("ip link show mesh0 | grep -q ',UP'");
	run("nft flush chain inet peergate input");
	kernel_hold(kernel);
	run("! ip link show mesh0 | grep -q ',UP'");
	assert_int_equal(apply(kernel, LAPTOP, RULE("100.64.0.2")).links_changed, 1);
	run("ip link show mesh0 | grep -q ',UP' && ip route show proto 201 | grep -q mesh0");
}

static void test_port_taken(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = make_map(SELF, LAPTOP, RULE("100.64.0.2"));
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *error = NULL;
	struct kernel_changes changes;

	run("ip link add other0 type wireguard && wg set other0 listen-port 51820 && "
	    "ip link set other0 up");
	assert_int_equal(kernel_apply(kernel, map, NOW, &changes, &error), -EADDRINUSE);
	assert_non_null(strstr(error, "UDP port 51820 is taken: by a program (\"ss -ulnp sport = "
				      ":51820\" names it), or by another WireGuard link (\"wg show "
				      "all listen-port\" does; "));
	run("nft list table inet peergate >/dev/null && ! ip link show mesh0 | grep -q ',UP'");
	run("ip link del other0");
	apply_at(kernel, map, NOW);
	run("ip link show mesh0 | grep -q ',UP'");
}

/* Many peers to be kept alive are told so by and by, and others' changes are told from that. */
static void test_keepalives_are_staggered(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	_cleanup_free_ char *peers = NULL;
	struct foreign foreign = { 0 };
	size_t len;
	FILE *out = open_memstream(&peers, &len);

	for (unsigned i = 0; i < 250; i++) {
		struct wg_key key = { .bytes = { 9, (uint8_t)i } };
		char text[WG_KEY_B64LEN];

		fprintf(out,
			"%s{\"id\": \"p%u\", \"name\": \"p%u\", \"addresses\": [\"100.65.0.%u\"],"
			" \"node_key\": \"%s\", \"keepalive\": 25}",
			i ? "," : "", i, i, i, wg_key_to_string(&key, text));
	}
	fclose(out);
	assert_int_equal(sd_event_new(&event), 0);
	kernel = open_kernel(event);
	kernel_on_foreign_change(kernel, note_foreign, &foreign);
	apply(kernel, peers, "");
	assert_output("wg show mesh0 persistent-keepalive | grep -c 25", "100\n");
	/* One more apply does not let all the others go, either. */
	apply(kernel, peers, "");
	assert_output("wg show mesh0 persistent-keepalive | grep -c 25", "200\n");
	settle(event);
	foreign.n = 0;
	for (int i = 0; i < 40; i++)
		assert_true(sd_event_run(event, 100000) >= 0);
	assert_output("wg show mesh0 persistent-keepalive | grep -c 25", "250\n");
	if (foreign.n > 0)
		fail_msg("%s", foreign.what);
	assert_no_changes(apply(kernel, peers, ""));
}

/* Our own changes are no news: an apply must not lead to another for ever. */
static void test_own_changes_settle(void **state)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(kernel_freep) struct kernel *kernel = NULL;
	struct foreign foreign = { 0 };
	int rounds = 0;

	assert_int_equal(sd_event_new(&event), 0);
	kernel = open_kernel(event);
	kernel_on_foreign_change(kernel, note_foreign, &foreign);
	do {
		foreign.n = 0;
		apply(kernel, LAPTOP "," ROUTER, RULE("100.64.0.2"));
		settle(event);
	} while (foreign.n > 0 && ++rounds < 5);
	assert_in_range(rounds, 0, 2);
}

static void test_down(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *error = NULL;

	apply(kernel, LAPTOP, RULE("100.64.0.2"));
	assert_int_equal(kernel_down(kernel, &error), 0);
	assert_output("nft list ruleset; ip link show mesh0 2>/dev/null || true", "");
	assert_output("ip route; ip -6 route show proto 202", "");
	assert_int_equal(kernel_down(kernel, &error), 0);
	apply(kernel, LAPTOP, RULE("100.64.0.2"));
	run("wg show mesh0 >/dev/null");
}

/* What is meant for the mesh goes over its link, or nowhere: not by a default route. */
static void test_never_in_the_clear(void **state)
{
	static const char mesh_is_unreachable[] =
		"! ip route get 100.64.0.2 2>/dev/null && ! ip -6 route get fd00:1::2 2>/dev/null";
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *error = NULL;

	run("ip link add out0 type veth peer name out1 && ip link set out0 up && "
	    "ip link set out1 up && ip addr add 192.0.2.1/24 dev out0 && "
	    "ip addr add 2001:db8:2::1/64 nodad dev out0 && ip route add default dev out0 && "
	    "ip -6 route add default dev out0");
	apply(kernel, LAPTOP, RULE("100.64.0.2"));
	assert_output(list_guards, "unreachable 100.64.0.0/10 last\n"
				   "unreachable fd00:1::/48 last\n");
	run("ip route get 100.64.0.2 | grep -q mesh0 && ip -6 route get fd00:1::2 | grep -q mesh0");
	assert_no_changes(apply(kernel, LAPTOP, RULE("100.64.0.2")));
	run("ip link set mesh0 down");
	run(mesh_is_unreachable);
	/* Blocked, for want of a map: the routes over the link go, these stay. */
	apply_at(kernel, NULL, NOW);
	run(mesh_is_unreachable);
	assert_int_equal(kernel_down(kernel, &error), 0);
	assert_output(list_guards, "");
	run("ip link del out0");
}

/* Peers enough for several messages; one more is one more. */
static void test_many_peers(void **state)
{
	_cleanup_(kernel_freep) struct kernel *kernel = open_kernel(NULL);
	_cleanup_free_ char *peers = NULL;
	struct kernel_changes changes;
	size_t len;
	FILE *out = open_memstream(&peers, &len);

	for (unsigned i = 0; i < 2000; i++) {
		struct wg_key key = { .bytes = { 9, (uint8_t)i, (uint8_t)(i >> 8) } };
		char text[WG_KEY_B64LEN];

		fprintf(out,
			"%s{\"id\": \"p%u\", \"name\": \"p%u\", \"addresses\": [\"100.65.%u.%u\"],"
			" \"node_key\": \"%s\", \"endpoints\": [\"192.0.2.9:%u\"]}",
			i ? "," : "", i, i, i >> 8, i & 0xff, wg_key_to_string(&key, text), i + 1);
	}
	fflush(out);
	assert_int_equal(apply(kernel, peers, RULE("100.64.0.0/10")).peers_added, 2000);
	assert_output("wg show mesh0 peers | wc -l", "2000\n");
	fprintf(out, ",%s", LAPTOP);
	fclose(out);
	changes = apply(kernel, peers, RULE("100.64.0.0/10"));
	assert_int_equal(changes.peers_added, 1);
	assert_int_equal(changes.peers_changed + changes.peers_removed, 0);
	assert_int_equal(changes.nft_elements_added, 1);
	assert_int_equal(changes.nft_elements_removed, 0);
}

static void become_agent(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_NET_ADMIN;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ||
	    syscall(SYS_capset, &header, data) < 0)
		_exit(2);
}

/* A user who is not root, with CAP_NET_ADMIN and nothing else. */
static void test_without_root(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map =
		make_map(SELF, LAPTOP "," ROUTER, RULE("100.64.0.2"));
	_cleanup_(netmap_freep) struct netmap *less = make_map(SELF, LAPTOP, "");
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct kernel *kernel;
		struct kernel_changes changes;
		char *error = NULL;
		sd_event *event = NULL;
		const struct kernel_config config = { "mesh0", 51820, 0, 2022 };
		struct wg_key key = { .bytes = { 1 } };

		become_agent();
		if (sd_event_new(&event) < 0 || kernel_new(event, &config, &key, &kernel) < 0)
			_exit(3);
		if (kernel_apply(kernel, map, NOW, &changes, &error) < 0 ||
		    kernel_apply(kernel, less, NOW, &changes, &error) < 0 ||
		    kernel_down(kernel, &error) < 0) {
			fprintf(stderr, "%s\n", error);
			_exit(4);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest anywhere[] = {
		cmocka_unit_test_setup(test_foreign_link_is_refused, setup),
		cmocka_unit_test_setup(test_guards, setup),
		cmocka_unit_test_setup(test_news, setup),
	};
	const struct CMUnitTest without[] = {
		cmocka_unit_test_setup(test_no_wireguard, setup),
	};
	const struct CMUnitTest with[] = {
		cmocka_unit_test_setup(test_everything, setup),
		cmocka_unit_test_setup(test_restart_changes_nothing, setup),
		cmocka_unit_test_setup(test_roaming, setup),
		cmocka_unit_test_setup(test_expiry, setup),
		cmocka_unit_test_setup(test_address_moves, setup),
		cmocka_unit_test_setup(test_own_address_changes, setup),
		cmocka_unit_test_setup(test_no_map, setup),
		cmocka_unit_test_setup(test_foreign_changes, setup),
		cmocka_unit_test_setup(test_own_changes_settle, setup),
		cmocka_unit_test_setup(test_foreign_wireguard, setup),
		cmocka_unit_test_setup(test_earlier_link, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_port_taken, setup),
		cmocka_unit_test_setup(test_keepalives_are_staggered, setup),
		cmocka_unit_test_setup(test_down, setup),
		cmocka_unit_test_setup(test_never_in_the_clear, setup),
		cmocka_unit_test_setup(test_many_peers, setup),
		cmocka_unit_test_setup(test_without_root, setup),
	};
	int failed;

	if (!netns_enter())
		return NETNS_SKIP;
	failed = cmocka_run_group_tests(anywhere, NULL, NULL);
	if (netns_has_wireguard())
		return failed + cmocka_run_group_tests(with, NULL, NULL);
	return failed + cmocka_run_group_tests(without, NULL, NULL);
}
