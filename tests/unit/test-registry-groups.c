/* Groups of providers: who is in which of the policy, and accounts of providers that are let go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"
#define BOB   "bob@example.com"
#define CORP  "https://corp.example"
#define GUEST "https://guest.example"

static const struct registry_mapping mappings[] = {
	{ (char *)CORP, (char *)"Engineering Team", (char *)"group:eng" },
	{ (char *)CORP, (char *)"9f2c1e0a-1111-2222-3333-444455556666", (char *)"group:ops" },
	{ (char *)GUEST, (char *)"staff", (char *)"group:eng" },
	{ (char *)CORP, (char *)"leads", (char *)"group:eng" },
};

static int setup(void **state)
{
	fix_mappings = mappings;
	fix_n_mappings = ARRAY_SIZE(mappings);
	return fix_setup(state);
}

static int teardown(void **state)
{
	fix_mappings = NULL;
	fix_n_mappings = 0;
	return fix_teardown(state);
}

static const struct user_record *user_of(struct fix *fix, const char *login)
{
	const struct user_record *user = registry_user(fix->registry, login);

	assert_non_null(user);
	return user;
}

/* groups: NULL at the end */
static void come(struct fix *fix, const char *issuer, const char *email, const char *const *groups)
{
	struct registry_identity identity = {
		.issuer = issuer,
		.subject = email,
		.email = email,
		.groups.items = (char **)groups,
	};

	while (groups[identity.groups.n])
		identity.groups.n++;
	FIX_OK(fix, registry_sign_in_identity(fix->registry, &fix_root, &identity, false,
					      FIX_DONE(fix)));
}
#define COME(fix, issuer, email, ...) \
	come(fix, issuer, email, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* said: "group:a group:b" */
static void expect_groups(struct fix *fix, const char *login, const char *said)
{
	_cleanup_(text_list_done) struct text_list groups = { 0 };
	char found[256] = "";

	assert_int_equal(registry_user_groups(fix->registry, user_of(fix, login), &groups), 0);
	for (size_t i = 0; i < groups.n; i++)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s", i ? " " : "",
			 groups.items[i]);
	assert_string_equal(found, said);
}

static void test_mapped(void **state)
{
	struct fix *fix = *state;
	const struct text_list *groups = registry_mapped_groups(fix->registry);

	assert_int_equal(groups->n, 2);
	assert_string_equal(groups->items[0], "group:eng");
	assert_string_equal(groups->items[1], "group:ops");
	assert_int_equal(registry_n_mappings(fix->registry), 4);
	assert_string_equal(registry_mapping_at(fix->registry, 0)->value, "Engineering Team");
	assert_string_equal(registry_mapping_at(fix->registry, 2)->issuer, GUEST);
	expect_groups(fix, ALICE, "");
	COME(fix, CORP, ALICE, "Engineering Team", "leads", "unheard of");
	expect_groups(fix, ALICE, "group:eng");
	COME(fix, CORP, ALICE, "9f2c1e0a-1111-2222-3333-444455556666", "leads");
	expect_groups(fix, ALICE, "group:eng group:ops");
	COME(fix, CORP, ALICE, "engineering team");
	expect_groups(fix, ALICE, "");
	COME(fix, CORP, ALICE, "leads");
	COME(fix, CORP, ALICE);
	expect_groups(fix, ALICE, "");
}

/* The same words of another provider mean nothing. */
static void test_each_provider_for_itself(void **state)
{
	struct fix *fix = *state;

	COME(fix, GUEST, ALICE, "Engineering Team", "leads",
	     "9f2c1e0a-1111-2222-3333-444455556666");
	expect_groups(fix, ALICE, "");
	COME(fix, CORP, BOB, "staff");
	expect_groups(fix, BOB, "");
	COME(fix, GUEST, ALICE, "staff");
	expect_groups(fix, ALICE, "group:eng");
}

/* Two accounts: what one provider says next leaves what the other said. */
static void test_two_providers(void **state)
{
	struct fix *fix = *state;

	COME(fix, CORP, ALICE, "leads");
	fix_put(fix->store, "users/" ALICE,
		"{\"created\":1,\"identities\":[{\"issuer\":\"" GUEST "\",\"subject\":\"7\","
		"\"groups\":[\"staff\"]},{\"issuer\":\"" CORP "\",\"subject\":\"" ALICE
		"\",\"groups\":[\"9f2c1e0a-1111-2222-3333-444455556666\"]}]}");
	fix_run(fix);
	expect_groups(fix, ALICE, "group:eng group:ops");
	COME(fix, CORP, ALICE, "other");
	expect_groups(fix, ALICE, "group:eng");
	assert_int_equal(user_of(fix, ALICE)->identities.n, 2);
	assert_string_equal(user_of(fix, ALICE)->identities.items[0].groups.items[0], "staff");
}

