/* Who has left their provider: when it is asked, by what, and what its answers come to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "coord/oidc/tokens.h"
#include "coord/registry/accounts.h"
#include "coord/registry/renewal.h"
#include "coord/renewal/renewals.h"
#include "coord/renewal/schedule.h"
#include "tests/unit/registry-fixture.h"

#define ALICE  "alice@example.com"
#define BOB    "bob@example.com"
#define ISSUER "https://idp.example"

/* ---- a provider of words only ---- */

struct asked {
	char token[64], nonce[64], subject[64];
	oidc_tokens_fn on_tokens;
	oidc_refresh_fn done;
	oidc_revoke_fn on_revoked;
	void *userdata;
};
static struct {
	struct asked asked[8];
	unsigned n;
	const char *excluded;
} idp;

static int refresh(void *userdata, const struct oidc_renewal *renewal, oidc_tokens_fn on_tokens,
		   oidc_refresh_fn done, void *done_userdata, struct oidc_call **ret_call)
{
	struct asked *a = &idp.asked[idp.n++];

	assert_true(idp.n <= ARRAY_SIZE(idp.asked));
	*a = (struct asked){ .on_tokens = on_tokens, .done = done, .userdata = done_userdata };
	snprintf(a->token, sizeof(a->token), "%s", renewal->refresh_token);
	snprintf(a->nonce, sizeof(a->nonce), "%s", renewal->nonce);
	snprintf(a->subject, sizeof(a->subject), "%s", renewal->subject);
	*ret_call = NULL;
	return 0;
}

static int give_back(void *userdata, const char *refresh_token, oidc_revoke_fn done,
		     void *done_userdata, struct oidc_call **ret_call)
{
	struct asked *a = &idp.asked[idp.n++];

	assert_true(idp.n <= ARRAY_SIZE(idp.asked));
	*a = (struct asked){ .on_revoked = done, .userdata = done_userdata };
	snprintf(a->token, sizeof(a->token), "%s", refresh_token);
	*ret_call = NULL;
	return 0;
}

static const char *still_admits(void *userdata, const struct oidc_identity *identity)
{
	return idp.excluded;
}

static const struct renewal_provider providers[] = {
	{ "corp", ISSUER, FIX_HOUR, NULL, refresh, give_back, still_admits },
	{ "never", ISSUER "/never", 0, NULL, refresh, give_back, still_admits },
};

/* ---- */

struct test {
	struct fix *fix;
	struct ed25519_key *key;
	struct sealer *sealer;
	struct renewals *renewals;
};

static void complain(const char *text, void *userdata)
{
	assert_null(strstr(text, "token-"));
}

