#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/wg/diff.h"
#include "agent/wg/keepalive.h"
#include "agent/wg/moves.h"
#include "agent/wg/parse.h"
#include "agent/wg/wanted.h"
#include "common/text.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>

#define NOW 1795564800000000u

/* Devices as text: "KEY ENDPOINT KEEPALIVE PREFIX[,PREFIX] [HANDSHAKE seconds ago]; ..." */
static void read_peer(struct wg_device *device, char *text)
{
	char key_name[8], endpoint[64], prefixes[256], *save = NULL;
	unsigned keepalive, ago;
	struct wg_key key = { 0 };
	struct wg_peer *peer;
	size_t n_alloc = 0;
	int n;

	n = sscanf(text, " %7s %63s %u %255s %u", key_name, endpoint, &keepalive, prefixes, &ago);
	assert_in_range(n, 4, 5);
	memset(key.bytes, key_name[0], sizeof(key.bytes));
	peer = wg_device_add(device, &key);
	if (strcmp(endpoint, "-") != 0)
		assert_int_equal(ip_endpoint_parse(endpoint, &peer->endpoint), 0);
	peer->keepalive = (uint16_t)keepalive;
	peer->last_handshake = n == 5 ? NOW - ago * 1000000ull : 0;
	for (char *p = strtok_r(prefixes, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		struct ip_prefix prefix;

		if (strcmp(p, "-") == 0)
			continue;
		assert_int_equal(ip_prefix_parse(p, &prefix), 0);
		assert_int_equal(wg_peer_allow(peer, &n_alloc, &prefix), 0);
	}
}

static struct wg_device *make_device(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	struct wg_device *device = wg_device_new();
	char *save = NULL;

	for (char *p = strtok_r(copy, ";", &save); p; p = strtok_r(NULL, ";", &save))
		read_peer(device, p);
	wg_device_sort(device);
	return device;
}

static char *print_diff(const struct wg_diff *diff)
{
	char *text = NULL, buf[64];
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; i < diff->n_changes; i++) {
		const struct wg_change *c = &diff->changes[i];

		fprintf(out, "%s%c", i ? "; " : "", c->peer->key.bytes[0]);
		if (c->remove)
			fprintf(out, " remove");
		if (c->add)
			fprintf(out, " add");
		if (c->set_endpoint)
			fprintf(out, " endpoint %s",
				ip_endpoint_to_string(&c->peer->endpoint, buf));
		if (c->set_keepalive)
			fprintf(out, " keepalive %u", c->peer->keepalive);
		if (c->replace_allowed)
			fprintf(out, " replace");
		for (size_t j = 0; j < c->n_allowed; j++)
			fprintf(out, " %s",
				c->allowed[j].len == ip_addr_bits(&c->allowed[j].addr)
					? ip_addr_to_string(&c->allowed[j].addr, buf)
					: ip_prefix_to_string(&c->allowed[j], buf));
	}
	fclose(out);
	return text;
}

