#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/netmap/delta.h"
#include "agent/netmap/json.h"
#include "agent/ssh/reach.h"
#include "common/text.h"
#include "tests/unit/delta-text.h"
#include "tests/unit/netmap-document.h"
#include "tests/unit/netmap-same.h"

/* Of the map in the data directory: n9 "router" and n2 "laptop" are its peers. */
static struct netmap *parse(const json_t *document)
{
	struct netmap *map = NULL;
	char *error = NULL;

	if (document_parse(document, &error, &map) < 0)
		fail_msg("%s", error);
	return map;
}

static struct netmap *base_map(void)
{
	json_auto_t *document = document_load();

	return parse(document);
}

static char *written(const struct netmap *map)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(netmap_to_json(map, &text, &len), 0);
	return text;
}

/* members: behind "{"type":"delta"". */
static int apply(const struct netmap *base, const char *members, char **reterr_text,
		 struct netmap **ret_map)
{
	_cleanup_free_ char *text = text_printf("{\"type\":\"delta\"%s}", members);

	return delta_parse(base, text, strlen(text), "c", reterr_text, ret_map);
}

static struct netmap *apply_ok(const struct netmap *base, const char *members)
{
	struct netmap *map = NULL;
	char *error = NULL;

	if (apply(base, members, &error, &map) < 0)
		fail_msg("%s: refused: %s", members, error);
	return map;
}

static void assert_same(const char *what, const struct netmap *map, const struct netmap *expected)
{
	_cleanup_free_ char *a = written(map), *b = written(expected);

	if (!netmap_same(map, expected))
		fail_msg("%s gives\n%s\ninstead of\n%s", what, a, b);
	assert_int_equal(map->n_peers, expected->n_peers);
	for (size_t i = 0; i < expected->n_peers; i++) {
		const struct netmap_node *node = &map->peers[i];

		assert_ptr_equal(netmap_peer_by_id(map, node->id), node);
		for (size_t k = 0; k < node->n_addresses; k++) {
			const struct ip_addr *addr = &node->addresses[k];

			assert_ptr_equal(netmap_peer_by_address(map, addr), node);
			assert_int_equal(ssh_reach_has_any(map->ssh_reach, addr),
					 ssh_reach_has_any(expected->ssh_reach, addr));
		}
	}
}

#define KEY_3 "dGhyZWV0aHJlZXRocmVldGhyZWV0aHJlZXRocmVldGg="
#define PEER_3                                                                                  \
	"{\"id\":\"n3\",\"name\":\"desk\",\"addresses\":[\"100.64.0.3\"],\"node_key\":\"" KEY_3 \
	"\"}"
#define ROUTER_MOVED                                                                         \
	"{\"id\":\"n9\",\"name\":\"router\",\"addresses\":[\"100.64.0.10\"],\"node_key\":\"" \
	"bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmU=\"}"
#define SELF "{\"id\":\"n1\",\"name\":\"renamed\",\"addresses\":[\"100.64.0.4\"],\"ssh\":false}"
#define MESH \
	"{\"domain\":\"other.example\",\"prefixes\":[\"100.64.0.0/16\",\"fd7a:115c:a1e0::/48\"]}"
#define FILTER \
	"[{\"src\":[\"*\"],\"dst\":[{\"ip\":\"*\",\"ports\":[22,23]}],\"origin\":\"acls[7]\"}]"
#define RULES "[{\"principals\":[\"*\"],\"users\":{\"a\":\"b\"},\"action\":\"accept\"}]"

struct edit {
	const char *path, *value;
};

