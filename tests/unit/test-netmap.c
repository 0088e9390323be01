#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "agent/netmap/json.h"
#include "agent/netmap/netmap.h"
#include "common/file.h"
#include "common/text.h"
#include "tests/unit/netmap-document.h"
#include "tests/unit/netmap-same.h"

static struct netmap *parse_changed(const char *path, const char *value)
{
	json_t *document = document_load();
	struct netmap *map = NULL;
	char *error = NULL;

	if (path)
		document_set(document, path, value);
	if (document_parse(document, &error, &map) < 0)
		fail_msg("%s = %s: refused: %s", path, value, error);
	json_decref(document);
	return map;
}

static void assert_addr(const struct ip_addr *addr, const char *text)
{
	char buf[IP_ADDR_STRLEN];

	assert_string_equal(ip_addr_to_string(addr, buf), text);
}

static void assert_prefix(const struct ip_prefix *prefix, const char *text)
{
	char buf[IP_PREFIX_STRLEN];

	assert_string_equal(ip_prefix_to_string(prefix, buf), text);
}

static void test_reads_head_and_self(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(NULL, NULL);

	assert_int_equal(map->generation, 4711);
	assert_true(map->issued_at == 1795341600000000u);
	assert_string_equal(map->for_node, "n1");
	assert_string_equal(map->domain, "mesh.example");
	assert_int_equal(map->n_prefixes, 2);
	assert_prefix(&map->prefixes[0], "100.64.0.0/10");
	assert_string_equal(map->self.name, "server");
	assert_int_equal(map->self.n_addresses, 2);
	assert_null(map->self.user);
	assert_string_equal(map->self.tags[0], "tag:prod");
	assert_true(map->self.key_expiry == UINT64_MAX);
	assert_true(map->self.ssh);
	assert_prefix(&map->self.routes[0], "10.33.0.0/16");
	assert_int_equal(map->n_users, 2);
	assert_string_equal(map->users[0].login, "alice@example.com");
	assert_string_equal(map->users[0].name, "Alice");
	assert_null(map->users[1].name);
}

static void test_reads_peers_sorted(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(NULL, NULL);
	const struct netmap_node *laptop = &map->peers[0], *router = &map->peers[1];
	char buf[IP_ENDPOINT_STRLEN];

	assert_int_equal(map->n_peers, 2);
	assert_string_equal(laptop->id, "n2");
	assert_string_equal(laptop->user, "alice@example.com");
	assert_int_equal(laptop->n_tags, 0);
	assert_int_equal(laptop->keepalive, 25);
	assert_int_equal(laptop->n_endpoints, 2);
	assert_string_equal(ip_endpoint_to_string(&laptop->endpoints[1], buf),
			    "[2001:db8::7]:51820");
	assert_true(laptop->key_expiry == 1798761600000000u);
	assert_int_equal(laptop->presence, NETMAP_ONLINE);
	assert_memory_equal(laptop->key.bytes, "two2two2", 8);
	assert_int_equal(strncmp(laptop->ssh_host_keys[0], "ssh-ed25519 AAAA", 16), 0);
	assert_string_equal(router->id, "n9");
	assert_int_equal(router->n_routes, 2);
	assert_int_equal(router->keepalive, 0);
	assert_true(router->key_expiry == UINT64_MAX);
	assert_int_equal(router->presence, NETMAP_OFFLINE);
}

static void test_reads_filter(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(NULL, NULL);
	const struct filter_rule *rule = &map->filter[0];

	/* The capability grant and the rule without sources admit nothing. */
	assert_int_equal(map->n_filter, 2);
	assert_int_equal(rule->n_src, 2);
	assert_prefix(&rule->src[1], "fd7a:115c:a1e0::2/128");
	assert_int_equal(rule->n_dst, 1);
	assert_int_equal(rule->dst[0].ports.first, 22);
	assert_int_equal(rule->dst[0].ports.last, 22);
	assert_int_equal(rule->n_proto, 1);
	assert_int_equal(rule->proto[0], 6);
	assert_string_equal(rule->origin, "acls[0] line 14");

	rule = &map->filter[1];
	assert_int_equal(rule->n_dst, 2);
	assert_prefix(&rule->dst[0].prefix, "0.0.0.0/0");
	assert_prefix(&rule->dst[1].prefix, "::/0");
	assert_int_equal(rule->dst[1].ports.last, 65535);
	assert_int_equal(rule->n_proto, 0);
	assert_null(rule->origin);
}

