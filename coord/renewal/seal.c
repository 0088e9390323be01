#include "coord/renewal/seal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "common/base64.h"
#include "common/sha256.h"

#define LABEL	  "peergate renewals 1"
#define NONCE_LEN 12u /* random: far fewer than 2^32 are ever sealed (NIST SP 800-38D, 8.3) */
#define TAG_LEN	  16u
#define OVERHEAD  (NONCE_LEN + TAG_LEN)

struct sealer {
	uint8_t key[SHA256_LEN];
};

/* The seed has another use: what is made of it here gives nothing away of it. */
int sealer_new(const struct ed25519_key *key, struct sealer **ret_sealer)
{
	struct sealer *sealer = calloc(1, sizeof(*sealer));
	uint8_t material[sizeof(LABEL) + ED25519_SEED_LEN] = LABEL;
	int r;

	if (!sealer)
		return -ENOMEM;
	ed25519_key_seed(key, material + sizeof(LABEL));
	r = sha256(material, sizeof(material), sealer->key);
	OPENSSL_cleanse(material, sizeof(material));
	if (r < 0)
		sealer_free(sealer);
	else
		*ret_sealer = sealer;
	return r;
}

struct sealer *sealer_free(struct sealer *sealer)
{
	if (sealer)
		OPENSSL_cleanse(sealer, sizeof(*sealer));
	free(sealer);
	return NULL;
}

/* ---- the cipher ---- */

struct sealed {
	uint8_t nonce[NONCE_LEN];
	uint8_t tag[TAG_LEN];
	uint8_t text[];
};

/* Issuer and subject, and between them what neither contains. */
static bool add_owner(EVP_CIPHER_CTX *ctx, bool seal, const char *issuer, const char *subject)
{
	int n;

	return EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)issuer, (int)strlen(issuer) + 1) ==
		       1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)subject, (int)strlen(subject)) == 1;
}

static EVP_CIPHER_CTX *begin(const struct sealer *sealer, const struct sealed *sealed, bool seal,
			     const char *issuer, const char *subject)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx &&
	    EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), sealer->key, sealed->nonce, seal, NULL) ==
		    1 &&
	    add_owner(ctx, seal, issuer, subject))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* Return: 0, -EIO. */
static int encrypt(const struct sealer *sealer, const char *issuer, const char *subject,
		   const char *text, size_t len, struct sealed *sealed)
{
	EVP_CIPHER_CTX *ctx = begin(sealer, sealed, true, issuer, subject);
	int n, r = -EIO;

	if (ctx && EVP_CipherUpdate(ctx, sealed->text, &n, (const uint8_t *)text, (int)len) == 1 &&
	    EVP_CipherFinal_ex(ctx, sealed->text + n, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, sealed->tag) == 1)
		r = 0;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

/* Return: 0, -EBADMSG, -EIO. */
static int decrypt(const struct sealer *sealer, const char *issuer, const char *subject,
		   struct sealed *sealed, size_t len, char *text)
{
	EVP_CIPHER_CTX *ctx = begin(sealer, sealed, false, issuer, subject);
	int n, r = -EIO;

	if (ctx && EVP_CipherUpdate(ctx, (uint8_t *)text, &n, sealed->text, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, sealed->tag) == 1)
		r = EVP_CipherFinal_ex(ctx, (uint8_t *)text + n, &n) == 1 ? 0 : -EBADMSG;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

/* ---- as text ---- */

int sealer_seal(const struct sealer *sealer, const char *issuer, const char *subject,
		const char *text, char **ret_sealed)
{
	_cleanup_free_ struct sealed *sealed = NULL;
	_cleanup_free_ char *encoded = NULL;
	size_t len = strlen(text);
	int r;

	if (len > SEAL_MAX_TEXT)
		return -E2BIG;
	sealed = malloc(sizeof(*sealed) + len);
	encoded = malloc(BASE64URL_LEN(OVERHEAD + len) + 1);
	if (!sealed || !encoded)
		return -ENOMEM;
	if (getrandom(sealed->nonce, NONCE_LEN, 0) != (ssize_t)NONCE_LEN)
		return -EIO;
	r = encrypt(sealer, issuer, subject, text, len, sealed);
	if (r < 0)
		return r;
	base64url_encode(sealed, OVERHEAD + len, encoded);
	*ret_sealed = take_ptr(encoded);
	return 0;
}

int sealer_open(const struct sealer *sealer, const char *issuer, const char *subject,
		const char *encoded, char **ret_text)
{
	_cleanup_free_ struct sealed *sealed = NULL;
	size_t chars = strlen(encoded), len = chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
	char *text;
	int r;

	if (len < OVERHEAD || len > OVERHEAD + SEAL_MAX_TEXT)
		return -EBADMSG;
	sealed = malloc(len);
	text = calloc(1, len - OVERHEAD + 1);
	r = sealed && text ? base64url_decode(encoded, chars, sealed, len) : -ENOMEM;
	if (r == -EINVAL)
		r = -EBADMSG;
	if (r == 0)
		r = decrypt(sealer, issuer, subject, sealed, len - OVERHEAD, text);
	if (r == 0) {
		*ret_text = text;
		return 0;
	}
	if (text)
		OPENSSL_cleanse(text, len - OVERHEAD);
	free(text);
	return r;
}