static const struct diff_case {
	const char *what;
	const char *from; /* what the kernel has */
	const char *last; /* what we told it; NULL: unknown */
	const char *to;
	const char *expected;
	bool moves;
} diff_cases[] = {
	{ "nothing", "", "", "", "", false },
	{ "the same", "a 192.0.2.1:1 25 100.64.0.2", "a 192.0.2.1:1 25 100.64.0.2",
	  "a 192.0.2.1:1 25 100.64.0.2", "", false },
	{ "first peer", "", NULL, "a 192.0.2.1:1 25 100.64.0.2,fd00::2",
	  "a add endpoint 192.0.2.1:1 keepalive 25 replace 100.64.0.2 fd00::2", false },
	{ "a peer without endpoint and keepalive", "", NULL, "a - 0 100.64.0.2",
	  "a add replace 100.64.0.2", false },
	{ "removals first", "b - 0 100.64.0.3", "", "a - 0 100.64.0.2",
	  "b remove; a add replace 100.64.0.2", false },
	{ "a roamed endpoint stays", "a 198.51.100.9:9 0 100.64.0.2", "a 192.0.2.1:1 0 100.64.0.2",
	  "a 192.0.2.1:1 0 100.64.0.2", "", false },
	{ "a new endpoint in the map goes before the roamed one", "a 198.51.100.9:9 0 100.64.0.2",
	  "a 192.0.2.1:1 0 100.64.0.2", "a 192.0.2.2:2 0 100.64.0.2", "a endpoint 192.0.2.2:2",
	  false },
	{ "a map without endpoint takes none away", "a 198.51.100.9:9 0 100.64.0.2",
	  "a 192.0.2.1:1 0 100.64.0.2", "a - 0 100.64.0.2", "", false },
	{ "after a restart: a peer that talks keeps its endpoint",
	  "a 198.51.100.9:9 0 100.64.0.2 100", NULL, "a 192.0.2.1:1 0 100.64.0.2", "", false },
	{ "after a restart: a silent one gets the map's", "a 198.51.100.9:9 0 100.64.0.2 200", NULL,
	  "a 192.0.2.1:1 0 100.64.0.2", "a endpoint 192.0.2.1:1", false },
	{ "after a restart: never talked, already right", "a 192.0.2.1:1 0 100.64.0.2", NULL,
	  "a 192.0.2.1:1 0 100.64.0.2", "", false },
	{ "keepalive off", "a - 25 100.64.0.2", "", "a - 0 100.64.0.2", "a keepalive 0", false },
	{ "one more prefix", "a - 0 100.64.0.2", "", "a - 0 100.64.0.2,10.0.0.0/8",
	  "a 10.0.0.0/8 100.64.0.2", false },
	{ "one prefix less", "a - 0 100.64.0.2,10.0.0.0/8", "", "a - 0 100.64.0.2",
	  "a replace 100.64.0.2", false },
	{ "no prefix left", "a - 0 100.64.0.2", "", "a - 0 -", "a replace", false },
	{ "an address moves to a new peer", "a - 0 100.64.0.2", "", "b - 0 100.64.0.2",
	  "a remove; b add replace 100.64.0.2", true },
	{ "two peers swap", "a - 0 100.64.0.2; b - 0 100.64.0.3", "",
	  "a - 0 100.64.0.3; b - 0 100.64.0.2", "a replace 100.64.0.3; b replace 100.64.0.2",
	  true },
	{ "a subnet within another's", "a - 0 10.0.0.0/8", "",
	  "a - 0 10.0.0.0/8; b - 0 10.1.0.0/16", "b add replace 10.1.0.0/16", true },
	{ "a subnet around another's", "a - 0 10.1.0.0/16", "",
	  "a - 0 10.1.0.0/16; b - 0 10.0.0.0/8", "b add replace 10.0.0.0/8", true },
	{ "neighbours", "a - 0 10.1.0.0/16", "", "a - 0 10.1.0.0/16; b - 0 10.0.0.0/16,10.2.0.0/16",
	  "b add replace 10.0.0.0/16 10.2.0.0/16", false },
};

static void test_diff(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(diff_cases); i++) {
		const struct diff_case *c = &diff_cases[i];
		_cleanup_(wg_device_freep) struct wg_device *from = make_device(c->from);
		_cleanup_(wg_device_freep) struct wg_device *to = make_device(c->to);
		_cleanup_(wg_device_freep) struct wg_device *last =
			c->last ? make_device(c->last) : NULL;
		_cleanup_free_ char *text = NULL;
		struct wg_diff diff;
		bool moves = false;

		assert_int_equal(wg_diff_build(from, last, to, NOW, &diff), 0);
		text = print_diff(&diff);
		if (strcmp(text, c->expected) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"", c->what, text, c->expected);
		assert_int_equal(wg_diff_empty(&diff), c->expected[0] == '\0');
		assert_int_equal(wg_diff_moves(from, &diff, &moves), 0);
		if (moves != c->moves)
			fail_msg("%s: moves is %d", c->what, moves);
		wg_diff_done(&diff);
	}
}