static const struct range_case {
	const char *range;
	const char *prefixes[6];
} range_cases[] = {
	{ "100.115.94.0-100.127.255.255",
	  { "100.115.94.0/23", "100.115.96.0/19", "100.115.128.0/17", "100.116.0.0/14",
	    "100.120.0.0/13" } },
	{ "0.0.0.0-255.255.255.255", { "0.0.0.0/0" } },
	{ "0.0.0.0-9.255.255.255", { "0.0.0.0/5", "8.0.0.0/7" } },
	{ "255.255.255.254-255.255.255.255", { "255.255.255.254/31" } },
	{ "10.0.0.255-10.0.1.0", { "10.0.0.255/32", "10.0.1.0/32" } },
	{ "10.0.0.7-10.0.0.7", { "10.0.0.7/32" } },
	{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", { "::/0" } },
	{ "fd00::1-fd00::4", { "fd00::1/128", "fd00::2/127", "fd00::4/128" } },
};

static void test_splits_ranges(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(range_cases); i++) {
		const struct range_case *c = &range_cases[i];
		_cleanup_free_ char *value = text_printf("\"%s\"", c->range);
		_cleanup_(netmap_freep) struct netmap *map =
			parse_changed("packet_filter[1].src[0]", value);
		const struct filter_rule *rule = &map->filter[1];

		for (size_t k = 0; c->prefixes[k]; k++) {
			assert_true(k < rule->n_src);
			assert_prefix(&rule->src[k], c->prefixes[k]);
			assert_true(k + 1 < rule->n_src || !c->prefixes[k + 1]);
		}
	}
}

static void test_longest_range(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(
		"packet_filter[1].src[0]", "\"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\"");

	assert_int_equal(map->filter[1].n_src, 254);
	assert_prefix(&map->filter[1].src[0], "::1/128");
	assert_prefix(&map->filter[1].src[253], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128");
}

static void test_reads_ssh_rules(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(NULL, NULL);
	const struct ssh_rule *rule = &map->ssh_rules[0];

	assert_int_equal(map->n_ssh_rules, 2);
	assert_int_equal(rule->n_principals, 2);
	assert_addr(&rule->principals[0], "100.64.0.2");
	assert_false(rule->any);
	assert_int_equal(rule->n_users, 2);
	assert_string_equal(rule->users[1].ssh_user, "*");
	assert_string_equal(rule->users[1].local_user, "=");
	assert_int_equal(rule->action, SSH_ACTION_ACCEPT);
	assert_string_equal(rule->accept_env[0], "LC_*");
	assert_string_equal(rule->origin, "ssh[2] line 31");
	assert_true(rule->rule_expires == UINT64_MAX);
	assert_true(rule->forwarding.agent && rule->forwarding.local);
	assert_false(rule->forwarding.remote);
	assert_null(rule->force_command);
	assert_true(rule->idle_timeout_usec == 900000000u);
	assert_true(rule->max_duration_usec == 3600000000u);
	assert_string_equal(rule->message, "Welcome?[2J");
	assert_false(rule->needs_recorder);

	rule = &map->ssh_rules[1];
	assert_true(rule->any);
	assert_int_equal(rule->n_principals, 0);
	assert_int_equal(rule->action, SSH_ACTION_REJECT);
	assert_string_equal(rule->action_text, "teleport");
	assert_false(rule->forwarding.agent || rule->forwarding.local || rule->forwarding.remote);
}

static void test_recorders(void **state)
{
	static const char *const values[][2] = {
		{ "ssh_rules[0].recorders", "[\"100.64.0.9:80\"]" },
		{ "ssh_rules[0].enforce_recorder", "true" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_(netmap_freep) struct netmap *map =
			parse_changed(values[i][0], values[i][1]);

		assert_true(map->ssh_rules[0].needs_recorder);
	}
}

/* What is unusual, but right. */
static const char *const accepted[][2] = {
	{ "peers", "[]" },
	{ "packet_filter", "[]" },
	{ "ssh_rules", "[]" },
	{ "users", "{}" },
	{ "users", NULL },
	{ "issued_at", NULL },
	{ "generation", "0" },
	{ "self.ssh", NULL },
	{ "self.tags", NULL },
	{ "peers[1].user", "\"nobody@example.com\"" },
	{ "peers[1].user", "null" },
	{ "peers[1].keepalive", "65535" },
	{ "peers[0].routes[1]", "\"10.44.1.0/24\"" },
	{ "peers[1].routes[0]", "\"10.44.1.0/24\"" },
	{ "packet_filter[0].proto", NULL },
	{ "packet_filter[0].proto[0]", "255" },
	{ "packet_filter[0].dst[0].ports", "[0, 0]" },
	{ "ssh_rules[0].principals", "[]" },
	{ "ssh_rules[0].users", "{}" },
	{ "ssh_rules[0].users",
	  "{\"localpart:\": \"localpart:\", \"root\": \"\", \"\xf0\x9f\x9a\x80\": \"x\"}" },
	{ "ssh_rules[0].action", "\"reject\"" },
	{ "ssh_rules[0].force_command", "\"/usr/bin/rsync --server\"" },
	{ "ssh_rules[0].rule_expires", "\"2020-01-01T00:00:00Z\"" },
};

static void test_accepts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		struct netmap *map = parse_changed(accepted[i][0], accepted[i][1]);

		netmap_free(map);
	}
}

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9"

