/*
 * JSON Web Signatures in their compact form (RFC 7515): taking them apart. Pure. Whether the
 * signature is any good, coord/oidc/jwks.h says: until then nothing of it may be believed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define JWS_MAX_LEN (32u << 10) /* of the whole token */
#define JWS_MAX_KID 256u

struct jws {
	char *alg; /* as the token has it: for comparing only, never for choosing */
	char *kid; /* NULL: none */
	char *payload;
	size_t payload_len;
	uint8_t *signature;
	size_t signature_len;
	const char *signed_text; /* of the token, which is borrowed */
	size_t signed_len;
};

/*
 * Return: 0; -EINVAL and *reterr_text (the caller's); -ENOMEM. A token that demands extensions
 * ("crit") is refused: there are none that we know.
 */
int jws_parse(const char *token, size_t len, struct jws *ret, char **reterr_text);
void jws_done(struct jws *jws);

/* What a text in base64url stands for, with a NUL behind it. Return: 0, -EINVAL, -ENOMEM. */
int jws_decode(const char *text, size_t len, void *ret_data /* T ** */, size_t *ret_len);
