/* Versions of the policy: set, matched, confirmed, rolled back, remembered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/policy.h"
#include "coord/registry/default_policy.h"
#include "tests/unit/registry-fixture.h"

#define CLOSED "{\"acls\": []}"
#define OPEN   "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]}"

static uint64_t version(struct fix *fix)
{
	return registry_policy_current(fix->registry)->version;
}

static void set(struct fix *fix, const char *text, uint64_t confirm_within_usec)
{
	const struct registry_policy_request request = {
		.text = text,
		.len = strlen(text),
		.confirm_within_usec = confirm_within_usec,
	};

	registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix));
}

static void test_default(void **state)
{
	struct fix *fix = *state;
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const struct policy_current *current = registry_policy_current(fix->registry);

	assert_int_equal(current->version, 0);
	assert_string_equal(current->text, default_policy);
	assert_non_null(registry_policy(fix->registry));
	assert_int_equal(registry_check_policy(fix->registry, default_policy,
					       strlen(default_policy), &problems, &policy),
			 0);
	assert_int_equal(problems.n, 0);
}

/* What it promises: everybody reaches everything; SSH to one's own hosts, in check mode. */
static void test_default_means(void **state)
{
	struct fix *fix = *state;
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	_cleanup_(policy_explanation_freep) struct policy_explanation *own = NULL, *other = NULL;
	char *why = NULL;
	const char *key = fix_authkey(fix, "bob@example.com", NULL, false, false);

	fix_node(fix, 1);
	fix_node(fix, 2);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 3, .auth_key = key }));
	assert_int_equal(registry_network(fix->registry, &network), 0);
	assert_int_equal(network->n_nodes, 3);
	assert_int_equal(network->n_users, 2);
	assert_int_equal(policy_engine_new(registry_policy(fix->registry), network, &engine), 0);
	for (uint32_t a = 0; a < 3; a++)
		for (uint32_t b = 0; b < 3; b++)
			assert_int_equal(policy_sees(engine, a, b), a != b);
	for (unsigned i = 0; i < 2; i++) {
		own = policy_explanation_free(own);
		assert_int_equal(policy_explain_ssh(engine, "host-1", i ? "root" : "dev", "host-2",
						    &why, &own),
				 0);
		assert_int_equal(own->findings[0].verdict, POLICY_CHECK);
	}
	assert_int_equal(policy_explain_ssh(engine, "host-1", "dev", "host-3", &why, &other), 0);
	assert_int_equal(other->findings[0].verdict, POLICY_DENIED);
}

static void test_network_without_expired(void **state)
{
	struct fix *fix = *state;
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	const char *id = fix_node(fix, 1);

	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	assert_int_equal(registry_network(fix->registry, &network), 0);
	assert_int_equal(network->n_nodes, 0);
	assert_int_equal(network->n_prefixes, 2);
}

static void test_set(void **state)
{
	struct fix *fix = *state;

	fix->seen[0] = '\0';
	FIX_OK(fix, set(fix, CLOSED, 0));
	assert_int_equal(version(fix), 1);
	assert_string_equal(registry_policy_current(fix->registry)->text, CLOSED);
	assert_string_equal(registry_policy_current(fix->registry)->author, "root");
	assert_int_equal(registry_policy_current(fix->registry)->previous, 0);
	assert_non_null(strstr(fix->seen, "policy "));
	assert_string_equal(fix_last_event(fix), "root policy.set policy ok: version 1");
	/* The same again is no new version. */
	FIX_OK(fix, set(fix, CLOSED, 0));
	assert_int_equal(version(fix), 1);
	FIX_OK(fix, set(fix, OPEN, 0));
	assert_int_equal(version(fix), 2);
	assert_int_equal(registry_n_policies(fix->registry), 2);
	assert_int_equal(registry_policy_at(fix->registry, 0)->version, 1);
	assert_null(registry_policy_at(fix->registry, 0)->text);
}

