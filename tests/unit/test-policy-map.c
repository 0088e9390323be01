/* What a node gets: filters and SSH rules against golden files, in a form that the agent takes. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/netmap/netmap.h"
#include "agent/ssh/policy.h"
#include "common/text.h"
#include "coord/policy/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/policy-fixture.h"

/* Every rule on a line of its own. */
static void add_rules(struct policy_text *out, const char *label, const char *json)
{
	json_t *rules = json_loads(json, 0, NULL);
	const json_t *rule;
	size_t i;

	assert_true(json_is_array(rules));
	json_array_foreach (rules, i, rule) {
		_cleanup_free_ char *line = json_dumps(rule, 0);

		policy_text_printf(out, "%s %s\n", label, line);
	}
	json_decref(rules);
}

static void add_routes(struct policy_text *out, const char *label, const struct ip_prefix *routes,
		       size_t n)
{
	char buf[IP_PREFIX_STRLEN];

	policy_text_printf(out, "%s", label);
	for (size_t i = 0; i < n; i++)
		policy_text_printf(out, " %s", ip_prefix_to_string(&routes[i], buf));
	policy_text_puts(out, "\n");
}

static void add_peers(const struct fixture *fx, uint32_t node, struct policy_text *out)
{
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n;

	assert_int_equal(policy_peers(fx->engine, node, &peers, &n), 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ struct ip_prefix *routes = NULL;
		size_t n_routes;

		assert_int_equal(policy_peer_routes(fx->engine, node, peers[i], &routes, &n_routes),
				 0);
		policy_text_puts(out, "peer ");
		add_routes(out, policy_engine_node(fx->engine, peers[i])->name, routes, n_routes);
	}
}

static void add_approved(const struct fixture *fx, uint32_t node, struct policy_text *out)
{
	_cleanup_free_ struct ip_prefix *routes = NULL;
	size_t n;

	assert_int_equal(
		policy_auto_approved(fx->engine, policy_engine_node(fx->engine, node), &routes, &n),
		0);
	add_routes(out, "approved", routes, n);
}

static void add_node(const struct fixture *fx, uint32_t node, struct policy_text *out)
{
	_cleanup_(policy_text_done) struct policy_text filter = { 0 }, ssh = { 0 };

	assert_int_equal(policy_filter_json(fx->engine, node, &filter), 0);
	assert_int_equal(policy_ssh_json(fx->engine, node, &ssh), 0);
	policy_text_printf(out, "=== %s\n", policy_engine_node(fx->engine, node)->name);
	add_peers(fx, node, out);
	add_approved(fx, node, out);
	add_rules(out, "filter", filter.data);
	add_rules(out, "ssh", ssh.data);
}

static void test_golden(void **state)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	fixture_load(&fx, "policy/rules.hujson");
	for (uint32_t i = 0; i < policy_engine_n_indexes(fx.engine); i++)
		add_node(&fx, i, &out);
	golden_check("policy/rules.txt", out.data);
}

/* What the agent's own parser makes of the slice of a node. */
static struct netmap *parse_slice(const struct fixture *fx, uint32_t node)
{
	_cleanup_(policy_text_done) struct policy_text map = { 0 };
	_cleanup_free_ char *error = NULL;
	const struct policy_node *data = policy_engine_node(fx->engine, node);
	struct netmap *parsed;
	char buf[IP_ADDR_STRLEN];

	policy_text_printf(
		&map,
		"{\"type\":\"full\",\"version\":1,\"for\":\"n\",\"generation\":1,"
		"\"self\":{\"id\":\"n\",\"name\":\"n\",\"addresses\":[\"%s\"],\"user\":\"u\"},"
		"\"mesh\":{\"domain\":\"mesh.example\","
		"\"prefixes\":[\"100.64.0.0/10\",\"fd7a:115c:a1e0::/48\"]},\"peers\":[],",
		ip_addr_to_string(&data->addresses[0], buf));
	policy_text_puts(&map, "\"packet_filter\":");
	assert_int_equal(policy_filter_json(fx->engine, node, &map), 0);
	policy_text_puts(&map, ",\"ssh_rules\":");
	assert_int_equal(policy_ssh_json(fx->engine, node, &map), 0);
	policy_text_puts(&map, "}");
	if (netmap_parse(map.data, map.len, "slice", &error, &parsed) < 0)
		fail_msg("%s: %s", data->name, error);
	return parsed;
}

