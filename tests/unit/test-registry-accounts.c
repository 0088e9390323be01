/* People: identities, sessions, passwords, links, suspension. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/policy/policy.h"
#include "coord/registry/accounts.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"
#define BOB   "bob@example.com"
#define HASH  "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
#define TOTP  "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

static const struct registry_actor alice = { .who = ALICE, .login = ALICE };
static const struct registry_actor bob = { .who = BOB, .login = BOB };

static const struct user_record *user_of(struct fix *fix, const char *login)
{
	const struct user_record *user = registry_user(fix->registry, login);

	assert_non_null(user);
	return user;
}

/* ---- identities ---- */

struct claim {
	const char *subject, *email;
	bool may_create;
	const char *name, *groups[3];
};

static void come(struct fix *fix, const struct claim *claim)
{
	static const struct registry_actor web = { .who = "web", .from = "192.0.2.1" };
	struct registry_identity identity = {
		.issuer = "https://idp.example",
		.subject = claim->subject,
		.email = claim->email,
		.name = claim->name,
		.groups.items = (char **)claim->groups,
	};

	while (identity.groups.n < ARRAY_SIZE(claim->groups) && claim->groups[identity.groups.n])
		identity.groups.n++;
	registry_sign_in_identity(fix->registry, &web, &identity, claim->may_create, FIX_DONE(fix));
}

static void test_bind(void **state)
{
	struct fix *fix = *state;
	const struct user_record *user;

	FIX_OK(fix, come(fix, &(struct claim){ .subject = "1",
					       .email = "Alice@Example.com",
					       .name = "Alice",
					       .groups = { "ops", "dev", "ops" } }));
	assert_string_equal(fix->result.id, ALICE);
	assert_string_equal(fix_last_event(fix), "web user.bind " ALICE " ok: https://idp.example");
	user = user_of(fix, ALICE);
	assert_ptr_equal(user_identity(user, "https://idp.example", "1"),
			 &user->identities.items[0]);
	assert_null(user_identity(user, "https://idp.example", "2"));
	assert_string_equal(user->name, "Alice");
	assert_int_equal(user->identities.items[0].groups.n, 2);
	assert_string_equal(user->identities.items[0].groups.items[0], "dev");
	assert_ptr_equal(registry_user_by_identity(fix->registry, "https://idp.example", "1"),
			 user);
	assert_null(registry_user_by_identity(fix->registry, "https://idp.example", "2"));
	assert_null(registry_user_by_identity(fix->registry, "https://idp.example1", ""));

	/* From now on the address does not matter; another subject with it is somebody else. */
	FIX_OK(fix, come(fix, &(struct claim){
				      .subject = "1", .email = BOB, .groups = { "dev", "ops" } }));
	assert_string_equal(fix->result.id, ALICE);
	FIX_REFUSED(
		fix, REGISTRY_NOT_ALLOWED, "is known here by another account",
		come(fix, &(struct claim){ .subject = "2", .email = ALICE, .may_create = true }));
	assert_string_equal(fix_last_event(fix),
			    "web user.sign-in " ALICE " not-allowed: " ALICE
			    " is known here by another account, of this provider or of another "
			    "one; ask an operator");
}

static void test_create(void **state)
{
	struct fix *fix = *state;
	struct claim carol = { .subject = "3", .email = "Carol@example.com" };

	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "carol@example.com is not known here",
		    come(fix, &carol));
	carol.may_create = true;
	FIX_OK(fix, come(fix, &carol));
	assert_string_equal(fix->result.id, "carol@example.com");
	assert_int_equal(user_of(fix, "carol@example.com")->roles, 0);
	/* Not vouched for, or not fit to be a login. */
	carol = (struct claim){ .subject = "4", .may_create = true };
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "does not vouch for", come(fix, &carol));
	carol.email = "d\"e\"@example.com";
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "does not vouch for", come(fix, &carol));
	carol.email = "";
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "does not vouch for", come(fix, &carol));
}