static const struct refusal {
	const char *path;
	const char *value; /* JSON; NULL: the member is removed */
	const char *report;
} refusals[] = {
	/* The document. */
	{ "type", "\"delta\"", "type: \"delta\" is no whole map; expected \"full\"" },
	{ "type", NULL, "type: is missing" },
	{ "version", "2", "version: 2 needs a newer agent; this one understands version 1" },
	{ "version", "\"1\"", "version: expected a whole number, not a string" },
	{ "version", NULL, "version: is missing" },
	{ "for", "\"n7\"", "for: the map is for node \"n7\", but self.id is \"n1\"" },
	{ "for", NULL, "for: is missing" },
	{ "generation", NULL, "generation: is missing" },
	{ "generation", "-1", "generation: -1 is negative" },
	{ "issued_at", "\"yesterday\"", "issued_at: \"yesterday\" is no time" },
	{ "self", NULL, "self: is missing" },
	{ "mesh", NULL, "mesh: is missing" },
	{ "peers", NULL, "peers: is missing" },
	{ "peers", "null", "peers: expected an array, not null" },
	{ "packet_filter", NULL, "packet_filter: is missing" },
	{ "ssh_rules", NULL, "ssh_rules: is missing" },

	/* The mesh. */
	{ "mesh.domain", "\"Mesh.example\"",
	  "mesh.domain: \"Mesh.example\" is no domain of a mesh" },
	{ "mesh.domain", "\"mesh.example\\nx\"",
	  "mesh.domain: \"mesh.example?x\" is no domain of a mesh" },
	{ "mesh.domain", "\"com\"",
	  "mesh.domain: \"com\" is no domain of a mesh; expected two lower-case labels or more" },
	{ "mesh.domain", "\"\"", "mesh.domain: \"\" is no domain of a mesh" },
	{ "mesh.prefixes", "[]", "mesh.prefixes: is empty; expected at least one prefix" },
	{ "mesh.prefixes[0]", "\"0.0.0.0/0\"",
	  "mesh.prefixes[0]: 0.0.0.0/0 is too wide; expected /8" },
	{ "mesh.prefixes[1]", "\"::/0\"", "mesh.prefixes[1]: ::/0 is too wide; expected /16" },
	{ "mesh.prefixes[0]", "\"100.0.0.0/7\"", "mesh.prefixes[0]: 100.0.0.0/7 is too wide" },
	{ "mesh.prefixes[0]", "\"127.0.0.0/8\"", "mesh.prefixes[0]: 127.0.0.0/8 is reserved" },
	{ "mesh.prefixes[0]", "\"224.0.0.0/8\"", "mesh.prefixes[0]: 224.0.0.0/8 is reserved" },
	{ "mesh.prefixes[1]", "\"fe80::/16\"", "mesh.prefixes[1]: fe80::/16 is reserved" },
	{ "mesh.prefixes[0]", "\"100.64.0.1/10\"",
	  "mesh.prefixes[0]: \"100.64.0.1/10\" is no prefix" },
	{ "mesh.prefixes[2]", "\"100.100.0.0/16\"",
	  "mesh.prefixes[2]: 100.100.0.0/16 overlaps mesh.prefixes[0]" },
	{ "mesh.prefixes[2]", "\"100.64.0.0/10\"",
	  "mesh.prefixes[2]: 100.64.0.0/10 overlaps mesh.prefixes[0]" },

	/* Identifiers. */
	{ "self.id", "\"\"", "self.id: \"\" is no node id" },
	{ "peers[0].id", "\"a/b\"", "peers[0].id: \"a/b\" is no node id" },
	{ "peers[0].id", "\"0123456789012345678901234567890123456789012345678901234567890123x\"",
	  "peers[0].id: \"0123456789" },
	{ "peers[0].id", "7", "peers[0].id: expected a string, not a whole number" },
	{ "peers[0].id", "\"n2\"", "peers[1].id: n2 is in peers[0].id already" },
	{ "peers[1].id", "\"n1\"", "peers[1].id: n1 is in self.id already" },
	{ "peers[0].name", "\"Router\"", "peers[0].name: \"Router\" is no host name" },
	{ "peers[0].name", "\"a.b\"", "peers[0].name: \"a.b\" is no host name" },
	{ "peers[0].name", "\"localhost\"",
	  "peers[0].name: \"localhost\" is every host's name for itself" },
	{ "self.name", "\"localhost\"",
	  "self.name: \"localhost\" is every host's name for itself" },
	{ "peers[0].name", "\"*\"", "peers[0].name: \"*\" is no host name" },
	{ "peers[0].name", "\"a\\nb\"", "peers[0].name: \"a?b\" is no host name" },
	{ "peers[0].name", "\"laptop\"", "peers[1].name: laptop is in peers[0].name already" },
	{ "peers[0].name", "\"server\"", "peers[0].name: server is in self.name already" },
	{ "peers[0].name", NULL, "peers[0].name: is missing" },
	{ "peers[1].user", "\"\"", "peers[1].user: has 0 bytes; expected 1 to 256" },
	{ "peers[1].user", "\"a\\tb\"", "peers[1].user: \"a?b\" holds a control character" },
	{ "peers[1].user", "\"a\\u202eb\"", "peers[1].user: \"a?b\" holds a control character" },
	{ "peers[1].tags", "[\"tag:x\"]", "peers[1]: has a user and tags; expected one of them" },
	{ "peers[0].tags[0]", "\"tag:\\u0007\"", "peers[0].tags[0]: \"tag:?\" holds a control" },
	{ "users", "{\"a\\nb\": {}}", "users.a?b: \"a?b\" holds a control character" },
	{ "users", "[]", "users: expected an object, not an array" },

	/* Addresses and routes. */
	{ "self.addresses", "[]", "self.addresses: is empty; expected at least one" },
	{ "peers[0].addresses", NULL, "peers[0].addresses: is missing" },
	{ "peers[0].addresses[0]", "\"100.64.0.9/32\"",
	  "peers[0].addresses[0]: \"100.64.0.9/32\" is no address" },
	{ "peers[0].addresses[0]", "\"192.0.2.1\"",
	  "peers[0].addresses[0]: 192.0.2.1 is no address of the mesh" },
	{ "peers[0].addresses[0]", "\"100.64.0.1\"",
	  "peers[0].addresses[0]: 100.64.0.1 is in self.addresses already" },
	{ "peers[0].addresses[0]", "\"100.64.0.2\"",
	  "peers[1].addresses[0]: 100.64.0.2 is in peers[0].addresses already" },
	{ "peers[0].addresses[1]", "\"fd7a:115c:a1e0:0::2\"",
	  "peers[1].addresses[1]: fd7a:115c:a1e0::2 is in peers[0].addresses already" },
	{ "peers[0].addresses[1]", "\"100.64.0.9\"",
	  "peers[0].addresses[1]: 100.64.0.9 is in peers[0].addresses already" },
	{ "peers[0].addresses[0]", "\"::ffff:100.64.0.9\"",
	  "peers[0].addresses[0]: \"::ffff:100.64.0.9\" is no address" },
	{ "peers[0].addresses",
	  "[\"100.64.0.9\",\"100.64.0.10\",\"100.64.0.11\",\"100.64.0.12\",\"100.64.0.13\","
	  "\"100.64.0.14\",\"100.64.0.15\",\"100.64.0.16\",\"100.64.0.17\"]",
	  "peers[0].addresses: has 9 elements; at most 8 are allowed" },
	{ "peers[1].routes[0]", "\"100.64.0.0/16\"",
	  "peers[1].routes[0]: 100.64.0.0/16 overlaps mesh.prefixes[0]" },
	{ "peers[1].routes[0]", "\"100.64.0.9\"",
	  "peers[1].routes[0]: 100.64.0.9/32 overlaps mesh.prefixes[0]" },
	{ "peers[1].routes[0]", "\"0.0.0.0/0\"",
	  "peers[1].routes[0]: 0.0.0.0/0 overlaps mesh.prefixes[0]" },
	{ "peers[1].routes[0]", "\"fd00::/8\"",
	  "peers[1].routes[0]: fd00::/8 overlaps mesh.prefixes[1]" },
	{ "peers[1].routes[0]", "\"10.44.0.0/16\"",
	  "peers[1].routes[0]: 10.44.0.0/16 is in peers[0].routes already" },
	{ "peers[1].routes[0]", "\"10.44.0.1/16\"",
	  "peers[1].routes[0]: \"10.44.0.1/16\" is no prefix" },
	{ "peers[1].routes[0]", "\"127.0.0.0/8\"", "peers[1].routes[0]: 127.0.0.0/8 is reserved" },
	{ "self.routes[0]", "\"100.64.0.0/24\"",
	  "self.routes[0]: 100.64.0.0/24 overlaps mesh.prefixes[0]" },

	/* Keys, endpoints, times. */
	{ "peers[0].node_key", NULL, "peers[0].node_key: is missing" },
	{ "peers[0].node_key", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
	  "peers[0].node_key: is the zero key" },
	{ "peers[0].node_key", "\"bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmV=\"",
	  "peers[0].node_key: \"bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmV=\" is no WireGuard" },
	{ "peers[0].node_key", "\"bmluZQ==\"", "peers[0].node_key: \"bmluZQ==\" is no WireGuard" },
	{ "peers[0].node_key", "\"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"",
	  "peers[1].node_key: dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI= is in "
	  "peers[0].node_key already" },
	{ "peers[1].endpoints[0]", "\"192.0.2.7\"",
	  "peers[1].endpoints[0]: \"192.0.2.7\" is no endpoint" },
	{ "peers[1].endpoints[0]", "\"host.example:1\"",
	  "peers[1].endpoints[0]: \"host.example:1\" is no" },
	{ "peers[1].keepalive", "65536",
	  "peers[1].keepalive: 65536 is too large; expected 0 to 65535" },
	{ "peers[1].keepalive", "-1", "peers[1].keepalive: -1 is negative" },
	{ "peers[1].key_expiry", "\"2027-13-01T00:00:00Z\"", "peers[1].key_expiry: " },
	{ "peers[1].key_expiry", "0", "peers[1].key_expiry: expected a time such as" },
	{ "peers[1].ssh_host_keys[0]", "\"" ED25519 "\\n* " ED25519 "\"",
	  "peers[1].ssh_host_keys[0]: the host key's second word is not base64" },
	{ "peers[1].ssh_host_keys[0]", "\"@cert-authority " ED25519 "\"",
	  "peers[1].ssh_host_keys[0]: the host key's type is not one of" },

	/* The packet filter. */
	{ "packet_filter", "{}", "packet_filter: expected an array, not an object" },
	{ "packet_filter[0]", "\"x\"", "packet_filter[0]: expected an object, not a string" },
	{ "packet_filter[0].src", NULL, "packet_filter[0].src: is missing" },
	{ "packet_filter[0].dst", NULL, "packet_filter[0].dst: is missing" },
	{ "packet_filter[0].src[0]", "\"laptop\"",
	  "packet_filter[0].src[0]: \"laptop\" cannot be understood; expected \"*\", an address" },
	{ "packet_filter[0].src[0]", "\"100.64.0.9-100.64.0.2\"",
	  "packet_filter[0].src[0]: \"100.64.0.9-100.64.0.2\" cannot" },
	{ "packet_filter[0].src[0]", "\"100.64.0.9-fd00::1\"", "packet_filter[0].src[0]: " },
	{ "packet_filter[0].src[0]", "\"100.64.0.9-\"", "packet_filter[0].src[0]: " },
	{ "packet_filter[0].src[0]", "\"-100.64.0.9\"", "packet_filter[0].src[0]: " },
	{ "packet_filter[0].src[0]", "\"100.64.0.1-100.64.0.2-100.64.0.3\"",
	  "packet_filter[0].src[0]: " },
	{ "packet_filter[0].src[0]", "null",
	  "packet_filter[0].src[0]: expected a string, not null" },
	{ "packet_filter[0].dst[0].ip", "\"10.0.0.1/8\"",
	  "packet_filter[0].dst[0].ip: \"10.0.0.1/8\"" },
	{ "packet_filter[0].dst[0].ports", NULL, "packet_filter[0].dst[0].ports: is missing" },
	{ "packet_filter[0].dst[0].ports", "[22]", "packet_filter[0].dst[0].ports: is no pair" },
	{ "packet_filter[0].dst[0].ports", "22", "packet_filter[0].dst[0].ports: is no pair" },
	{ "packet_filter[0].dst[0].ports", "[443, 80]",
	  "packet_filter[0].dst[0].ports: ends at 80, before its begin 443" },
	{ "packet_filter[0].dst[0].ports[1]", "65536",
	  "packet_filter[0].dst[0].ports[1]: 65536 is too" },
	{ "packet_filter[0].dst[0].ports[1]", "\"22\"",
	  "packet_filter[0].dst[0].ports[1]: expected a" },
	{ "packet_filter[0].proto[0]", "0", "packet_filter[0].proto[0]: 0 is no IP protocol" },
	{ "packet_filter[0].proto[0]", "256", "packet_filter[0].proto[0]: 256 is no IP protocol" },
	{ "packet_filter[0].proto[0]", "\"tcp\"",
	  "packet_filter[0].proto[0]: expected a whole number" },
	{ "packet_filter[0].proto", "6", "packet_filter[0].proto: expected an array" },

	/* SSH rules. */
	{ "ssh_rules[0].principals", NULL, "ssh_rules[0].principals: is missing" },
	{ "ssh_rules[0].principals[0]", "\"100.64.0.0/24\"",
	  "ssh_rules[0].principals[0]: \"100.64.0.0/24\" is no address" },
	{ "ssh_rules[0].principals[0]", "{\"any\": true}",
	  "ssh_rules[0].principals[0]: expected an" },
	{ "ssh_rules[0].users", NULL, "ssh_rules[0].users: is missing" },
	{ "ssh_rules[0].users", "[\"root\"]", "ssh_rules[0].users: expected an object" },
	{ "ssh_rules[0].users", "{\"\": \"root\"}", "ssh_rules[0].users.: has 0 bytes" },
	{ "ssh_rules[0].users.root", "null",
	  "ssh_rules[0].users.root: expected a string, not null" },
	{ "ssh_rules[0].users.root", "\"a\\u0001\"",
	  "ssh_rules[0].users.root: \"a?\" holds a control" },
	{ "ssh_rules[0].action", NULL, "ssh_rules[0].action: is missing" },
	{ "ssh_rules[0].action", "{\"accept\": true}", "ssh_rules[0].action: expected a string" },
	{ "ssh_rules[0].accept_env[0]", "\"\"", "ssh_rules[0].accept_env[0]: has 0 bytes" },
	{ "ssh_rules[0].forwarding", "true", "ssh_rules[0].forwarding: expected an object" },
	{ "ssh_rules[0].forwarding.agent", "\"no\"",
	  "ssh_rules[0].forwarding.agent: expected true" },
	{ "ssh_rules[0].force_command", "\"\"", "ssh_rules[0].force_command: has 0 bytes" },
	{ "ssh_rules[0].force_command", "\"a\\nb\"",
	  "ssh_rules[0].force_command: holds a control" },
	{ "ssh_rules[0].force_command", "false", "ssh_rules[0].force_command: expected a string" },
	{ "ssh_rules[0].idle_timeout", "0", "ssh_rules[0].idle_timeout: is no limit" },
	{ "ssh_rules[0].idle_timeout", "-5", "ssh_rules[0].idle_timeout: is no limit" },
	{ "ssh_rules[0].idle_timeout", "\"0s\"", "ssh_rules[0].idle_timeout: is no limit" },
	{ "ssh_rules[0].max_duration", "\"long\"", "ssh_rules[0].max_duration: is no limit" },
	{ "ssh_rules[0].max_duration", "9223372036854775807", "ssh_rules[0].max_duration: is no" },
	{ "ssh_rules[0].rule_expires", "\"never\"",
	  "ssh_rules[0].rule_expires: \"never\" is no time" },
	{ "ssh_rules[0].recorders", "\"x\"", "ssh_rules[0].recorders: expected an array" },
	{ "peers[0].path", "\"relay\"", "peers[0].path: is no path" },
	{ "self.login", "{\"url\":\"file:///x\"}", "self.login.url: is no URL" },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *c = &refusals[i];
		_cleanup_free_ char *expected = text_printf("m.json: %s", c->report);
		_cleanup_free_ char *error = NULL;
		json_t *document = document_load();
		struct netmap *map = NULL;
		int r;

		document_set(document, c->path, c->value);
		r = document_parse(document, &error, &map);
		if (r != -EINVAL || !error || strncmp(error, expected, strlen(expected)) != 0)
			fail_msg("%s = %s: %d, \"%s\", expected \"%s\"", c->path,
				 c->value ? c->value : "-", r, error ? error : "-", expected);
		assert_null(map);
		assert_false(text_has_control(error));
		json_decref(document);
	}
}

