/* What is asked of the coordinator about users and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "tests/unit/admin-fixture.h"

/* ---- users ---- */

static void test_users(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL, *list = NULL;

	user = admin_expect(
		admin_ask(coord, "POST", "users",
			  "{\"login\":\"bob@example.com\",\"name\":\"Bob\",\"roles\":[\"admin\"]}"),
		200);
	assert_text(user, "login", "bob@example.com");
	assert_text(user, "name", "Bob");
	assert_text(user, "created", "2027-01-15T08:00:00Z");
	assert_refused(admin_ask(coord, "POST", "users", "{\"login\":\"bob@example.com\"}"), 409,
		       "conflict", "bob@example.com");
	/* Roles are replaced; the name stays. */
	assert_ok(admin_ask(coord, "PATCH", "users/bob%40example.com", "{\"roles\":[]}"));
	assert_non_null(strstr(admin_reply.text, "\"name\":\"Bob\",\"roles\":[]"));
	list = admin_expect(admin_ask(coord, "GET", "users", ""), 200);
	assert_int_equal(json_array_size(json_object_get(list, "users")), 2);
	assert_ok(admin_ask(coord, "DELETE", "users/bob%40example.com", ""));
	assert_refused(admin_ask(coord, "DELETE", "users/bob%40example.com", ""), 404, "not-found",
		       "");
	assert_refused(admin_ask(coord, "PATCH", "users/bob%40example.com", "{}"), 404, "not-found",
		       "");
}