static const struct result {
	const char *members;
	struct edit edits[4]; /* that make the same of the whole map, beside its generation */
} results[] = {
	{ "", { { NULL } } },
	{ ",\"version\":1,\"for\":\"n1\",\"seq\":7,\"session\":\"s\",\"more\":[1]", { { NULL } } },
	{ ",\"issued_at\":\"2026-11-23T10:00:00.5Z\"",
	  { { "issued_at", "\"2026-11-23T10:00:00.5Z\"" } } },
	{ ",\"issued_at\":null,\"users\":null", { { NULL } } },
	{ ",\"self\":" SELF, { { "self", SELF } } },
	{ ",\"mesh\":" MESH, { { "mesh", MESH } } },
	{ ",\"packet_filter\":" FILTER, { { "packet_filter", FILTER } } },
	{ ",\"packet_filter\":[]", { { "packet_filter", "[]" } } },
	{ ",\"ssh_rules\":" RULES, { { "ssh_rules", RULES } } },
	{ ",\"ssh_rules\":[]", { { "ssh_rules", "[]" } } },
	{ ",\"tokens\":{\"policy\":\"p\",\"ssh\":\"s\"}",
	  { { "tokens", "{\"policy\":\"p\",\"ssh\":\"s\"}" } } },
	/* Users come and change; those that are not named stay. */
	{ ",\"users\":{}", { { NULL } } },
	{ ",\"users\":{\"alice@example.com\":{\"name\":\"A\"},\"carol\":{\"name\":\"C\"}}",
	  { { "users.alice@example.com", "{\"name\":\"A\"}" },
	    { "users.carol", "{\"name\":\"C\"}" } } },
	/* Peers that go and come. */
	{ ",\"peers_removed\":[\"n9\"]", { { "peers[0]", NULL } } },
	{ ",\"peers_removed\":[\"n9\",\"n2\",\"n9\",\"n1\",\"n77\"]", { { "peers", "[]" } } },
	{ ",\"peers_changed\":[" PEER_3 "]", { { "peers[2]", PEER_3 } } },
	{ ",\"peers_changed\":[" ROUTER_MOVED "," PEER_3 "]",
	  { { "peers[0]", ROUTER_MOVED }, { "peers[2]", PEER_3 } } },
	{ ",\"peers_removed\":[\"n9\"],\"peers_changed\":[" ROUTER_MOVED "]",
	  { { "peers[0]", ROUTER_MOVED } } },
	/* An address passes from one that goes to one that comes. */
	{ ",\"peers_removed\":[\"n2\"],\"peers_changed\":[{\"id\":\"n3\",\"name\":\"laptop\","
	  "\"addresses\":[\"100.64.0.2\"],\"node_key\":\"" KEY_3 "\"}]",
	  { { "peers[1]", "{\"id\":\"n3\",\"name\":\"laptop\",\"addresses\":[\"100.64.0.2\"],"
			  "\"node_key\":\"" KEY_3 "\"}" } } },
	/* Patches: what they name, null included, and nothing else. */
	{ ",\"peers_patched\":[{\"id\":\"n2\"}]", { { NULL } } },
	{ ",\"peers_patched\":[{\"id\":\"n2\",\"endpoints\":[\"192.0.2.8:1\"]}]",
	  { { "peers[1].endpoints", "[\"192.0.2.8:1\"]" } } },
	{ ",\"peers_patched\":[{\"id\":\"n2\",\"endpoints\":null,\"keepalive\":null,\"online\":"
	  "false},"
	  "{\"id\":\"n9\",\"node_key\":\"" KEY_3 "\",\"routes\":[]}]",
	  { { "peers[1].endpoints", "[]" },
	    { "peers[1].keepalive", "0" },
	    { "peers[1].online", "false" },
	    { "peers[0]",
	      "{\"id\":\"n9\",\"name\":\"router\",\"addresses\":[\"100.64.0.9\"],"
	      "\"node_key\":\"" KEY_3 "\",\"tags\":[\"tag:router\"],\"ssh_host_keys\":["
	      "\"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB"
	      "BNn4aDSjboijW00FH44v/ciEldc+LSLPReY+QJHDyk/LO+u+Uvl5vRz/1WyL51+iMExSYy6Ma7f"
	      "MD6h0muI3xFM=\"],\"online\":false}" } } },
	{ ",\"peers_patched\":[{\"id\":\"n2\",\"user\":null,\"tags\":[\"tag:x\"],\"key_expiry\":"
	  "null}]",
	  { { "peers[1].user", "null" },
	    { "peers[1].tags", "[\"tag:x\"]" },
	    { "peers[1].key_expiry", "null" } } },
	/* It is said no more. */
	{ ",\"peers_patched\":[{\"id\":\"n2\",\"online\":null}]",
	  { { "peers[1].online", "null" } } },
	/* Names change hands. */
	{ ",\"peers_patched\":[{\"id\":\"n2\",\"name\":\"router\"},{\"id\":\"n9\",\"name\":"
	  "\"laptop\"}]",
	  { { "peers[1].name", "\"router\"" }, { "peers[0].name", "\"laptop\"" } } },
};