static void test_syntax_names_the_line(void **state)
{
	static const char text[] = "{\n  \"type\": \"full\",\n  \"version\": }\n";
	_cleanup_free_ char *error = NULL;
	struct netmap *map = NULL;

	assert_int_equal(netmap_parse(text, strlen(text), "/etc/m", &error, &map), -EINVAL);
	assert_int_equal(strncmp(error, "/etc/m: line 3 column 14: ", 26), 0);
}

static void test_too_large(void **state)
{
	_cleanup_free_ char *error = NULL, *text = NULL;
	struct netmap *map = NULL;

	text = malloc(NETMAP_MAX_BYTES + 1);
	memset(text, ' ', NETMAP_MAX_BYTES + 1);
	assert_int_equal(netmap_parse(text, NETMAP_MAX_BYTES + 1, "m", &error, &map), -EINVAL);
	assert_string_equal(error, "m: the map is larger than 64 MiB");
}

/* A few kilobytes of ranges would otherwise become gigabytes of prefixes. */
static void test_too_many_prefixes(void **state)
{
	json_t *document = document_load(), *src = json_array();
	_cleanup_free_ char *error = NULL;
	struct netmap *map = NULL;

	for (int i = 0; i < (1 << 20) / 254 + 1; i++)
		json_array_append_new(src,
				      json_string("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
	json_object_set_new(json_array_get(json_object_get(document, "packet_filter"), 0), "src",
			    src);
	assert_int_equal(document_parse(document, &error, &map), -EINVAL);
	assert_non_null(strstr(error, "packet_filter[0].src[4128]: is one too many"));
	json_decref(document);
}

static void test_lookups(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed(NULL, NULL);
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse("fd7a:115c:a1e0::2", &addr), 0);
	assert_string_equal(netmap_peer_by_address(map, &addr)->id, "n2");
	assert_int_equal(ip_addr_parse("100.64.0.9", &addr), 0);
	assert_string_equal(netmap_peer_by_address(map, &addr)->id, "n9");
	assert_false(netmap_is_own_address(map, &addr));

	/* Behind a route of n9, and this host itself: no peers. */
	assert_int_equal(ip_addr_parse("10.44.0.1", &addr), 0);
	assert_null(netmap_peer_by_address(map, &addr));
	assert_int_equal(ip_addr_parse("100.64.0.1", &addr), 0);
	assert_null(netmap_peer_by_address(map, &addr));
	assert_true(netmap_is_own_address(map, &addr));

	assert_string_equal(netmap_peer_by_id(map, "n9")->name, "router");
	assert_null(netmap_peer_by_id(map, "n1"));
	assert_string_equal(netmap_node_owner(netmap_peer_by_id(map, "n2")), "alice@example.com");
	assert_string_equal(netmap_node_owner(netmap_peer_by_id(map, "n9")), "tag:router");
}

static void test_lookups_without_peers(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = parse_changed("peers", "[]");
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse("100.64.0.2", &addr), 0);
	assert_null(netmap_peer_by_address(map, &addr));
	assert_null(netmap_peer_by_id(map, "n2"));
}

