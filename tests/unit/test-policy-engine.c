/*
 * The engine while nodes come, change and go: after every step it says what a new one would say of
 * the same nodes, and what single questions say of each pair.
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/decide.h"
#include "coord/policy/network.h"
#include "coord/policy/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/policy-fixture.h"

#define N_NAMES 24u

static unsigned draw(unsigned *state, unsigned below)
{
	*state = *state * 1103515245u + 12345u;
	return (*state >> 8) % below;
}

/* --- filters and SSH rules without regard to the order in lists of addresses */

static int compare_strings(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a),
		      json_string_value(*(json_t *const *)b));
}

static void sort_list(json_t *list)
{
	size_t n = json_array_size(list);
	json_t *items[512];

	assert_true(n <= ARRAY_SIZE(items));
	for (size_t i = 0; i < n; i++)
		items[i] = json_incref(json_array_get(list, i));
	qsort(items, n, sizeof(items[0]), compare_strings);
	json_array_clear(list);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, items[i]);
}

static char *canonical(const char *text)
{
	json_t *rules = json_loads(text, 0, NULL), *rule;
	char *out;
	size_t i;

	assert_non_null(rules);
	json_array_foreach (rules, i, rule) {
		sort_list(json_object_get(rule, "src"));
		sort_list(json_object_get(rule, "principals"));
	}
	out = json_dumps(rules, JSON_SORT_KEYS);
	json_decref(rules);
	return out;
}

/* Both texts of a node, canonical. */
struct slice {
	char *filter, *ssh;
	uint64_t filter_serial, ssh_serial;
};

static void slice_done(struct slice *slice)
{
	free(slice->filter);
	free(slice->ssh);
	*slice = (struct slice){ 0 };
}

static void take_slice(struct policy_engine *e, uint32_t node, struct slice *slice)
{
	_cleanup_(policy_text_done) struct policy_text filter = { 0 }, ssh = { 0 };

	assert_int_equal(policy_filter_json(e, node, &filter), 0);
	assert_int_equal(policy_ssh_json(e, node, &ssh), 0);
	slice->filter = canonical(filter.data);
	slice->ssh = canonical(ssh.data);
	slice->filter_serial = policy_filter_serial(e, node);
	slice->ssh_serial = policy_ssh_serial(e, node);
}

/* --- a network that changes */

struct world {
	struct policy_engine *engine;
	struct policy *policy;
	struct policy_network *network; /* users and prefixes; nodes are those that there are now */
	struct slice slices[N_NAMES];	/* by number in the engine */
};

static void make_node(unsigned *state, unsigned number, struct policy_node *node)
{
	static const char *const users[] = { "alice@example.com", "bob@example.com",
					     "carol@example.org", "late@example.com" };
	static const char *const tags[] = { "tag:web", "tag:db", "tag:prod", "tag:router",
					    "tag:exit" };
	static const char *const routes[] = { "10.33.0.0/16", "10.44.0.0/16", "0.0.0.0/0", "::/0" };
	char name[16], addr[32];

	*node = (struct policy_node){ 0 };
	snprintf(name, sizeof(name), "n%u", number);
	node->name = strdup(name);
	node->addresses = calloc(2, sizeof(*node->addresses));
	/* Some are in the address that a rule names. */
	snprintf(addr, sizeof(addr), "100.64.1.%u", draw(state, 3) ? number + 20 : 9);
	assert_int_equal(ip_addr_parse(addr, &node->addresses[node->n_addresses++]), 0);
	snprintf(addr, sizeof(addr), "fd7a:115c:a1e0::%u", number + 20);
	if (draw(state, 4))
		assert_int_equal(ip_addr_parse(addr, &node->addresses[node->n_addresses++]), 0);
	if (draw(state, 2)) {
		node->user = strdup(users[draw(state, ARRAY_SIZE(users))]);
		return;
	}
	node->tags = calloc(2, sizeof(*node->tags));
	for (unsigned i = draw(state, 2); i < 2; i++)
		node->tags[node->n_tags++] = strdup(tags[draw(state, ARRAY_SIZE(tags))]);
	if (draw(state, 3))
		return;
	node->approved = calloc(1, sizeof(*node->approved));
	node->primary = calloc(1, sizeof(*node->primary));
	assert_int_equal(
		ip_prefix_parse(routes[draw(state, ARRAY_SIZE(routes))], &node->approved[0]), 0);
	node->primary[0] = node->approved[0];
	node->n_approved = node->n_primary = 1;
}