static void test_groups_change(void **state)
{
	struct fix *fix = *state;
	struct claim claim = { .subject = "1", .email = ALICE, .groups = { "ops" } };
	uint64_t revision;

	FIX_OK(fix, come(fix, &claim));
	revision = registry_revision(fix->registry);
	FIX_OK(fix, come(fix, &claim));
	assert_int_equal(registry_revision(fix->registry), revision);
	claim.groups[0] = NULL;
	FIX_OK(fix, come(fix, &claim));
	assert_int_equal(user_of(fix, ALICE)->identities.items[0].groups.n, 0);
	assert_string_equal(fix_last_event(fix),
			    "web user.groups " ALICE " ok: as the provider says");
	claim.groups[0] = "a\nb";
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "holds a control character", come(fix, &claim));
	claim = (struct claim){ .subject = "\x80" };
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no UTF-8", come(fix, &claim));
}

static void test_too_many_groups(void **state)
{
	struct fix *fix = *state;
	char names[RECORD_MAX_GROUPS + 1][8], *items[RECORD_MAX_GROUPS + 1];
	struct registry_identity identity = {
		.issuer = "https://idp.example",
		.subject = "1",
		.email = ALICE,
		.groups = { .items = items, .n = RECORD_MAX_GROUPS + 1 },
	};

	for (unsigned i = 0; i <= RECORD_MAX_GROUPS; i++) {
		snprintf(names[i], sizeof(names[i]), "g%u", i);
		items[i] = names[i];
	}
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "in 257 groups",
		    registry_sign_in_identity(fix->registry, &fix_root, &identity, false,
					      FIX_DONE(fix)));
	identity.groups.n--;
	FIX_OK(fix, registry_sign_in_identity(fix->registry, &fix_root, &identity, false,
					      FIX_DONE(fix)));
	assert_int_equal(user_of(fix, ALICE)->identities.items[0].groups.n, RECORD_MAX_GROUPS);
}