/* Expired peers are out; the first of two routers has the network. */
static void test_wanted(void **state)
{
	struct ip_addr addr_a = { AF_INET, { 100, 64, 0, 2 } },
		       addr_b = { AF_INET, { 100, 64, 0, 3 } };
	struct ip_prefix routes[] = { { { AF_INET, { 10, 1 } }, 16 },
				      { { AF_INET, { 10, 2 } }, 16 } };
	struct ip_endpoint endpoints[] = { { { AF_INET, { 192, 0, 2, 1 } }, 1 },
					   { { AF_INET, { 192, 0, 2, 2 } }, 2 } };
	struct netmap_node peers[] = {
		{ .key.bytes = { 'b' },
		  .addresses = &addr_b,
		  .n_addresses = 1,
		  .routes = routes,
		  .n_routes = 1,
		  .endpoints = endpoints,
		  .n_endpoints = 2,
		  .keepalive = 25,
		  .key_expiry = UINT64_MAX },
		{ .key.bytes = { 'a' },
		  .addresses = &addr_a,
		  .n_addresses = 1,
		  .routes = routes,
		  .n_routes = 2,
		  .key_expiry = NOW + 1 },
	};
	const struct netmap map = { .peers = peers, .n_peers = 2 };
	const struct wg_device settings = { .listen_port = 51820, .fwmark = 3 };
	_cleanup_(wg_device_freep) struct wg_device *device = NULL, *expired = NULL, *none = NULL;

	assert_int_equal(wg_wanted(&map, NOW, &settings, &device), 0);
	assert_int_equal(device->listen_port, 51820);
	assert_int_equal(device->fwmark, 3);
	assert_int_equal(device->n_peers, 2);
	assert_int_equal(device->peers[0].key.bytes[0], 'a');
	assert_int_equal(device->peers[0].n_allowed, 2);
	assert_int_equal(device->peers[0].allowed[0].addr.bytes[1], 2);
	assert_int_equal(device->peers[1].n_allowed, 2);
	assert_int_equal(device->peers[1].allowed[0].addr.bytes[1], 1);
	assert_int_equal(device->peers[1].endpoint.port, 1);
	assert_int_equal(device->peers[1].keepalive, 25);
	assert_int_equal(wg_wanted(&map, NOW + 1, &settings, &expired), 0);
	assert_int_equal(expired->n_peers, 1);
	assert_int_equal(wg_wanted(NULL, NOW, &settings, &none), 0);
	assert_int_equal(none->n_peers, 0);
}

static void test_device_settings(void **state)
{
	_cleanup_(wg_device_freep) struct wg_device *from = make_device("");
	_cleanup_(wg_device_freep) struct wg_device *to = make_device("");
	struct wg_diff diff;

	from->listen_port = 40000;
	assert_int_equal(wg_diff_build(from, NULL, to, NOW, &diff), 0);
	assert_true(wg_diff_empty(&diff)); /* any port will do */
	wg_diff_done(&diff);

	to->listen_port = 51820;
	to->fwmark = 7;
	to->public_key.bytes[0] = 1;
	assert_int_equal(wg_diff_build(from, NULL, to, NOW, &diff), 0);
	assert_true(diff.set_listen_port && diff.set_fwmark && diff.set_private_key);
	assert_false(wg_diff_empty(&diff));
	wg_diff_done(&diff);
}

static size_t n_kept_alive(const struct wg_device *device)
{
	size_t n = 0;

	for (size_t i = 0; i < device->n_peers; i++)
		n += device->peers[i].keepalive == 25;
	return n;
}