/* Of records from before: they are those of the one identity; of several, nobody's. */
static void test_old_record(void **state)
{
	struct fix *fix = *state;

	fix_put(fix->store, "users/" ALICE,
		"{\"created\":1,\"identities\":[{\"issuer\":\"" CORP "\",\"subject\":\"1\"}],"
		"\"provider_groups\":[\"leads\",\"x\"]}");
	fix_put(fix->store, "users/" BOB,
		"{\"created\":1,\"identities\":[{\"issuer\":\"" CORP "\",\"subject\":\"2\"},"
		"{\"issuer\":\"" GUEST "\",\"subject\":\"3\"}],"
		"\"provider_groups\":[\"leads\",\"staff\"]}");
	fix_put(fix->store, "users/carol@example.com",
		"{\"created\":1,\"provider_groups\":[\"leads\"]}");
	fix_run(fix);
	expect_groups(fix, ALICE, "group:eng");
	assert_int_equal(user_of(fix, ALICE)->identities.items[0].groups.n, 2);
	expect_groups(fix, BOB, "");
	expect_groups(fix, "carol@example.com", "");
	assert_string_equal(fix->problem, "");
}

#define POLICY                                                                                  \
	"{\"acls\": [{\"action\": \"accept\", \"src\": [\"group:ops\"], \"dst\": [\"*:22\"]}]," \
	"\"tagOwners\": {\"tag:s\": [\"group:ops\"]}}"

static void set_policy(struct fix *fix, const char *text)
{
	const struct registry_policy_request request = { .text = text, .len = strlen(text) };

	registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix));
}

static void test_policy(void **state)
{
	struct fix *fix = *state;
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	const struct registry_actor person = { .who = ALICE, .login = ALICE };
	struct registry_authkey_request request = {
		.tags = { .items = (char *[]){ (char *)"tag:s" }, .n = 1 },
	};

	FIX_OK(fix, set_policy(fix, POLICY));
	FIX_REFUSED(fix, REGISTRY_POLICY_REFUSED, "the policy has 1 error",
		    set_policy(fix, "{\"acls\": [{\"action\": \"accept\", \"src\": "
				    "[\"group:other\"], \"dst\": [\"*:*\"]}]}"));
	FIX_REFUSED(fix, REGISTRY_BAD_TAG, "may not give it",
		    registry_create_authkey(fix->registry, &person, &request, FIX_DONE(fix)));
	COME(fix, CORP, ALICE, "9f2c1e0a-1111-2222-3333-444455556666");
	FIX_OK(fix, registry_create_authkey(fix->registry, &person, &request, FIX_DONE(fix)));
	assert_int_equal(registry_network(fix->registry, &network), 0);
	assert_int_equal(network->n_groups, 2);
	assert_int_equal(network->users[0].n_groups, 1);
	assert_string_equal(network->users[0].groups[0], "group:ops");
	assert_int_equal(network->users[1].n_groups, 0);
}

/*
 * Another configuration takes effect with the next start: what the provider said last counts by the
 * new mapping. A policy in force stays so without its group, which is said; nobody is in it.
 */
static void test_other_configuration(void **state)
{
	static const struct registry_mapping other = { (char *)CORP, (char *)"leads",
						       (char *)"group:bosses" };
	struct fix *fix = *state, *second, *third;

	FIX_OK(fix, set_policy(fix, POLICY));
	COME(fix, CORP, ALICE, "leads");
	expect_groups(fix, ALICE, "group:eng");
	fix_mappings = &other;
	fix_n_mappings = 1;
	second = fix_new(fix->store);
	fix_run(second);
	assert_int_equal(second->ready_status, 0);
	assert_string_equal(second->problem,
			    "The policy in force uses group:ops, which it does not "
			    "define and no provider maps (any more): nobody is in "
			    "it");
	assert_string_equal(registry_policy_current(second->registry)->text, POLICY);
	expect_groups(second, ALICE, "group:bosses");
	/* Once more it is not taken. */
	FIX_REFUSED(second, REGISTRY_POLICY_REFUSED, "the policy has 2 errors",
		    set_policy(second, POLICY "\n"));
	fix_free(second, false);
	fix_mappings = mappings;
	fix_n_mappings = ARRAY_SIZE(mappings);
	third = fix_new(fix->store);
	fix_run(third);
	assert_string_equal(third->problem, "");
	expect_groups(third, ALICE, "group:eng");
	fix_free(third, false);
}

/* ---- unbinding ---- */