/* By an operator: no person of the registry. */
static void sign_in(struct coord_fix *coord)
{
	struct registry_session_request request = {
		.user = "alice@example.com",
		.method = "oidc:corp",
		.strength = AUTH_PROMPT_ONLY,
		.auth_time = FIX_START,
		.agent = "Firefox",
	};

	assert_int_equal(ip_addr_parse("192.0.2.7", &request.from), 0);
	registry_open_session(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}

static void test_user_show(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL;
	const json_t *session, *node;
	struct agent_fix agent = { 0 };

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	sign_in(coord);
	fix_put(coord->store, "users/carol@example.com",
		"{\"created\":1,\"password\":\"$y$j9T$secret\",\"totp\":\"GEZDGNBVGY3TQOJQ"
		"GEZDGNBVGY3TQOJQ\",\"identities\":[{\"issuer\":\"https://idp.example\","
		"\"subject\":\"7\"}],\"provider_groups\":[\"ops\"]}");
	user = admin_expect(admin_ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_text(user, "login", "alice@example.com");
	assert_text(user, "last_sign_in", "2027-01-15T08:00:00Z");
	assert_true(json_is_null(json_object_get(user, "suspended")));
	assert_true(json_is_false(json_object_get(user, "password")));
	session = json_array_get(json_object_get(user, "sessions"), 0);
	assert_text(session, "method", "oidc:corp");
	assert_text(session, "strength", "prompt_only");
	assert_text(session, "from", "192.0.2.7");
	assert_text(session, "expires", "2027-01-15T20:00:00Z");
	node = json_array_get(json_object_get(user, "nodes"), 0);
	assert_true(json_is_false(json_object_get(node, "expired")));
	json_decref(user);
	/* That there are secrets is said; nothing of what they are. */
	user = admin_expect(admin_ask(coord, "GET", "users/carol%40example.com", ""), 200);
	assert_true(json_is_true(json_object_get(user, "password")));
	assert_true(json_is_true(json_object_get(user, "totp")));
	assert_text(json_array_get(json_object_get(user, "identities"), 0), "subject", "7");
	assert_int_equal(json_array_size(json_object_get(user, "nodes")), 0);
	assert_null(strstr(admin_reply.text, "$y$"));
	assert_null(strstr(admin_reply.text, "GEZD"));
	assert_ok(admin_ask(coord, "GET", "users", ""));
	assert_null(strstr(admin_reply.text, "$y$"));
	assert_null(strstr(admin_reply.text, "GEZD"));
	assert_refused(admin_ask(coord, "GET", "users/dave%40example.com", ""), 404, "not-found",
		       "");
	agent_fix_done(&agent);
}

static const struct registry_mapping mappings[] = {
	{ (char *)"https://idp.example", (char *)"ops", (char *)"group:ops" },
	{ (char *)"https://other.example", (char *)"ops", (char *)"group:other" },
};

static int set_up_mapped(void **state)
{
	fix_mappings = mappings;
	fix_n_mappings = ARRAY_SIZE(mappings);
	return admin_set_up_with_key(state);
}

static int tear_down_mapped(void **state)
{
	fix_mappings = NULL;
	fix_n_mappings = 0;
	return coord_fix_teardown(state);
}

#define USER_OF_OPS                                                                             \
	"{\"created\":1,\"identities\":[{\"issuer\":\"https://idp.example\",\"subject\":\"7\"," \
	"\"groups\":[\"all\",\"ops\"]}]}"
#define POLICY_OF(group)                                                                           \
	"{\"tagOwners\":{\"tag:x\":[]},\"acls\":[{\"action\":\"accept\",\"src\":[\"" group "\"],"  \
	"\"dst\":[\"*:22\"]}],\"tests\":[{\"src\":\"alice@example.com\",\"accept\":[\"tag:x:22\"]" \
	"}]}"

static void test_user_groups(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL, *groups = NULL, *checked = NULL, *unbound = NULL;
	const json_t *identity;

	fix_put(coord->store, "users/alice@example.com", USER_OF_OPS);
	user = admin_expect(admin_ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_int_equal(json_array_size(json_object_get(user, "groups")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(user, "groups"), 0)),
			    "group:ops");
	identity = json_array_get(json_object_get(user, "identities"), 0);
	assert_int_equal(json_array_size(json_object_get(identity, "groups")), 2);
	groups = admin_expect(admin_ask(coord, "GET", "groups", ""), 200);
	assert_int_equal(json_array_size(json_object_get(groups, "groups")), 2);
	assert_text(json_array_get(json_object_get(groups, "groups"), 1), "issuer",
		    "https://other.example");
	/* A policy is tried with them. */
	checked =
		admin_expect(admin_ask(coord, "POST", "policy/check", POLICY_OF("group:ops")), 200);
	assert_true(json_is_true(json_object_get(checked, "good")));
	json_decref(checked);
	checked = admin_expect(admin_ask(coord, "POST", "policy/check", POLICY_OF("group:other")),
			       200);
	assert_int_equal(json_integer_value(json_object_get(checked, "errors")), 1);
	json_decref(checked);
	checked = admin_expect(admin_ask(coord, "POST", "policy/check", POLICY_OF("group:none")),
			       200);
	assert_non_null(strstr(admin_reply.text, "they map group:ops, group:other"));
	assert_refused(
		admin_ask(coord, "POST", "users/alice%40example.com/unbind", "{\"issuer\":\"x\"}"),
		400, "bad-request", "the issuer and the subject, or neither");
	assert_refused(admin_ask(coord, "POST", "users/alice%40example.com/unbind",
				 "{\"issuer\":\"x\",\"subject\":\"7\"}"),
		       404, "not-found", "is not known by this account");
	unbound =
		admin_expect(admin_ask(coord, "POST", "users/alice%40example.com/unbind", ""), 200);
	assert_int_equal(json_array_size(json_object_get(unbound, "groups")), 0);
	assert_int_equal(json_array_size(json_object_get(unbound, "identities")), 0);
}

static void test_user_suspend(void **state)
{
	struct coord_fix *coord = *state;
	struct agent_fix agent = { 0 };
	json_auto_t *user = NULL;

	agent_fix_init(coord, &agent);
	agent_fix_enrol(coord, &agent);
	sign_in(coord);
	user = admin_expect(admin_ask(coord, "POST", "users/alice%40example.com/suspend", ""), 200);
	assert_text(user, "suspended", "2027-01-15T08:00:00Z");
	json_decref(user);
	user = admin_expect(admin_ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_int_equal(json_array_size(json_object_get(user, "sessions")), 0);
	assert_true(json_is_true(
		json_object_get(json_array_get(json_object_get(user, "nodes"), 0), "expired")));
	json_decref(user);
	assert_refused(admin_ask(coord, "POST", "users/alice%40example.com/password-link", ""), 403,
		       "not-allowed", "is suspended");
	user = admin_expect(admin_ask(coord, "POST", "users/alice%40example.com/resume", ""), 200);
	assert_true(json_is_null(json_object_get(user, "suspended")));
	assert_refused(admin_ask(coord, "POST", "users/dave%40example.com/suspend", ""), 404,
		       "not-found", "");
	agent_fix_done(&agent);
}

static void test_user_sign_out(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *user = NULL;

	sign_in(coord);
	assert_ok(admin_ask(coord, "POST", "users/alice%40example.com/sign-out", ""));
	user = admin_expect(admin_ask(coord, "GET", "users/alice%40example.com", ""), 200);
	assert_int_equal(json_array_size(json_object_get(user, "sessions")), 0);
	fix_put(coord->store, "users/alice@example.com",
		"{\"created\":1,\"totp\":\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"}");
	json_decref(user);
	user = admin_expect(admin_ask(coord, "POST", "users/alice%40example.com/totp-reset", ""),
			    200);
	assert_true(json_is_false(json_object_get(user, "totp")));
}

static void test_password_link(void **state)
{
	static const char start[] = "http://127.0.0.1/set-password/";
	struct coord_fix *coord = *state;
	json_auto_t *link = NULL;
	const char *url;

	link = admin_expect(admin_ask(coord, "POST", "users/alice%40example.com/password-link", ""),
			    200);
	url = json_string_value(json_object_get(link, "url"));
	assert_non_null(url);
	assert_memory_equal(url, start, strlen(start));
	assert_non_null(registry_pwlink(coord->registry, url + strlen(start)));
	assert_text(link, "login", "alice@example.com");
	assert_text(link, "expires", "2027-01-16T08:00:00Z");
	assert_refused(admin_ask(coord, "POST", "users/dave%40example.com/password-link", ""), 404,
		       "not-found", "");
}

static void test_bodies_that_make_no_sense(void **state)
{
	static const struct {
		const char *method, *path, *body, *text;
	} cases[] = {
		{ "POST", "users", "", "login: is missing" },
		{ "POST", "users", "[]", "an object" },
		{ "POST", "users", "{", "line 1" },
		{ "POST", "users", "{\"login\":7}", "login:" },
		{ "POST", "users", "{\"login\":\"x@y.example\",\"roles\":[\"king\"]}",
		  "roles[0]: \"king\": expected owner" },
		{ "POST", "apikeys", "{}", "scopes: is missing" },
		{ "POST", "apikeys", "{\"scopes\":[\"nodes\"]}", "scopes[0]: \"nodes\": expected" },
		{ "POST", "apikeys", "{\"scopes\":[]}", "scopes" },
		{ "POST", "authkeys", "{\"tags\":[\"prod\"]}", "tags[0]: \"prod\":" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"expires_in\":0}",
		  "expires_in: expected seconds" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"expires_in\":\"soon\"}",
		  "expires_in: expected seconds" },
		{ "POST", "authkeys", "{\"user\":\"alice@example.com\",\"reusable\":1}",
		  "reusable:" },
		{ "PATCH", "nodes/x", "{\"key_expiry\":\"tomorrow\"}", "key_expiry:" },
		{ "POST", "policy/rollback", "{}", "version: is missing" },
		{ "GET", "policy/history/x", "", "number" },
		{ "PUT", "policy?confirm_within=0", "{}", "confirm_within" },
		{ "PUT", "policy?confirm_within=5m", "{}", "confirm_within" },
		{ "GET", "policy/explain?src=x", "", "dst=" },
		{ "GET", "events?limit=0", "", "limit" },
		{ "GET", "events?since=yesterday", "", "since" },
		{ "GET", "events?since=2027-01-15T08:00:00Z&after=x", "", "one of them" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(admin_ask(*state, cases[i].method, cases[i].path, cases[i].body),
			       400, "bad-request", cases[i].text);
}

/* ---- keys ---- */

static void test_authkeys(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *made = NULL, *list = NULL;
	_cleanup_free_ char *path = NULL;
	const json_t *key;

	made = admin_expect(
		admin_ask(coord, "POST", "authkeys",
			  "{\"user\":\"alice@example.com\",\"reusable\":true,\"expires_in\":3600,"
			  "\"description\":\"rack 7\"}"),
		200);
	assert_memory_equal(json_string_value(json_object_get(made, "key")), "pgauth.k", 8);
	assert_text(made, "expires", "2027-01-15T09:00:00Z");
	list = admin_expect(admin_ask(coord, "GET", "authkeys", ""), 200);
	/* The key is in no other answer. */
	assert_null(strstr(admin_reply.text, "pgauth"));
	assert_null(strstr(admin_reply.text, "hash"));
	key = json_array_get(json_object_get(list, "authkeys"), 0);
	assert_text(key, "state", "valid");
	assert_text(key, "description", "rack 7");
	path = text_printf("authkeys/%s", json_string_value(json_object_get(made, "id")));
	assert_ok(admin_ask(coord, "DELETE", path, ""));
	assert_int_equal(admin_ask(coord, "GET", "authkeys", ""), 200);
	assert_non_null(strstr(admin_reply.text, "\"state\":\"revoked\""));
	assert_ok(admin_ask(coord, "POST", "authkeys",
			    "{\"user\":\"alice@example.com\",\"expires_in\":\"never\"}"));
	assert_non_null(strstr(admin_reply.text, "\"expires\":null"));
	assert_refused(admin_ask(coord, "POST", "authkeys", "{\"user\":\"eve@example.com\"}"), 404,
		       "not-found", "no such user");
}

static void test_an_api_key_gives_what_it_has(void **state)
{
	const struct registry_apikey_request all = { .scopes = SCOPE_ALL },
					     some = { .scopes = SCOPE_POLICY_READ };
	struct coord_fix *coord = *state;
	char path[96];

	admin_make_key(coord, SCOPE_KEYS_WRITE | SCOPE_POLICY_READ);
	assert_refused(admin_ask(coord, "POST", "apikeys", "{\"scopes\":[\"policy:write\"]}"), 403,
		       "not-allowed", "policy:write");
	assert_refused(admin_ask(coord, "POST", "apikeys", "{\"scopes\":[\"all\"]}"), 403,
		       "not-allowed", "do not have it");
	assert_ok(admin_ask(coord, "POST", "apikeys", "{\"scopes\":[\"policy:read\"]}"));
	/* Nor does it take away what it has not. */
	registry_create_apikey(coord->registry, &fix_root, &all, fix_done, &coord->result);
	snprintf(path, sizeof(path), "apikeys/%s", coord->result.id);
	assert_refused(admin_ask(coord, "DELETE", path, ""), 403, "not-allowed", "more than yours");
	registry_create_apikey(coord->registry, &fix_root, &some, fix_done, &coord->result);
	snprintf(path, sizeof(path), "apikeys/%s", coord->result.id);
	assert_ok(admin_ask(coord, "DELETE", path, ""));
	admin_make_key(coord, SCOPE_ALL);
	assert_ok(admin_ask(coord, "POST", "apikeys", "{\"scopes\":[\"all\"],\"expires_in\":60}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_users, admin_set_up_with_key),
		ADMIN_TEST(test_user_show, admin_set_up_with_key),
		cmocka_unit_test_setup_teardown(test_user_groups, set_up_mapped, tear_down_mapped),
		ADMIN_TEST(test_user_suspend, admin_set_up_with_key),
		ADMIN_TEST(test_user_sign_out, admin_set_up_with_key),
		ADMIN_TEST(test_password_link, admin_set_up_with_key),
		ADMIN_TEST(test_bodies_that_make_no_sense, admin_set_up_with_key),
		ADMIN_TEST(test_authkeys, admin_set_up_with_key),
		ADMIN_TEST(test_an_api_key_gives_what_it_has, admin_set_up_with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