/* All but a burst wait; one that has a keepalive already does not, and none is for ever. */
static void test_keepalives(void **state)
{
	_cleanup_(wg_device_freep) struct wg_device *from = make_device("A - 5 100.64.0.2");
	_cleanup_(wg_device_freep) struct wg_device *to = wg_device_new();
	size_t waiting = 2 * WG_KEEPALIVE_BURST;
	struct wg_diff diff;

	for (unsigned i = 0; i < 3 * WG_KEEPALIVE_BURST; i++) {
		struct wg_key key = { .bytes = { 1, (uint8_t)(i >> 8), (uint8_t)i } };

		assert_non_null(wg_device_add(to, &key));
		to->peers[i].keepalive = 25;
	}
	assert_non_null(wg_device_add(to, &from->peers[0].key));
	to->peers[to->n_peers - 1].keepalive = 25;
	wg_keepalive_hold(from, to);
	assert_int_equal(n_kept_alive(to), WG_KEEPALIVE_BURST + 1);
	assert_int_equal(to->peers[to->n_peers - 1].keepalive, 25);
	while (wg_keepalive_waits(to)) {
		assert_int_equal(wg_keepalive_release(to, &diff), 0);
		assert_int_equal(diff.n_changes, WG_KEEPALIVE_BURST);
		assert_true(diff.changes[0].set_keepalive && !diff.changes[0].replace_allowed);
		assert_int_equal(diff.changes[0].peer->keepalive, 25);
		waiting -= diff.n_changes;
		assert_int_equal(n_kept_alive(to), to->n_peers - waiting);
		wg_diff_done(&diff);
	}
	assert_int_equal(waiting, 0);
	assert_int_equal(wg_keepalive_release(to, &diff), 0);
	assert_true(wg_diff_empty(&diff));
	wg_diff_done(&diff);
}

static struct nlmsghdr *start_dump(char *buf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct genlmsghdr));
	return nlh;
}

static void put_part(struct nlmsghdr *nlh, char key, uint8_t first_octet, uint8_t family,
		     uint8_t mask, size_t addr_len)
{
	struct nlattr *list = mnl_attr_nest_start(nlh, WGDEVICE_A_PEERS);
	struct nlattr *peer = mnl_attr_nest_start(nlh, 0), *ips, *ip;
	uint8_t bytes[32] = { first_octet };
	struct wg_key wg_key;

	memset(wg_key.bytes, key, sizeof(wg_key.bytes));
	mnl_attr_put(nlh, WGPEER_A_PUBLIC_KEY, WG_KEY_LEN, wg_key.bytes);
	ips = mnl_attr_nest_start(nlh, WGPEER_A_ALLOWEDIPS);
	ip = mnl_attr_nest_start(nlh, 0);
	mnl_attr_put_u16(nlh, WGALLOWEDIP_A_FAMILY, family);
	mnl_attr_put(nlh, WGALLOWEDIP_A_IPADDR, addr_len, bytes);
	mnl_attr_put_u8(nlh, WGALLOWEDIP_A_CIDR_MASK, mask);
	mnl_attr_nest_end(nlh, ip);
	mnl_attr_nest_end(nlh, ips);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, list);
}

/* A peer's prefixes are spread over messages; the next peer begins in one that continues. */
static void test_parse_continued(void **state)
{
	struct wg_parse parse = { .device = wg_device_new() };
	static const struct {
		char key;
		uint8_t octet;
	} parts[] = { { 'b', 10 }, { 'b', 11 }, { 'b', 12 }, { 'a', 13 } };

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			char buf[1024];
			struct nlmsghdr *nlh = start_dump(buf);

			put_part(nlh, parts[i].key, parts[i].octet, AF_INET, 8, 4);
			assert_int_equal(wg_parse_message(&parse, nlh), 0);
		}
		assert_int_equal(parse.device->n_peers, 2);
		assert_int_equal(parse.device->peers[0].n_allowed, 3);
		assert_int_equal(parse.device->peers[1].n_allowed, 1);
		if (round == 0)
			wg_parse_restart(&parse);
	}
	wg_device_free(parse.device);
}

static void test_parse_refuses(void **state)
{
	static const struct {
		uint8_t family, mask;
		size_t addr_len;
	} cases[] = { { AF_INET, 33, 4 }, { AF_INET6, 129, 16 }, { 99, 8, 4 }, { AF_INET, 8, 17 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wg_parse parse = { .device = wg_device_new() };
		char buf[1024];
		struct nlmsghdr *nlh = start_dump(buf);

		put_part(nlh, 'a', 10, cases[i].family, cases[i].mask, cases[i].addr_len);
		assert_int_equal(wg_parse_message(&parse, nlh), -EBADMSG);
		wg_device_free(parse.device);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_device_settings),
		cmocka_unit_test(test_keepalives),
		cmocka_unit_test(test_parse_continued),
		cmocka_unit_test(test_parse_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