static void test_refused(void **state)
{
	struct fix *fix = *state;
	static char large[RECORD_MAX_POLICY + 2];
	struct registry_policy_request request = { .text = "{}\0{}", .len = 5 };

	FIX_REFUSED(fix, REGISTRY_POLICY_REFUSED, "the policy has 1 error; the one in force stays",
		    set(fix, "{\"acls\": 1}", 0));
	assert_int_equal(fix->result.n_problems, 1);
	/* Its own tests are run on the real nodes. */
	fix_node(fix, 1);
	FIX_REFUSED(fix, REGISTRY_POLICY_REFUSED, "the policy has 1 error",
		    set(fix,
			"{\"acls\": [], \"tests\": [{\"src\": \"alice@example.com\", \"accept\": "
			"[\"100.64.0.1:22\"]}]}",
			0));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no UTF-8 text",
		    registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no UTF-8 text", set(fix, "{} // \xff", 0));
	memset(large, ' ', sizeof(large) - 1);
	FIX_REFUSED(fix, REGISTRY_TOO_LARGE, "at most 512 KiB are taken", set(fix, large, 0));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "confirm_within: is longer than a day",
		    set(fix, CLOSED, FIX_DAY + 1));
	assert_int_equal(version(fix), 0);
}

static void test_if_match(void **state)
{
	struct fix *fix = *state;
	uint8_t hash[SHA256_LEN];
	struct registry_policy_request request = {
		.text = OPEN,
		.len = strlen(OPEN),
		.if_hash = hash,
	};

	memcpy(hash, registry_policy_current(fix->registry)->hash, sizeof(hash));
	FIX_OK(fix, set(fix, CLOSED, 0));
	FIX_REFUSED(fix, REGISTRY_PRECONDITION_FAILED, "version 1 is in force, not the one",
		    registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	memcpy(hash, registry_policy_current(fix->registry)->hash, sizeof(hash));
	request.if_version = 2;
	FIX_REFUSED(fix, REGISTRY_PRECONDITION_FAILED, "version 1 is in force, not the one",
		    registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request.if_version = 1;
	FIX_OK(fix, registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	assert_int_equal(version(fix), 2);
}

static void test_confirmed(void **state)
{
	struct fix *fix = *state;

	FIX_REFUSED(fix, REGISTRY_CONFLICT, "no policy waits to be confirmed; version 0",
		    registry_confirm_policy(fix->registry, &fix_root, FIX_DONE(fix)));
	FIX_OK(fix, set(fix, CLOSED, 300 * FIX_SEC));
	assert_int_equal(registry_policy_current(fix->registry)->confirm_by,
			 FIX_START + 300 * FIX_SEC);
	FIX_REFUSED(fix, REGISTRY_CONFLICT,
		    "version 1 waits until 2027-01-15T08:05:00Z to be confirmed",
		    set(fix, OPEN, 0));
	fix_pass(fix, 300 * FIX_SEC - 1);
	FIX_OK(fix, registry_confirm_policy(fix->registry, &fix_root, FIX_DONE(fix)));
	fix_pass(fix, FIX_DAY);
	assert_int_equal(version(fix), 1);
	assert_int_equal(registry_policy_current(fix->registry)->confirm_by, 0);
}

static void test_not_confirmed(void **state)
{
	struct fix *fix = *state;

	/* Back to the default policy, then to a version. */
	FIX_OK(fix, set(fix, CLOSED, 300 * FIX_SEC));
	fix_pass(fix, 300 * FIX_SEC);
	assert_int_equal(version(fix), 0);
	assert_string_equal(registry_policy_current(fix->registry)->text, default_policy);
	FIX_OK(fix, set(fix, OPEN, 0));
	assert_int_equal(version(fix), 2);
	FIX_OK(fix, set(fix, CLOSED " ", 300 * FIX_SEC));
	assert_int_equal(version(fix), 3);
	fix->seen[0] = '\0';
	fix_pass(fix, 300 * FIX_SEC);
	assert_int_equal(version(fix), 2);
	assert_string_equal(registry_policy_current(fix->registry)->text, OPEN);
	assert_non_null(strstr(fix->seen, "policy "));
	assert_string_equal(fix_last_event(fix),
			    "coordinator policy.rollback policy ok: from version 3 to 2, which "
			    "nobody confirmed in time");
	fix_pass(fix, FIX_DAY);
	assert_int_equal(version(fix), 2);
}

/* The deadline passes while the coordinator is down. */
static void test_not_confirmed_across_restart(void **state)
{
	struct fix *fix = *state, *after;
	struct store *store = fix->store;

	FIX_OK(fix, set(fix, OPEN, 0));
	FIX_OK(fix, set(fix, CLOSED, 300 * FIX_SEC));
	fix_free(fix, false);
	fix_set_time(FIX_START + 200 * FIX_SEC);
	after = fix_new(store);
	fix_pass(after, 0);
	assert_int_equal(version(after), 2);
	fix_free(after, false);
	fix_set_time(FIX_START + 400 * FIX_SEC);
	after = fix_new(store);
	fix_run(after); /* by its own timer */
	assert_int_equal(version(after), 1);
	*state = after;
}

static void test_rollback(void **state)
{
	struct fix *fix = *state;

	FIX_OK(fix, set(fix, OPEN, 0));
	FIX_OK(fix, set(fix, CLOSED, 0));
	FIX_OK(fix, registry_rollback_policy(fix->registry, &fix_root, 1, FIX_DONE(fix)));
	assert_int_equal(version(fix), 1);
	assert_int_equal(registry_policy_current(fix->registry)->previous, 2);
	assert_string_equal(registry_policy_current(fix->registry)->text, OPEN);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "version 1 is in force already",
		    registry_rollback_policy(fix->registry, &fix_root, 1, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no version 9 of the policy",
		    registry_rollback_policy(fix->registry, &fix_root, 9, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no version",
		    registry_rollback_policy(fix->registry, &fix_root, UINT64_MAX, FIX_DONE(fix)));
	FIX_OK(fix, registry_rollback_policy(fix->registry, &fix_root, 0, FIX_DONE(fix)));
	assert_int_equal(version(fix), 0);
	/* Numbers are not given twice. */
	FIX_OK(fix, set(fix, OPEN " ", 0));
	assert_int_equal(version(fix), 3);
	/* By hand, before the time is up. */
	FIX_OK(fix, set(fix, CLOSED, 300 * FIX_SEC));
	FIX_OK(fix, registry_rollback_policy(fix->registry, &fix_root, 3, FIX_DONE(fix)));
	fix_pass(fix, FIX_DAY);
	assert_int_equal(version(fix), 3);
}

static void keep_text(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_OK);
	snprintf(userdata, 4096, "%llu %s", (unsigned long long)result->policy->version,
		 result->policy->text);
}

static void test_history(void **state)
{
	struct fix *fix = *state;
	static char text[4096];

	FIX_OK(fix, set(fix, OPEN, 0));
	FIX_OK(fix, set(fix, CLOSED, 0));
	registry_policy_get(fix->registry, 1, keep_text, text);
	assert_string_equal(text, "1 " OPEN);
	registry_policy_get(fix->registry, 0, keep_text, text);
	assert_string_equal(text + 2, default_policy);
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no version 3",
		    registry_policy_get(fix->registry, 3, FIX_DONE(fix)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_default),
		TEST(test_default_means),
		TEST(test_network_without_expired),
		TEST(test_set),
		TEST(test_refused),
		TEST(test_if_match),
		TEST(test_confirmed),
		TEST(test_not_confirmed),
		TEST(test_not_confirmed_across_restart),
		TEST(test_rollback),
		TEST(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