/* It understands all of it. */
static void check_map(const struct fixture *fx, uint32_t node)
{
	_cleanup_(netmap_freep) struct netmap *parsed = parse_slice(fx, node);

	for (size_t i = 0; i < parsed->n_ssh_rules; i++)
		assert_int_not_equal(parsed->ssh_rules[i].action, SSH_ACTION_REJECT);
}

static void test_agent_takes_it(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	fixture_load(&fx, "policy/rules.hujson");
	for (uint32_t i = 0; i < policy_engine_n_indexes(fx.engine); i++)
		check_map(&fx, i);
}

/* By the rule that the agent goes by. */
static enum policy_verdict agents_verdict(const struct netmap *map, const struct ip_addr *src,
					  const char *login, const char **ret_period)
{
	for (size_t i = 0; i < map->n_ssh_rules; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		if (ssh_rule_fit(rule, src, login, 1) != SSH_RULE_DECIDES)
			continue;
		*ret_period = rule->check_period;
		return rule->action == SSH_ACTION_CHECK ? POLICY_CHECK : POLICY_ALLOWED;
	}
	return POLICY_DENIED;
}

static uint64_t usec_of(const char *period)
{
	static const struct {
		const char *text;
		uint64_t hours;
	} periods[] = { { "12h", 12 }, { "4h", 4 }, { "always", 0 }, { "1h", 1 } };

	for (size_t i = 0; period && i < ARRAY_SIZE(periods); i++)
		if (strcmp(period, periods[i].text) == 0)
			return periods[i].hours * 3600 * UINT64_C(1000000);
	assert_null(period);
	return 12 * 3600 * UINT64_C(1000000);
}

/* Of all pairs of nodes; n: how often each verdict was met. */
static void check_logins(const struct fixture *fx, const char *const *logins, size_t n_logins,
			 unsigned n[3])
{
	uint32_t n_nodes = policy_engine_n_indexes(fx->engine);

	for (uint32_t pair = 0; pair < n_nodes * n_nodes; pair++) {
		uint32_t src = pair / n_nodes, dst = pair % n_nodes;
		_cleanup_(netmap_freep) struct netmap *map = parse_slice(fx, dst);
		const struct policy_node *from = policy_engine_node(fx->engine, src);

		for (size_t i = 0; i < n_logins; i++) {
			const char *period = NULL;
			enum policy_verdict verdict =
				agents_verdict(map, &from->addresses[0], logins[i], &period);
			struct policy_login login;

			policy_decide_login(fx->engine, src, dst, logins[i], &login);
			if (login.verdict != verdict)
				fail_msg("%s -> %s as %s: %d, the agent has %d", from->name,
					 policy_engine_node(fx->engine, dst)->name, logins[i],
					 login.verdict, verdict);
			if (verdict == POLICY_CHECK)
				assert_int_equal(login.check_period_usec, usec_of(period));
			n[verdict]++;
		}
	}
}

#define CHECK(src, dst, users, more)                                                          \
	"{\"action\":\"check\",\"src\":[\"" src "\"],\"dst\":[\"" dst "\"],\"users\":[" users \
	"]" more "}"