static void test_gives_what_a_whole_map_would(void **state)
{
	_cleanup_(netmap_freep) struct netmap *base = base_map();

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		const struct result *c = &results[i];
		_cleanup_free_ char *members = text_printf(",\"generation\":4712%s", c->members);
		_cleanup_(netmap_freep) struct netmap *map = apply_ok(base, members);
		json_auto_t *document = document_load();
		_cleanup_(netmap_freep) struct netmap *expected = NULL;

		document_set(document, "generation", "4712");
		for (size_t k = 0; k < ARRAY_SIZE(c->edits) && c->edits[k].path; k++) {
			if (strncmp(c->edits[k].path, "users.", 6) == 0) {
				/* A name with dots. */
				json_object_set_new(json_object_get(document, "users"),
						    c->edits[k].path + 6,
						    json_loads(c->edits[k].value, 0, NULL));
				continue;
			}
			document_set(document, c->edits[k].path, c->edits[k].value);
		}
		expected = parse(document);
		assert_same(members, map, expected);
	}
}

/* Tokens are those of what they came with, or there are none. */
static void test_tokens(void **state)
{
	static const struct {
		const char *members;
		bool kept;
	} cases[] = {
		{ "", true },
		{ ",\"peers_changed\":[" PEER_3 "]", true },
		{ ",\"self\":" SELF, true },
		{ ",\"tokens\":null", false },
		{ ",\"tokens\":null,\"peers_changed\":[" PEER_3 "]", false },
		{ ",\"packet_filter\":[]", false },
		{ ",\"ssh_rules\":[]", false },
		{ ",\"ssh_rules\":[],\"tokens\":null", false },
	};
	json_auto_t *document = document_load();
	_cleanup_(netmap_freep) struct netmap *base = NULL;

	document_set(document, "tokens", "{\"policy\":\"p\",\"filter\":\"f\",\"ssh\":\"s\"}");
	base = parse(document);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *members =
			text_printf(",\"generation\":4712%s", cases[i].members);
		_cleanup_(netmap_freep) struct netmap *map = apply_ok(base, members);

		if ((map->tokens.policy != NULL) != cases[i].kept ||
		    (map->tokens.filter != NULL) != cases[i].kept ||
		    (map->tokens.ssh != NULL) != cases[i].kept)
			fail_msg("%s: the tokens should be %s", members,
				 cases[i].kept ? "kept" : "none");
	}
}