static void start(struct test *t)
{
	const struct renewals_config config = {
		.registry = t->fix->registry,
		.sealer = t->sealer,
		.providers = providers,
		.n_providers = ARRAY_SIZE(providers),
		.problem = complain,
	};

	assert_int_equal(renewals_new(t->fix->event, &config, &t->renewals), 0);
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	void *fix;

	memset(&idp, 0, sizeof(idp));
	if (!t || fix_setup(&fix) < 0)
		return -1;
	t->fix = fix;
	assert_int_equal(ed25519_key_generate(&t->key), 0);
	assert_int_equal(sealer_new(t->key, &t->sealer), 0);
	start(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	void *fix = t->fix;

	renewals_stop(t->renewals);
	renewals_free(t->renewals);
	fix_teardown(&fix);
	sealer_free(t->sealer);
	ed25519_key_free(t->key);
	free(t);
	return 0;
}

/* A sign-in that leaves this token, by alice (subject "1") or bob ("2"). */
static void sign_in(struct test *t, const char *login, const char *token)
{
	const char *subject = strcmp(login, ALICE) == 0 ? "1" : "2";
	const struct registry_identity identity = { .issuer = ISSUER,
						    .subject = subject,
						    .email = login };
	struct registry_renewal renewal = { ISSUER, subject, "corp", NULL };
	char *sealed = NULL;

	FIX_OK(t->fix, registry_sign_in_identity(t->fix->registry, &fix_root, &identity, false,
						 FIX_DONE(t->fix)));
	assert_int_equal(renewal_seal(t->sealer, ISSUER, subject, "nonce", token, &sealed), 0);
	renewal.sealed = sealed;
	FIX_OK(t->fix,
	       registry_keep_renewal(t->fix->registry, &fix_root, &renewal, FIX_DONE(t->fix)));
	free(sealed);
}

/* Time passes, and timers are set anew by it, as after a start. */
static void pass(struct test *t, uint64_t usec)
{
	renewals_stop(t->renewals);
	t->renewals = renewals_free(t->renewals);
	idp.n = 0;
	fix_pass(t->fix, usec);
	start(t);
	for (unsigned i = 0; i < 20 && idp.n == 0; i++)
		sd_event_run(t->fix->event, 10000);
	fix_run(t->fix);
}

static void answer(struct test *t, enum oidc_refresh result, const char *token)
{
	static const struct oidc_identity nobody = { .subject = (char *)"1" };
	struct asked *a = &idp.asked[0];

	assert_int_equal(idp.n, 1);
	assert_non_null(a->done);
	idp.n = 0;
	if (result == OIDC_REFRESHED)
		a->on_tokens(token, a->userdata);
	a->done(result, result == OIDC_REFRESHED ? &nobody : NULL,
		result == OIDC_REFRESHED ? NULL : "so it says", a->userdata);
	fix_run(t->fix);
}

static const struct renewal_record *kept(struct test *t)
{
	return registry_renewal_of(t->fix->registry, ISSUER, "1");
}

static bool is_here(struct test *t)
{
	return registry_user_is_active(t->fix->registry, ALICE);
}

/* ---- tests ---- */

static void test_known_still(void **state)
{
	struct test *t = *state;
	struct renewals_stats stats;

	sign_in(t, ALICE, "token-1");
	assert_int_equal(renewals_notice_usec(t->renewals, ISSUER, "1"), FIX_HOUR);
	assert_int_equal(renewals_notice_usec(t->renewals, ISSUER, "2"), 0);
	pass(t, FIX_HOUR / 2);
	assert_int_equal(idp.n, 0);
	pass(t, FIX_HOUR / 2);
	assert_string_equal(idp.asked[0].token, "token-1");
	assert_string_equal(idp.asked[0].nonce, "nonce");
	assert_string_equal(idp.asked[0].subject, "1");
	answer(t, OIDC_REFRESHED, "token-2");
	assert_int_equal(kept(t)->confirmed, fix_time());
	assert_true(kept(t)->changes);
	/* Not again at once; then with the new token, and the same nonce. */
	pass(t, FIX_HOUR / 2);
	assert_int_equal(idp.n, 0);
	pass(t, FIX_HOUR / 2);
	assert_string_equal(idp.asked[0].token, "token-2");
	assert_string_equal(idp.asked[0].nonce, "nonce");
	answer(t, OIDC_REFRESHED, NULL);
	assert_true(is_here(t));
	renewals_get_stats(t->renewals, &stats);
	assert_int_equal(stats.kept, 1);
	assert_int_equal(stats.failing, 0);
	assert_int_equal(stats.refreshed, 1);
}

static void test_gone(void **state)
{
	struct test *t = *state;
	const char *node = fix_node(t->fix, 1);

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESH_GONE, NULL);
	assert_false(is_here(t));
	assert_non_null(registry_node(t->fix->registry, node)->expired_by);
	assert_null(kept(t));
	assert_int_equal(renewals_notice_usec(t->renewals, ISSUER, "1"), 0);
	/* And back, with a new token. */
	sign_in(t, ALICE, "token-2");
	assert_true(is_here(t));
	pass(t, FIX_HOUR);
	assert_string_equal(idp.asked[0].token, "token-2");
}

static void test_nothing_is_known(void **state)
{
	struct test *t = *state;
	struct renewals_stats stats;

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESH_FAILED, NULL);
	assert_true(is_here(t));
	renewals_get_stats(t->renewals, &stats);
	assert_int_equal(stats.failing, 1);
	assert_non_null(strstr(stats.problem, "so it says"));
	/* It is tried again, and what it says then counts. */
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESH_GONE, NULL);
	assert_false(is_here(t));
}