static void test_expiry(void **state)
{
	struct netmap_node node = { .key_expiry = 1000 };

	assert_false(netmap_node_expired(&node, 999));
	assert_true(netmap_node_expired(&node, 1000));
	node.key_expiry = UINT64_MAX;
	assert_false(netmap_node_expired(&node, UINT64_MAX - 1));
}

static void add_peer(json_t *peers, unsigned i)
{
	struct wg_key key = { .bytes = { 1, i >> 8, i & 0xff } };
	char key_text[WG_KEY_B64LEN];

	wg_key_to_string(&key, key_text);
	json_array_append_new(peers,
			      json_pack("{s:o, s:o, s:[o], s:s}", "id", json_sprintf("p%u", i),
					"name", json_sprintf("host-%u", i), "addresses",
					json_sprintf("100.100.%u.%u", i >> 8, i & 0xff), "node_key",
					key_text));
}

static void test_many_peers(void **state)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	json_t *document = document_load(), *peers = json_array();
	_cleanup_free_ char *error = NULL;
	struct ip_addr addr;

	for (unsigned i = 0; i < 10000; i++)
		add_peer(peers, i);
	json_object_set_new(document, "peers", peers);
	assert_int_equal(document_parse(document, &error, &map), 0);
	for (unsigned i = 0; i < 10000; i++) {
		_cleanup_free_ char *id = text_printf("p%u", i);

		addr = (struct ip_addr){ AF_INET, { 100, 100, i >> 8, i & 0xff } };
		assert_string_equal(netmap_peer_by_address(map, &addr)->id, id);
		assert_string_equal(netmap_peer_by_id(map, id)->id, id);
	}
	json_decref(document);
}

