/* Who has left their provider: what is kept of its tokens, what follows, and the way back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/registry/accounts.h"
#include "coord/registry/renewal.h"
#include "tests/unit/registry-fixture.h"

#define ALICE  "alice@example.com"
#define ISSUER "https://idp.example"

static const struct registry_actor coordinator = { .who = "coordinator" };

static void come(struct fix *fix, const char *issuer)
{
	const struct registry_identity identity = { .issuer = issuer,
						    .subject = "1",
						    .email = ALICE };

	registry_sign_in_identity(fix->registry, &coordinator, &identity, false, FIX_DONE(fix));
}

static void keep(struct fix *fix, const char *sealed)
{
	const struct registry_renewal renewal = { ISSUER, "1", "corp", sealed };

	registry_keep_renewal(fix->registry, &coordinator, &renewal, FIX_DONE(fix));
}

static const struct renewal_record *kept(struct fix *fix)
{
	return registry_renewal_of(fix->registry, ISSUER, "1");
}

/* The id outlives the record: it stays the same. */
static struct registry_renewal_at at(struct fix *fix)
{
	static char id[64];

	assert_non_null(kept(fix));
	snprintf(id, sizeof(id), "%s", kept(fix)->head.id);
	return (struct registry_renewal_at){ id, kept(fix)->head.revision };
}

static void gone(struct fix *fix)
{
	const struct registry_renewal_at now = at(fix);

	registry_renewal_gone(fix->registry, &coordinator, &now, "refused", FIX_DONE(fix));
}

static void sign_in(struct fix *fix)
{
	FIX_OK(fix, come(fix, ISSUER));
	FIX_OK(fix, keep(fix, "first"));
}

static void test_kept(void **state)
{
	struct fix *fix = *state;
	struct registry_renewal_at first;

	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "nobody", keep(fix, "first"));
	sign_in(fix);
	first = at(fix);
	assert_string_equal(kept(fix)->user, ALICE);
	assert_true(registry_renewal_is_live(fix->registry, kept(fix)));
	fix_pass(fix, FIX_HOUR);
	FIX_OK(fix,
	       registry_confirm_renewal(fix->registry, &coordinator, &first, NULL, FIX_DONE(fix)));
	assert_int_equal(kept(fix)->confirmed, fix_time());
	assert_string_equal(kept(fix)->sealed, "first");
	assert_false(kept(fix)->changes);
	/* What is answered about one that was replaced meanwhile is about that one. */
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "signed in meanwhile",
		    registry_confirm_renewal(fix->registry, &coordinator, &first, "old",
					     FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_CONFLICT, "signed in meanwhile",
		    registry_renewal_gone(fix->registry, &coordinator, &first, "refused",
					  FIX_DONE(fix)));
	assert_true(registry_user_is_active(fix->registry, ALICE));
	first = at(fix);
	FIX_OK(fix, registry_confirm_renewal(fix->registry, &coordinator, &first, "second",
					     FIX_DONE(fix)));
	assert_string_equal(kept(fix)->sealed, "second");
	assert_true(kept(fix)->changes);
	FIX_OK(fix, keep(fix, "third"));
	assert_string_equal(kept(fix)->sealed, "third");
	assert_int_equal(registry_n_renewals(fix->registry), 1);
}

static void test_gone(void **state)
{
	struct fix *fix = *state;
	const char *node = fix_node(fix, 1);
	const struct registry_session_request browser = { .user = ALICE, .method = "oidc:corp" };
	char secret[sizeof(fix->result.secret)];
	const struct user_record *user;

	sign_in(fix);
	FIX_OK(fix, registry_open_session(fix->registry, &fix_root, &browser, FIX_DONE(fix)));
	memcpy(secret, fix->result.secret, sizeof(secret));
	assert_non_null(registry_session(fix->registry, secret));
	FIX_OK(fix, gone(fix));
	user = registry_user(fix->registry, ALICE);
	assert_int_equal(user->suspended, fix_time());
	assert_string_equal(user->gone_from, ISSUER);
	assert_string_equal(registry_node(fix->registry, node)->expired_by, "suspension");
	assert_null(registry_session(fix->registry, secret));
	assert_null(kept(fix));
	/* A password of theirs does not help: the account is what is gone. */
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "suspended",
		    registry_open_session(fix->registry, &fix_root, &browser, FIX_DONE(fix)));
}

