/* What operators do to nodes, people and keys, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/policy.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"
#define BOB   "bob@example.com"

static const struct node_record *node_of(struct fix *fix, const char *id)
{
	const struct node_record *node = registry_node(fix->registry, id);

	assert_non_null(node);
	return node;
}

/* ---- nodes ---- */

static void test_expire(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);

	fix->seen[0] = '\0';
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, "host-1", FIX_DONE(fix)));
	assert_string_equal(node_of(fix, id)->expired_by, "root");
	assert_true(node_is_expired(node_of(fix, id), FIX_START));
	assert_string_equal(fix->seen, "node= event ");
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such node",
		    registry_expire_node(fix->registry, &fix_root, "host-9", FIX_DONE(fix)));
}

static void test_expiry_by_time(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	uint64_t revision;

	fix_pass(fix, 180 * FIX_DAY - 1);
	assert_false(node_is_expired(node_of(fix, id), fix_time()));
	assert_null(node_of(fix, id)->expired_by);
	revision = registry_revision(fix->registry);
	fix->seen[0] = '\0';
	fix_pass(fix, 1);
	/* Subscribers are told, by a revision of its own. */
	assert_string_equal(node_of(fix, id)->expired_by, "time");
	assert_true(registry_revision(fix->registry) > revision);
	assert_non_null(strstr(fix->seen, "node= event "));
	assert_non_null(strstr(fix_last_event(fix), "coordinator node.key-expired n"));
}

static void test_rotate(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1), *other = fix_node(fix, 2);
	struct wg_key first = fix_node_key(1), second = fix_node_key(2), fresh = fix_node_key(9);
	uint64_t expiry = node_of(fix, id)->key_expiry;

	fix_set_time(FIX_START + FIX_HOUR);
	FIX_OK(fix, registry_rotate_key(fix->registry, &fix_root, id, &fresh, FIX_DONE(fix)));
	assert_ptr_equal(registry_node_by_key(fix->registry, &fresh), node_of(fix, id));
	assert_null(registry_node_by_key(fix->registry, &first));
	assert_int_equal(node_of(fix, id)->key_expiry, expiry);
	assert_int_equal(node_of(fix, id)->key_created, FIX_START + FIX_HOUR);
	FIX_REFUSED(fix, REGISTRY_NODE_KEY_IN_USE, "another machine has this node key",
		    registry_rotate_key(fix->registry, &fix_root, id, &second, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "zero key",
		    registry_rotate_key(fix->registry, &fix_root, id, &(struct wg_key){ 0 },
					FIX_DONE(fix)));
	/* The old key is free. */
	FIX_OK(fix, registry_rotate_key(fix->registry, &fix_root, other, &first, FIX_DONE(fix)));
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_KEY_EXPIRED, "agentctl login",
		    registry_rotate_key(fix->registry, &fix_root, id, &first, FIX_DONE(fix)));
}

static void test_delete(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	struct ed25519_public machine = fix_machine_key(1);
	const char *key;

	fix->seen[0] = '\0';
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	assert_string_equal(fix->seen, "node- event ");
	assert_null(registry_node(fix->registry, id));
	assert_null(registry_node_by_name(fix->registry, "host-1"));
	assert_null(registry_node_by_machine(fix->registry, &machine));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such node",
		    registry_delete_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	/* Machine, key and name are free; the id is another. */
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	assert_string_not_equal(fix->result.node, id);
	assert_non_null(registry_node_by_name(fix->registry, "host-1"));
}

static void test_logout(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	const char *key = fix_authkey(fix, ALICE, NULL, false, true);
	char ephemeral[16];

	FIX_OK(fix, registry_logout(fix->registry, &fix_root, id, FIX_DONE(fix)));
	assert_string_equal(node_of(fix, id)->expired_by, "root");
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	strcpy(ephemeral, fix->result.node);
	assert_true(node_of(fix, ephemeral)->ephemeral);
	FIX_OK(fix, registry_logout(fix->registry, &fix_root, ephemeral, FIX_DONE(fix)));
	assert_null(registry_node(fix->registry, ephemeral));
}