static void drop_from_network(struct policy_network *network, const char *name)
{
	for (size_t i = 0; i < network->n_nodes; i++)
		if (strcmp(network->nodes[i].name, name) == 0) {
			policy_node_done(&network->nodes[i]);
			network->nodes[i] = network->nodes[--network->n_nodes];
			network->nodes[network->n_nodes] = (struct policy_node){ 0 };
			return;
		}
}

/* Two nodes never have the same address: the later one takes it. */
static void drop_owner(struct world *w, const struct policy_node *node)
{
	for (size_t i = 0; i < w->network->n_nodes; i++) {
		const struct policy_node *other = &w->network->nodes[i];

		if (strcmp(other->name, node->name) == 0 ||
		    !ip_addr_equal(&other->addresses[0], &node->addresses[0]))
			continue;
		assert_int_equal(policy_engine_remove_node(w->engine, other->name), 0);
		drop_from_network(w->network, other->name);
		return;
	}
}

static void step(struct world *w, unsigned *state)
{
	unsigned number = draw(state, N_NAMES);
	struct policy_node node;
	uint32_t index;

	make_node(state, number, &node);
	if (!draw(state, 4)) {
		int r = policy_engine_remove_node(w->engine, node.name);

		assert_true(r == 0 || r == -ENOENT);
		drop_from_network(w->network, node.name);
		policy_node_done(&node);
		return;
	}
	drop_owner(w, &node);
	drop_from_network(w->network, node.name);
	w->network->nodes[w->network->n_nodes++] = node;
	assert_int_equal(policy_engine_set_node(w->engine, &node, &index), 0);
	assert_string_equal(policy_engine_node(w->engine, index)->name, node.name);
}

/* --- what has to hold */

static bool lets_in(const struct policy_engine *e, uint32_t src, uint32_t dst)
{
	/* As the control plane does, by sources alone: the rule has to be in the filter of dst. */
	for (size_t i = 0; i < e->n_rules; i++) {
		bool self = e->rules[i].self && e->nodes[src].user != NONE &&
			    e->nodes[src].user == e->nodes[dst].user &&
			    set_has_self(e, e->rules[i].set, e->nodes[src].class);
		bool hits = false;

		for (size_t k = 0; k < e->rules[i].n_dst; k++)
			hits |= dst_hits(e, &e->rules[i].dst[k], e->nodes[dst].class);
		if (self || (hits && bit_get(&e->touch, e->rules[i].set, e->nodes[src].class)))
			return true;
	}
	return false;
}

static bool routes_equal(const struct policy_engine *a, uint32_t a1, uint32_t a2,
			 const struct policy_engine *b, uint32_t b1, uint32_t b2)
{
	_cleanup_free_ struct ip_prefix *x = NULL, *y = NULL;
	size_t nx, ny;

	assert_int_equal(policy_peer_routes(a, a1, a2, &x, &nx), 0);
	assert_int_equal(policy_peer_routes(b, b1, b2, &y, &ny), 0);
	return nx == ny && memcmp(x, y, nx * sizeof(*x)) == 0;
}

static void compare_peers(struct world *w, const struct policy_engine *fresh, uint32_t node)
{
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n, k = 0;
	uint32_t mine, theirs;

	assert_int_equal(policy_peers(w->engine, node, &peers, &n), 0);
	assert_int_equal(
		policy_engine_find(fresh, policy_engine_node(w->engine, node)->name, &mine), 0);
	for (uint32_t i = 0; i < policy_engine_n_indexes(w->engine); i++) {
		const struct policy_node *other = policy_engine_node(w->engine, i);
		bool sees;

		if (!other)
			continue;
		sees = policy_sees(w->engine, node, i);
		assert_int_equal(policy_engine_find(fresh, other->name, &theirs), 0);
		assert_int_equal(sees, policy_sees(fresh, mine, theirs));
		if (i != node)
			assert_int_equal(sees, lets_in(w->engine, node, i) ||
						       lets_in(w->engine, i, node));
		assert_true(routes_equal(w->engine, node, i, fresh, mine, theirs));
		if (sees)
			assert_int_equal(peers[k++], i);
	}
	assert_int_equal(k, n);
}

