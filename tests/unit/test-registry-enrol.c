/* Machines become nodes: by auth key, by approval, again; names, addresses, tags; what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"

static const struct node_record *last_node(struct fix *fix)
{
	const struct node_record *node = registry_node(fix->registry, fix->result.node);

	assert_non_null(node);
	return node;
}

static const char *ipv4(const struct node_record *node)
{
	static char text[IP_ADDR_STRLEN];

	return ip_addr_to_string(&node->ipv4, text);
}

static void test_by_auth_key(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, false, false);
	const struct node_record *node;
	struct ip_addr addresses[2];
	struct ed25519_public machine = fix_machine_key(1);
	struct wg_key node_key = fix_node_key(1);

	fix->seen[0] = '\0';
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	node = last_node(fix);
	assert_string_equal(node->name, "host-1");
	assert_string_equal(node->user, ALICE);
	assert_int_equal(node->tags.n, 0);
	assert_string_equal(ipv4(node), "100.64.0.1");
	assert_int_equal(node->created, FIX_START);
	assert_int_equal(node->key_expiry, FIX_START + 180 * FIX_DAY);
	assert_null(node->expired_by);
	assert_false(node->ephemeral);
	assert_non_null(node->auth_key);
	assert_int_equal(node->head.revision, fix->result.revision);
	assert_int_equal(registry_revision(fix->registry), fix->result.revision);
	assert_int_equal(strlen(node->head.id), 13);

	assert_ptr_equal(registry_node_by_name(fix->registry, "host-1"), node);
	assert_ptr_equal(registry_find_node(fix->registry, "host-1"), node);
	assert_ptr_equal(registry_find_node(fix->registry, node->head.id), node);
	assert_ptr_equal(registry_node_by_machine(fix->registry, &machine), node);
	assert_ptr_equal(registry_node_by_key(fix->registry, &node_key), node);
	registry_node_addresses(fix->registry, node, addresses);
	assert_int_equal(addresses[1].family, AF_INET6);
	assert_ptr_equal(registry_node_by_address(fix->registry, &addresses[0]), node);
	assert_ptr_equal(registry_node_by_address(fix->registry, &addresses[1]), node);
	addresses[1].bytes[7] ^= 1;
	assert_null(registry_node_by_address(fix->registry, &addresses[1]));

	assert_string_equal(fix->seen, "user node+ event authkey ");
	assert_non_null(strstr(fix_last_event(fix), "machine node.enrol n"));
	assert_non_null(strstr(fix_last_event(fix), "ok: host-1, for alice@example.com"));
}

static void test_key_is_used_once(void **state)
{
	struct fix *fix = *state;
	const char *once = fix_authkey(fix, ALICE, NULL, false, false);
	const char *often = fix_authkey(fix, ALICE, NULL, true, false);
	const struct authkey_record *key;

	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = once }));
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "was for one time and has been used",
		    fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = once }));
	assert_non_null(strstr(fix_last_event(fix), "node.enrol - bad-auth-key: the auth key was"));
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = often }));
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 3, .auth_key = often }));
	key = registry_authkey(fix->registry, last_node(fix)->auth_key);
	assert_int_equal(key->used, 2);
	assert_int_equal(registry_n_nodes(fix->registry), 3);
}

static void test_bad_auth_keys(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	char bent[256], id[16];

	static const char *const none[] = {
		"",
		"x",
		"pgauth",
		"pgauth.",
		"pgauth.k.x",
		"pgauth.kaaaaaaaaaaaa.x.pgc:y",
		"pgauth.kaaaaaaaaaaaa.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.pgc:coordinator",
	};

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		FIX_REFUSED(
			fix, REGISTRY_BAD_AUTH_KEY,
			i + 1 < ARRAY_SIZE(none) ? "is cut off or mistyped" : "is not known here",
			fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = none[i] }));
	/* The right id with another secret. */
	strcpy(bent, key);
	bent[25] = bent[25] == 'A' ? 'B' : 'A';
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "is not known here",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = bent }));
	/* Nobody who does not have the secret fills the events. */
	assert_null(strstr(fix_last_event(fix), "bad-auth-key"));

	fix_set_time(FIX_START + FIX_DAY);
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "has expired",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	fix_set_time(FIX_START + FIX_DAY - 1);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));

	memcpy(id, key + strlen("pgauth."), 13);
	id[13] = '\0';
	FIX_OK(fix, registry_revoke_authkey(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "was revoked",
		    fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
}

static void test_names(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	static const struct {
		const char *hostname, *name;
	} cases[] = {
		{ "web", "web" },
		{ "web", "web-1" },
		{ "WEB.example.com", "web-2" },
		{ "web-1", "web-1-1" },
		{ "Alice's  MacBook", "alice-s-macbook" },
		{ "--x--", "x" },
		{ "localhost", "host" },
		{ "...", "host-1" },
		{ "\xc3\xa4\xc3\xb6", "host-2" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = i + 1,
								  .hostname = cases[i].hostname,
								  .auth_key = key }));
		assert_string_equal(last_node(fix)->name, cases[i].name);
	}
}