/* Return: whether the text is a map. */
static bool round_trip(const char *name, const char *text, size_t len)
{
	_cleanup_(netmap_freep) struct netmap *map = NULL, *again = NULL;
	_cleanup_free_ char *written = NULL, *error = NULL;
	size_t written_len;

	if (netmap_parse(text, len, name, &error, &map) < 0)
		return false;
	assert_int_equal(netmap_to_json(map, &written, &written_len), 0);
	free(take_ptr(error));
	if (netmap_parse(written, written_len, name, &error, &again) < 0)
		fail_msg("%s: refused when written: %s", name, error);
	if (!netmap_same(map, again))
		fail_msg("%s: is another map when written:\n%s", name, written);
	return true;
}

/* What is kept on disk is the map that was in force: not a member is lost, for any map. */
static void test_written_and_read_again(void **state)
{
	_cleanup_free_ char *dir = text_printf("%s/netmap", getenv("TEST_CORPUS"));
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort), n_maps = 0;

	assert_true(n > 2);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, entries[i]->d_name);
		_cleanup_free_ char *text = NULL;
		size_t len;

		if (file_read(AT_FDCWD, path, NETMAP_MAX_BYTES, &text, &len) == 0)
			n_maps += round_trip(path, text, len);
		free(entries[i]);
	}
	free(entries);
	assert_true(n_maps > 20);
}

