/* Groups whose members somebody else knows, in a policy and in the network that it is applied to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/policy/text.h"
#include "tests/unit/policy-fixture.h"

static const char network_text[] =
	"{\"groups\": [\"group:empty\"], \"users\": ["
	"{\"login\": \"alice@example.com\"},"
	"{\"login\": \"bob@example.com\", \"groups\": [\"group:eng\"]},"
	"{\"login\": \"carol@example.com\", \"groups\": [\"group:ops\", \"group:eng\"]},"
	"{\"login\": \"dave@example.com\", \"groups\": null}],"
	"\"nodes\": ["
	"{\"name\": \"a\", \"user\": \"alice@example.com\", \"addresses\": [\"100.64.0.1\"]},"
	"{\"name\": \"b\", \"user\": \"bob@example.com\", \"addresses\": [\"100.64.0.2\"]},"
	"{\"name\": \"c\", \"user\": \"carol@example.com\", \"addresses\": [\"100.64.0.3\"]},"
	"{\"name\": \"d\", \"user\": \"dave@example.com\", \"addresses\": [\"100.64.0.4\"]},"
	"{\"name\": \"s\", \"tags\": [\"tag:s\"], \"addresses\": [\"100.64.0.9\"]}]}";

#define TO_S(group, more)                                                                   \
	"{\"tagOwners\": {\"tag:s\": [\"" group "\"]}, \"acls\": [{\"action\": \"accept\"," \
	"\"src\": [\"" group "\"], \"dst\": [\"tag:s:22\"]}]" more "}"
#define LISTED ", \"groups\": {\"group:eng\": [\"alice@example.com\"]}"

static void load(struct fixture *fx, const char *policy_text)
{
	_cleanup_free_ char *error = NULL;
	struct policy_mapped mapped;
	int r;

	if (policy_network_parse(network_text, strlen(network_text), &error, &fx->network) < 0)
		fail_msg("%s", error);
	mapped = (struct policy_mapped){ .groups = fx->network->groups,
					 .n_groups = fx->network->n_groups };
	r = policy_parse_mapped(policy_text, strlen(policy_text), &mapped, &fx->problems,
				&fx->policy);
	if (r < 0)
		fail_msg("refused: %s", fx->problems.n ? fx->problems.items[0].text : strerror(-r));
	assert_int_equal(policy_engine_new(fx->policy, fx->network, &fx->engine), 0);
}

/* Names of the nodes that reach s, by the peers that it has. */
static void expect_reach(const struct fixture *fx, const char *names)
{
	uint32_t s = fixture_node(fx, "s");
	char found[16] = "";

	for (const char *p = "abcd"; *p; p++) {
		const char name[2] = { *p };

		if (policy_sees(fx->engine, fixture_node(fx, name), s))
			strcat(found, name);
	}
	assert_string_equal(found, names);
}

static void expect_problem(const char *policy_text, const struct policy_mapped *mapped,
			   const char *said)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_free_ char *text = NULL;
	struct policy *policy = NULL;

	assert_int_equal(
		policy_parse_mapped(policy_text, strlen(policy_text), mapped, &problems, &policy),
		-EINVAL);
	assert_null(policy);
	text = fixture_problems(&problems);
	assert_string_equal(text, said);
}

static void test_not_listed(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	load(&fx, TO_S("group:eng", ""));
	expect_reach(&fx, "bc");
	assert_null(policy_stray_group(fx.policy));
}

static void test_union(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 }, other = { 0 };

	load(&fx, TO_S("group:eng", LISTED));
	expect_reach(&fx, "abc");
	load(&other, TO_S("group:ops", LISTED));
	expect_reach(&other, "c");
}

static void test_mapped_without_members(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	load(&fx, TO_S("group:empty", ""));
	expect_reach(&fx, "");
	/* That nobody is in it yet is nothing to warn of: somebody may sign in. */
	assert_int_equal(policy_lint(fx.engine, &fx.problems), 0);
	assert_int_equal(fx.problems.n, 0);
}

static void test_unknown(void **state)
{
	static const char policy[] = "{\"acls\": [{\"action\": \"accept\",\n"
				     "\"src\": [\"group:x\"], \"dst\": [\"*:*\"]}]}";
	char *groups[] = { (char *)"group:a", (char *)"group:b", (char *)"group:c",
			   (char *)"group:d", (char *)"group:e", (char *)"group:f",
			   (char *)"group:g" };
	struct policy_mapped mapped = { .groups = groups, .n_groups = 2 };

	expect_problem(policy, NULL,
		       "error 2:9: \"group:x\" is not defined; add it to \"groups\"\n");
	expect_problem(policy, &mapped,
		       "error 2:9: \"group:x\" is not defined, and providers do not map it; add it "
		       "to \"groups\", or to a provider's file (they map group:a, group:b)\n");
	mapped.n_groups = ARRAY_SIZE(groups);
	expect_problem(
		policy, &mapped,
		"error 2:9: \"group:x\" is not defined, and providers do not map it; add it "
		"to \"groups\", or to a provider's file (they map group:a, group:b, group:c, "
		"group:d, group:e and 2 more)\n");
}