/* Something that nobody knows of holds the name: the next one is taken. */
static void test_name_held_by_nobody(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);

	fix_put(fix->store, "name/web", "nxxxxxxxxxxxx");
	fix_put(fix->store, "name/web-1", "nxxxxxxxxxxxx");
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){
					   .number = 1, .hostname = "web", .auth_key = key }));
	assert_string_equal(last_node(fix)->name, "web-2");
}

static void test_same_machine_again(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	const struct node_record *node = registry_node(fix->registry, id);
	uint64_t expiry = node->key_expiry;
	uint64_t revision = registry_revision(fix->registry);

	/* With the key it has: nothing changes, and no auth key is used up. */
	fix_set_time(FIX_START + FIX_DAY);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = "x" }));
	assert_string_equal(fix->result.node, id);
	assert_int_equal(registry_revision(fix->registry), revision);

	/* But what it says of itself. */
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .hostname = "other" }));
	assert_string_equal(last_node(fix)->facts.hostname, "other");
	assert_string_equal(last_node(fix)->name, "host-1");
	assert_int_equal(last_node(fix)->key_expiry, expiry);
}

static void test_renewal(void **state)
{
	struct fix *fix = *state;
	char id[16], address[IP_ADDR_STRLEN];
	const char *key;
	struct wg_key old = fix_node_key(1);

	strcpy(id, fix_node(fix, 1));
	strcpy(address, ipv4(registry_node(fix->registry, id)));
	fix_set_time(FIX_START + 10 * FIX_DAY);
	key = fix_authkey(fix, "bob@example.com", NULL, false, false);
	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){ .number = 1, .key = 7, .auth_key = key }));
	assert_string_equal(fix->result.node, id);
	assert_string_equal(ipv4(last_node(fix)), address);
	assert_string_equal(last_node(fix)->name, "host-1");
	assert_string_equal(last_node(fix)->user, "bob@example.com");
	assert_int_equal(last_node(fix)->created, FIX_START);
	assert_int_equal(last_node(fix)->key_expiry, FIX_START + 190 * FIX_DAY);
	assert_null(registry_node_by_key(fix->registry, &old));

	/* The old key is free again. */
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){ .number = 2, .key = 1, .auth_key = key }));
}

static void test_expired_needs_more_than_the_old_key(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);
	const char *key;

	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 1 }));
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	assert_string_equal(fix->result.node, id);
	assert_null(last_node(fix)->expired_by);
	/* It does not wait any more. */
	assert_int_equal(registry_n_pending(fix->registry), 0);
}

static void test_node_key_in_use(void **state)
{
	struct fix *fix = *state;
	const char *key;

	fix_node(fix, 1);
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_REFUSED(
		fix, REGISTRY_NODE_KEY_IN_USE, "make a new one",
		fix_enrol(fix, &(struct fix_machine){ .number = 2, .key = 1, .auth_key = key }));
	/* The auth key is as good as before. */
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
}