static void test_ephemeral_goes(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, true);
	char first[16], second[16];

	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	strcpy(first, fix->result.node);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	strcpy(second, fix->result.node);
	registry_set_online(fix->registry, first, true);
	registry_set_online(fix->registry, second, true);
	assert_true(registry_is_online(fix->registry, node_of(fix, first)));
	fix_pass(fix, 10 * FIX_HOUR);
	registry_set_online(fix->registry, second, false);
	assert_int_equal(registry_last_seen(fix->registry, node_of(fix, second)), fix_time());
	fix_pass(fix, FIX_HOUR - 1);
	assert_non_null(registry_node(fix->registry, second));
	fix_pass(fix, 1);
	assert_null(registry_node(fix->registry, second));
	assert_non_null(strstr(fix_last_event(fix), "coordinator node.gone n"));
	/* It is still there, and what it is survives changes. */
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, first,
				   &(struct registry_node_patch){ .name = "new" }, FIX_DONE(fix)));
	assert_true(registry_is_online(fix->registry, node_of(fix, first)));
	fix_pass(fix, 100 * FIX_DAY);
	assert_non_null(registry_node(fix->registry, first));
}

static void test_rename(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);

	fix_node(fix, 2);
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, id,
				   &(struct registry_node_patch){ .name = "web" }, FIX_DONE(fix)));
	assert_ptr_equal(registry_node_by_name(fix->registry, "web"), node_of(fix, id));
	assert_null(registry_node_by_name(fix->registry, "host-1"));
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, id,
				   &(struct registry_node_patch){ .name = "web" }, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "host-2 is the name of another node (n",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .name = "host-2" },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "name: is no name for a node",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .name = "Web" },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "other than \"localhost\"",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .name = "localhost" },
					FIX_DONE(fix)));
	/* Held by something unknown: refused, and not tried for ever. */
	fix_put(fix->store, "name/held", "x");
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "held is taken",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .name = "held" },
					FIX_DONE(fix)));
}

static void test_owner(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	char *tags[] = { (char *)"tag:b", (char *)"tag:a", (char *)"tag:b" };
	struct text_list list = { .items = tags, .n = 3 }, none = { 0 };
	const struct registry_node_patch to_tags = { .tags = &list };
	const struct registry_actor alice = { .who = ALICE, .login = ALICE };

	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:a: the policy's tagOwners does not name it",
		    registry_patch_node(fix->registry, &fix_root, id, &to_tags, FIX_DONE(fix)));
	fix_set_policy(fix, "{\"tagOwners\": {\"tag:a\": [], \"tag:b\": [\"alice@example.com\"]}}");
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:a: alice@example.com may not give it",
		    registry_patch_node(fix->registry, &alice, id, &to_tags, FIX_DONE(fix)));
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, id, &to_tags, FIX_DONE(fix)));
	assert_null(node_of(fix, id)->user);
	assert_int_equal(node_of(fix, id)->tags.n, 2);
	assert_string_equal(node_of(fix, id)->tags.items[0], "tag:a");
	assert_int_equal(node_of(fix, id)->key_expiry, RECORD_NEVER);

	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, id,
				   &(struct registry_node_patch){ .user = BOB }, FIX_DONE(fix)));
	assert_string_equal(node_of(fix, id)->user, BOB);
	assert_int_equal(node_of(fix, id)->tags.n, 0);
	assert_int_equal(node_of(fix, id)->key_expiry, FIX_START + 180 * FIX_DAY);

	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such user",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .user = "x@example.com" },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "do not go together",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .user = BOB, .tags = &list },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "without tags belongs to somebody",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .tags = &none },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "nothing is to be changed",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ 0 }, FIX_DONE(fix)));
}

