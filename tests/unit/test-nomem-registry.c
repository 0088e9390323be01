/* The registry's records and its fold without memory: whole, or not at all. */
#include <errno.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/policy.h"
#include "coord/registry/field.h"
#include "coord/registry/state.h"
#include "tests/unit/nomem.h"

#define KEYS                                                               \
	"\"machine\":\"pgm:QhcBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"," \
	"\"node_key\":\"dwEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
#define OTHER_KEYS                                                         \
	"\"machine\":\"pgm:QhcCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"," \
	"\"node_key\":\"dwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
#define FACTS                                                                                \
	"\"created\":1,\"key_created\":1,\"facts\":{\"hostname\":\"web\",\"ssh_host_keys\":" \
	"[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/"     \
	"XGnQ9\"],\"endpoints\":[\"192.0.2.1:1\"]}}"
#define NODE \
	"{" KEYS ",\"name\":\"web\",\"ipv4\":\"100.64.0.1\",\"tags\":[\"tag:a\",\"tag:b\"]," FACTS
#define OTHER_NODE "{" OTHER_KEYS ",\"name\":\"db\",\"ipv4\":\"100.64.0.2\",\"user\":\"a@b\"," FACTS

static int copy_record(void *userdata)
{
	struct node_record node = { 0 }, copy = { 0 };
	_cleanup_free_ char *error = NULL, *again = NULL;
	size_t len = 0;
	int r;

	nomem_begin();
	r = node_record_read("nodes/naaaaaaaaaaaa", NODE, strlen(NODE), &error, &node);
	if (r == 0)
		r = node_record_copy(&node, &copy);
	if (r == 0) {
		again = node_record_write(&copy, &len);
		r = again ? 0 : -ENOMEM;
	}
	nomem_end();
	if (r == 0)
		assert_string_equal(again, NODE);
	node_record_done(&node);
	node_record_done(&copy);
	ERR_clear_error();
	return r;
}

static void test_record(void **state)
{
	nomem_try("a record", copy_record, NULL);
}

#define USER                                                                               \
	"{\"name\":\"A\",\"created\":1,\"suspended\":2,\"identities\":[{\"issuer\":\"x\"," \
	"\"subject\":\"1\",\"groups\":[\"a\",\"b\"]},"                                     \
	"{\"issuer\":\"x\",\"subject\":\"2\"}],\"password\":\"$y$x\",\"totp\":"            \
	"\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"}"

static int copy_user(void *userdata)
{
	struct user_record user = { 0 }, copy = { 0 };
	_cleanup_free_ char *error = NULL, *again = NULL;
	size_t len = 0;
	int r;

	nomem_begin();
	r = user_record_read("users/a@b", USER, strlen(USER), &error, &user);
	if (r == 0)
		r = user_record_copy(&user, &copy);
	if (r == 0) {
		again = user_record_write(&copy, &len);
		r = again ? 0 : -ENOMEM;
	}
	nomem_end();
	if (r == 0)
		assert_string_equal(again, USER);
	user_record_done(&user);
	user_record_done(&copy);
	ERR_clear_error();
	return r;
}

static void test_user(void **state)
{
	nomem_try("a person", copy_user, NULL);
}

static int copy_check(void *userdata)
{
	static const char json[] =
		"{\"code\":\"123-456\",\"user\":\"a@b\",\"node\":\"naaaaaaaaaaaa\",\"logins\":["
		"{\"target\":\"nbbbbbbbbbbbb\",\"ssh_user\":\"root\",\"asked\":1},{\"asked\":2}],"
		"\"created\":1,\"expires\":2,\"state\":\"denied\",\"by\":\"a@b\",\"at\":2}";
	struct checkreq_record req = { 0 }, copy = { 0 };
	_cleanup_free_ char *error = NULL, *again = NULL;
	size_t len = 0;
	int r;

	nomem_begin();
	r = checkreq_record_read("checkreqs/abcdefghijklmnopqrstuvwxyz", json, strlen(json), &error,
				 &req);
	if (r == 0)
		r = checkreq_record_copy(&req, &copy);
	if (r == 0) {
		again = checkreq_record_write(&copy, &len);
		r = again ? 0 : -ENOMEM;
	}
	nomem_end();
	if (r == 0)
		assert_string_equal(again, json);
	checkreq_record_done(&req);
	checkreq_record_done(&copy);
	return r;
}

static void test_check(void **state)
{
	nomem_try("a check", copy_check, NULL);
}

static int copy_facts(void *userdata)
{
	struct node_facts copy = { 0 };
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = node_facts_copy(userdata, &copy);
	if (r == 0)
		r = node_facts_check(&copy, &error);
	nomem_end();
	if (r == 0)
		assert_true(node_facts_equal(&copy, userdata));
	node_facts_done(&copy);
	return r;
}