/* Whoever is deleted leaves the identity to whoever comes next; so does who is not there. */
static void test_identity_is_free(void **state)
{
	struct fix *fix = *state;
	struct claim claim = { .subject = "1", .email = ALICE, .may_create = true };
	_cleanup_free_ char *dump = NULL;

	FIX_OK(fix, come(fix, &claim));
	FIX_OK(fix, registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	dump = fix_dump(fix->store);
	assert_null(strstr(dump, "idp/"));
	claim.email = BOB;
	FIX_OK(fix, come(fix, &claim));
	assert_string_equal(fix->result.id, BOB);
	/* By hand, the record loses its identity: the entry means nobody. */
	fix_put(fix->store, "users/" BOB, "{\"created\":1}");
	fix_run(fix);
	claim.email = "dave@example.com";
	FIX_OK(fix, come(fix, &claim));
	assert_string_equal(fix->result.id, "dave@example.com");
}

/* ---- sessions ---- */

static const char *sign_in(struct fix *fix, const char *login)
{
	static char secrets[4][64];
	static unsigned n;
	const struct registry_session_request request = {
		.user = login,
		.method = "password+totp",
		.strength = AUTH_MAX_AGE,
		.auth_time = fix_time(),
		.agent = "Fire\x1b"
			 "fox",
	};

	FIX_OK(fix, registry_open_session(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	assert_string_equal(fix->result.id, login);
	n = (n + 1) % ARRAY_SIZE(secrets);
	return strcpy(secrets[n], fix->result.secret);
}

static void test_session(void **state)
{
	struct fix *fix = *state;
	const char *secret = sign_in(fix, ALICE);
	const struct websession_record *session = registry_session(fix->registry, secret);
	_cleanup_free_ char *dump = NULL;

	assert_non_null(session);
	assert_string_equal(session->user, ALICE);
	assert_string_equal(session->method, "password+totp");
	assert_int_equal(session->strength, AUTH_MAX_AGE);
	assert_int_equal(session->auth_time, FIX_START);
	assert_string_equal(session->agent, "Fire?fox");
	assert_int_equal(user_of(fix, ALICE)->last_sign_in, FIX_START);
	assert_string_equal(fix_last_event(fix), "root user.sign-in " ALICE
						 " ok: password+totp, strength max_age, Fire?fox");
	/* Nothing in the store is of use to whoever reads it. */
	dump = fix_dump(fix->store);
	assert_null(strstr(dump, secret));
	assert_null(registry_session(fix->registry, session->head.id));
	assert_null(registry_session(fix->registry, ""));
	fix_pass(fix, 12 * FIX_HOUR - 1);
	assert_non_null(registry_session(fix->registry, secret));
	fix_set_time(FIX_START + 12 * FIX_HOUR);
	assert_null(registry_session(fix->registry, secret));
	assert_int_equal(registry_n_websessions(fix->registry), 1);
	fix_pass(fix, 0);
	assert_int_equal(registry_n_websessions(fix->registry), 0);
}

static void test_session_refused(void **state)
{
	struct fix *fix = *state;
	struct registry_session_request request = { .user = "x@example.com", .method = "password" };

	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no such user",
		    registry_open_session(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	request.user = ALICE;
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, ALICE " is suspended",
		    registry_open_session(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	assert_non_null(strstr(fix_last_event(fix), "root user.sign-in " ALICE " not-allowed: "));
}

static void test_close(void **state)
{
	struct fix *fix = *state;
	const char *first = sign_in(fix, ALICE), *second = sign_in(fix, ALICE);
	const char *other = sign_in(fix, BOB);

	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "this is for " ALICE,
		    registry_close_session(fix->registry, &bob, first, FIX_DONE(fix)));
	FIX_OK(fix, registry_close_session(fix->registry, &alice, first, FIX_DONE(fix)));
	assert_null(registry_session(fix->registry, first));
	assert_non_null(registry_session(fix->registry, second));
	FIX_OK(fix, registry_close_session(fix->registry, &alice, first, FIX_DONE(fix)));
	FIX_OK(fix, registry_close_session(fix->registry, &alice, "?", FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "this is for " ALICE,
		    registry_close_sessions(fix->registry, &bob, ALICE, FIX_DONE(fix)));
	assert_non_null(registry_session(fix->registry, second));
	FIX_OK(fix, registry_close_sessions(fix->registry, &alice, ALICE, FIX_DONE(fix)));
	assert_null(registry_session(fix->registry, second));
	assert_non_null(registry_session(fix->registry, other));
	/* The clock stands still here; whoever comes back counts nevertheless. */
	assert_non_null(registry_session(fix->registry, sign_in(fix, ALICE)));
}

/* What began by a clock that was ahead ends as well. */
static void test_close_all_clock_set_back(void **state)
{
	struct fix *fix = *state;
	const char *secret;

	fix_set_time(FIX_START + FIX_DAY);
	secret = sign_in(fix, ALICE);
	fix_set_time(FIX_START);
	FIX_OK(fix, registry_close_sessions(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	assert_null(registry_session(fix->registry, secret));
	assert_non_null(registry_session(fix->registry, sign_in(fix, ALICE)));
}

static void test_session_limit(void **state)
{
	struct fix *fix = *state;
	char first[64], second[64];

	strcpy(first, sign_in(fix, ALICE));
	fix_set_time(fix_time() + 1);
	strcpy(second, sign_in(fix, ALICE));
	for (unsigned i = 2; i < REGISTRY_MAX_SESSIONS_EACH; i++) {
		fix_set_time(fix_time() + 1);
		sign_in(fix, ALICE);
	}
	assert_non_null(registry_session(fix->registry, first));
	sign_in(fix, BOB);
	assert_non_null(registry_session(fix->registry, first));
	fix_set_time(fix_time() + 1);
	sign_in(fix, ALICE);
	assert_null(registry_session(fix->registry, first));
	assert_non_null(registry_session(fix->registry, second));
	assert_int_equal(registry_n_websessions(fix->registry), REGISTRY_MAX_SESSIONS_EACH + 1);
}

/* Another one by the same login is not signed in. */
static void test_session_of_another(void **state)
{
	static const struct registry_user_patch nothing;
	struct fix *fix = *state;
	const char *secret = sign_in(fix, ALICE);

	FIX_OK(fix, registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	assert_null(registry_session(fix->registry, secret));
	fix_set_time(fix_time() + 1);
	FIX_OK(fix, registry_add_user(fix->registry, &fix_root, ALICE, &nothing, FIX_DONE(fix)));
	assert_null(registry_session(fix->registry, secret));
}

/* ---- passwords ---- */

static void test_password(void **state)
{
	struct fix *fix = *state;
	const char *secret = sign_in(fix, ALICE);

	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "this is for " ALICE,
		    registry_set_password(fix->registry, &bob, ALICE, HASH, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no hash of a password",
		    registry_set_password(fix->registry, &alice, ALICE, "secret", FIX_DONE(fix)));
	FIX_OK(fix, registry_set_password(fix->registry, &alice, ALICE, HASH, FIX_DONE(fix)));
	assert_string_equal(user_of(fix, ALICE)->password, HASH);
	assert_int_equal(user_of(fix, ALICE)->password_set, FIX_START);
	assert_string_equal(fix_last_event(fix), ALICE " user.set-password " ALICE " ok: -");
	assert_null(registry_session(fix->registry, secret));
	FIX_OK(fix, registry_set_password(fix->registry, &fix_root, ALICE, NULL, FIX_DONE(fix)));
	assert_null(user_of(fix, ALICE)->password);
}

static void test_totp(void **state)
{
	struct fix *fix = *state;

	FIX_REFUSED(fix, REGISTRY_CONFLICT, "has been used",
		    registry_used_totp(fix->registry, &fix_root, ALICE, 5, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no secret for codes",
		    registry_set_totp(fix->registry, &alice, ALICE, "A", 4, FIX_DONE(fix)));
	FIX_OK(fix, registry_set_totp(fix->registry, &alice, ALICE, TOTP, 4, FIX_DONE(fix)));
	assert_string_equal(user_of(fix, ALICE)->totp, TOTP);
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "has been used",
		    registry_used_totp(fix->registry, &fix_root, ALICE, 4, FIX_DONE(fix)));
	FIX_OK(fix, registry_used_totp(fix->registry, &fix_root, ALICE, 5, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "has been used",
		    registry_used_totp(fix->registry, &fix_root, ALICE, 5, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "this is for " ALICE,
		    registry_set_totp(fix->registry, &bob, ALICE, NULL, 0, FIX_DONE(fix)));
	FIX_OK(fix, registry_set_totp(fix->registry, &fix_root, ALICE, NULL, 0, FIX_DONE(fix)));
	assert_null(user_of(fix, ALICE)->totp);
	assert_int_equal(user_of(fix, ALICE)->totp_step, 0);
	assert_string_equal(fix_last_event(fix),
			    "root user.set-totp " ALICE " ok: none from now on");
}

/* ---- links ---- */

static const char *make_link(struct fix *fix, const char *login)
{
	static char secrets[4][64];
	static unsigned n;

	FIX_OK(fix, registry_create_pwlink(fix->registry, &fix_root, login, FIX_DONE(fix)));
	assert_string_equal(fix->result.id, login);
	n = (n + 1) % ARRAY_SIZE(secrets);
	return strcpy(secrets[n], fix->result.secret);
}

static void test_link(void **state)
{
	static const struct registry_actor web = { .who = "web" };
	struct fix *fix = *state;
	const char *secret = make_link(fix, ALICE), *session = sign_in(fix, ALICE);
	const struct pwlink_record *link = registry_pwlink(fix->registry, secret);
	_cleanup_free_ char *dump = fix_dump(fix->store);

	assert_non_null(link);
	assert_string_equal(link->user, ALICE);
	assert_string_equal(link->created_by, "root");
	assert_int_equal(link->expires, FIX_START + FIX_DAY);
	assert_null(strstr(dump, secret));
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "is no hash of a password",
		    registry_use_pwlink(fix->registry, &web, secret, "x", FIX_DONE(fix)));
	FIX_OK(fix, registry_use_pwlink(fix->registry, &web, secret, HASH, FIX_DONE(fix)));
	assert_string_equal(fix->result.id, ALICE);
	assert_string_equal(user_of(fix, ALICE)->password, HASH);
	assert_string_equal(fix_last_event(fix), "web user.set-password " ALICE " ok: by a link");
	assert_null(registry_session(fix->registry, session));
	assert_int_equal(registry_n_pwlinks(fix->registry), 0);
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "this link has been used",
		    registry_use_pwlink(fix->registry, &web, secret, HASH, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "this link has been used",
		    registry_use_pwlink(fix->registry, &web, "", HASH, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no such user",
		    registry_create_pwlink(fix->registry, &fix_root, "x@x", FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators",
		    registry_create_pwlink(fix->registry, &alice, ALICE, FIX_DONE(fix)));
}

static void test_link_is_void(void **state)
{
	struct fix *fix = *state;
	const char *old = make_link(fix, ALICE), *other = make_link(fix, BOB);
	const char *new = make_link(fix, ALICE);

	assert_null(registry_pwlink(fix->registry, old));
	assert_non_null(registry_pwlink(fix->registry, new));
	FIX_OK(fix, registry_set_password(fix->registry, &fix_root, ALICE, HASH, FIX_DONE(fix)));
	assert_null(registry_pwlink(fix->registry, new));
	new = make_link(fix, ALICE);
	assert_non_null(registry_pwlink(fix->registry, new));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	assert_null(registry_pwlink(fix->registry, new));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    registry_create_pwlink(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	fix_pass(fix, FIX_DAY - 1);
	assert_non_null(registry_pwlink(fix->registry, other));
	fix_set_time(FIX_START + FIX_DAY);
	assert_null(registry_pwlink(fix->registry, other));
	fix_pass(fix, 0);
	assert_int_equal(registry_n_pwlinks(fix->registry), 0);
}

/* One that was left in the store. */
static void test_link_before_the_password(void **state)
{
	struct fix *fix = *state;
	const char *secret = make_link(fix, ALICE);
	char user[96];

	snprintf(user, sizeof(user), "{\"created\":1,\"password_set\":%llu}",
		 (unsigned long long)FIX_START);
	fix_put(fix->store, "users/" ALICE, user);
	fix_run(fix);
	assert_null(registry_pwlink(fix->registry, secret));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "has been used",
		    registry_use_pwlink(fix->registry, &fix_root, secret, HASH, FIX_DONE(fix)));
}

/* ---- suspending ---- */

static void test_suspend(void **state)
{
	struct fix *fix = *state;
	const char *node = fix_node(fix, 1), *session = sign_in(fix, ALICE);
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	const char *theirs = sign_in(fix, BOB);
	uint64_t never = RECORD_NEVER;
	char id[16];

	snprintf(id, sizeof(id), "%.13s", key + strlen("pgauth."));
	fix->seen[0] = '\0';
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	assert_string_equal(fix->result.id, ALICE);
	/* All of it at once. */
	assert_int_equal(registry_revision(fix->registry), fix->result.revision);
	assert_non_null(strstr(fix->seen, "node= "));
	assert_string_equal(registry_node(fix->registry, node)->expired_by, "suspension");
	assert_int_equal(registry_authkey(fix->registry, id)->revoked, FIX_START);
	assert_null(registry_session(fix->registry, session));
	assert_non_null(registry_session(fix->registry, theirs));
	assert_false(registry_user_is_active(fix->registry, ALICE));
	assert_true(registry_user_is_active(fix->registry, BOB));
	/* Again: nothing. */
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));

	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "the auth key was revoked",
		    fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "may not do anything here",
		    registry_expire_node(fix->registry, &alice, node, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "for operators",
		    registry_suspend_user(fix->registry, &bob, BOB, true, FIX_DONE(fix)));

	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, false, FIX_DONE(fix)));
	assert_string_equal(fix_last_event(fix), "root user.resume " ALICE " ok: -");
	assert_true(registry_user_is_active(fix->registry, ALICE));
	assert_null(registry_session(fix->registry, session));
	assert_string_equal(registry_node(fix->registry, node)->expired_by, "suspension");
	/* Only a login on the host makes a key that is good. */
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "suspension ended it",
		    registry_patch_node(fix->registry, &fix_root, node,
					&(struct registry_node_patch){ .key_expiry = &never },
					FIX_DONE(fix)));
}

/* A key that had run out before is not let back in, either. */
static void test_suspend_after_expiry(void **state)
{
	struct fix *fix = *state;
	const char *node = fix_node(fix, 1);
	uint64_t never = RECORD_NEVER;
	const struct registry_node_patch patch = { .key_expiry = &never };

	fix_pass(fix, 181 * FIX_DAY);
	assert_string_equal(registry_node(fix->registry, node)->expired_by, "time");
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    registry_patch_node(fix->registry, &fix_root, node, &patch, FIX_DONE(fix)));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, false, FIX_DONE(fix)));
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, node, &patch, FIX_DONE(fix)));
	assert_null(registry_node(fix->registry, node)->expired_by);
}

/* By every way in. */
static void test_suspended_comes(void **state)
{
	struct fix *fix = *state;
	const char *node = fix_node(fix, 1);
	const struct registry_authkey_request request = { .user = ALICE };
	char code[16];

	FIX_OK(fix, come(fix, &(struct claim){ .subject = "1", .email = ALICE }));
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 3, .from = "192.0.2.1" }));
	strcpy(code, fix->result.code_text);
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    registry_approve(fix->registry, &fix_root, code, ALICE, NULL, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "may not do anything here",
		    registry_approve(fix->registry, &alice, code, NULL, NULL, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    come(fix, &(struct claim){ .subject = "1", .email = ALICE }));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, BOB, true, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    come(fix, &(struct claim){ .subject = "2", .email = BOB }));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is suspended",
		    registry_patch_node(fix->registry, &fix_root, node,
					&(struct registry_node_patch){ .user = BOB },
					FIX_DONE(fix)));
}

