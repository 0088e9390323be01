/* oidc.d/NAME.conf: what it says, what is wrong with it, and who may sign in by it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/server/provider_config.h"

#define NEEDED "Issuer=https://id.example\nClientId=c\nClientSecretFile=/etc/peergate/s\n"

#define MAPPED NEEDED "GroupsClaim=groups\n"

static struct provider_config *parse(const char *text)
{
	_cleanup_free_ char *error = NULL;
	struct provider_config *config = NULL;

	if (provider_config_parse(text, strlen(text), "corp.conf", "corp", &error, &config) < 0)
		fail_msg("%s", error);
	return config;
}

static void test_defaults(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config = parse(NEEDED);

	assert_string_equal(config->name, "corp");
	assert_string_equal(config->title, "corp");
	assert_string_equal(config->scopes, "openid email profile");
	assert_int_equal(config->alg, JWS_RS256);
	assert_int_equal(config->reauth, OIDC_REAUTH_MAX_AGE);
	assert_false(config->may_create);
	assert_false(config->trust_email);
	assert_int_equal(config->offline, OIDC_OFFLINE_NO);
	assert_int_equal(config->refresh_every_usec, UINT64_C(3600) * 1000000);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *text, *says;
	} cases[] = {
		{ "corp", "Issuer=https://id.example\n", "have to be there" },
		{ "corp", "Issuer=http://id.example\n", "corp.conf:1: Issuer: " },
		{ "corp", NEEDED "Scopes=email\n", "corp.conf:4: Scopes: " },
		{ "corp", NEEDED "SigningAlgorithm=none\n", "expected RS256 or ES256" },
		{ "corp", NEEDED "Reauth=never\n", "expected max-age, prompt-only or none" },
		{ "corp", NEEDED "RefreshTokens=yes\n", "offline-access, access-type or plain" },
		{ "corp", NEEDED "RefreshEvery=0\n", "a time from 1s to 7d" },
		{ "corp", NEEDED "ClientSecret=x\n", "ClientSecret: unknown key" },
		{ "corp", NEEDED "AllowedGroups=ops\n", "needs GroupsClaim=" },
		{ "corp", NEEDED "Group=group:eng eng\n", "Group= needs GroupsClaim=" },
		{ "corp", MAPPED "Group=group:eng\n",
		  "corp.conf:5: Group: \"group:eng\" does not fit; expected a group of the policy "
		  "and what the claim has for it, such as group:engineering engineering-team" },
		{ "corp", MAPPED "Group=eng team\n", "corp.conf:5: Group: \"eng team\" does not" },
		{ "corp", MAPPED "Group=group: team\n", "corp.conf:5: Group: " },
		{ "corp", MAPPED "Group=\n", "corp.conf:5: Group: " },
		{ "corp", MAPPED "Group=group:a a\nGroup=group:a \x01\n", "corp.conf:6: Group: " },
		{ "corp", MAPPED "Group=group:a \x80\n", "corp.conf:5: Group: " },
		{ "corp", MAPPED "GroupsClaim=other\n", "GroupsClaim: is set in line 4 already" },
		{ "Corp", NEEDED, "the file's name" },
		{ "a/../b", NEEDED, "the file's name" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *error = NULL;
		struct provider_config *config = NULL;

		assert_int_equal(provider_config_parse(cases[i].text, strlen(cases[i].text),
						       "corp.conf", cases[i].name, &error, &config),
				 -EINVAL);
		if (!strstr(error, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, error);
	}
}

static void test_domains(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(NEEDED "AllowedDomains=example.com example.org\n");
	struct oidc_identity person = { .email = (char *)"alice@Example.COM",
					.email_verified = true,
					.has_email_verified = true };

	assert_null(provider_admits(config, &person));
	person.email = (char *)"alice@sub.example.com";
	assert_non_null(provider_admits(config, &person));
	person.email = (char *)"alice@example.com@evil.example";
	assert_non_null(provider_admits(config, &person));
	person.email = (char *)"alice@example.com";
	person.email_verified = false;
	assert_non_null(provider_admits(config, &person));
	person.email = NULL;
	assert_non_null(provider_admits(config, &person));
}

static void test_groups(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(NEEDED "GroupsClaim=groups\nAllowedGroups=ops admins\n");
	char *groups[] = { (char *)"everyone", (char *)"admins" };
	struct oidc_identity person = { .groups = groups, .n_groups = 2 };

	assert_null(provider_admits(config, &person));
	person.n_groups = 1;
	assert_non_null(provider_admits(config, &person));
	person.n_groups = 0;
	assert_non_null(provider_admits(config, &person));
}

static void test_mapped(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(MAPPED "Group=group:eng Engineering  Team \n"
			     "Group = group:eng\t9f2c1e0a-1111-2222-3333-444455556666\n"
			     "Group=group:ops a=b\n");
	static const struct provider_group groups[] = {
		{ (char *)"group:eng", (char *)"Engineering  Team" },
		{ (char *)"group:eng", (char *)"9f2c1e0a-1111-2222-3333-444455556666" },
		{ (char *)"group:ops", (char *)"a=b" },
	};

	assert_int_equal(config->mapped.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(config->mapped.items[i].group, groups[i].group);
		assert_string_equal(config->mapped.items[i].value, groups[i].value);
	}
}

/* n lines; and whether the last value is longer than any that a provider may say. */
static int parse_many(unsigned n, size_t value_len, char **reterr_text)
{
	_cleanup_free_ char *text = strdup(MAPPED), *value = calloc(1, value_len + 1);
	_cleanup_(provider_config_freep) struct provider_config *config = NULL;

	memset(value, 'v', value_len);
	for (unsigned i = 0; i < n; i++) {
		char *longer = text_printf("%sGroup=group:g %s\n", text, value);

		free(text);
		text = longer;
	}
	return provider_config_parse(text, strlen(text), "corp.conf", "corp", reterr_text, &config);
}

