#include "common/wgkey.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "common/base64.h"

int wg_key_parse(const char *text, struct wg_key *ret_key)
{
	struct wg_key key;
	int r;

	r = base64_decode(text, strlen(text), key.bytes, sizeof(key.bytes));
	if (r == 0)
		*ret_key = key;
	wg_key_wipe(&key);
	return r;
}

char *wg_key_to_string(const struct wg_key *key, char *buf)
{
	return base64_encode(key->bytes, sizeof(key->bytes), buf);
}

bool wg_key_equal(const struct wg_key *a, const struct wg_key *b)
{
	return CRYPTO_memcmp(a->bytes, b->bytes, WG_KEY_LEN) == 0;
}

bool wg_key_is_zero(const struct wg_key *key)
{
	static const struct wg_key zero;

	return wg_key_equal(key, &zero);
}

int wg_key_generate(struct wg_key *ret_private)
{
	struct wg_key key;

	if (getrandom(key.bytes, sizeof(key.bytes), 0) != sizeof(key.bytes))
		return errno ? -errno : -EIO;
	key.bytes[0] &= 248;
	key.bytes[31] = (key.bytes[31] & 127) | 64;
	*ret_private = key;
	wg_key_wipe(&key);
	return 0;
}

int wg_key_public(const struct wg_key *private, struct wg_key *ret_public)
{
	EVP_PKEY *pkey;
	struct wg_key key;
	size_t len = sizeof(key.bytes);
	int ok;

	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private->bytes, WG_KEY_LEN);
	ok = pkey && EVP_PKEY_get_raw_public_key(pkey, key.bytes, &len) == 1 && len == WG_KEY_LEN;
	EVP_PKEY_free(pkey);
	if (!ok)
		return -EIO;
	*ret_public = key;
	return 0;
}

int wg_key_shared(const struct wg_key *private, const struct wg_key *public,
		  struct wg_key *ret_shared)
{
	EVP_PKEY *ours, *theirs;
	EVP_PKEY_CTX *ctx = NULL;
	struct wg_key shared;
	size_t len = sizeof(shared.bytes);
	int r = -EIO;

	/* A refused key is no error for whoever uses libcrypto next (SSL_get_error(3)). */
	ERR_set_mark();
	ours = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private->bytes, WG_KEY_LEN);
	theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public->bytes, WG_KEY_LEN);
	if (ours && theirs)
		ctx = EVP_PKEY_CTX_new(ours, NULL);
	if (ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1)
		/* libcrypto refuses to say that the secret is zero. */
		r = EVP_PKEY_derive(ctx, shared.bytes, &len) == 1 ? 0 : -EINVAL;
	ERR_pop_to_mark();
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	if (r == 0)
		*ret_shared = shared;
	wg_key_wipe(&shared);
	return r;
}

void wg_key_wipe(struct wg_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}