/* An answer that was lost may have had another token in it: the old one is taken for stolen. */
static void test_lost_answer(void **state)
{
	struct test *t = *state;
	unsigned i;

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESHED, "token-2");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESH_SILENT, NULL);
	/* Within this process: it tries again after some seconds. */
	for (i = 0; i < 2500 && idp.n == 0; i++)
		sd_event_run(t->fix->event, 10000);
	answer(t, OIDC_REFRESH_GONE, NULL);
	assert_true(is_here(t));
	assert_null(kept(t));
	assert_string_equal(
		fix_last_event(t->fix),
		"coordinator user.renewal-lost " ALICE
		" ok: oidc:corp: an answer of the provider was lost, and with it the "
		"token; whether the person leaves is seen again from their next sign-in "
		"on");
}

/* The coordinator ended while it asked: what came of it is not known. */
static void test_ended_while_asking(void **state)
{
	struct test *t = *state;

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESHED, "token-2");
	assert_false(kept(t)->asked);
	pass(t, FIX_HOUR);
	assert_int_equal(idp.n, 1);
	assert_true(kept(t)->asked);
	pass(t, 0);
	assert_string_equal(idp.asked[0].token, "token-2");
	answer(t, OIDC_REFRESH_GONE, NULL);
	assert_true(is_here(t));
	assert_null(kept(t));
}

/* That nothing was lost is known as well: by the provider's own answer. */
static void test_asked_and_answered(void **state)
{
	struct test *t = *state;

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESHED, "token-2");
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESHED, "token-3");
	assert_false(kept(t)->asked);
	pass(t, FIX_HOUR);
	answer(t, OIDC_REFRESH_GONE, NULL);
	assert_false(is_here(t));
}

static void test_not_admitted_any_more(void **state)
{
	struct test *t = *state;

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	idp.excluded = "in none of the groups";
	answer(t, OIDC_REFRESHED, "token-2");
	assert_false(is_here(t));
	assert_string_equal(fix_last_event(t->fix),
			    "coordinator user.gone " ALICE " ok: oidc:corp: in none of the groups");
}

static void test_groups(void **state)
{
	struct test *t = *state;
	char *names[] = { (char *)"ops" };
	const struct oidc_identity identity = {
		.subject = (char *)"1", .groups = names, .n_groups = 1, .has_groups = true
	};
	struct asked *a = &idp.asked[0];

	sign_in(t, ALICE, "token-1");
	pass(t, FIX_HOUR);
	a->on_tokens(NULL, a->userdata);
	a->done(OIDC_REFRESHED, &identity, NULL, a->userdata);
	fix_run(t->fix);
	assert_int_equal(registry_user(t->fix->registry, ALICE)->identities.items[0].groups.n, 1);
	assert_string_equal(fix_last_event(t->fix),
			    "coordinator user.groups " ALICE " ok: as the provider says");
}

/* Who is suspended is not asked about, and the token is given back. */
static void test_given_back(void **state)
{
	struct test *t = *state;

	sign_in(t, ALICE, "token-1");
	FIX_OK(t->fix,
	       registry_suspend_user(t->fix->registry, &fix_root, ALICE, true, FIX_DONE(t->fix)));
	for (unsigned i = 0; i < 100 && idp.n == 0; i++)
		sd_event_run(t->fix->event, 10000);
	assert_int_equal(idp.n, 1);
	assert_non_null(idp.asked[0].on_revoked);
	assert_string_equal(idp.asked[0].token, "token-1");
	assert_non_null(kept(t));
	idp.asked[0].on_revoked(NULL, idp.asked[0].userdata);
	fix_run(t->fix);
	assert_null(kept(t));
}

/* A few at a time; those that are asked about do not keep others from a turn for good. */
static void test_two(void **state)
{
	struct test *t = *state;
	struct asked first;

	sign_in(t, ALICE, "token-1");
	sign_in(t, BOB, "token-9");
	pass(t, FIX_HOUR);
	for (unsigned i = 0; i < 100 && idp.n < 2; i++)
		sd_event_run(t->fix->event, 10000);
	assert_int_equal(idp.n, 2);
	first = idp.asked[0];
	first.done(OIDC_REFRESH_GONE, NULL, "gone", first.userdata);
	fix_run(t->fix);
	assert_int_not_equal(is_here(t), registry_user_is_active(t->fix->registry, BOB));
}

