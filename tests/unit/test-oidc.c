/* What a provider hands out: tokens, keys, descriptions, claims; and what of it is not believed. */
#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base64.h"
#include "common/query.h"
#include "common/text.h"
#include "coord/oidc/claims.h"
#include "coord/oidc/discovery.h"
#include "coord/oidc/jwks.h"
#include "coord/oidc/tokens.h"

#define NOW    (UINT64_C(1800000000) * 1000000)
#define ISSUER "https://id.example/realm"
#define CLIENT "peergate"
#define NONCE  "n-0S6_WzA2Mj"
#define CLAIMS(extra)                                                                      \
	"{\"iss\":\"" ISSUER "\",\"sub\":\"s1\",\"aud\":\"" CLIENT "\",\"nonce\":\"" NONCE \
	"\",\"exp\":1800000300,\"iat\":1799999990" extra "}"

static EVP_PKEY *rsa, *short_rsa, *ec;

static char *encode(const void *data, size_t len)
{
	char *text = malloc(BASE64URL_LEN(len) + 1);

	assert_non_null(text);
	return base64url_encode(data, len, text);
}

/* ---- keys ---- */

static char *number(EVP_PKEY *key, const char *name, size_t len)
{
	BIGNUM *bn = NULL;
	uint8_t bytes[512];

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
	if (len == 0)
		len = (size_t)BN_num_bytes(bn);
	assert_int_equal(BN_bn2binpad(bn, bytes, (int)len), (int)len);
	BN_free(bn);
	return encode(bytes, len);
}

static char *rsa_jwk(EVP_PKEY *key, const char *more)
{
	_cleanup_free_ char *n = number(key, "n", 0), *e = number(key, "e", 0);

	return text_printf("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", n, e, more);
}

static char *ec_jwk(EVP_PKEY *key, const char *more)
{
	_cleanup_free_ char *x = number(key, "qx", 32), *y = number(key, "qy", 32);

	return text_printf("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}", x, y,
			   more);
}

static struct jwks *key_set(const char *a, const char *b)
{
	_cleanup_free_ char *json = text_printf("{\"keys\":[%s%s%s]}", a, b ? "," : "", b ? b : "");
	_cleanup_free_ char *text = NULL;
	struct jwks *jwks = NULL;

	assert_int_equal(jwks_parse(json, strlen(json), &jwks, &text), 0);
	return jwks;
}

static void refuse_keys(const char *json, const char *says)
{
	_cleanup_free_ char *text = NULL;
	struct jwks *jwks = NULL;

	assert_int_equal(jwks_parse(json, strlen(json), &jwks, &text), -EINVAL);
	assert_null(jwks);
	if (!strstr(text, says))
		fail_msg("\"%s\" is not in: %s", says, text);
}

/* ---- tokens ---- */

/* R and S in a row, as a JWS has them. */
static char *sign_ec(const uint8_t *der, size_t len)
{
	const uint8_t *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	uint8_t raw[64];

	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32), 32);
	ECDSA_SIG_free(sig);
	return encode(raw, sizeof(raw));
}

static char *sign(EVP_PKEY *key, const char *header, const char *payload)
{
	_cleanup_free_ char *h = encode(header, strlen(header)),
			    *p = encode(payload, strlen(payload));
	_cleanup_free_ char *text = text_printf("%s.%s", h, p), *s = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[1024];
	size_t len = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	s = key == ec ? sign_ec(sig, len) : encode(sig, len);
	return text_printf("%s.%s", text, s);
}

/* Return: jwks_verify()'s. says: what the refusal has to name. */
static int verify(const struct jwks *jwks, enum jws_alg alg, const char *token, const char *says)
{
	_cleanup_free_ char *text = NULL;
	struct jws jws;
	int r;

	assert_int_equal(jws_parse(token, strlen(token), &jws, &text), 0);
	r = jwks_verify(jwks, alg, &jws, &text);
	jws_done(&jws);
	if (says && (!text || !strstr(text, says)))
		fail_msg("\"%s\" is not in: %s", says, text ? text : "(nothing)");
	return r;
}