/* Agents ask of checks what the coordinator decides anew, by its own policy: they must agree. */
static void test_agent_agrees(void **state)
{
	static const char *const logins[] = { "root",	"alice", "bob",	  "deploy",
					      "report", "git",	 "backup" };
	static const char several[] =
		"{\"tagOwners\":{\"tag:web\":[]},\"ssh\":["
		"{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":[\"tag:web\"],"
		"\"users\":[\"root\",\"git\"]}," CHECK(
			"alice@example.com", "tag:web", "\"root\"",
			",\"checkPeriod\":\"always\"") "," CHECK("autogroup:member", "tag:web",
								 "\"root\",\"deploy\"",
								 ",\"checkPeriod\":"
								 "\"1h\"") "," CHECK("a"
										     "u"
										     "t"
										     "o"
										     "g"
										     "r"
										     "o"
										     "u"
										     "p"
										     ":"
										     "m"
										     "e"
										     "m"
										     "b"
										     "e"
										     "r",
										     "a"
										     "u"
										     "t"
										     "o"
										     "g"
										     "r"
										     "o"
										     "u"
										     "p"
										     ":"
										     "s"
										     "e"
										     "l"
										     "f",
										     "\"autogroup:"
										     "nonroot\","
										     "\"localpart:*"
										     "@example."
										     "com\"",
										     "") "]}";
	_cleanup_(fixture_done) struct fixture rules = { 0 }, checks = { 0 };
	unsigned n[3] = { 0 };

	fixture_load(&rules, "policy/rules.hujson");
	check_logins(&rules, logins, ARRAY_SIZE(logins), n);
	fixture_load_text(&checks, several);
	check_logins(&checks, logins, ARRAY_SIZE(logins), n);
	assert_true(n[POLICY_DENIED] >= 100 && n[POLICY_ALLOWED] >= 20 && n[POLICY_CHECK] >= 20);
}

/* Whoever logs in: the check that has to be done most often, of those that can be done before. */
static void test_any_login(void **state)
{
	static const struct {
		const char *rules;
		enum policy_verdict verdict;
		uint64_t hours;
	} cases[] = {
		{ "", POLICY_DENIED, 0 },
		{ CHECK("alice@example.com", "tag:db", "\"root\"", ""), POLICY_DENIED, 0 },
		{ "{\"action\":\"accept\",\"src\":[\"alice@example.com\"],\"dst\":[\"tag:web\"],"
		  "\"users\":[\"git\"]}",
		  POLICY_ALLOWED, 0 },
		{ "{\"action\":\"accept\",\"src\":[\"alice@example.com\"],\"dst\":[\"tag:web\"],"
		  "\"users\":[\"git\"]}," CHECK("alice@example.com", "tag:web", "\"root\"", ""),
		  POLICY_CHECK, 12 },
		{ CHECK("alice@example.com", "tag:web", "\"root\"", ",\"checkPeriod\":\"always\""),
		  POLICY_CHECK, 0 },
		{ CHECK("alice@example.com", "tag:web", "\"root\"", ",\"checkPeriod\":\"always\"") "," CHECK(
			  "alice@example.com", "tag:web", "\"git\"",
			  ",\"checkPeriod\":\"2h\"") "," CHECK("alice@example.com", "tag:web",
							       "\"a\"",
							       ",\"checkPeriod\":\"1h\"") "," CHECK("alice@example.com",
												    "tag:web",
												    "\"b\"",
												    ",\"checkPeriod\":\"3h\""),
		  POLICY_CHECK, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text =
			text_printf("{\"tagOwners\":{\"tag:web\":[],\"tag:db\":[]},\"ssh\":[%s]}",
				    cases[i].rules);
		_cleanup_(fixture_done) struct fixture fx = { 0 };
		struct policy_login login;

		fixture_load_text(&fx, text);
		policy_decide_login(fx.engine, fixture_node(&fx, "laptop"),
				    fixture_node(&fx, "web1"), NULL, &login);
		assert_int_equal(login.verdict, cases[i].verdict);
		assert_int_equal(login.check_period_usec,
				 cases[i].hours * 3600 * UINT64_C(1000000));
	}
}

static void check_filter(const char *policy, const char *node, const char *expected)
{
	_cleanup_(policy_text_done) struct policy_text out = { 0 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	fixture_load_text(&fx, policy);
	assert_int_equal(policy_filter_json(fx.engine, fixture_node(&fx, node), &out), 0);
	assert_string_equal(out.data, expected);
}

#define ACL(src, dst) \
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"" src "\"],\"dst\":[\"" dst "\"]}]}"
#define RULE(src, dst) \
	"[{\"src\":[" src "],\"dst\":[" dst "],\"proto\":[],\"origin\":\"acls[0] line 1\"}]"
#define DST(ip, port) "{\"ip\":\"" ip "\",\"ports\":[" port "," port "]}"

static void test_filters(void **state)
{
	static const struct {
		const char *policy, *node, *expected;
	} cases[] = {
		/* "*" is the mesh without the hole of ChromeOS, and approved subnets. */
		{ ACL("*", "alice@example.com:22"), "desk", "[]" },
		{ ACL("*", "bob@example.com:22"), "desk",
		  RULE("\"10.33.0.0/"
		       "16\",\"100.64.0.0-100.115.91.255\",\"100.115.94.0-100.127.255.255\","
		       "\"fd7a:115c:a1e0::/48\"",
		       DST("100.64.0.3", "22") "," DST("fd7a:115c:a1e0::3", "22")) },
		{ ACL("autogroup:danger-all", "bob@example.com:22"), "desk",
		  RULE("\"*\"", DST("100.64.0.3", "22") "," DST("fd7a:115c:a1e0::3", "22")) },
		/* Neighbours become one range. */
		{ ACL("autogroup:member", "100.64.0.3:22"), "desk",
		  RULE("\"100.64.0.1-100.64.0.3\",\"100.64.0.5\",\"fd7a:115c:a1e0::1-fd7a:115c:"
		       "a1e0::3\","
		       "\"fd7a:115c:a1e0::5\"",
		       DST("100.64.0.3", "22")) },
		/* Between nodes of one user, both ways, and nobody else. */
		{ ACL("autogroup:member", "autogroup:self:22"), "laptop",
		  RULE("\"100.64.0.1\",\"fd7a:115c:a1e0::1\",\"100.64.0.2\",\"fd7a:115c:a1e0::2\"",
		       DST("100.64.0.1", "22") "," DST("fd7a:115c:a1e0::1", "22")) },
		{ ACL("autogroup:member", "autogroup:self:22"), "web1", "[]" },
		{ ACL("bob@example.com", "autogroup:self:22"), "laptop", "[]" },
		/* An exit node filters for parts of the internet, not for private networks. */
		{ ACL("bob@example.com", "8.8.8.0/24:53"), "exit",
		  RULE("\"100.64.0.3\",\"fd7a:115c:a1e0::3\"", DST("8.8.8.0/24", "53")) },
		{ ACL("bob@example.com", "192.168.0.0/24:53"), "exit", "[]" },
		{ ACL("bob@example.com", "8.8.8.0/24:53"), "router", "[]" },
		/* A rule in the width that it was given. */
		{ ACL("bob@example.com", "10.0.0.0/8:53"), "router",
		  RULE("\"100.64.0.3\",\"fd7a:115c:a1e0::3\"", DST("10.0.0.0/8", "53")) },
		{ ACL("bob@example.com", "10.44.0.0/16:53"), "router", "[]" },
		/* Not a rule that lets in nobody. */
		{ ACL("dave@example.org", "bob@example.com:22"), "desk", "[]" },
		{ "{\"acls\":[]}", "desk", "[]" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_filter(cases[i].policy, cases[i].node, cases[i].expected);
}

static void test_peers(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	uint32_t laptop, phone, desk, web;

	fixture_load_text(&fx, "{\"tagOwners\":{\"tag:web\":[]},\"acls\":["
			       "{\"action\":\"accept\",\"src\":[\"alice@example.com\"],"
			       "\"dst\":[\"autogroup:self:*\"]},"
			       "{\"action\":\"accept\",\"src\":[\"bob@example.com\"],"
			       "\"dst\":[\"tag:web:80\"]}]}");
	laptop = fixture_node(&fx, "laptop");
	phone = fixture_node(&fx, "phone");
	desk = fixture_node(&fx, "desk");
	web = fixture_node(&fx, "web1");
	assert_true(policy_sees(fx.engine, laptop, phone));
	assert_true(policy_sees(fx.engine, phone, laptop));
	assert_true(policy_sees(fx.engine, desk, web));
	assert_true(policy_sees(fx.engine, web, desk));
	assert_false(policy_sees(fx.engine, laptop, laptop));
	assert_false(policy_sees(fx.engine, laptop, desk));
	assert_false(policy_sees(fx.engine, laptop, web));
	assert_false(policy_sees(fx.engine, web, fixture_node(&fx, "web2")));
}

static char *text_of(const struct fixture *fx, uint32_t node, bool ssh)
{
	struct policy_text out = { 0 };

	assert_int_equal(ssh ? policy_ssh_json(fx->engine, node, &out)
			     : policy_filter_json(fx->engine, node, &out),
			 0);
	return out.data;
}

static void check_same_text(const struct fixture *fx, uint32_t a, uint32_t b, bool ssh)
{
	_cleanup_free_ char *x = text_of(fx, a, ssh), *y = text_of(fx, b, ssh);

	assert_string_equal(x, y);
}

static void check_same_peers(const struct fixture *fx, uint32_t a, uint32_t b)
{
	assert_int_equal(policy_sees(fx->engine, a, b), policy_sees_alike(fx->engine, a));
	for (uint32_t i = 0; i < policy_engine_n_indexes(fx->engine); i++)
		if (i != a && i != b)
			assert_int_equal(policy_sees(fx->engine, a, i),
					 policy_sees(fx->engine, b, i));
}

/* How many pairs of nodes have a key in common: of peers, filter, SSH rules. */
static void check_keys(const char *policy, unsigned n_same[3])
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	uint32_t n;

	fixture_load_text(&fx, policy);
	n = policy_engine_n_indexes(fx.engine);
	for (uint32_t a = 0; a < n; a++)
		for (uint32_t b = a + 1; b < n; b++) {
			const struct policy_engine *e = fx.engine;

			if (policy_peers_key(e, a) == policy_peers_key(e, b) && ++n_same[0])
				check_same_peers(&fx, a, b);
			if (policy_filter_key(e, a) == policy_filter_key(e, b) && ++n_same[1])
				check_same_text(&fx, a, b, false);
			if (policy_ssh_key(e, a) == policy_ssh_key(e, b) && ++n_same[2])
				check_same_text(&fx, a, b, true);
		}
}

/* Nodes that have a key in common are told the same. */
static void test_keys(void **state)
{
#define SSH(src, dst, users)                                                    \
	"\"ssh\":[{\"action\":\"accept\",\"src\":[\"" src "\"],\"dst\":[\"" dst \
	"\"],\"users\":[" users "]}]"
	static const char *const policies[] = {
		ACL("*", "*:*"),
		ACL("autogroup:member", "autogroup:self:22"),
		ACL("bob@example.com", "autogroup:tagged:22"),
		ACL("alice@example.com", "alice@example.com:22"),
		ACL("autogroup:member", "100.64.0.3:22"),
		ACL("bob@example.com", "10.33.0.0/16:53"),
		ACL("autogroup:member", "autogroup:internet:443"),
		"{" SSH("autogroup:member", "autogroup:self", "\"root\"") "}",
		"{" SSH("autogroup:member", "autogroup:tagged",
			"\"localpart:*@example.com\",\"root\"") "}",
	};
	unsigned n_same[3] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		check_keys(policies[i], n_same);
	for (unsigned i = 0; i < 3; i++)
		assert_true(n_same[i] >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	  cmocka_unit_test(test_agent_takes_it),
		cmocka_unit_test(test_filters),	  cmocka_unit_test(test_peers),
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_agent_agrees),
		cmocka_unit_test(test_any_login),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
