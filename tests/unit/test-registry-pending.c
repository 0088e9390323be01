/* Machines without an auth key wait for somebody to say yes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"

/* The code of the only one that waits. */
static const char *code_of(struct fix *fix)
{
	assert_int_equal(registry_n_pending(fix->registry), 1);
	return registry_pending_at(fix->registry, 0)->head.id;
}

static void ask(struct fix *fix, unsigned number, const char *from)
{
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = number, .from = from }));
}

static void test_approved(void **state)
{
	struct fix *fix = *state;
	char code[16], secret[64];
	const struct pending_record *pending;
	_cleanup_free_ char *dump = NULL;

	fix->seen[0] = '\0';
	ask(fix, 1, "192.0.2.1");
	assert_string_equal(fix->seen, "pending event ");
	strcpy(code, fix->result.code_text);
	strcpy(secret, fix->result.secret);
	assert_int_equal(strlen(secret), 43);
	pending = registry_pending(fix->registry, code);
	assert_int_equal(pending->expires, FIX_START + 15 * 60 * FIX_SEC);
	assert_ptr_equal(registry_pending_by_secret(fix->registry, secret), pending);
	assert_null(registry_pending_by_secret(fix->registry, code));
	dump = fix_dump(fix->store);
	assert_null(strstr(dump, secret));

	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    registry_enrol_state(fix->registry, secret, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "say whose the machine is",
		    registry_approve(fix->registry, &fix_root, code, NULL, NULL, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no user x@example.com",
		    registry_approve(fix->registry, &fix_root, code, "x@example.com", NULL,
				     FIX_DONE(fix)));
	FIX_OK(fix, registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
	assert_string_equal(registry_node(fix->registry, fix->result.node)->user, ALICE);
	assert_null(registry_node(fix->registry, fix->result.node)->auth_key);
	assert_non_null(strstr(fix_last_event(fix), "root node.approve n"));
	FIX_OK(fix, registry_enrol_state(fix->registry, secret, FIX_DONE(fix)));
	assert_int_equal(strlen(fix->result.node), 13);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "was approved already",
		    registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
	fix_pass(fix, 15 * 60 * FIX_SEC);
	assert_int_equal(registry_n_pending(fix->registry), 0);
	assert_int_equal(registry_n_nodes(fix->registry), 1);
}

/* People type codes as they like. */
static void test_code_as_typed(void **state)
{
	struct fix *fix = *state;
	char typed[32];
	const char *code;

	ask(fix, 1, NULL);
	code = fix->result.code_text;
	snprintf(typed, sizeof(typed), "%.4s-%.4s", code, code + 4);
	assert_non_null(registry_pending(fix->registry, typed));
	for (char *p = typed; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? *p + 32 : *p;
	assert_non_null(registry_pending(fix->registry, typed));
	assert_null(registry_pending(fix->registry, ""));
	assert_null(registry_pending(fix->registry, "AAAAAAAA"));
	assert_null(registry_pending(fix->registry, "BCDFGHJKLMNPQ"));
}

static void test_rejected(void **state)
{
	struct fix *fix = *state;
	char code[16], secret[64];

	ask(fix, 1, NULL);
	strcpy(code, fix->result.code_text);
	strcpy(secret, fix->result.secret);
	FIX_OK(fix, registry_reject(fix->registry, &fix_root, code, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_REJECTED, "somebody has said no",
		    registry_enrol_state(fix->registry, secret, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "was rejected already",
		    registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
	/* Asking again at once is of no use. */
	FIX_REFUSED(fix, REGISTRY_REJECTED, "somebody has said no",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1 }));
	assert_int_equal(registry_n_nodes(fix->registry), 0);
	fix_set_time(FIX_START + 15 * 60 * FIX_SEC);
	ask(fix, 1, NULL);
}

static void test_asks_again(void **state)
{
	struct fix *fix = *state;
	char code[16], secret[64];

	ask(fix, 1, NULL);
	strcpy(code, fix->result.code_text);
	strcpy(secret, fix->result.secret);
	ask(fix, 1, NULL);
	/* The same code, which somebody may be about to type; another secret. */
	assert_string_equal(fix->result.code_text, code);
	assert_string_not_equal(fix->result.secret, secret);
	assert_null(registry_pending_by_secret(fix->registry, secret));
	assert_int_equal(registry_n_pending(fix->registry), 1);
}

/* What was looked at under a code is what is approved under it. */
static void test_asks_for_something_else(void **state)
{
	static const struct fix_machine others[] = {
		{ .number = 1, .hostname = "server" },
		{ .number = 1, .key = 2, .hostname = "server" },
		{ .number = 1, .key = 2, .hostname = "printer" },
		{ .number = 1, .key = 2, .hostname = "printer", .tag = "tag:admin" },
		{ .number = 1, .key = 2, .hostname = "printer", .tag = "tag:web" },
		{ .number = 1, .key = 2, .hostname = "printer" },
	};
	struct fix *fix = *state;
	char code[16];

	ask(fix, 1, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		strcpy(code, fix->result.code_text);
		FIX_REFUSED(fix, REGISTRY_WAITING, NULL, fix_enrol(fix, &others[i]));
		assert_string_not_equal(fix->result.code_text, code);
		assert_null(registry_pending(fix->registry, code));
		assert_int_equal(registry_n_pending(fix->registry), 1);
		assert_non_null(strstr(fix_last_event(fix), "node.ask"));
		FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no machine waits under this code",
			    registry_approve(fix->registry, &fix_root, code, ALICE, NULL,
					     FIX_DONE(fix)));
	}
}

static void test_runs_out(void **state)
{
	struct fix *fix = *state;
	char code[16], secret[64];

	ask(fix, 1, NULL);
	strcpy(code, fix->result.code_text);
	strcpy(secret, fix->result.secret);
	fix_set_time(FIX_START + 15 * 60 * FIX_SEC);
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "nothing waits under this id",
		    registry_enrol_state(fix->registry, secret, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no machine waits under this code",
		    registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
	fix_pass(fix, 0);
	assert_int_equal(registry_n_pending(fix->registry), 0);
}

static void test_tags(void **state)
{
	struct fix *fix = *state;
	char *tags[] = { (char *)"tag:web" };
	const struct text_list list = { .items = tags, .n = 1 };
	const struct registry_actor bob = { .who = "bob", .login = "bob@example.com" };

	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "is no tag",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .tag = "web" }));
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .tag = "tag:web" }));
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:web: the policy's tagOwners does not name it",
		    registry_approve(fix->registry, &fix_root, code_of(fix), NULL, NULL,
				     FIX_DONE(fix)));
	fix_set_policy(fix, "{\"tagOwners\": {\"tag:web\": []}}");
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:web: bob@example.com may not give it",
		    registry_approve(fix->registry, &bob, code_of(fix), NULL, NULL, FIX_DONE(fix)));
	FIX_OK(fix,
	       registry_approve(fix->registry, &fix_root, code_of(fix), NULL, NULL, FIX_DONE(fix)));
	assert_string_equal(registry_node(fix->registry, fix->result.node)->tags.items[0],
			    "tag:web");
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "do not go together",
		    registry_approve(fix->registry, &fix_root, code_of(fix), ALICE, &list,
				     FIX_DONE(fix)));
}