static void test_facts(void **state)
{
	struct ip_endpoint endpoint;
	struct node_facts facts = {
		.hostname = (char *)"web",
		.ssh = true,
		.endpoints = { .items = &endpoint, .n = 1 },
	};

	assert_int_equal(ip_endpoint_parse("192.0.2.1:1", &endpoint), 0);
	nomem_try("what a node says of itself", copy_facts, &facts);
}

#define ENTRY(k, v)                                                       \
	{                                                                 \
		.key = k, .value = v, .len = sizeof(v) - 1, .revision = 1 \
	}
static const struct store_entry entries[] = {
	ENTRY("checkreqs/abcdefghijklmnopqrstuvwxyz",
	      "{\"code\":\"123-456\",\"user\":\"a@b\",\"node\":\"nbbbbbbbbbbbb\",\"logins\":["
	      "{\"target\":\"naaaaaaaaaaaa\",\"ssh_user\":\"root\",\"asked\":1},{\"asked\":2}],"
	      "\"created\":1,\"expires\":2,\"state\":\"waiting\"}"),
	ENTRY("ip4/100.64.0.1", "{\"node\":\"naaaaaaaaaaaa\"}"),
	ENTRY("meta/mesh", "{\"domain\":\"mesh.example\",\"ula\":\"fd00:1:2::/48\",\"created\":1}"),
	ENTRY("nodes/naaaaaaaaaaaa", NODE),
	ENTRY("nodes/nbbbbbbbbbbbb", OTHER_NODE),
	ENTRY("policy/current",
	      "{\"version\":1,\"text\":\"{}\",\"hash\":"
	      "\"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o\",\"author\":\"root\",\"since\":1}"),
	ENTRY("users/a@b", "{\"roles\":[\"owner\"],\"created\":1,\"suspended\":2}"),
	ENTRY("websessions/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	      "{\"user\":\"a@b\",\"created\":1,\"auth_time\":1,\"expires\":2,\"method\":"
	      "\"password\","
	      "\"strength\":\"max_age\",\"agent\":\"x\"}"),
};
static const struct store_entry changes[] = {
	{ .key = "nodes/nbbbbbbbbbbbb", .revision = 2 },
	{ .key = "nodes/naaaaaaaaaaaa", .value = NODE " ", .len = sizeof(NODE), .revision = 2 },
	{ .key = "users/a@b", .revision = 2 },
	{ .key = "events/0000000000000001-abcdef",
	  .value = "{\"time\":1,\"actor\":\"r\",\"action\":\"x\",\"result\":\"ok\"}",
	  .len = 49,
	  .revision = 2 },
};

static int load(struct state *fold, struct change_list *list)
{
	_cleanup_free_ char *error = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(entries) && r == 0; i++)
		r = state_load(fold, &entries[i], &error);
	if (r == 0)
		r = state_loaded(fold);
	if (r == 0)
		r = state_apply(fold, 2, changes, ARRAY_SIZE(changes), list);
	return r;
}

static void complain(const char *text, void *userdata)
{
	fail_msg("%s", text);
}

/* Nothing is set aside, or passed over, for want of memory. */
static int fold_all(void *userdata)
{
	struct change_list list = { 0 };
	struct state *fold;
	int r = -ENOMEM;

	nomem_begin();
	fold = state_new(complain, NULL);
	if (fold)
		r = load(fold, &list);
	nomem_end();
	if (r == 0) {
		assert_int_equal(fold->nodes.n, 1);
		assert_int_equal(fold->users.n, 0);
		assert_int_equal(fold->n_suspended, 0);
		assert_int_equal(fold->websessions.n, 1);
		assert_int_equal(fold->checkreqs.n, 1);
		assert_non_null(state_node_by(fold, &fold->names, "web"));
		assert_null(state_node_by(fold, &fold->names, "db"));
		assert_non_null(fold->policy);
		assert_non_null(fold->mesh);
		assert_int_equal(list.n, 4);
	}
	change_list_done(&list);
	state_free(fold);
	ERR_clear_error(); /* libcrypto keeps the reason why it failed */
	return r;
}

static void test_fold(void **state)
{
	nomem_try("the fold", fold_all, NULL);
}

static int may_tag(void *userdata)
{
	static const char *const tags[] = { (const char *)"tag:b" };
	const struct policy_giver giver = { .tags = (char *const *)tags, .n_tags = 1 };
	_cleanup_free_ char *why = NULL;
	int r;

	nomem_begin();
	r = policy_may_tag(userdata, &giver, "tag:a", &why);
	nomem_end();
	if (r == -EINVAL) {
		assert_string_equal(why, "tag:a: tag:b may not give it; tagOwners names x@y");
		return 0;
	}
	return r;
}

static void test_tags(void **state)
{
	static const char text[] = "{\"tagOwners\": {\"tag:a\": [\"x@y\"], \"tag:b\": []}}";
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;

	assert_int_equal(policy_parse(text, strlen(text), &problems, &policy), 0);
	nomem_try("a tag that is refused", may_tag, policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record), cmocka_unit_test(test_user),
		cmocka_unit_test(test_check),  cmocka_unit_test(test_facts),
		cmocka_unit_test(test_fold),   cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