static void test_signatures(void **state)
{
	_cleanup_free_ char *a = rsa_jwk(rsa, ",\"kid\":\"a\",\"use\":\"sig\""),
			    *b = ec_jwk(ec, ",\"kid\":\"b\"");
	_cleanup_(jwks_freep) struct jwks *jwks = key_set(a, b);
	_cleanup_free_ char *by_rsa = sign(rsa, "{\"alg\":\"RS256\",\"kid\":\"a\"}", "{}");
	_cleanup_free_ char *by_ec = sign(ec, "{\"alg\":\"ES256\",\"kid\":\"b\"}", "{}");
	_cleanup_free_ char *unnamed = sign(ec, "{\"alg\":\"ES256\"}", "{}");
	_cleanup_free_ char *other = sign(rsa, "{\"alg\":\"RS256\",\"kid\":\"c\"}", "{}");

	assert_int_equal(verify(jwks, JWS_RS256, by_rsa, NULL), 0);
	assert_int_equal(verify(jwks, JWS_ES256, by_ec, NULL), 0);
	assert_int_equal(verify(jwks, JWS_ES256, unnamed, NULL), 0);
	assert_int_equal(verify(jwks, JWS_RS256, other, "does not have"), JWKS_NO_KEY);
	/* We choose how it is signed, not the token. */
	assert_int_equal(verify(jwks, JWS_ES256, by_rsa, "ES256 was agreed"), -EBADMSG);
}

static void test_tampered_tokens(void **state)
{
	_cleanup_free_ char *a = rsa_jwk(rsa, ""), *b = ec_jwk(ec, "");
	_cleanup_(jwks_freep) struct jwks *jwks = key_set(a, b);
	_cleanup_free_ char *by_rsa = sign(rsa, "{\"alg\":\"RS256\"}", "{\"sub\":\"alice\"}");
	_cleanup_free_ char *by_ec = sign(ec, "{\"alg\":\"ES256\"}", "{\"sub\":\"alice\"}");

	/* Every character of it counts; the dots and the last of a part are other tests' business.
	 */
	for (size_t i = strcspn(by_rsa, ".") + 1; i + 1 < strlen(by_rsa); i += 7) {
		char was = by_rsa[i];

		if (was == '.' || by_rsa[i + 1] == '.')
			continue;
		by_rsa[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(verify(jwks, JWS_RS256, by_rsa, "signature is wrong"), -EBADMSG);
		by_rsa[i] = was;
	}
	assert_int_equal(verify(jwks, JWS_RS256, by_rsa, NULL), 0);
	by_ec[strlen(by_ec) - 10] = by_ec[strlen(by_ec) - 10] == 'A' ? 'B' : 'A';
	assert_int_equal(verify(jwks, JWS_ES256, by_ec, "signature is wrong"), -EBADMSG);
}

static void test_algorithms_that_are_none(void **state)
{
	static const char *const headers[] = { "{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}",
					       "{\"alg\":\"rs256\"}", "{\"alg\":\"RS384\"}",
					       "{\"alg\":\"\"}" };
	_cleanup_free_ char *a = rsa_jwk(rsa, "");
	_cleanup_(jwks_freep) struct jwks *jwks = key_set(a, NULL);
	enum jws_alg alg;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		_cleanup_free_ char *token = sign(rsa, headers[i], "{}");

		assert_int_equal(verify(jwks, JWS_RS256, token, "RS256 was agreed"), -EBADMSG);
	}
	assert_int_equal(jws_alg_parse("none", &alg), -EINVAL);
	assert_int_equal(jws_alg_parse("HS256", &alg), -EINVAL);
}