static const struct refusal {
	const char *members;
	int error;
	const char *report;
} refusals[] = {
	{ "", -EINVAL, "generation: is missing" },
	{ ",\"generation\":-1", -EINVAL, "generation: -1 is negative" },
	{ ",\"generation\":4710", -ESTALE, "generation: 4710 is older than 4711" },
	{ ",\"generation\":4712,\"version\":2", -EINVAL, "version: 2 needs a newer agent" },
	{ ",\"generation\":4712,\"for\":\"n2\"", -ESTALE, "for: the delta is for node \"n2\"" },
	{ ",\"generation\":4712,\"self\":null", -EINVAL, "self: expected an object, not null" },
	{ ",\"generation\":4712,\"self\":{\"id\":\"n8\",\"name\":\"server\",\"addresses\":["
	  "\"100.64.0.1\"]}",
	  -EINVAL, "for: the map is for node \"n1\", but self.id is \"n8\"" },
	{ ",\"generation\":4712,\"self\":{\"id\":\"n1\",\"name\":\"laptop\",\"addresses\":["
	  "\"100.64.0.1\"]}",
	  -EINVAL, "self.name: laptop is in peer n2.name already" },
	{ ",\"generation\":4712,\"self\":{\"id\":\"n1\",\"name\":\"server\",\"addresses\":["
	  "\"100.64.0.9\"]}",
	  -EINVAL, "self.addresses[0]: 100.64.0.9 is in peer n9.addresses already" },
	{ ",\"generation\":4712,\"mesh\":{\"domain\":\"a.b\",\"prefixes\":[\"100.65.0.0/16\","
	  "\"fd7a:115c:a1e0::/48\"]}",
	  -EINVAL, "self.addresses[0]: 100.64.0.1 is no address of the mesh" },
	{ ",\"generation\":4712,\"mesh\":{\"domain\":\"a.b\",\"prefixes\":[\"100.64.0.0/29\","
	  "\"fd7a:115c:a1e0::/48\"]}",
	  -EINVAL, "peer n9.addresses[0]: 100.64.0.9 is no address of the mesh" },
	{ ",\"generation\":4712,\"mesh\":{\"domain\":\"a.b\",\"prefixes\":[\"100.64.0.0/10\","
	  "\"fd7a:115c:a1e0::/48\",\"10.0.0.0/8\"]}",
	  -EINVAL, "self.routes[0]: 10.33.0.0/16 overlaps mesh.prefixes[2]" },
	{ ",\"generation\":4712,\"users\":{\"\":{}}", -EINVAL, "users.: has 0 bytes" },
	{ ",\"generation\":4712,\"packet_filter\":null", -EINVAL,
	  "packet_filter: expected an array" },
	{ ",\"generation\":4712,\"packet_filter\":[{}]", -EINVAL,
	  "packet_filter[0].src: is missing" },
	{ ",\"generation\":4712,\"ssh_rules\":{}", -EINVAL, "ssh_rules: expected an array" },
	{ ",\"generation\":4712,\"tokens\":{\"ssh\":1}", -EINVAL, "tokens.ssh: expected a string" },
	{ ",\"generation\":4712,\"peers_removed\":\"n2\"", -EINVAL,
	  "peers_removed: expected an array" },
	{ ",\"generation\":4712,\"peers_removed\":[\"n2\",\"\"]", -EINVAL,
	  "peers_removed[1]: \"\" is no node id" },
	{ ",\"generation\":4712,\"peers_changed\":[{}]", -EINVAL,
	  "peers_changed[0].id: is missing" },
	{ ",\"generation\":4712,\"peers_changed\":[" PEER_3 "," PEER_3 "]", -EINVAL,
	  "peers_changed[1].id: n3 is in peers_changed[0].id already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"laptop\","
	  "\"addresses\":["
	  "\"100.64.0.3\"],\"node_key\":\"" KEY_3 "\"}]",
	  -EINVAL, "peers_changed[0].name: laptop is in peer n2.name already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"server\","
	  "\"addresses\":["
	  "\"100.64.0.3\"],\"node_key\":\"" KEY_3 "\"}]",
	  -EINVAL, "peers_changed[0].name: server is in self.name already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n1\",\"name\":\"x\",\"addresses\":["
	  "\"100.64.0.3\"],\"node_key\":\"" KEY_3 "\"}]",
	  -EINVAL, "peers_changed[0].id: n1 is in self.id already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"x\",\"addresses\":["
	  "\"100.64.0.3\",\"fd7a:115c:a1e0::2\"],\"node_key\":\"" KEY_3 "\"}]",
	  -EINVAL,
	  "peers_changed[0].addresses[1]: fd7a:115c:a1e0::2 is in peer n2.addresses already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"x\",\"addresses\":["
	  "\"100.64.0.3\"],\"node_key\":\"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\"}]",
	  -EINVAL,
	  "peers_changed[0].node_key: dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI= is in peer "
	  "n2.node_key "
	  "already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"x\",\"addresses\":["
	  "\"100.64.0.3\"],\"node_key\":\"" KEY_3 "\",\"routes\":[\"10.33.0.0/16\"]}]",
	  -EINVAL, "peers_changed[0].routes[0]: 10.33.0.0/16 is in peer n9.routes already" },
	{ ",\"generation\":4712,\"peers_changed\":[{\"id\":\"n3\",\"name\":\"x\",\"addresses\":["
	  "\"10.0.0.3\"],\"node_key\":\"" KEY_3 "\"}]",
	  -EINVAL, "peers_changed[0].addresses[0]: 10.0.0.3 is no address of the mesh" },
	{ ",\"generation\":4712,\"peers_patched\":{}", -EINVAL,
	  "peers_patched: expected an array" },
	{ ",\"generation\":4712,\"peers_patched\":[1]", -EINVAL,
	  "peers_patched[0]: expected an object" },
	{ ",\"generation\":4712,\"peers_patched\":[{}]", -EINVAL,
	  "peers_patched[0].id: is missing" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\"},{\"id\":\"n3\"}]", -ESTALE,
	  "peers_patched[1].id: there is no peer \"n3\" to be patched" },
	{ ",\"generation\":4712,\"peers_removed\":[\"n2\"],\"peers_patched\":[{\"id\":\"n2\"}]",
	  -EINVAL,
	  "peers_patched[0].id: peer \"n2\" is removed, changed or patched by this delta already" },
	{ ",\"generation\":4712,\"peers_changed\":[" ROUTER_MOVED
	  "],\"peers_patched\":[{\"id\":\"n9\"}]",
	  -EINVAL, "peers_patched[0].id: peer \"n9\" is removed, changed or patched" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\"},{\"id\":\"n2\"}]", -EINVAL,
	  "peers_patched[1].id: peer \"n2\" is removed, changed or patched" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\",\"node_key\":null}]", -EINVAL,
	  "peers_patched[0].node_key: expected a public key" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\",\"endpoints\":[\"x\"]}]", -EINVAL,
	  "peers_patched[0].endpoints[0]: \"x\" is no endpoint" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\",\"tags\":[\"tag:x\"]}]", -EINVAL,
	  "peers_patched[0]: has a user and tags" },
	{ ",\"generation\":4712,\"peers_patched\":[{\"id\":\"n2\",\"name\":\"router\"}]", -EINVAL,
	  "peers_patched[0].name: router is in peer n9.name already" },
	{ ",\"generation\":4712,\"peers_changed\":[" PEER_3 "],\"peers_patched\":[{\"id\":\"n2\","
	  "\"name\":\"desk\"}]",
	  -EINVAL, "peers_patched[0].name: desk is in peers_changed[0].name already" },
};

