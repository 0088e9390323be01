#include "common/ed25519.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/base64.h"
#include "common/random.h"

#define PREFIX_LEN 4

struct ed25519_key {
	EVP_PKEY *pkey;
	struct ed25519_public public;
};

int ed25519_key_from_seed(const uint8_t seed[ED25519_SEED_LEN], struct ed25519_key **ret_key)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *key = calloc(1, sizeof(*key));
	size_t len = sizeof(key->public.bytes);

	if (!key)
		return -ENOMEM;
	key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED_LEN);
	if (!key->pkey || EVP_PKEY_get_raw_public_key(key->pkey, key->public.bytes, &len) != 1 ||
	    len != sizeof(key->public.bytes))
		return -EIO;
	*ret_key = take_ptr(key);
	return 0;
}

int ed25519_key_generate(struct ed25519_key **ret_key)
{
	uint8_t seed[ED25519_SEED_LEN];
	int r = random_bytes(seed, sizeof(seed));

	if (r == 0)
		r = ed25519_key_from_seed(seed, ret_key);
	OPENSSL_cleanse(seed, sizeof(seed));
	return r;
}

void ed25519_key_seed(const struct ed25519_key *key, uint8_t ret_seed[ED25519_SEED_LEN])
{
	size_t len = ED25519_SEED_LEN;

	EVP_PKEY_get_raw_private_key(key->pkey, ret_seed, &len);
}

const struct ed25519_public *ed25519_key_public(const struct ed25519_key *key)
{
	return &key->public;
}

struct ed25519_key *ed25519_key_free(struct ed25519_key *key)
{
	if (!key)
		return NULL;
	/* libcrypto wipes a private key when it frees it. */
	EVP_PKEY_free(key->pkey);
	free(key);
	return NULL;
}

/* Is the y coordinate, without the sign of x, below 2^255-19? Little endian. */
static bool is_canonical(const uint8_t bytes[ED25519_PUBLIC_LEN])
{
	if ((bytes[31] & 0x7f) != 0x7f || bytes[0] < 0xed)
		return true;
	for (size_t i = 1; i < 31; i++)
		if (bytes[i] != 0xff)
			return true;
	return false;
}

/*
 * The eight points whose order divides 8 have these y coordinates. With such a key as A, the
 * equation that RFC 8032 (5.1.7) checks does not depend on the secret.
 */
static bool is_low_order(const uint8_t bytes[ED25519_PUBLIC_LEN])
{
	static const uint8_t low[][ED25519_PUBLIC_LEN] = {
		{ 0 },
		{ 1 },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
		  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
		  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
	};
	uint8_t y[ED25519_PUBLIC_LEN];

	memcpy(y, bytes, sizeof(y));
	y[31] &= 0x7f;
	for (size_t i = 0; i < ARRAY_SIZE(low); i++)
		if (memcmp(y, low[i], sizeof(y)) == 0)
			return true;
	return false;
}

int ed25519_public_from_bytes(const uint8_t bytes[ED25519_PUBLIC_LEN],
			      struct ed25519_public *ret_public)
{
	if (!is_canonical(bytes) || is_low_order(bytes))
		return -EINVAL;
	memcpy(ret_public->bytes, bytes, ED25519_PUBLIC_LEN);
	return 0;
}

int ed25519_public_parse(const char *prefix, const char *text, size_t len,
			 struct ed25519_public *ret_public)
{
	uint8_t bytes[ED25519_PUBLIC_LEN];

	if (len != ED25519_TEXT_LEN - 1 || memcmp(text, prefix, PREFIX_LEN) != 0 ||
	    base64url_decode(text + PREFIX_LEN, len - PREFIX_LEN, bytes, sizeof(bytes)) < 0)
		return -EINVAL;
	return ed25519_public_from_bytes(bytes, ret_public);
}

char *ed25519_public_to_string(const char *prefix, const struct ed25519_public *public, char *buf)
{
	memcpy(buf, prefix, PREFIX_LEN);
	base64url_encode(public->bytes, sizeof(public->bytes), buf + PREFIX_LEN);
	return buf;
}

bool ed25519_public_equal(const struct ed25519_public *a, const struct ed25519_public *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int ed25519_sign(const struct ed25519_key *key, const void *data, size_t len,
		 uint8_t ret_signature[ED25519_SIGNATURE_LEN])
{
	uint8_t signature[ED25519_SIGNATURE_LEN];
	size_t signature_len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
	     EVP_DigestSign(ctx, signature, &signature_len, data, len) == 1 &&
	     signature_len == sizeof(signature);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -EIO;
	memcpy(ret_signature, signature, sizeof(signature));
	return 0;
}

int ed25519_verify(const struct ed25519_public *public, const void *data, size_t len,
		   const uint8_t signature[ED25519_SIGNATURE_LEN])
{
	struct ed25519_public checked;
	EVP_PKEY *pkey = NULL;
	EVP_MD_CTX *ctx;
	bool ok;

	/* A struct that nobody filled is refused here. */
	if (ed25519_public_from_bytes(public->bytes, &checked) < 0)
		return -EKEYREJECTED;
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, checked.bytes,
					   sizeof(checked.bytes));
	ok = pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	     EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_LEN, data, len) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EKEYREJECTED;
}