static void test_bad_facts(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	struct registry_enrolment e = {
		.machine = fix_machine_key(1),
		.key = fix_node_key(1),
		.auth_key = key,
	};
	char *keys[] = { (char *)"ssh-ed25519 AAAA" };

	e.facts.hostname = (char *)"x\nPermitRootLogin";
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "hostname: \"x?PermitRootLogin\" holds a control",
		    registry_enrol(fix->registry, &fix_root, &e, FIX_DONE(fix)));
	e.facts.hostname = (char *)"\xff";
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "hostname: is no UTF-8",
		    registry_enrol(fix->registry, &fix_root, &e, FIX_DONE(fix)));
	e.facts.hostname = NULL;
	e.facts.ssh_host_keys = (struct text_list){ .items = keys, .n = 1 };
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "ssh_host_keys[0]: ",
		    registry_enrol(fix->registry, &fix_root, &e, FIX_DONE(fix)));
	e.facts.ssh_host_keys.n = 0;
	e.key = (struct wg_key){ 0 };
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "node_key: is the zero key",
		    registry_enrol(fix->registry, &fix_root, &e, FIX_DONE(fix)));
}

static const char tag_policy[] = "{\"tagOwners\": {\"tag:prod\": [\"alice@example.com\"],"
				 " \"tag:ci\": [], \"tag:job\": [\"tag:ci\"]}}";

static void test_tags(void **state)
{
	struct fix *fix = *state;
	const char *key;

	char *prod[] = { (char *)"tag:prod" };
	const struct registry_authkey_request unknown = { .tags = { .items = prod, .n = 1 } };

	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:prod: the policy's tagOwners does not name it",
		    registry_create_authkey(fix->registry, &fix_root, &unknown, FIX_DONE(fix)));
	fix_set_policy(fix, tag_policy);

	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){
					   .number = 1, .auth_key = key, .tag = "tag:prod" }));
	assert_null(last_node(fix)->user);
	assert_string_equal(last_node(fix)->tags.items[0], "tag:prod");
	assert_int_equal(last_node(fix)->key_expiry, RECORD_NEVER);

	key = fix_authkey(fix, "bob@example.com", NULL, false, false);
	FIX_REFUSED(fix, REGISTRY_BAD_TAG,
		    "tag:prod: bob@example.com may not give it; tagOwners names alice@example.com",
		    fix_enrol(fix, &(struct fix_machine){
					   .number = 2, .auth_key = key, .tag = "tag:prod" }));
	assert_non_null(strstr(fix_last_event(fix), "bad-tag"));
	FIX_REFUSED(fix, REGISTRY_BAD_TAG,
		    "tag:ci: bob@example.com may not give it; tagOwners names nobody",
		    fix_enrol(fix, &(struct fix_machine){
					   .number = 2, .auth_key = key, .tag = "tag:ci" }));
	FIX_REFUSED(
		fix, REGISTRY_BAD_TAG, "tag 1 of the list is no tag",
		fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key, .tag = "x" }));

	/* An auth key with a tag gives it, and what that tag owns; nothing else. */
	key = fix_authkey(fix, NULL, "tag:ci", true, false);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 3, .auth_key = key }));
	assert_string_equal(last_node(fix)->tags.items[0], "tag:ci");
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){
					   .number = 4, .auth_key = key, .tag = "tag:job" }));
	assert_string_equal(last_node(fix)->tags.items[0], "tag:job");
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "tag:prod: tag:ci may not give it",
		    fix_enrol(fix, &(struct fix_machine){
					   .number = 5, .auth_key = key, .tag = "tag:prod" }));
}

static void test_addresses(void **state)
{
	struct fix *fix = *state;
	const char *first = fix_node(fix, 1), *second = fix_node(fix, 2);
	_cleanup_free_ char *dump = NULL;

	assert_string_equal(ipv4(registry_node(fix->registry, second)), "100.64.0.2");
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, first, FIX_DONE(fix)));
	assert_string_equal(ipv4(registry_node(fix->registry, fix_node(fix, 3))), "100.64.0.3");
	/* The released one is kept back. */
	dump = fix_dump(fix->store);
	assert_non_null(strstr(dump, "ip4/100.64.0.1 "));
}