static void test_tag_limits(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	char *tags[RECORD_MAX_TAGS + 1], text[RECORD_MAX_TAGS + 1][16];
	struct text_list list = { .items = tags, .n = RECORD_MAX_TAGS + 1 };

	for (unsigned i = 0; i <= RECORD_MAX_TAGS; i++) {
		snprintf(text[i], sizeof(text[i]), "tag:t%u", i);
		tags[i] = text[i];
	}
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "17 tags are too many; a node has 16 at most",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .tags = &list },
					FIX_DONE(fix)));
}

static void test_key_expiry(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	uint64_t never = RECORD_NEVER, past = FIX_START - 1, far = RECORD_LAST_TIME + 1;

	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .key_expiry = &never },
					FIX_DONE(fix)));
	assert_int_equal(node_of(fix, id)->key_expiry, RECORD_NEVER);
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .key_expiry = &past },
					FIX_DONE(fix)));
	assert_true(node_is_expired(node_of(fix, id), FIX_START));
	fix_pass(fix, 0);
	assert_string_equal(node_of(fix, id)->expired_by, "time");
	/* An operator may take it back. */
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .key_expiry = &never },
					FIX_DONE(fix)));
	assert_false(node_is_expired(node_of(fix, id), FIX_START));
	/* But not what somebody, or the machine itself, has ended. */
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "did not run out, root ended it; \"agentctl login\"",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .key_expiry = &never },
					FIX_DONE(fix)));
	assert_true(node_is_expired(node_of(fix, id), FIX_START));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "too far in the future",
		    registry_patch_node(fix->registry, &fix_root, id,
					&(struct registry_node_patch){ .key_expiry = &far },
					FIX_DONE(fix)));
}

static void ignore(const struct registry_result *result, void *userdata)
{
}

static void test_facts(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	struct ip_endpoint endpoint;
	struct node_facts facts = {
		.hostname = (char *)"host-1",
		.agent = (char *)"0.2.0",
		.endpoints = { .items = &endpoint, .n = 1 },
	};
	const struct node_facts port = { .listen_port = 4000 }, ssh = { .ssh = true };
	uint64_t revision;

	assert_int_equal(ip_endpoint_parse("192.0.2.7:51820", &endpoint), 0);
	assert_int_equal(ip_addr_parse("203.0.113.9", &facts.seen), 0);
	fix->seen[0] = '\0';
	FIX_OK(fix, registry_update_facts(fix->registry, &fix_root, id, &facts, FACT_ALL,
					  FIX_DONE(fix)));
	assert_true(node_facts_equal(&node_of(fix, id)->facts, &facts));
	assert_true(node_facts_behind_nat(&node_of(fix, id)->facts));
	/* No event: a laptop on the move would fill the log. */
	assert_string_equal(fix->seen, "node= ");
	revision = registry_revision(fix->registry);
	FIX_OK(fix, registry_update_facts(fix->registry, &fix_root, id, &facts, FACT_ALL,
					  FIX_DONE(fix)));
	assert_int_equal(registry_revision(fix->registry), revision);
	/* Two that are under way at once, each of something else. */
	registry_update_facts(fix->registry, &fix_root, id, &port, FACT_LISTEN_PORT, ignore, NULL);
	FIX_OK(fix,
	       registry_update_facts(fix->registry, &fix_root, id, &ssh, FACT_SSH, FIX_DONE(fix)));
	assert_true(node_of(fix, id)->facts.ssh);
	assert_int_equal(node_of(fix, id)->facts.listen_port, 4000);
	assert_string_equal(node_of(fix, id)->facts.agent, "0.2.0");
	assert_int_equal(node_of(fix, id)->facts.endpoints.n, 1);
	assert_true(ip_addr_equal(&node_of(fix, id)->facts.seen, &facts.seen));
	facts.seen = endpoint.addr;
	assert_false(node_facts_behind_nat(&facts));
	facts.agent = (char *)"\x1b[31m";
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "agent: ",
		    registry_update_facts(fix->registry, &fix_root, id, &facts, FACT_ALL,
					  FIX_DONE(fix)));
}