/* As above, with every member set to something else than its default. */
static void test_every_member_is_written(void **state)
{
	static const struct {
		const char *path, *value;
	} members[] = {
		{ "issued_at", "\"2026-11-22T10:00:00.000001Z\"" },
		{ "tokens", "{\"policy\":\"p\",\"filter\":\"f\",\"ssh\":\"s\"}" },
		{ "tokens", "{\"ssh\":\"\\\"\"}" },
		{ "self.key_expiry", "\"2099-11-22T10:00:00.999999Z\"" },
		{ "self.ssh", "false" },
		{ "self.node_key", "\"b3duMW93bjFvd24xb3duMW93bjFvd24xb3duMW93bjE=\"" },
		{ "self.key_expired", "true" },
		{ "self.login", "{\"url\":\"https://coord.example/a?b=\\\"c\"}" },
		{ "peers[0].online", "true" },
		{ "peers[0].online", "null" },
		{ "peers[0].path", "\"none\"" },
		{ "peers[1].keepalive", "65535" },
		{ "ssh_rules[0].recorders", "[\"100.64.0.3\"]" },
		{ "ssh_rules[0].rule_expires", "\"2099-11-22T10:00:00Z\"" },
		{ "ssh_rules[0].check_period", "\"12h\"" },
		{ "ssh_rules[0].force_command", "\"echo \\\"\\\\\"" },
		{ "ssh_rules[0].idle_timeout", "\"1500ms\"" },
		{ "ssh_rules[0].message", "\"two\\nlines\"" },
		{ "packet_filter[0].proto", "[1, 58, 255]" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_auto_t *document = document_load();
		_cleanup_free_ char *text = NULL;

		document_set(document, members[i].path, members[i].value);
		text = json_dumps(document, 0);
		assert_true(round_trip(members[i].path, text, strlen(text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_head_and_self),
		cmocka_unit_test(test_reads_peers_sorted),
		cmocka_unit_test(test_reads_filter),
		cmocka_unit_test(test_splits_ranges),
		cmocka_unit_test(test_longest_range),
		cmocka_unit_test(test_reads_ssh_rules),
		cmocka_unit_test(test_recorders),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_syntax_names_the_line),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many_prefixes),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_lookups_without_peers),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_many_peers),
		cmocka_unit_test(test_written_and_read_again),
		cmocka_unit_test(test_every_member_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