static void compare_slice(struct world *w, struct policy_engine *fresh, uint32_t node)
{
	struct slice here = { 0 }, there = { 0 }, *before = &w->slices[node];
	uint32_t mine;

	take_slice(w->engine, node, &here);
	assert_int_equal(
		policy_engine_find(fresh, policy_engine_node(w->engine, node)->name, &mine), 0);
	take_slice(fresh, mine, &there);
	assert_string_equal(here.filter, there.filter);
	assert_string_equal(here.ssh, there.ssh);
	/* The same serial promises the same text. */
	if (before->filter && here.filter_serial == before->filter_serial)
		assert_string_equal(here.filter, before->filter);
	if (before->ssh && here.ssh_serial == before->ssh_serial)
		assert_string_equal(here.ssh, before->ssh);
	slice_done(&there);
	slice_done(before);
	*before = here;
}

static void check(struct world *w)
{
	_cleanup_(policy_engine_freep) struct policy_engine *fresh = NULL;

	assert_int_equal(policy_engine_new(w->policy, w->network, &fresh), 0);
	for (uint32_t i = 0; i < policy_engine_n_indexes(w->engine); i++) {
		if (!policy_engine_node(w->engine, i)) {
			slice_done(&w->slices[i]);
			continue;
		}
		compare_slice(w, fresh, i);
		compare_peers(w, fresh, i);
	}
}

static void run_world(struct fixture *fx, unsigned seed)
{
	struct world w = { .engine = fx->engine, .policy = fx->policy, .network = fx->network };

	/* Room for all that there can be. */
	w.network->nodes = reallocarray(w.network->nodes, N_NAMES + w.network->n_nodes,
					sizeof(*w.network->nodes));
	assert_non_null(w.network->nodes);
	while (w.network->n_nodes) {
		char *name = strdup(w.network->nodes[0].name);

		assert_int_equal(policy_engine_remove_node(w.engine, name), 0);
		drop_from_network(w.network, name);
		free(name);
	}
	/* The latecomer is unknown to the engine at first, but ranks last in both. */
	for (unsigned i = 0; i < 150; i++) {
		step(&w, &seed);
		if (policy_engine_n_indexes(w.engine) <= N_NAMES)
			check(&w);
	}
	for (size_t i = 0; i < N_NAMES; i++)
		slice_done(&w.slices[i]);
}

static void test_changes(void **state)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		_cleanup_(fixture_done) struct fixture fx = { 0 };

		fixture_load(&fx, "policy/rules.hujson");
		run_world(&fx, seed);
	}
}

/* Nodes that no rule tells apart are of one class; a tag that no rule names does not count. */
static void test_classes(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_stats stats;

	fixture_load_text(&fx,
			  "{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"acls\":["
			  "{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
			  "\"dst\":[\"tag:web:80\"]}],"
			  "\"tests\":[{\"src\":\"bob@example.com\",\"deny\":[\"tag:db:80\"]}]}");
	policy_engine_stats(fx.engine, &stats);
	assert_int_equal(stats.n_nodes, 10);
	/* People; tag:web; tag:db; the routers; the exit node. */
	assert_int_equal(stats.n_classes, 5);
	assert_int_equal(fx.engine->nodes[fixture_node(&fx, "laptop")].class,
			 fx.engine->nodes[fixture_node(&fx, "tablet")].class);
}