/* In force, a policy outlives what was mapped when it was taken in: with nobody in the group. */
static void test_stray(void **state)
{
	static const char text[] = TO_S("group:gone", LISTED);
	const struct policy_mapped mapped = { .others = true };
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_free_ char *error = NULL;

	assert_int_equal(policy_parse_mapped(text, strlen(text), &mapped, &fx.problems, &fx.policy),
			 0);
	assert_string_equal(policy_stray_group(fx.policy), "group:gone");
	assert_int_equal(
		policy_network_parse(network_text, strlen(network_text), &error, &fx.network), 0);
	assert_int_equal(policy_engine_new(fx.policy, fx.network, &fx.engine), 0);
	expect_reach(&fx, "");
	assert_int_equal(policy_lint(fx.engine, &fx.problems), 0);
	assert_int_equal(fx.problems.n_warnings, 2);
	assert_non_null(strstr(fx.problems.items[0].text, "never applies"));
	assert_non_null(strstr(fx.problems.items[1].text, "\"group:gone\" is empty"));
}

/* A user who comes with a node later is in no group by others' words. */
static void test_later(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct ip_addr address;
	const struct policy_node node = {
		.name = (char *)"e",
		.user = (char *)"erin@example.com",
		.addresses = &address,
		.n_addresses = 1,
	};
	uint32_t index;

	load(&fx, TO_S("group:eng", LISTED));
	assert_int_equal(ip_addr_parse("100.64.0.5", &address), 0);
	assert_int_equal(policy_engine_set_node(fx.engine, &node, &index), 0);
	assert_false(policy_sees(fx.engine, index, fixture_node(&fx, "s")));
}

#define TEST(src, word) ", \"tests\": [{\"src\": \"" src "\", \"" word "\": [\"tag:s:22\"]}]"

static void check_tests(const char *policy_text, size_t n_failed)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_test_result result;

	load(&fx, policy_text);
	assert_int_equal(policy_run_tests(fx.engine, &fx.problems, &result), 0);
	assert_int_equal(result.n_tests, 1);
	if (result.n_failed != n_failed)
		fail_msg("%s: %s", policy_text, fx.problems.n ? fx.problems.items[0].text : "fine");
}

static void test_tests(void **state)
{
	check_tests(TO_S("group:eng", TEST("carol@example.com", "accept")), 0);
	check_tests(TO_S("group:eng", TEST("dave@example.com", "accept")), 1);
	/* Nobody is in it: somebody is imagined. */
	check_tests(TO_S("group:empty", TEST("group:empty", "accept")), 0);
	check_tests(TO_S("group:eng", TEST("group:empty", "accept")), 1);
	check_tests(TO_S("group:eng", TEST("group:empty", "deny")), 0);
}

/* Without a network: the mapped group is somebody, of no other group. */
static void test_imagined(void **state)
{
	static const char text[] = TO_S("group:eng", LISTED TEST("group:eng", "accept"));
	char *groups[] = { (char *)"group:eng" };
	const struct policy_mapped mapped = { .groups = groups, .n_groups = 1 };
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_test_result result;
	uint32_t member;

	assert_int_equal(policy_parse_mapped(text, strlen(text), &mapped, &fx.problems, &fx.policy),
			 0);
	assert_int_equal(policy_network_imagine(fx.policy, &fx.network), 0);
	assert_int_equal(policy_engine_new(fx.policy, fx.network, &fx.engine), 0);
	assert_int_equal(policy_engine_find(fx.engine, "somebody of group:eng", &member), 0);
	assert_true(policy_sees(fx.engine, member, fixture_node(&fx, "tag:s")));
	assert_false(policy_sees(fx.engine, fixture_node(&fx, "somebody@else.example"),
				 fixture_node(&fx, "tag:s")));
	assert_int_equal(policy_run_tests(fx.engine, &fx.problems, &result), 0);
	assert_int_equal(result.n_failed, 0);
}