/* A released address is not given again for a day; after that it is as good as any. */
static void test_quarantine(void **state)
{
	struct fix *fix = *state, *other;

	fix_put(fix->store, "ip4/100.127.255.254", "{\"released\":1800000000000000}");
	fix_put(fix->store, "ip4/100.64.0.1", "{\"released\":1799913600000001}");
	fix_put(fix->store, "ip4/100.64.0.2", "{\"released\":1799913600000000}");
	other = fix_new(fix->store);
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 1))), "100.64.0.2");
	fix_free(other, false);
	fix_pass(fix, 1);
	assert_int_equal(fix->n_problems, 0);
	other = fix_new(fix->store);
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 2))), "100.64.0.1");
	fix_free(other, false);
}

/* The end of the range, then the beginning; reserved addresses are left out. */
static void test_addresses_wrap(void **state)
{
	struct fix *fix = *state, *other;

	fix_put(fix->store, "ip4/100.127.255.253", "{\"released\":1800000000000000}");
	other = fix_new(fix->store);
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 1))),
			    "100.127.255.254");
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 2))), "100.64.0.1");
	fix_free(other, false);

	fix_put(fix->store, "ip4/100.127.255.253", NULL);
	fix_put(fix->store, "ip4/100.127.255.254", NULL);
	fix_put(fix->store, "ip4/100.100.100.99", "{\"released\":1800000000000000}");
	other = fix_new(fix->store);
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 3))),
			    "100.100.100.101");
	fix_free(other, false);
	fix_put(fix->store, "ip4/100.115.91.255", "{\"released\":1800000000000000}");
	other = fix_new(fix->store);
	assert_string_equal(ipv4(registry_node(other->registry, fix_node(other, 4))),
			    "100.115.94.0");
	fix_free(other, false);
}

static const char *name_given(struct fix *fix, unsigned number, const char *hostname,
			      const char *user, const char *tag)
{
	static char id[32];
	const char *key = fix_authkey(fix, user, tag, false, false);

	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){
				      .number = number, .hostname = hostname, .auth_key = key }));
	snprintf(id, sizeof(id), "%s", fix->result.node);
	return registry_node(fix->registry, id)->name;
}

static void delete_node(struct fix *fix, const char *name)
{
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, name, FIX_DONE(fix)));
}

/* What was somebody's is nobody else's for a day. */
static void test_names_are_kept_back(void **state)
{
	struct fix *fix = *state;

	fix_set_policy(fix, "{\"tagOwners\":{\"tag:a\":[],\"tag:b\":[]},\"acls\":[]}");
	assert_string_equal(name_given(fix, 1, "web", ALICE, NULL), "web");
	delete_node(fix, "web");
	assert_string_equal(name_given(fix, 2, "web", "bob@example.com", NULL), "web-1");
	assert_string_equal(name_given(fix, 3, "web", NULL, "tag:a"), "web-2");
	assert_string_equal(name_given(fix, 4, "web", ALICE, NULL), "web");
	delete_node(fix, "web");
	delete_node(fix, "web-2");
	assert_string_equal(name_given(fix, 5, "web-2", NULL, "tag:b"), "web-2-1");
	assert_string_equal(name_given(fix, 6, "web-2", NULL, "tag:a"), "web-2");
	fix_pass(fix, FIX_DAY);
	assert_string_equal(name_given(fix, 7, "web", "bob@example.com", NULL), "web");
	/* Names that programs obey. */
	assert_string_equal(name_given(fix, 8, "WPAD.example", ALICE, NULL), "wpad-1");
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "look up by themselves",
		    registry_patch_node(fix->registry, &fix_root, "web",
					&(struct registry_node_patch){ .name = "isatap" },
					FIX_DONE(fix)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_by_auth_key),
		TEST(test_key_is_used_once),
		TEST(test_bad_auth_keys),
		TEST(test_names),
		TEST(test_names_are_kept_back),
		TEST(test_name_held_by_nobody),
		TEST(test_same_machine_again),
		TEST(test_renewal),
		TEST(test_expired_needs_more_than_the_old_key),
		TEST(test_node_key_in_use),
		TEST(test_bad_facts),
		TEST(test_tags),
		TEST(test_addresses),
		TEST(test_addresses_wrap),
		TEST(test_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