/* More than one transaction holds: the reaper does the rest, with the same effect. */
static void test_suspend_many(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);

	for (unsigned i = 1; i <= 100; i++)
		FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = i, .auth_key = key }));
	for (unsigned i = 0; i < 100; i++)
		fix_authkey(fix, ALICE, NULL, false, false);
	fix_authkey(fix, BOB, NULL, false, false);
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	fix_pass(fix, 0);
	for (size_t i = 0; i < registry_n_nodes(fix->registry); i++)
		assert_string_equal(registry_node_at(fix->registry, i)->expired_by, "suspension");
	for (size_t i = 0; i < registry_n_authkeys(fix->registry); i++) {
		const struct authkey_record *authkey = registry_authkey_at(fix->registry, i);

		assert_int_equal(!authkey->revoked, strcmp(authkey->user, BOB) == 0);
	}
}

/* An entry that only says it: also what a restart left undone is done. */
static void test_suspended_in_store(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	const char *node = fix_node(fix, 1);

	fix_put(fix->store, "users/" ALICE, "{\"created\":1,\"suspended\":2}");
	/* Before it comes to that, her keys are of no use either. */
	FIX_REFUSED(fix, REGISTRY_BAD_AUTH_KEY, "is of a user who is suspended",
		    fix_enrol(fix, &(struct fix_machine){ .number = 2, .auth_key = key }));
	fix_pass(fix, 0);
	assert_string_equal(registry_node(fix->registry, node)->expired_by, "suspension");
}