static void test_mapped_bounds(void **state)
{
	_cleanup_free_ char *many = NULL, *value = NULL, *none = NULL;

	assert_int_equal(parse_many(256, 1, &none), 0);
	assert_int_equal(parse_many(257, 1, &many), -EINVAL);
	assert_string_equal(many, "corp.conf: there are more than 256 lines Group=");
	assert_int_equal(parse_many(1, OIDC_MAX_TEXT, &none), 0);
	assert_int_equal(parse_many(1, OIDC_MAX_TEXT + 1, &value), -EINVAL);
	assert_non_null(strstr(value, "corp.conf:5: Group: "));
}

static void test_refresh_tokens(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(NEEDED "RefreshTokens=offline-access\nRefreshEvery=90s\n");

	assert_int_equal(config->offline, OIDC_OFFLINE_SCOPE);
	assert_int_equal(config->refresh_every_usec, 90 * UINT64_C(1000000));
}

/* An answer that says less than that of a sign-in locks nobody out; one that says no does. */
static void test_still_admitted(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(NEEDED "GroupsClaim=groups\nAllowedGroups=ops\nAllowedDomains=example.com\n");
	char *groups[] = { (char *)"ops" };
	struct oidc_identity person = { .subject = (char *)"1" };

	assert_null(provider_still_admits(config, &person));
	person.email = (char *)"alice@example.org";
	assert_null(provider_still_admits(config, &person));
	person.has_email_verified = person.email_verified = true;
	assert_non_null(strstr(provider_still_admits(config, &person), "address"));
	person.email = (char *)"alice@example.com";
	assert_null(provider_still_admits(config, &person));
	person.has_groups = true;
	assert_non_null(strstr(provider_still_admits(config, &person), "groups"));
	person.groups = groups;
	person.n_groups = 1;
	assert_null(provider_still_admits(config, &person));
}

/* Silence may be trusted, where the operator says so; a plain "no" never is. */
static void test_trusted_address(void **state)
{
	_cleanup_(provider_config_freep) struct provider_config *strict = parse(NEEDED);
	_cleanup_(provider_config_freep) struct provider_config *config =
		parse(NEEDED "TrustEmail=yes\n");
	struct oidc_identity person = { .email = (char *)"alice@example.com" };

	assert_null(provider_email(strict, &person));
	assert_string_equal(provider_email(config, &person), "alice@example.com");
	person.has_email_verified = true;
	assert_null(provider_email(config, &person));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_domains),		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_mapped),		cmocka_unit_test(test_mapped_bounds),
		cmocka_unit_test(test_trusted_address), cmocka_unit_test(test_refresh_tokens),
		cmocka_unit_test(test_still_admitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