static void test_back(void **state)
{
	struct fix *fix = *state;
	const char *node = fix_node(fix, 1);

	sign_in(fix);
	FIX_OK(fix, gone(fix));
	fix_pass(fix, FIX_HOUR);
	FIX_OK(fix, come(fix, ISSUER));
	assert_string_equal(fix_last_event(fix), "coordinator user.back " ALICE " ok: " ISSUER);
	assert_true(registry_user_is_active(fix->registry, ALICE));
	assert_null(registry_user(fix->registry, ALICE)->gone_from);
	/* Hosts are to be logged in again. */
	assert_non_null(registry_node(fix->registry, node)->expired_by);
	FIX_OK(fix, keep(fix, "second"));
	assert_true(registry_renewal_is_live(fix->registry, kept(fix)));
}

static void test_resumed_by_operator(void **state)
{
	struct fix *fix = *state;

	sign_in(fix);
	FIX_OK(fix, gone(fix));
	assert_string_equal(fix_last_event(fix),
			    "coordinator user.gone " ALICE " ok: oidc:corp: refused");
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, false, FIX_DONE(fix)));
	assert_true(registry_user_is_active(fix->registry, ALICE));
	assert_null(registry_user(fix->registry, ALICE)->gone_from);
}

/* What the provider says does not outweigh an operator. */
static void test_suspended_as_well(void **state)
{
	struct fix *fix = *state;

	sign_in(fix);
	FIX_OK(fix, gone(fix));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "suspended", come(fix, ISSUER));
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, false, FIX_DONE(fix)));
	sign_in(fix);
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	assert_false(registry_renewal_is_live(fix->registry, kept(fix)));
	FIX_OK(fix, gone(fix));
	assert_null(kept(fix));
	assert_null(registry_user(fix->registry, ALICE)->gone_from);
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "suspended", come(fix, ISSUER));
}

static void test_signed_out_everywhere(void **state)
{
	struct fix *fix = *state;
	struct registry_renewal_at now;

	sign_in(fix);
	FIX_OK(fix, registry_close_sessions(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	/* Their hosts are here still: that they leave is to be noticed. */
	assert_true(registry_renewal_is_live(fix->registry, kept(fix)));
	FIX_OK(fix, gone(fix));
	assert_false(registry_user_is_active(fix->registry, ALICE));
	assert_null(kept(fix));
	sign_in(fix);
	assert_true(registry_renewal_is_live(fix->registry, kept(fix)));
	now = at(fix);
	FIX_OK(fix, registry_drop_renewal(fix->registry, &coordinator, &now, "cannot be read",
					  FIX_DONE(fix)));
	assert_string_equal(fix_last_event(fix), "coordinator user.renewal-lost " ALICE
						 " ok: oidc:corp: cannot be read");
}

static void test_user_deleted(void **state)
{
	struct fix *fix = *state;

	sign_in(fix);
	FIX_OK(fix, registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix)));
	assert_false(registry_renewal_is_live(fix->registry, kept(fix)));
	FIX_OK(fix, gone(fix));
	assert_null(kept(fix));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_gone, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_back, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_resumed_by_operator, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_suspended_as_well, fix_setup, fix_teardown),
		cmocka_unit_test_setup_teardown(test_signed_out_everywhere, fix_setup,
						fix_teardown),
		cmocka_unit_test_setup_teardown(test_user_deleted, fix_setup, fix_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