/* Keys for tags that somebody made are known to them. */
static void test_suspend_tagged_key(void **state)
{
	static const char policy[] = "{\"tagOwners\": {\"tag:web\": [\"" ALICE "\"]}}";
	struct fix *fix = *state;
	char *tags[] = { (char *)"tag:web" };
	const struct registry_authkey_request request = { .tags = { tags, 1 } };

	fix_set_policy(fix, policy);
	FIX_OK(fix, registry_create_authkey(fix->registry, &alice, &request, FIX_DONE(fix)));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	assert_int_equal(registry_authkey_at(fix->registry, 0)->revoked, FIX_START);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_bind),
		CASE(test_create),
		CASE(test_groups_change),
		CASE(test_too_many_groups),
		CASE(test_identity_is_free),
		CASE(test_session),
		CASE(test_session_refused),
		CASE(test_close),
		CASE(test_close_all_clock_set_back),
		CASE(test_session_limit),
		CASE(test_session_of_another),
		CASE(test_password),
		CASE(test_totp),
		CASE(test_link),
		CASE(test_link_is_void),
		CASE(test_link_before_the_password),
		CASE(test_suspend),
		CASE(test_suspend_after_expiry),
		CASE(test_suspended_comes),
		CASE(test_suspend_many),
		CASE(test_suspended_in_store),
		CASE(test_suspend_tagged_key),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