/* The order of a node's routes is no difference. */
static void test_order_of_routes(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct ip_prefix routes[2], turned[2];
	struct ip_addr addr;
	char first_name[] = "r1", second_name[] = "r2", user[] = "bob@example.com";
	struct policy_node node = { .name = first_name,
				    .user = user,
				    .addresses = &addr,
				    .n_addresses = 1,
				    .approved = routes,
				    .n_approved = 2 };
	uint32_t first, second;

	fixture_load_text(&fx, "{\"acls\":[]}");
	assert_int_equal(ip_addr_parse("100.64.9.1", &addr), 0);
	assert_int_equal(ip_prefix_parse("10.1.0.0/16", &routes[0]), 0);
	assert_int_equal(ip_prefix_parse("10.2.0.0/16", &routes[1]), 0);
	turned[0] = routes[1];
	turned[1] = routes[0];
	assert_int_equal(policy_engine_set_node(fx.engine, &node, &first), 0);
	node.name = second_name;
	node.approved = turned;
	assert_int_equal(policy_engine_set_node(fx.engine, &node, &second), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(fx.engine->nodes[first].class, fx.engine->nodes[second].class);
}

/* More classes than one word of bits has, one by one and all at once. */
static void test_many_classes(void **state)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_stats stats;
	uint32_t first, index = 0;

	policy_text_puts(&text, "{\"tagOwners\":{");
	for (unsigned i = 0; i < 200; i++)
		policy_text_printf(&text, "%s\"tag:t%u\":[]", i ? "," : "", i);
	policy_text_puts(&text, "},\"acls\":[");
	for (unsigned i = 0; i < 200; i++)
		policy_text_printf(
			&text,
			"%s{\"action\":\"accept\",\"src\":[\"tag:t%u\"],\"dst\":[\"tag:t%u:22\"]}",
			i ? "," : "", i, (i + 1) % 200);
	policy_text_puts(&text, "]}");
	fixture_load_text(&fx, text.data);
	first = policy_engine_n_indexes(fx.engine);
	for (unsigned i = 0; i < 200; i++) {
		struct policy_node node = { .n_tags = 1, .n_addresses = 1 };
		char name[16], tag[16], addr[32], *tags[] = { tag };
		struct ip_addr address;

		snprintf(name, sizeof(name), "t%u", i);
		snprintf(tag, sizeof(tag), "tag:t%u", i);
		snprintf(addr, sizeof(addr), "100.70.0.%u", i);
		assert_int_equal(ip_addr_parse(addr, &address), 0);
		node.name = name;
		node.tags = tags;
		node.addresses = &address;
		assert_int_equal(policy_engine_set_node(fx.engine, &node, &index), 0);
	}
	policy_engine_stats(fx.engine, &stats);
	assert_true(stats.n_classes >= 200);
	for (uint32_t i = 0; i < 200; i++)
		for (uint32_t k = 0; k < 200; k++)
			assert_int_equal(policy_sees(fx.engine, first + i, first + k),
					 (i + 1) % 200 == k || (k + 1) % 200 == i);
}

static void test_network_refusals(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "{}", "nodes: " },
		{ "[]", "" },
		{ "{\"nodes\":[{}]}", "nodes[0].name: " },
		{ "{\"nodes\":[{\"name\":\"a\"}]}", "nodes[0]: has neither a user nor tags" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\"}]}", "nodes[0]: has no address" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"tags\":[\"tag:a\"],\"ipv4\":\"1."
		  "2.3.4\"}]}",
		  "nodes[0]: has a user and tags" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"1.2.3\"}]}",
		  "nodes[0]: \"1.2.3\" is no address" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"addresses\":[7]}]}",
		  "nodes[0].addresses[0]: " },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"1.2.3.4\","
		  "\"approved_routes\":[\"10.0.0.1/8\"]}]}",
		  "nodes[0].approved_routes[0]: expected a prefix" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"100.64.0.1\"},"
		  "{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"100.64.0.2\"}]}",
		  "nodes[1]: has the same name as nodes[0]" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"100.64.0.1\"},"
		  "{\"name\":\"b\",\"user\":\"u@x\",\"ipv4\":\"100.64.0.1\"}]}",
		  "nodes[1]: has the same address as nodes[0]" },
		{ "{\"nodes\":[{\"name\":\"a\",\"user\":\"u@x\",\"ipv4\":\"192.0.2.1\"}]}",
		  "nodes[0]: 192.0.2.1 is in none of the prefixes of the mesh" },
		{ "{\"nodes\":[],\"users\":[{\"login\":\"u@x\",\"roles\":[\"king\"]}]}",
		  "users[0].roles: expected owner" },
		{ "{\"nodes\":[],\"mesh\":{\"prefixes\":[\"100.64.0.0\",\"x\"]}}",
		  "mesh.prefixes[1]: " },
		{ "{\"nodes\":[", "line 1 column " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_network_freep) struct policy_network *network = NULL;
		_cleanup_free_ char *error = NULL;

		assert_int_equal(policy_network_parse(cases[i].text, strlen(cases[i].text), &error,
						      &network),
				 -EINVAL);
		assert_null(network);
		if (strncmp(error, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("%s: \"%s\"", cases[i].text, error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),		 cmocka_unit_test(test_classes),
		cmocka_unit_test(test_order_of_routes),	 cmocka_unit_test(test_many_classes),
		cmocka_unit_test(test_network_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