static const char *open_session(struct fix *fix, const char *login, const char *method)
{
	static char secrets[4][64];
	static unsigned n;
	const struct registry_session_request request = { .user = login, .method = method };

	FIX_OK(fix, registry_open_session(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	n = (n + 1) % ARRAY_SIZE(secrets);
	return strcpy(secrets[n], fix->result.secret);
}

static void unbind(struct fix *fix, const char *login, const char *issuer, const char *subject)
{
	registry_unbind_identity(fix->registry, &fix_root, login, issuer, subject, FIX_DONE(fix));
}

static void test_unbind(void **state)
{
	struct fix *fix = *state;
	const char *theirs, *by_password, *of_bob;
	_cleanup_free_ char *dump = NULL;

	COME(fix, CORP, ALICE, "leads");
	COME(fix, CORP, BOB, "leads");
	theirs = open_session(fix, ALICE, "oidc:corp");
	by_password = open_session(fix, ALICE, "password");
	of_bob = open_session(fix, BOB, "oidc:corp");
	FIX_OK(fix, unbind(fix, ALICE, NULL, NULL));
	assert_string_equal(fix->result.id, ALICE);
	assert_string_equal(fix_last_event(fix), "root user.unbind " ALICE " ok: " CORP " " ALICE);
	assert_int_equal(user_of(fix, ALICE)->identities.n, 0);
	assert_null(registry_user_by_identity(fix->registry, CORP, ALICE));
	assert_non_null(registry_user_by_identity(fix->registry, CORP, BOB));
	expect_groups(fix, ALICE, "");
	expect_groups(fix, BOB, "group:eng");
	assert_null(registry_session(fix->registry, theirs));
	assert_non_null(registry_session(fix->registry, by_password));
	assert_non_null(registry_session(fix->registry, of_bob));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, ALICE " is known by no account of a provider",
		    unbind(fix, ALICE, NULL, NULL));
	/* Free for another account, of another provider, and this one. */
	COME(fix, GUEST, ALICE, "staff");
	expect_groups(fix, ALICE, "group:eng");
	dump = fix_dump(fix->store);
	assert_non_null(strstr(dump, GUEST));
}

static void test_unbind_one_of_two(void **state)
{
	struct fix *fix = *state;

	COME(fix, CORP, ALICE, "leads");
	fix_put(fix->store, "users/" ALICE,
		"{\"created\":1,\"identities\":[{\"issuer\":\"" GUEST "\",\"subject\":\"7\","
		"\"groups\":[\"staff\"]},{\"issuer\":\"" CORP "\",\"subject\":\"" ALICE "\"}]}");
	fix_run(fix);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "is known by 2 accounts of providers; name",
		    unbind(fix, ALICE, NULL, NULL));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "is not known by this account",
		    unbind(fix, ALICE, GUEST, ALICE));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "the issuer and the subject, or neither",
		    unbind(fix, ALICE, GUEST, NULL));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "the issuer and the subject, or neither",
		    unbind(fix, ALICE, NULL, "7"));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "there is no such user",
		    unbind(fix, "dave@example.com", NULL, NULL));
	FIX_OK(fix, unbind(fix, ALICE, CORP, ALICE));
	assert_int_equal(user_of(fix, ALICE)->identities.n, 1);
	assert_string_equal(user_of(fix, ALICE)->identities.items[0].issuer, GUEST);
	expect_groups(fix, ALICE, "group:eng");
	assert_null(registry_user_by_identity(fix->registry, CORP, ALICE));
}

/* Nobody lets go of their own: it is for operators. */
static void test_unbind_is_for_operators(void **state)
{
	struct fix *fix = *state;
	const struct registry_actor person = { .who = ALICE, .login = ALICE };

	COME(fix, CORP, ALICE);
	FIX_REFUSED(
		fix, REGISTRY_NOT_ALLOWED, "",
		registry_unbind_identity(fix->registry, &person, ALICE, NULL, NULL, FIX_DONE(fix)));
	assert_int_equal(user_of(fix, ALICE)->identities.n, 1);
}

/* All sessions that somebody can have go in one transaction. */
static void test_unbind_many_sessions(void **state)
{
	struct fix *fix = *state;

	COME(fix, CORP, ALICE);
	for (unsigned i = 0; i < 60; i++)
		open_session(fix, ALICE, "oidc:corp");
	assert_int_equal(registry_n_websessions(fix->registry), 50);
	FIX_OK(fix, unbind(fix, ALICE, NULL, NULL));
	assert_int_equal(registry_n_websessions(fix->registry), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_mapped),
		TEST(test_each_provider_for_itself),
		TEST(test_two_providers),
		TEST(test_old_record),
		TEST(test_policy),
		TEST(test_other_configuration),
		TEST(test_unbind),
		TEST(test_unbind_one_of_two),
		TEST(test_unbind_is_for_operators),
		TEST(test_unbind_many_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