/* People do with their own what they like, within bounds; nothing with what is others'. */
static void test_people(void **state)
{
	struct fix *fix = *state;
	const struct registry_actor bob = { .who = BOB, .login = BOB, .scopes = SCOPE_ALL };
	const struct registry_apikey_request apikey = { .scopes = SCOPE_ALL };
	const struct registry_policy_request policy = { .text = "{}", .len = 2 };
	const char *key = fix_authkey(fix, BOB, NULL, false, false);
	const char *others = fix_node(fix, 1);
	unsigned roles = POLICY_ROLE_OWNER;
	const struct registry_user_patch patch = { .roles = &roles };
	uint64_t never = RECORD_NEVER;
	char id[16];

	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	strcpy(id, fix->result.node);
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "host-1 is not yours",
		    registry_expire_node(fix->registry, &bob, others, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "host-1 is not yours",
		    registry_delete_node(fix->registry, &bob, others, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "host-1 is not yours",
		    registry_patch_node(fix->registry, &bob, others,
					&(struct registry_node_patch){ .name = "x" },
					FIX_DONE(fix)));
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &bob, id,
				   &(struct registry_node_patch){ .name = "x" }, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators to change",
		    registry_patch_node(fix->registry, &bob, id,
					&(struct registry_node_patch){ .user = ALICE },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators to change",
		    registry_patch_node(fix->registry, &bob, id,
					&(struct registry_node_patch){ .key_expiry = &never },
					FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators to do",
		    registry_patch_user(fix->registry, &bob, BOB, &patch, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators to do",
		    registry_create_apikey(fix->registry, &bob, &apikey, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators to do",
		    registry_set_policy(fix->registry, &bob, &policy, FIX_DONE(fix)));
	FIX_OK(fix, registry_expire_node(fix->registry, &bob, id, FIX_DONE(fix)));
}

/* ---- people ---- */

static void test_users(void **state)
{
	static const char *const bad[] = {
		"",
		"alice",
		"Alice@example.com",
		"a b@example.com",
		"@example.com",
		"a@",
		"a@b@example.com",
		"a@-x",
		"a@example.com/../x",
		"a\n@example.com",
		"\xc3\xa4@example.com",
	};
	struct fix *fix = *state;
	unsigned roles = POLICY_ROLE_ADMIN;
	const struct registry_user_patch patch = { .name = "Carol", .roles = &roles };
	const struct registry_user_patch rename = { .name = "Caroline" };
	const struct registry_user_patch bad_name = { .name = "a\nb" };

	fix->seen[0] = '\0';
	FIX_OK(fix, registry_add_user(fix->registry, &fix_root, "carol@example.com", &patch,
				      FIX_DONE(fix)));
	assert_string_equal(fix->seen, "user event ");
	assert_int_equal(registry_n_users(fix->registry), 3);
	assert_string_equal(registry_user_at(fix->registry, 2)->head.id, "carol@example.com");
	assert_int_equal(registry_user(fix->registry, "carol@example.com")->roles, roles);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "there is a user alice@example.com already",
		    registry_add_user(fix->registry, &fix_root, ALICE, &patch, FIX_DONE(fix)));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		FIX_REFUSED(
			fix, REGISTRY_BAD_REQUEST, "login: is no login; expected one in lower",
			registry_add_user(fix->registry, &fix_root, bad[i], &patch, FIX_DONE(fix)));
	FIX_OK(fix, registry_patch_user(fix->registry, &fix_root, "carol@example.com", &rename,
					FIX_DONE(fix)));
	assert_string_equal(registry_user(fix->registry, "carol@example.com")->name, "Caroline");
	assert_int_equal(registry_user(fix->registry, "carol@example.com")->roles, roles);
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "name: holds a control character",
		    registry_patch_user(fix->registry, &fix_root, ALICE, &bad_name, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such user",
		    registry_patch_user(fix->registry, &fix_root, "x@example.com", &rename,
					FIX_DONE(fix)));
}

static void test_delete_user(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	const char *id = fix_node(fix, 1);
	static const struct registry_user_patch nothing;

	FIX_REFUSED(fix, REGISTRY_CONFLICT,
		    "alice@example.com has 1 node (host-1); delete them or give them away first",
		    registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_OK(fix, registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	assert_null(registry_user(fix->registry, ALICE));
	assert_int_equal(registry_n_authkeys(fix->registry), 0);
	/* Who gets the same login later does not get the old keys. */
	FIX_OK(fix, registry_add_user(fix->registry, &fix_root, ALICE, &nothing, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "is not known",
		    fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such user",
		    registry_delete_user(fix->registry, &fix_root, "x@example.com", FIX_DONE(fix)));
}

/* ---- keys ---- */

static void test_auth_keys(void **state)
{
	struct fix *fix = *state;
	struct registry_authkey_request request = { 0 };
	const struct registry_actor alice = { .who = ALICE, .login = ALICE };
	const struct authkey_record *key;
	char *tags[] = { (char *)"tag:x" };
	_cleanup_free_ char *dump = NULL;
	const char *text;
	char id[16], secret[64];

	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "say whose the nodes will be",
		    registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request.user = "x@example.com";
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such user",
		    registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request.user = BOB;
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for yourself only",
		    registry_create_authkey(fix->registry, &alice, &request, FIX_DONE(fix)));
	request.tags = (struct text_list){ .items = tags, .n = 1 };
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "do not go together",
		    registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request = (struct registry_authkey_request){ .user = BOB, .description = "a\tb" };
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "description: holds a control character",
		    registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));

	text = fix_authkey(fix, ALICE, NULL, false, false);
	strcpy(id, fix->result.id);
	assert_int_equal(
		sscanf(text, "pgauth.%*13[a-z2-7].%43[A-Za-z0-9_-].pgc:coordinator", secret), 1);
	assert_int_equal(strlen(secret), 43);
	key = registry_authkey(fix->registry, id);
	assert_int_equal(key->expires, FIX_START + FIX_DAY);
	assert_string_equal(key->created_by, "root");
	dump = fix_dump(fix->store);
	assert_null(strstr(dump, secret));

	FIX_OK(fix, registry_revoke_authkey(fix->registry, &fix_root, id, FIX_DONE(fix)));
	assert_int_equal(registry_authkey(fix->registry, id)->revoked, FIX_START);
	FIX_OK(fix, registry_revoke_authkey(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(
		fix, REGISTRY_NOT_FOUND, "no such auth key",
		registry_revoke_authkey(fix->registry, &fix_root, "kaaaaaaaaaaaa", FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no such auth key",
		    registry_revoke_authkey(fix->registry, &fix_root,
					    "../../users/alice@example.com", FIX_DONE(fix)));
	/* It is shown for a while, then it goes. */
	fix_pass(fix, 30 * FIX_DAY - 1);
	assert_non_null(registry_authkey(fix->registry, id));
	fix_pass(fix, 1);
	assert_null(registry_authkey(fix->registry, id));
}

static void test_api_keys(void **state)
{
	struct fix *fix = *state;
	struct registry_apikey_request request = { .scopes = SCOPE_POLICY_WRITE };
	const struct registry_actor pipeline = { .who = "apikey:a", .scopes = SCOPE_POLICY_READ };
	const struct apikey_record *key;
	char text[256], bent[256], id[16];

	FIX_OK(fix, registry_create_apikey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	strcpy(text, fix->result.secret);
	strcpy(id, fix->result.id);
	assert_int_equal(strncmp(text, "pgapi.a", 7), 0);
	key = registry_check_apikey(fix->registry, text);
	assert_ptr_equal(key, registry_apikey(fix->registry, id));
	assert_int_equal(key->scopes, SCOPE_POLICY_WRITE);
	assert_int_equal(key->expires, FIX_START + 90 * FIX_DAY);

	snprintf(bent, sizeof(bent), "%s.x", text);
	assert_null(registry_check_apikey(fix->registry, bent));
	strcpy(bent, text);
	bent[30] = bent[30] == 'A' ? 'B' : 'A';
	assert_null(registry_check_apikey(fix->registry, bent));
	assert_null(registry_check_apikey(fix->registry, ""));
	assert_null(registry_check_apikey(fix->registry, "pgapi.aaaaaaaaaaaaa."));
	/* An auth key is no API key. */
	assert_null(
		registry_check_apikey(fix->registry, fix_authkey(fix, ALICE, NULL, true, false)));

	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "you cannot give the scope policy:write",
		    registry_create_apikey(fix->registry, &pipeline, &request, FIX_DONE(fix)));
	request.scopes = 0;
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "scopes: expected at least one",
		    registry_create_apikey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request.scopes = SCOPE_ALL + 1;
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "scopes: expected at least one",
		    registry_create_apikey(fix->registry, &fix_root, &request, FIX_DONE(fix)));

	fix_set_time(FIX_START + 90 * FIX_DAY);
	assert_null(registry_check_apikey(fix->registry, text));
	fix_set_time(FIX_START);
	assert_non_null(registry_check_apikey(fix->registry, text));
	FIX_OK(fix, registry_revoke_apikey(fix->registry, &fix_root, id, FIX_DONE(fix)));
	assert_null(registry_check_apikey(fix->registry, text));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no such API key",
		    registry_revoke_apikey(fix->registry, &fix_root, "x", FIX_DONE(fix)));
}

/* ---- mesh, events ---- */

static void test_mesh(void **state)
{
	struct fix *fix = *state;
	const struct mesh_record *mesh = registry_mesh(fix->registry);
	struct ip_prefix prefixes[2];
	char text[IP_PREFIX_STRLEN];

	assert_string_equal(mesh->domain, "mesh.example");
	registry_mesh_prefixes(fix->registry, prefixes);
	assert_string_equal(ip_prefix_to_string(&prefixes[0], text), "100.64.0.0/10");
	assert_int_equal(prefixes[1].len, 48);
	assert_int_equal(prefixes[1].addr.bytes[0], 0xfd);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "there is a mesh already, \"mesh.example\"",
		    registry_init_mesh(fix->registry, &fix_root, "b.example", FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "domain: is no domain for a mesh",
		    registry_init_mesh(fix->registry, &fix_root, "com", FIX_DONE(fix)));
}

static void count_events(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_OK);
	*(size_t *)userdata = result->n_events;
}

static void test_events(void **state)
{
	struct fix *fix = *state;
	const struct registry_event event = {
		.action = "check.decide",
		.object = "s1",
		.result = "ok",
		.details = "three\nlines\x1b",
	};
	size_t n = 0;

	fix->seen[0] = '\0';
	FIX_OK(fix, registry_add_event(fix->registry, &fix_root, &event, FIX_DONE(fix)));
	assert_string_equal(fix->seen, "event ");
	assert_string_equal(fix_last_event(fix), "root check.decide s1 ok: three?lines?");
	registry_events(fix->registry, NULL, 2, count_events, &n);
	assert_int_equal(n, 2);
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "after: is no id",
		    registry_events(fix->registry, "a b", 2, FIX_DONE(fix)));
	registry_events(fix->registry, "1800000000000001", 10, count_events, &n);
	assert_int_equal(n, 0);
	/* They do not stay for ever. */
	fix_pass(fix, 400 * FIX_DAY);
	registry_events(fix->registry, NULL, 10, count_events, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_expire),     TEST(test_expiry_by_time), TEST(test_rotate),
		TEST(test_delete),     TEST(test_logout),	  TEST(test_ephemeral_goes),
		TEST(test_rename),     TEST(test_owner),	  TEST(test_tag_limits),
		TEST(test_key_expiry), TEST(test_facts),	  TEST(test_people),
		TEST(test_users),      TEST(test_delete_user),	  TEST(test_auth_keys),
		TEST(test_api_keys),   TEST(test_mesh),		  TEST(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