static void test_explain(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_(policy_explanation_freep) struct policy_explanation *group = NULL, *person = NULL;
	_cleanup_free_ char *error = NULL;

	load(&fx, TO_S("group:eng", LISTED));
	assert_int_equal(policy_explain_network(fx.engine, "group:eng", "s", 22, 0, &error, &group),
			 0);
	assert_int_equal(group->n_findings, 1);
	assert_int_equal(group->findings[0].n_pairs, 3);
	assert_string_equal(group->findings[0].src_entry, "group:eng");
	assert_int_equal(
		policy_explain_network(fx.engine, "dave@example.com", "s", 22, 0, &error, &person),
		0);
	assert_int_equal(person->findings[0].verdict, POLICY_DENIED);
}

/* What one group lists says nothing of who else is in the other. */
static void test_shadowed(void **state)
{
	static const char text[] =
		"{\"groups\": {\"group:all\": [\"alice@example.com\", \"bob@example.com\"],"
		"\"group:eng\": [\"alice@example.com\"]}, \"acls\": ["
		"{\"action\": \"accept\", \"src\": [\"group:all\"], \"dst\": [\"*:80\"]},"
		"{\"action\": \"accept\", \"src\": [\"group:eng\"], \"dst\": [\"*:80\"]}]}";
	_cleanup_(fixture_done) struct fixture fx = { 0 }, plain = { 0 };

	load(&fx, text);
	assert_int_equal(policy_lint(fx.engine, &fx.problems), 0);
	assert_int_equal(fx.problems.n, 0);
	assert_int_equal(policy_parse(text, strlen(text), &plain.problems, &plain.policy), 0);
	assert_int_equal(policy_engine_new(plain.policy, fx.network, &plain.engine), 0);
	assert_int_equal(policy_lint(plain.engine, &plain.problems), 0);
	assert_int_equal(plain.problems.n, 1);
}

static void test_giver(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_free_ char *why = NULL;
	char *groups[] = { (char *)"group:ops", (char *)"group:eng" };
	struct policy_giver giver = { .login = "bob@example.com", .groups = groups, .n_groups = 2 };

	load(&fx, TO_S("group:eng", ""));
	assert_int_equal(policy_may_tag(fx.policy, &giver, "tag:s", &why), 0);
	giver.n_groups = 1;
	assert_int_equal(policy_may_tag(fx.policy, &giver, "tag:s", &why), -EINVAL);
}

static void test_approver(void **state)
{
	static const char text[] = "{\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": "
				   "[\"group:ops\"]}}, \"acls\": []}";
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_free_ struct ip_prefix *routes = NULL, *others = NULL;
	struct ip_prefix route;
	struct policy_node node = { .name = (char *)"c",
				    .user = (char *)"carol@example.com",
				    .advertised = &route,
				    .n_advertised = 1 };
	size_t n;

	load(&fx, text);
	assert_int_equal(ip_prefix_parse("10.1.0.0/16", &route), 0);
	assert_int_equal(policy_auto_approved(fx.engine, &node, &routes, &n), 0);
	assert_int_equal(n, 1);
	node.user = (char *)"bob@example.com";
	assert_int_equal(policy_auto_approved(fx.engine, &node, &others, &n), 0);
	assert_int_equal(n, 0);
}

static void test_network(void **state)
{
	static const struct {
		const char *text, *says;
	} refused[] = {
		{ "{\"nodes\": [], \"groups\": [\"eng\"]}",
		  "groups[0]: expected a group of the policy, such as group:admins" },
		{ "{\"nodes\": [], \"groups\": [\"group:\"]}", "groups[0]: expected a group" },
		{ "{\"nodes\": [], \"groups\": [7]}", "groups[0]: " },
		{ "{\"nodes\": [], \"users\": [{\"login\": \"a@b\", \"groups\": [\"x\"]}]}",
		  "users[0].groups[0]: expected a group" },
		{ "{\"nodes\": [], \"users\": [{\"login\": \"a@b\", \"groups\": \"x\"}]}",
		  "users[0].groups: expected an array" },
	};
	_cleanup_(fixture_done) struct fixture fx = { 0 };

	load(&fx, "{\"acls\": []}");
	assert_int_equal(fx.network->n_groups, 3);
	assert_string_equal(fx.network->groups[0], "group:empty");
	assert_string_equal(fx.network->groups[1], "group:eng");
	assert_string_equal(fx.network->groups[2], "group:ops");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_free_ char *error = NULL;
		struct policy_network *network = NULL;

		assert_int_equal(policy_network_parse(refused[i].text, strlen(refused[i].text),
						      &error, &network),
				 -EINVAL);
		if (!strstr(error, refused[i].says))
			fail_msg("\"%s\" is not in: %s", refused[i].says, error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_listed),
		cmocka_unit_test(test_union),
		cmocka_unit_test(test_mapped_without_members),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_tests),
		cmocka_unit_test(test_imagined),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_shadowed),
		cmocka_unit_test(test_giver),
		cmocka_unit_test(test_approver),
		cmocka_unit_test(test_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