static void test_refuses(void **state)
{
	_cleanup_(netmap_freep) struct netmap *base = base_map();
	_cleanup_free_ char *before = written(base), *after = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *c = &refusals[i];
		_cleanup_free_ char *error = NULL, *expected = text_printf("c: %s", c->report);
		struct netmap *map = NULL;
		int r = apply(base, c->members, &error, &map);

		if (r != c->error || !error || strncmp(error, expected, strlen(expected)) != 0)
			fail_msg("%s: %d, \"%s\", expected %d, \"%s\"", c->members, r,
				 error ? error : "-", c->error, expected);
		assert_null(map);
		assert_false(text_has_control(error));
	}
	after = written(base);
	assert_string_equal(before, after);
}

static void test_refuses_other_documents(void **state)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{ "", "c: line 1 column 0" },
		{ "[]", "c: expected an object" },
		{ "{\"generation\":4712}", "c: type: is missing" },
		{ "{\"type\":\"full\",\"generation\":4712}",
		  "c: type: \"full\" is no change of a map" },
		{ "{\"type\":\"delta\",\"type\":\"delta\",\"generation\":4712}", "c: line 1" },
	};
	_cleanup_(netmap_freep) struct netmap *base = base_map();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *error = NULL;
		struct netmap *map = NULL;

		assert_int_equal(
			delta_parse(base, cases[i].text, strlen(cases[i].text), "c", &error, &map),
			-EINVAL);
		if (strncmp(error, cases[i].report, strlen(cases[i].report)) != 0)
			fail_msg("%s: \"%s\"", cases[i].text, error);
	}
}