/* People may say yes to machines of their own. */
static void test_approved_by_person(void **state)
{
	struct fix *fix = *state;
	const struct registry_actor alice = { .who = ALICE, .login = ALICE };
	char code[16];

	ask(fix, 1, NULL);
	strcpy(code, fix->result.code_text);
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "machines of your own only",
		    registry_approve(fix->registry, &alice, code, "bob@example.com", NULL,
				     FIX_DONE(fix)));
	FIX_OK(fix, registry_approve(fix->registry, &alice, code, NULL, NULL, FIX_DONE(fix)));
	assert_string_equal(registry_node(fix->registry, fix->result.node)->user, ALICE);
}

/* A node whose key has expired keeps what it has, and its owner. */
static void test_renewal(void **state)
{
	struct fix *fix = *state;
	char id[16];

	strcpy(id, fix_node(fix, 1));
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .key = 2 }));
	FIX_OK(fix,
	       registry_approve(fix->registry, &fix_root, code_of(fix), NULL, NULL, FIX_DONE(fix)));
	assert_string_equal(fix->result.node, id);
	assert_string_equal(registry_node(fix->registry, id)->user, ALICE);
	assert_false(node_is_expired(registry_node(fix->registry, id), FIX_START));
}

/* Its node key was taken while it waited. */
static void test_key_in_use_by_then(void **state)
{
	struct fix *fix = *state;
	char code[16];
	const char *key;

	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .key = 5 }));
	strcpy(code, fix->result.code_text);
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){ .number = 2, .key = 5, .auth_key = key }));
	FIX_REFUSED(fix, REGISTRY_NODE_KEY_IN_USE, "another machine",
		    registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
}

static void test_limits(void **state)
{
	struct fix *fix = *state;
	char from[32];
	unsigned n = 0;

	for (; n < REGISTRY_MAX_PENDING_FROM; n++)
		ask(fix, n, "2001:db8::1");
	FIX_REFUSED(
		fix, REGISTRY_TOO_MANY, "8 machines wait for approval from your address",
		fix_enrol(fix, &(struct fix_machine){ .number = n, .from = "2001:db8::ffff:1" }));
	/* One that waits already may ask again. */
	ask(fix, 0, "2001:db8::1");
	ask(fix, n++, "2001:db8:0:1::1");
	for (; n < REGISTRY_MAX_PENDING; n++) {
		snprintf(from, sizeof(from), "192.0.2.%u", n / 4);
		ask(fix, n, from);
	}
	FIX_REFUSED(fix, REGISTRY_TOO_MANY, "256 machines wait for approval already",
		    fix_enrol(fix, &(struct fix_machine){ .number = n, .from = "198.51.100.1" }));
	fix_pass(fix, 15 * 60 * FIX_SEC);
	assert_int_equal(registry_n_pending(fix->registry), 0);
	ask(fix, n, "198.51.100.1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_approved),
		TEST(test_code_as_typed),
		TEST(test_rejected),
		TEST(test_asks_again),
		TEST(test_asks_for_something_else),
		TEST(test_runs_out),
		TEST(test_tags),
		TEST(test_approved_by_person),
		TEST(test_renewal),
		TEST(test_key_in_use_by_then),
		TEST(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
