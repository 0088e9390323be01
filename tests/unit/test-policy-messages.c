/* What is said about policies: every message, with its place, against golden files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/policy/text.h"
#include "tests/unit/golden.h"
#include "tests/unit/policy-fixture.h"

static char *file_name(const char *name, const char *suffix)
{
	char *path = text_printf("policy/%s%s", name, suffix);

	assert_non_null(path);
	return path;
}

static void check_said(const char *name, const struct policy_problems *problems)
{
	_cleanup_free_ char *golden = file_name(name, ".txt"), *said = fixture_problems(problems);

	golden_check(golden, said);
}

static void test_refusals(void **state)
{
	static const char *const names[] = {
		"errors-names",	  "errors-acls",     "errors-grants", "errors-ssh",
		"errors-tests",	  "errors-sections", "syntax-open",   "syntax-twice",
		"syntax-comment", "syntax-slash",    "syntax-string", "syntax-commas",
		"syntax-colon",	  "syntax-array",    "syntax-empty",  "syntax-deep",
		"syntax-nul",	  "syntax-utf8",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = file_name(names[i], ".hujson"),
				    *text = golden_read(path);
		_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
		_cleanup_(policy_freep) struct policy *policy = NULL;

		assert_int_equal(policy_parse(text, strlen(text), &problems, &policy), -EINVAL);
		assert_null(policy);
		assert_true(problems.n_errors > 0);
		check_said(names[i], &problems);
	}
}

static void test_warnings(void **state)
{
	static const char *const names[] = { "warnings", "warnings-default" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = file_name(names[i], ".hujson"),
				    *text = golden_read(path);
		_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
		_cleanup_(policy_network_freep) struct policy_network *network = NULL;
		_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
		_cleanup_(policy_freep) struct policy *policy = NULL;

		assert_int_equal(policy_parse(text, strlen(text), &problems, &policy), 0);
		assert_int_equal(policy_network_imagine(policy, &network), 0);
		assert_int_equal(policy_engine_new(policy, network, &engine), 0);
		assert_int_equal(policy_lint(engine, &problems), 0);
		check_said(names[i], &problems);
	}
}

/* A policy without traps gets no warning. */
static void test_no_warnings(void **state)
{
	static const char text[] =
		"{\"groups\": {\"group:dev\": [\"alice@example.com\", \"bob@example.com\"]},"
		" \"tagOwners\": {\"tag:web\": [], \"tag:db\": []},"
		" \"acls\": [{\"action\": \"accept\", \"src\": [\"group:dev\"], \"dst\": "
		"[\"tag:web:22,80\"]},"
		"            {\"action\": \"accept\", \"src\": [\"group:dev\"], \"dst\": "
		"[\"tag:db:22\"]},"
		"            {\"action\": \"accept\", \"src\": [\"autogroup:member\"],"
		"             \"dst\": [\"autogroup:self:*\"]}],"
		" \"ssh\": [{\"action\": \"accept\", \"src\": [\"group:dev\"], \"dst\": "
		"[\"tag:web\", \"tag:db\"],"
		"           \"users\": [\"root\"]},"
		"          {\"action\": \"check\", \"src\": [\"autogroup:member\"], \"dst\": "
		"[\"autogroup:self\"],"
		"           \"users\": [\"autogroup:nonroot\"]}]}";
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_free_ char *said = NULL;

	fixture_load_text(&fx, text);
	assert_int_equal(policy_lint(fx.engine, &fx.problems), 0);
	said = fixture_problems(&fx.problems);
	assert_string_equal(said, "");
}

static void test_unknown_user(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	_cleanup_free_ char *said = NULL;

	fixture_load_text(&fx,
			  "{\"acls\": [{\"action\": \"accept\",\n \"src\": [\"alcie@example.com\", "
			  "\"alice@example.com\"],\n \"dst\": [\"bob@example.com:80\"]}]}");
	assert_int_equal(policy_lint(fx.engine, &fx.problems), 0);
	said = fixture_problems(&fx.problems);
	assert_string_equal(said,
			    "warning 2:10: there is no user \"alcie@example.com\" (yet): the entry "
			    "means nobody; check the spelling\n");
}

static void test_failing_tests(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_test_result result = { 0 };

	fixture_load(&fx, "policy/failing-tests.hujson");
	assert_int_equal(policy_run_tests(fx.engine, &fx.problems, &result), 0);
	assert_int_equal(result.n_failed, fx.problems.n_errors);
	check_said("failing-tests", &fx.problems);
}

static void test_passing_tests(void **state)
{
	_cleanup_(fixture_done) struct fixture fx = { 0 };
	struct policy_test_result result = { 0 };
	uint32_t n_nodes, ignored;

	fixture_load(&fx, "policy/rules.hujson");
	n_nodes = policy_engine_n_indexes(fx.engine);
	assert_int_equal(policy_run_tests(fx.engine, &fx.problems, &result), 0);
	if (fx.problems.n)
		fail_msg("%s", fx.problems.items[0].text);
	assert_int_equal(result.n_tests, 17);
	assert_int_equal(result.n_failed, 0);
	/* The imagined nodes are gone. */
	for (uint32_t i = n_nodes; i < policy_engine_n_indexes(fx.engine); i++)
		assert_null(policy_engine_node(fx.engine, i));
	assert_int_equal(policy_engine_find(fx.engine, "a node of tag:none", &ignored), -ENOENT);
}

/* Of many errors the first ones are kept, and all are counted. */
static void test_bounded(void **state)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;

	policy_text_puts(&text, "{\"acls\": [");
	for (int i = 0; i < 300; i++)
		policy_text_puts(&text, "1,\n");
	policy_text_puts(&text, "]}");
	assert_int_equal(policy_parse(text.data, text.len, &problems, &policy), -EINVAL);
	assert_int_equal(problems.n_errors, 300);
	assert_int_equal(problems.n, POLICY_MAX_PROBLEMS);
	assert_int_equal(problems.items[1].line, 2);
}

static void test_too_large(void **state)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	size_t size = 10u << 20;
	_cleanup_free_ char *text = malloc(size), *said = NULL;

	assert_non_null(text);
	memset(text, ' ', size);
	assert_int_equal(policy_parse(text, size, &problems, &policy), -EINVAL);
	said = fixture_problems(&problems);
	assert_string_equal(said,
			    "error the policy has 10485760 bytes; at most 2097152 are read\n");
}

static void test_too_many_values(void **state)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_free_ char *said = NULL;

	policy_text_puts(&text, "{\"acls\": [\n");
	for (int i = 0; i < 300000; i++)
		policy_text_puts(&text, "0,");
	policy_text_puts(&text, "]}");
	assert_int_equal(policy_parse(text.data, text.len, &problems, &policy), -EINVAL);
	said = fixture_problems(&problems);
	assert_string_equal(said, "error 2:399995: too many values in one policy\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),	cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_no_warnings),	cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_failing_tests),	cmocka_unit_test(test_passing_tests),
		cmocka_unit_test(test_bounded),		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