/* What is not named is the very same, and lives as long as any of the maps. */
static void test_shares(void **state)
{
	struct netmap *base = base_map(), *next, *last;
	const char *id = netmap_peer_by_id(base, "n9")->id;
	const struct filter_rule *filter = base->filter;
	const struct ssh_rule *rules = base->ssh_rules;
	_cleanup_free_ char *before = NULL, *after = NULL;

	next = apply_ok(base, ",\"generation\":4712,\"peers_removed\":[\"n2\"]");
	last = apply_ok(next,
			",\"generation\":4713,\"peers_changed\":[" PEER_3 "],\"ssh_rules\":[]");
	assert_ptr_equal(netmap_peer_by_id(last, "n9")->id, id);
	assert_ptr_equal(next->self.id, base->self.id);
	assert_ptr_equal(next->users, base->users);
	assert_ptr_equal(last->filter, filter);
	assert_ptr_equal(next->ssh_rules, rules);
	assert_ptr_not_equal(last->ssh_rules, rules);
	before = written(last);
	netmap_free(next);
	netmap_free(base);
	after = written(last);
	assert_string_equal(before, after);
	netmap_free(last);
}

static void add_peer(json_t *peers, unsigned i)
{
	struct wg_key key = { .bytes = { 1, i >> 8, i & 0xff } };
	char text[WG_KEY_B64LEN];

	wg_key_to_string(&key, text);
	json_array_append_new(peers,
			      json_pack("{s:o, s:o, s:[o], s:s}", "id", json_sprintf("p%u", i),
					"name", json_sprintf("host-%u", i), "addresses",
					json_sprintf("100.100.%u.%u", i >> 8, i & 0xff), "node_key",
					text));
}

static void test_limits(void **state)
{
	json_auto_t *document = document_load();
	json_t *peers = json_array(), *users = json_object();
	_cleanup_(netmap_freep) struct netmap *base = NULL, *map = NULL;
	_cleanup_free_ char *error = NULL, *error2 = NULL;

	for (unsigned i = 0; i < NETMAP_MAX_PEERS; i++) {
		char login[16];

		add_peer(peers, i);
		snprintf(login, sizeof(login), "u%u", i);
		json_object_set_new(users, login, json_object());
	}
	json_object_set_new(document, "peers", peers);
	json_object_set_new(document, "users", users);
	base = parse(document);
	assert_int_equal(
		apply(base, ",\"generation\":4712,\"peers_changed\":[" PEER_3 "]", &error, &map),
		-EINVAL);
	assert_string_equal(error,
			    "c: peers_changed: makes 65537 peers, with those before; at most "
			    "65536 are allowed");
	assert_int_equal(apply(base, ",\"generation\":4712,\"users\":{\"x\":{}}", &error2, &map),
			 -EINVAL);
	assert_string_equal(error2,
			    "c: users: makes 65537 users of them, with those before; at most "
			    "65536 are allowed");
	map = apply_ok(base, ",\"generation\":4712,\"users\":{\"u7\":{}},\"peers_changed\":[" PEER_3
			     "],\"peers_removed\":[\"p8\"]");
	assert_int_equal(map->n_peers, NETMAP_MAX_PEERS);
	assert_int_equal(map->n_users, NETMAP_MAX_PEERS);
	assert_string_equal(netmap_peer_by_id(map, "n3")->name, "desk");
	assert_string_equal(netmap_peer_by_id(map, "p65535")->name, "host-65535");
	assert_null(netmap_peer_by_id(map, "p8"));
}