/* By another coordinator's key, or of somebody else. */
static void test_cannot_be_opened(void **state)
{
	struct test *t = *state;
	struct registry_renewal renewal = { ISSUER, "1", "corp", NULL };
	char *sealed = NULL;

	sign_in(t, ALICE, "token-1");
	assert_int_equal(renewal_seal(t->sealer, ISSUER, "2", "nonce", "token-9", &sealed), 0);
	renewal.sealed = sealed;
	FIX_OK(t->fix,
	       registry_keep_renewal(t->fix->registry, &fix_root, &renewal, FIX_DONE(t->fix)));
	free(sealed);
	pass(t, FIX_HOUR);
	assert_int_equal(idp.n, 0);
	assert_null(kept(t));
	assert_true(is_here(t));
}

/* ---- sealing ---- */

static void test_sealing(void **state)
{
	struct test *t = *state;
	struct ed25519_key *other_key;
	struct sealer *other;
	char *sealed, *again, *text = NULL;

	assert_int_equal(sealer_seal(t->sealer, "a", "bc", "secret", &sealed), 0);
	assert_int_equal(sealer_seal(t->sealer, "a", "bc", "secret", &again), 0);
	assert_string_not_equal(sealed, again);
	assert_null(strstr(sealed, "secret"));
	assert_int_equal(sealer_open(t->sealer, "a", "bc", sealed, &text), 0);
	assert_string_equal(text, "secret");
	text = oidc_erase(text);
	assert_int_equal(sealer_open(t->sealer, "ab", "c", sealed, &text), -EBADMSG);
	assert_int_equal(ed25519_key_generate(&other_key), 0);
	assert_int_equal(sealer_new(other_key, &other), 0);
	assert_int_equal(sealer_open(other, "a", "bc", sealed, &text), -EBADMSG);
	for (size_t i = 0; i < strlen(sealed); i++) {
		char was = sealed[i];

		sealed[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(sealer_open(t->sealer, "a", "bc", sealed, &text), -EBADMSG);
		sealed[i] = '\0';
		assert_int_equal(sealer_open(t->sealer, "a", "bc", sealed, &text), -EBADMSG);
		sealed[i] = was;
	}
	assert_int_equal(sealer_open(t->sealer, "a", "bc", "", &text), -EBADMSG);
	assert_null(text);
	sealer_free(other);
	ed25519_key_free(other_key);
	free(sealed);
	free(again);
}

/* ---- when ---- */

static void test_schedule(void **state)
{
	uint64_t hour = FIX_HOUR, shortest = hour, longest = 0;

	for (char c = 'a'; c <= 'z'; c++) {
		const char id[] = { c, '\0' };
		uint64_t wait = renewal_wait(FIX_START, hour, id, FIX_START);

		shortest = wait < shortest ? wait : shortest;
		longest = wait > longest ? wait : longest;
		assert_true(wait <= hour && wait >= hour - hour / 10);
		assert_int_equal(renewal_wait(FIX_START, hour, id, FIX_START + wait), 0);
		assert_int_equal(renewal_wait(FIX_START, hour, id, FIX_START + wait - 1), 1);
		assert_int_equal(renewal_wait(FIX_START, hour, id, 0), wait);
	}
	assert_true(longest - shortest > hour / 20);

	assert_int_equal(renewal_retry(1, hour, 0), 15 * FIX_SEC);
	assert_int_equal(renewal_retry(2, hour, 0), 30 * FIX_SEC);
	assert_int_equal(renewal_retry(1000000, hour, 0), hour);
	assert_int_equal(renewal_retry(1, FIX_SEC, 0), FIX_SEC);
	for (uint64_t random = 0; random < 5000; random += 7) {
		uint64_t wait = renewal_retry(3, hour, random);

		assert_true(wait <= 60 * FIX_SEC && wait > 29 * FIX_SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_while_asking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asked_and_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_admitted_any_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_be_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealing, setup, teardown),
		cmocka_unit_test(test_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