static void test_tokens_that_are_none(void **state)
{
	static const struct {
		const char *token, *says;
	} cases[] = {
		{ "", "three parts" },
		{ "e30.e30", "three parts" },
		{ "e30.e30.e30.e30", "three parts" },
		{ "e30.e30.e30", "alg" },			      /* {} */
		{ "W10.e30.e30", "token's header" },		      /* [] */
		{ "eyJhbGciOjF9.e30.e30", "alg" },		      /* {"alg":1} */
		{ "eyJhbGciOiJSUzI1NiJ9.e3=.e30", "base64url" },      /* with padding */
		{ "eyJhbGciOiJSUzI1NiJ9.e30.e", "base64url" },	      /* a character too many */
		{ "eyJhbGciOiJSUzI1NiJ9.e31.e30", "base64url" },      /* stray bits */
		{ "eyJhbGciOiJhIiwiYWxnIjoiYiJ9.e30.e30", "header" }, /* alg twice */
		/* {"alg":"RS256","crit":["exp"]} */
		{ "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsiZXhwIl19.e30.e30", "crit" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *text = NULL;
		struct jws jws;

		assert_int_equal(jws_parse(cases[i].token, strlen(cases[i].token), &jws, &text),
				 -EINVAL);
		if (!strstr(text, cases[i].says))
			fail_msg("%s: \"%s\" is not in: %s", cases[i].token, cases[i].says, text);
	}
}

static void test_keys_that_are_none_for_us(void **state)
{
	_cleanup_free_ char *good = rsa_jwk(rsa, ",\"kid\":\"a\"");
	_cleanup_free_ char *shorter = rsa_jwk(short_rsa, ",\"kid\":\"b\"");
	_cleanup_free_ char *for_secrets = rsa_jwk(rsa, ",\"kid\":\"c\",\"use\":\"enc\"");
	_cleanup_free_ char *other_alg = rsa_jwk(rsa, ",\"kid\":\"d\",\"alg\":\"RS512\"");
	_cleanup_free_ char *all =
		text_printf("{\"keys\":[%s,%s,%s,1,{},{\"kty\":\"oct\",\"k\":\"AAAA\"},"
			    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
			    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
			    "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
			    shorter, for_secrets, other_alg);
	_cleanup_(jwks_freep) struct jwks *jwks = key_set(shorter, good);
	_cleanup_free_ char *by_short = sign(short_rsa, "{\"alg\":\"RS256\",\"kid\":\"b\"}", "{}");
	_cleanup_free_ char *unnamed = sign(rsa, "{\"alg\":\"RS256\"}", "{}");
	_cleanup_(jwks_freep) struct jwks *twice = key_set(good, good);

	refuse_keys(all, "none is for signatures");
	refuse_keys("[]", "expected an object");
	refuse_keys("{\"keys\":{}}", "array");
	refuse_keys("{", "keys: line 1");
	assert_int_equal(verify(jwks, JWS_RS256, by_short, "does not have"), JWKS_NO_KEY);
	/* A token that names no key, and several that it could be. */
	assert_int_equal(verify(twice, JWS_RS256, unnamed, "does not have"), JWKS_NO_KEY);
}

/* ---- claims ---- */

static struct oidc_expected expected(void)
{
	return (struct oidc_expected){ .issuer = ISSUER,
				       .client_id = CLIENT,
				       .nonce = NONCE,
				       .groups_claim = "groups",
				       .now = NOW };
}

static void accept_claims(const char *json, const struct oidc_expected *e,
			  struct oidc_identity *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = oidc_claims_check(json, strlen(json), e, ret, &text);

	if (r < 0)
		fail_msg("%s: %s", json, text);
}

static void refuse_claims(const char *json, const struct oidc_expected *e, const char *says)
{
	_cleanup_free_ char *text = NULL;
	struct oidc_identity identity;

	assert_int_equal(oidc_claims_check(json, strlen(json), e, &identity, &text), -EINVAL);
	if (!strstr(text, says))
		fail_msg("%s: \"%s\" is not in: %s", json, says, text);
}

static void test_claims(void **state)
{
	const struct oidc_expected e = expected();
	_cleanup_(oidc_identity_done) struct oidc_identity identity = { 0 };

	accept_claims(
		CLAIMS(",\"email\":\"alice@example.com\",\"email_verified\":true,\"name\":"
		       "\"Al\\u001bice\","
		       "\"groups\":[\"ops\",7,\"\",\"a\\nb\",\"all\"],\"auth_time\":1799999000"),
		&e, &identity);
	assert_string_equal(identity.subject, "s1");
	assert_string_equal(identity.email, "alice@example.com");
	assert_true(identity.email_verified);
	assert_string_equal(identity.name, "Al?ice");
	assert_int_equal(identity.n_groups, 2);
	assert_string_equal(identity.groups[0], "ops");
	assert_string_equal(identity.groups[1], "all");
	assert_int_equal(identity.auth_time, UINT64_C(1799999000) * 1000000);
}

static void test_claims_in_other_shapes(void **state)
{
	struct oidc_expected e = expected();
	struct oidc_identity identity;

	accept_claims(
		CLAIMS(",\"email\":\"a@b.example\",\"email_verified\":\"true\",\"groups\":\"ops\""),
		&e, &identity);
	assert_true(identity.email_verified);
	assert_int_equal(identity.n_groups, 1);
	oidc_identity_done(&identity);

	e.groups_claim = "https://claims.example/groups";
	accept_claims(CLAIMS(",\"https://claims.example/groups\":[\"x\"]"), &e, &identity);
	assert_int_equal(identity.n_groups, 1);
	assert_false(identity.email_verified);
	oidc_identity_done(&identity);

	e.groups_claim = "realm_access.roles";
	accept_claims(CLAIMS(",\"realm_access\":{\"roles\":[\"x\",\"y\"]}"), &e, &identity);
	assert_int_equal(identity.n_groups, 2);
	oidc_identity_done(&identity);
}

static void test_claims_that_are_wrong(void **state)
{
	static const struct {
		const char *json, *says;
	} cases[] = {
		{ "[]", "expected an object" },
		{ "{\"iss\":\"https://id.example/realm/\"}", "\"iss\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"other\"}", "\"aud\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":[\"" CLIENT "\",\"other\"]}", "\"azp\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"azp\":\"other\"}", "\"azp\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"nonce\":\"other\"}",
		  "\"nonce\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\"}", "\"nonce\"" },
		{ "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"nonce\":\"" NONCE "\"}",
		  "\"exp\"" },
		{ CLAIMS(",\"exp\":1800000300"), "duplicate" },
		{ CLAIMS(",\"nbf\":1800000061"), "\"nbf\"" },
		{ CLAIMS(",\"auth_time\":\"now\""), "auth_time" },
		{ CLAIMS(",\"auth_time\":-1"), "auth_time" },
	};
	const struct oidc_expected e = expected();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse_claims(cases[i].json, &e, cases[i].says);
}

static void test_who_it_is_about(void **state)
{
	static const char *const subjects[] = { "null", "\"\"", "7", "\"a\\u0007b\"" };
	const struct oidc_expected e = expected();

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		_cleanup_free_ char *json = text_printf(
			"{\"iss\":\"" ISSUER "\",\"aud\":[\"" CLIENT "\"],\"nonce\":\"" NONCE
			"\",\"exp\":1800000300,\"iat\":1800000000,\"sub\":%s}",
			subjects[i]);

		refuse_claims(json, &e, "\"sub\"");
	}
}

static void test_clocks(void **state)
{
	struct oidc_expected e = expected();
	struct oidc_identity identity;

	e.now = UINT64_C(1800000359) * 1000000; /* a minute is forgiven */
	accept_claims(CLAIMS(""), &e, &identity);
	oidc_identity_done(&identity);
	e.now = UINT64_C(1800000360) * 1000000;
	refuse_claims(CLAIMS(""), &e, "expired");
	e.now = UINT64_C(1799999930) * 1000000;
	accept_claims(CLAIMS(""), &e, &identity);
	oidc_identity_done(&identity);
	e.now = UINT64_C(1799999929) * 1000000;
	refuse_claims(CLAIMS(""), &e, "from the future");
}

static void test_fresh_sign_in(void **state)
{
	struct oidc_expected e = expected();
	struct oidc_identity identity;

	e.signed_in_after = UINT64_C(1799999980) * 1000000;
	accept_claims(CLAIMS(",\"auth_time\":1799999985"), &e, &identity);
	oidc_identity_done(&identity);
	refuse_claims(CLAIMS(",\"auth_time\":1799999919"), &e, "sign in anew");
	refuse_claims(CLAIMS(""), &e, "does not say when");
	refuse_claims(CLAIMS(",\"auth_time\":0"), &e, "does not say when");
}

static void test_userinfo(void **state)
{
	static const char answer[] = "{\"sub\":\"s1\",\"email\":\"b@b.example\",\"email_verified\":"
				     "true,\"groups\":[\"x\"]}";
	static const char other[] = "{\"sub\":\"s2\",\"email\":\"b@b.example\"}";
	const struct oidc_expected e = expected();
	_cleanup_(oidc_identity_done) struct oidc_identity identity = { 0 };
	_cleanup_free_ char *text = NULL;

	accept_claims(CLAIMS(",\"email\":\"a@b.example\""), &e, &identity);
	assert_int_equal(oidc_userinfo_add(other, strlen(other), "groups", &identity, &text),
			 -EINVAL);
	assert_non_null(strstr(text, "somebody else"));
	assert_int_equal(oidc_userinfo_add(answer, strlen(answer), "groups", &identity, &text), 0);
	/* What says that an address is verified is about that address only. */
	assert_string_equal(identity.email, "a@b.example");
	assert_false(identity.email_verified);
	assert_false(identity.has_email_verified);
	assert_int_equal(identity.n_groups, 1);
}

/* The token is silent, and a "no" stands elsewhere: that is no silence to make anything of. */
static void test_userinfo_says_no(void **state)
{
	static const char no[] =
		"{\"sub\":\"s1\",\"email\":\"a@b.example\",\"email_verified\":false}";
	static const char yes[] =
		"{\"sub\":\"s1\",\"email\":\"a@b.example\",\"email_verified\":true}";
	const struct oidc_expected e = expected();
	_cleanup_(oidc_identity_done) struct oidc_identity identity = { 0 };
	_cleanup_free_ char *text = NULL;

	accept_claims(CLAIMS(",\"email\":\"a@b.example\""), &e, &identity);
	assert_int_equal(oidc_userinfo_add(no, strlen(no), NULL, &identity, &text), 0);
	assert_true(identity.has_email_verified);
	assert_false(identity.email_verified);
	/* The first word counts, which is the token's if it has one. */
	assert_int_equal(oidc_userinfo_add(yes, strlen(yes), NULL, &identity, &text), 0);
	assert_false(identity.email_verified);
}

/* Of an address that is too long, or not a clean one, there is not a part either. */
static void test_email_as_it_is(void **state)
{
	const struct oidc_expected e = expected();
	_cleanup_(oidc_identity_done) struct oidc_identity identity = { 0 }, other = { 0 };
	_cleanup_free_ char *json = NULL;
	char local[245];

	memset(local, 'a', sizeof(local) - 1);
	local[sizeof(local) - 1] = '\0';
	json = text_printf(CLAIMS(",\"email\":\"%s@corp.example.evil.example\",\"email_verified\":"
				  "true"),
			   local);
	accept_claims(json, &e, &identity);
	assert_null(identity.email);
	assert_false(identity.email_verified);
	accept_claims(CLAIMS(",\"email\":\"a\\u0007@b.example\",\"email_verified\":true"), &e,
		      &other);
	assert_null(other.email);
}

/* ---- the token endpoint ---- */

static void test_tokens(void **state)
{
	static const char json[] = "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"id_token\":"
				   "null,\"refresh_token\":\"1/~x.y_z-+=\"}";
	_cleanup_(oidc_tokens_done) struct oidc_tokens tokens = { 0 };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(oidc_tokens_parse(200, json, strlen(json), &tokens, &text), 0);
	assert_string_equal(tokens.access, "a");
	assert_string_equal(tokens.refresh, "1/~x.y_z-+=");
	assert_null(tokens.id);
}

/* What ends the access of a person is said by the provider in just this way. */
static void test_invalid_grant(void **state)
{
	static const struct {
		unsigned status;
		const char *json;
		int r;
		const char *says;
	} cases[] = {
		{ 400, "{\"error\":\"invalid_grant\"}", OIDC_INVALID_GRANT, "400, invalid_grant" },
		{ 401, "{\"error\":\"invalid_grant\"}", OIDC_INVALID_GRANT, "401" },
		{ 200, "{\"error\":\"invalid_grant\"}", -EINVAL, "no token" },
		{ 302, "{\"error\":\"invalid_grant\"}", -EINVAL, "302" },
		{ 500, "{\"error\":\"invalid_grant\"}", -EINVAL, "500" },
		{ 503, "invalid_grant", -EINVAL, "503" },
		{ 400, "invalid_grant", -EINVAL, "400" },
		{ 400, "\"invalid_grant\"", -EINVAL, "400" },
		{ 400, "{\"error\":[\"invalid_grant\"]}", -EINVAL, "400" },
		{ 400, "{\"error\":\"invalid_grant \"}", -EINVAL, "400" },
		{ 400, "{\"error\":\"a\",\"error\":\"invalid_grant\"}", -EINVAL, "400" },
		{ 400, "{\"error_description\":\"invalid_grant\"}", -EINVAL, "400" },
		{ 401, "{\"error\":\"invalid_client\"}", -EINVAL, "invalid_client" },
		{ 400, "{\"error\":\"a\\nb\"}", -EINVAL, "400, a?b" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(oidc_tokens_done) struct oidc_tokens tokens = { 0 };
		_cleanup_free_ char *text = NULL;
		int r = oidc_tokens_parse(cases[i].status, cases[i].json, strlen(cases[i].json),
					  &tokens, &text);

		if (r != cases[i].r || !strstr(text, cases[i].says))
			fail_msg("%u %s: %d, %s", cases[i].status, cases[i].json, r, text);
	}
}

static void test_tokens_that_are_not_for_use(void **state)
{
	static const char *const answers[] = {
		"",
		"[]",
		"{}",
		"{\"access_token\":7}",
		"{\"access_token\":\"\"}",
		"{\"access_token\":\"a\",\"refresh_token\":\"a b\"}",
		"{\"access_token\":\"a\",\"refresh_token\":\"a\\r\\nX: y\"}",
		"{\"access_token\":\"a\",\"refresh_token\":{}}",
		"{\"access_token\":\"a\",\"refresh_token\":\"\\u00e4\"}",
	};
	_cleanup_free_ char *pad = malloc(OIDC_MAX_TOKEN + 2), *longest = NULL;

	assert_non_null(pad);
	memset(pad, 'x', OIDC_MAX_TOKEN + 1);
	pad[OIDC_MAX_TOKEN + 1] = '\0';
	longest = text_printf("{\"access_token\":\"a\",\"refresh_token\":\"%s\"}", pad);
	for (size_t i = 0; i <= ARRAY_SIZE(answers); i++) {
		const char *answer = i < ARRAY_SIZE(answers) ? answers[i] : longest;
		_cleanup_(oidc_tokens_done) struct oidc_tokens tokens = { 0 };
		_cleanup_free_ char *text = NULL;

		assert_int_equal(oidc_tokens_parse(200, answer, strlen(answer), &tokens, &text),
				 -EINVAL);
		assert_null(tokens.access);
		/* Nothing of it is repeated. */
		assert_null(strchr(text, '7'));
		assert_null(strstr(text, "xx"));
	}
}

/* OpenID Connect Core 1.0, section 12.2. */
static void test_claims_of_a_renewal(void **state)
{
	static const char no_nonce[] = "{\"iss\":\"" ISSUER "\",\"sub\":\"s1\",\"aud\":\"" CLIENT
				       "\",\"exp\":1800000300,\"iat\":1799999990}";
	static const char other_nonce[] =
		"{\"iss\":\"" ISSUER "\",\"sub\":\"s1\",\"aud\":\"" CLIENT
		"\",\"nonce\":\"n\",\"exp\":1800000300,\"iat\":1799999990}";
	struct oidc_expected e = expected();
	struct oidc_identity identity;

	refuse_claims(no_nonce, &e, "\"nonce\"");
	e.renews = "s1";
	accept_claims(no_nonce, &e, &identity);
	oidc_identity_done(&identity);
	accept_claims(CLAIMS(""), &e, &identity);
	oidc_identity_done(&identity);
	refuse_claims(other_nonce, &e, "\"nonce\"");
	e.renews = "s2";
	refuse_claims(CLAIMS(""), &e, "about somebody else");
	e.renews = "s1";
	e.issuer = "https://id.example/other";
	refuse_claims(CLAIMS(""), &e, "another issuer");
}

/* ---- descriptions ---- */

#define DESCRIPTION(issuer, token, more)                                                     \
	"{\"issuer\":\"" issuer "\",\"authorization_endpoint\":\"https://id.example/auth\"," \
	"\"token_endpoint\":\"" token "\",\"jwks_uri\":\"https://id.example/keys\"" more "}"

static void test_description(void **state)
{
	static const char json[] =
		DESCRIPTION(ISSUER, "https://id.example/token",
			    ",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
			    "\"claims_supported\":[\"sub\"],\"revocation_endpoint\":"
			    "\"https://id.example/revoke\","
			    "\"authorization_response_iss_parameter_supported\":true");
	struct oidc_discovery d;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(oidc_discovery_parse(json, strlen(json), ISSUER, &d, &text), 0);
	assert_string_equal(d.token_endpoint, "https://id.example/token");
	assert_null(d.userinfo_endpoint);
	assert_string_equal(d.revocation_endpoint, "https://id.example/revoke");
	assert_true(d.post_secret);
	assert_true(d.names_itself);
	oidc_discovery_done(&d);
}

static void test_descriptions_that_are_wrong(void **state)
{
	static const struct {
		const char *json, *says;
	} cases[] = {
		{ "{}", "issuer" },
		{ DESCRIPTION("https://id.example/realm/", "https://id.example/token", ""),
		  "calls itself" },
		{ DESCRIPTION("https://evil.example", "https://id.example/token", ""),
		  "calls itself" },
		{ DESCRIPTION(ISSUER, "http://id.example/token", ""),
		  "token_endpoint: expected an https URL" },
		{ DESCRIPTION(ISSUER, "file:///etc/passwd", ""), "token_endpoint" },
		{ DESCRIPTION(ISSUER, "https://a@id.example/token", ""), "token_endpoint" },
		{ DESCRIPTION(ISSUER, "https://id.example/to ken", ""), "token_endpoint" },
		/* http of this host is for an issuer of this host. */
		{ DESCRIPTION(ISSUER, "http://127.0.0.1:1/token", ""), "is not https" },
		{ DESCRIPTION(ISSUER, "https://id.example/token",
			      ",\"revocation_endpoint\":\"http://127.0.0.1/x\""),
		  "is not https" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *text = NULL;
		struct oidc_discovery d;

		assert_int_equal(oidc_discovery_parse(cases[i].json, strlen(cases[i].json), ISSUER,
						      &d, &text),
				 -EINVAL);
		if (!strstr(text, cases[i].says))
			fail_msg("%s: \"%s\" is not in: %s", cases[i].json, cases[i].says, text);
	}
	assert_true(oidc_url_is_safe("http://127.0.0.1:9400/auth"));
	assert_true(oidc_url_is_safe("http://[::1]/auth"));
	assert_false(oidc_url_is_safe("http://127.0.0.1.evil.example/auth"));
	assert_false(oidc_url_is_safe("http://127.0.0.1@evil.example/auth"));
}

static void test_query(void **state)
{
	_cleanup_(query_done) struct query query = { 0 };

	query_add(&query, "a", "b c&=+%\xc3\xa4");
	query_add(&query, "none", NULL);
	query_add(&query, "d", "-._~");
	assert_int_equal(query.error, 0);
	assert_string_equal(query.text, "a=b%20c%26%3D%2B%25%C3%A4&d=-._~");
}

static int make_keys(void **state)
{
	rsa = EVP_RSA_gen(2048);
	short_rsa = EVP_RSA_gen(1024);
	ec = EVP_EC_gen("P-256");
	return rsa && short_rsa && ec ? 0 : -1;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(short_rsa);
	EVP_PKEY_free(ec);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_tampered_tokens),
		cmocka_unit_test(test_algorithms_that_are_none),
		cmocka_unit_test(test_tokens_that_are_none),
		cmocka_unit_test(test_keys_that_are_none_for_us),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_claims_in_other_shapes),
		cmocka_unit_test(test_claims_that_are_wrong),
		cmocka_unit_test(test_who_it_is_about),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_fresh_sign_in),
		cmocka_unit_test(test_userinfo),
		cmocka_unit_test(test_userinfo_says_no),
		cmocka_unit_test(test_email_as_it_is),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_invalid_grant),
		cmocka_unit_test(test_tokens_that_are_not_for_use),
		cmocka_unit_test(test_claims_of_a_renewal),
		cmocka_unit_test(test_description),
		cmocka_unit_test(test_descriptions_that_are_wrong),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