/* ---- many deltas, one after the other, beside a whole map that is kept by hand ---- */

#define N_MODEL 12

struct model {
	unsigned incarnation[N_MODEL]; /* 0: the peer is not there */
	unsigned port[N_MODEL];
	uint64_t generation;
};

/* Of those that are there; ids sort otherwise than numbers do. */
static json_t *model_peer(const struct model *model, unsigned i)
{
	struct wg_key key = { .bytes = { 1, i + 1, model->incarnation[i] & 0xff,
					 model->incarnation[i] >> 8 } };
	char text[WG_KEY_B64LEN];

	wg_key_to_string(&key, text);
	return json_pack("{s:o, s:o, s:[o], s:s, s:[o]}", "id", json_sprintf("p%u", i), "name",
			 json_sprintf("h%u-%u", i, model->incarnation[i]), "addresses",
			 json_sprintf("100.70.%u.%u", i, model->incarnation[i] % 250), "node_key",
			 text, "endpoints", json_sprintf("192.0.2.1:%u", 1 + model->port[i]));
}

static struct netmap *model_map(const struct model *model)
{
	json_auto_t *document = document_load();
	json_t *peers = json_array();

	for (unsigned i = 0; i < N_MODEL; i++)
		if (model->incarnation[i])
			json_array_append_new(peers, model_peer(model, i));
	json_object_set_new(document, "peers", peers);
	json_object_set_new(document, "generation", json_integer((json_int_t)model->generation));
	return parse(document);
}

/* Change some of the model's peers; the delta says how. */
static json_t *model_change(struct model *model, unsigned *seed)
{
	json_t *removed = json_array(), *changed = json_array(), *patched = json_array();

	model->generation++;
	for (unsigned i = 0; i < N_MODEL; i++) {
		switch (rand_r(seed) % 8) {
		case 0:
			model->incarnation[i] = 0;
			json_array_append_new(removed, json_sprintf("p%u", i));
			break;
		case 1:
			model->incarnation[i] = (unsigned)model->generation;
			json_array_append_new(changed, model_peer(model, i));
			break;
		case 2:
			if (!model->incarnation[i])
				break;
			model->port[i]++;
			json_array_append_new(
				patched,
				json_pack("{s:o, s:[o]}", "id", json_sprintf("p%u", i), "endpoints",
					  json_sprintf("192.0.2.1:%u", 1 + model->port[i])));
			break;
		}
	}
	return json_pack("{s:s, s:I, s:o, s:o, s:o}", "type", "delta", "generation",
			 (json_int_t)model->generation, "peers_removed", removed, "peers_changed",
			 changed, "peers_patched", patched);
}

static void test_many_deltas(void **state)
{
	struct model model = { .generation = 4711 };
	struct netmap *map = model_map(&model);
	unsigned seed = 1;

	for (unsigned i = 0; i < 500; i++) {
		json_auto_t *delta = model_change(&model, &seed);
		_cleanup_(netmap_freep) struct netmap *expected = model_map(&model);
		struct netmap *next = NULL;
		char *error = NULL;

		if (netmap_delta_from_json(map, delta, "c", &error, &next) < 0)
			fail_msg("%s", error);
		assert_same("a delta", next, expected);
		netmap_free(map);
		map = next;
	}
	netmap_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_what_a_whole_map_would),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_refuses_other_documents),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_deltas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
