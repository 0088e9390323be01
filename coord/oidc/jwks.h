/*
 * A provider's public keys (JSON Web Key Set, RFC 7517), and what they signed (RFC 7518): RSASSA
 * PKCS1-v1_5 with SHA-256 by keys of 2048 bits and more, ECDSA on P-256 with SHA-256. Pure.
 */
#pragma once

#include <stdbool.h>

#include "coord/oidc/jws.h"

#define JWKS_MAX_KEYS 64u
#define JWKS_MIN_RSA  2048u
#define JWKS_MAX_RSA  8192u /* bits: checking takes the longer the longer they are */

/* "none" and those with a shared secret are not among them, so that no token can choose them. */
enum jws_alg {
	JWS_RS256,
	JWS_ES256,
};
/* Return: 0, -EINVAL. */
int jws_alg_parse(const char *text, enum jws_alg *ret_alg);
const char *jws_alg_name(enum jws_alg alg);

struct jwks;
/*
 * Keys of other kinds, for other uses, and such as are damaged are left out. Return: 0; -EINVAL
 * and *reterr_text (the caller's), also if there is none left; -ENOMEM.
 */
int jwks_parse(const char *json, size_t len, struct jwks **ret_jwks, char **reterr_text);
struct jwks *jwks_free(struct jwks *jwks);
DEFINE_CLEANUP(struct jwks *, jwks_free);

enum {
	JWKS_NO_KEY = 1, /* of that name: the provider may have new ones */
};
/*
 * Is it signed in that way, by one of these keys? A token that names no key must have been signed
 * by the only one there is for alg. Return: 0; JWKS_NO_KEY or -EBADMSG, and *reterr_text (the
 * caller's); -ENOMEM.
 */
int jwks_verify(const struct jwks *jwks, enum jws_alg alg, const struct jws *jws,
		char **reterr_text);
