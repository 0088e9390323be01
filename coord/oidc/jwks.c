#include "coord/oidc/jwks.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

#define P256_LEN 32u

struct jwk {
	enum jws_alg alg;
	char *kid; /* NULL: none */
	EVP_PKEY *key;
};

struct jwks {
	struct jwk *keys;
	size_t n_keys;
};

static const char *const alg_names[] = { [JWS_RS256] = "RS256", [JWS_ES256] = "ES256" };

int jws_alg_parse(const char *text, enum jws_alg *ret_alg)
{
	for (size_t i = 0; i < sizeof(alg_names) / sizeof(alg_names[0]); i++)
		if (strcmp(alg_names[i], text) == 0) {
			*ret_alg = (enum jws_alg)i;
			return 0;
		}
	return -EINVAL;
}

const char *jws_alg_name(enum jws_alg alg)
{
	return alg_names[alg];
}

/* ---- from JSON ---- */

struct members {
	char *kty, *kid, *use, *alg;
	char *n, *e;	   /* RSA */
	char *crv, *x, *y; /* EC */
};

static void members_done(struct members *m)
{
	char *const all[] = { m->kty, m->kid, m->use, m->alg, m->n, m->e, m->crv, m->x, m->y };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
}

#define AT(member) offsetof(struct members, member)
static const struct json_field key_fields[] = {
	{ "kty", json_read_string, AT(kty), JSON_REQUIRED },
	{ "kid", json_read_string, AT(kid) },
	{ "use", json_read_string, AT(use) },
	{ "alg", json_read_string, AT(alg) },
	{ "n", json_read_string, AT(n) },
	{ "e", json_read_string, AT(e) },
	{ "crv", json_read_string, AT(crv) },
	{ "x", json_read_string, AT(x) },
	{ "y", json_read_string, AT(y) },
};
#undef AT

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* Return: 0; -EINVAL: not a key for us. */
static int choose_alg(const struct members *m, enum jws_alg *ret_alg)
{
	if (is(m->kty, "RSA") && m->n && m->e)
		*ret_alg = JWS_RS256;
	else if (is(m->kty, "EC") && is(m->crv, "P-256") && m->x && m->y)
		*ret_alg = JWS_ES256;
	else
		return -EINVAL;
	if (m->use && !is(m->use, "sig"))
		return -EINVAL;
	return m->alg && !is(m->alg, jws_alg_name(*ret_alg)) ? -EINVAL : 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static BIGNUM *number(const char *text)
{
	_cleanup_free_ unsigned char *bytes = NULL;
	size_t len;

	if (jws_decode(text, strlen(text), &bytes, &len) < 0 || len == 0 || len > JWKS_MAX_RSA / 8)
		return NULL;
	return BN_bin2bn(bytes, (int)len, NULL);
}

static EVP_PKEY *rsa_key(const struct members *m)
{
	BIGNUM *n = number(m->n), *e = number(m->e);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	/* An exponent that is long makes every check as dear as a signature. */
	if (n && e && bld && BN_num_bits(n) >= (int)JWKS_MIN_RSA && BN_is_odd(n) && BN_is_odd(e) &&
	    !BN_is_one(e) && BN_num_bits(e) <= 33 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
		key = from_params("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	return key;
}

/* Is it a point of the curve? A key that is not may give its signer's secrets away, or none. */
static bool is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool sound = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return sound;
}

static EVP_PKEY *ec_key(const struct members *m)
{
	_cleanup_free_ unsigned char *x = NULL, *y = NULL;
	unsigned char point[1 + 2 * P256_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;
	size_t x_len, y_len;

	if (jws_decode(m->x, strlen(m->x), &x, &x_len) < 0 || x_len != P256_LEN ||
	    jws_decode(m->y, strlen(m->y), &y, &y_len) < 0 || y_len != P256_LEN)
		return NULL;
	memcpy(point + 1, x, P256_LEN);
	memcpy(point + 1 + P256_LEN, y, P256_LEN);
	bld = OSSL_PARAM_BLD_new();
	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
		key = from_params("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	if (key && !is_sound(key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

/* Return: 0, also when it is none for us; -ENOMEM. */
static int add_key(struct jwks *jwks, const json_t *value)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_(members_done) struct members m = { 0 };
	const struct json_at root = { 0 };
	enum jws_alg alg;
	EVP_PKEY *key;
	int r = json_read_object(value, &root, key_fields,
				 sizeof(key_fields) / sizeof(key_fields[0]), &m, &rep);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || choose_alg(&m, &alg) < 0)
		return 0;
	key = alg == JWS_RS256 ? rsa_key(&m) : ec_key(&m);
	ERR_clear_error();
	if (key)
		jwks->keys[jwks->n_keys++] = (struct jwk){ alg, take_ptr(m.kid), key };
	return 0;
}

static int fail(char **reterr_text, int error, const char *why)
{
	*reterr_text = text_printf("%s", why);
	return *reterr_text ? error : -ENOMEM;
}

static int add_keys(struct jwks *jwks, const json_t *document, char **reterr_text)
{
	const json_t *keys = json_object_get(document, "keys");
	int r;

	if (!json_is_array(keys))
		return fail(reterr_text, -EINVAL,
			    "the provider's keys: expected an object with an array \"keys\"");
	if (json_array_size(keys) > JWKS_MAX_KEYS)
		return fail(reterr_text, -EINVAL, "the provider's keys: there are too many");
	jwks->keys = calloc(json_array_size(keys) + 1, sizeof(*jwks->keys));
	if (!jwks->keys)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		r = add_key(jwks, json_array_get(keys, i));
		if (r < 0)
			return r;
	}
	if (jwks->n_keys == 0)
		return fail(reterr_text, -EINVAL,
			    "the provider's keys: none is for signatures with RS256 or ES256");
	return 0;
}

int jwks_parse(const char *json, size_t len, struct jwks **ret_jwks, char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_(jwks_freep) struct jwks *jwks = calloc(1, sizeof(*jwks));
	json_t *document = NULL;
	int r;

	if (!jwks)
		return -ENOMEM;
	r = json_parse(json, len, &rep, &document);
	if (r == -EINVAL) {
		*reterr_text = text_printf("the provider's keys: %s", rep.text);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	if (r == 0)
		r = add_keys(jwks, document, reterr_text);
	json_decref(document);
	if (r < 0)
		return r;
	*ret_jwks = take_ptr(jwks);
	return 0;
}

struct jwks *jwks_free(struct jwks *jwks)
{
	if (!jwks)
		return NULL;
	for (size_t i = 0; i < jwks->n_keys; i++) {
		free(jwks->keys[i].kid);
		EVP_PKEY_free(jwks->keys[i].key);
	}
	free(jwks->keys);
	free(jwks);
	return NULL;
}

/* ---- signatures ---- */

/* NULL: there is none, or there are several and the token does not say which. */
static const struct jwk *find_key(const struct jwks *jwks, enum jws_alg alg, const char *kid)
{
	const struct jwk *found = NULL;

	for (size_t i = 0; i < jwks->n_keys; i++) {
		const struct jwk *key = &jwks->keys[i];

		if (key->alg != alg || (kid && !is(key->kid, kid)))
			continue;
		if (found)
			return NULL;
		found = key;
	}
	return found;
}

/*
 * R and S of a JWS in a row (RFC 7518 section 3.4), to what libcrypto takes. Return: the length;
 * 0: is none.
 */
static size_t to_der(const struct jws *jws, unsigned char **ret_der)
{
	ECDSA_SIG *sig;
	BIGNUM *r, *s;
	int len = 0;

	if (jws->signature_len != 2 * P256_LEN)
		return 0;
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(jws->signature, P256_LEN, NULL);
	s = BN_bin2bn(jws->signature + P256_LEN, P256_LEN, NULL);
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
		r = s = NULL; /* sig has them */
		len = i2d_ECDSA_SIG(sig, ret_der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len > 0 ? (size_t)len : 0;
}

static bool is_signed(const struct jwk *key, const struct jws *jws)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	const unsigned char *sig = jws->signature;
	size_t len = jws->signature_len;
	bool good;

	if (key->alg == JWS_ES256) {
		len = to_der(jws, &der);
		sig = der;
	}
	good = ctx && len > 0 &&
	       EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
	       EVP_DigestVerify(ctx, sig, len, (const unsigned char *)jws->signed_text,
				jws->signed_len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

int jwks_verify(const struct jwks *jwks, enum jws_alg alg, const struct jws *jws,
		char **reterr_text)
{
	const struct jwk *key;

	if (!is(jws->alg, jws_alg_name(alg))) {
		_cleanup_free_ char *shown = text_sanitize(jws->alg, 32);

		*reterr_text = shown ? text_printf("the token is signed by \"%s\"; %s was agreed",
						   shown, jws_alg_name(alg))
				     : NULL;
		return *reterr_text ? -EBADMSG : -ENOMEM;
	}
	key = find_key(jwks, alg, jws->kid);
	if (!key)
		return fail(reterr_text, JWKS_NO_KEY,
			    "the token is signed by a key that the provider does not have");
	if (!is_signed(key, jws))
		return fail(reterr_text, -EBADMSG, "the token's signature is wrong");
	return 0;
}
