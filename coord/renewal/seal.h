/*
 * Secrets of others that the store keeps: sealed (AES-256-GCM, by libcrypto) with a key that is
 * made from the coordinator's own, which is in a file beside the store and in no backup of it.
 */
#pragma once

#include "common/cleanup.h"
#include "common/ed25519.h"

#define SEAL_MAX_TEXT 10240u /* bytes */

struct sealer;
/* Return: 0, -ENOMEM, -EIO. */
int sealer_new(const struct ed25519_key *key, struct sealer **ret_sealer);
struct sealer *sealer_free(struct sealer *sealer); /* wipes */
DEFINE_CLEANUP(struct sealer *, sealer_free);

/*
 * text, for whom it is alone: what is sealed for one cannot be taken for another's. Return: 0 and
 * *ret_sealed, base64url, the caller's; -E2BIG, -ENOMEM, -EIO.
 */
int sealer_seal(const struct sealer *sealer, const char *issuer, const char *subject,
		const char *text, char **ret_sealed);
/* Return: 0 and *ret_text, for oidc_erase(); -EBADMSG: by another key, for another, or damaged;
 * -ENOMEM, -EIO. */
int sealer_open(const struct sealer *sealer, const char *issuer, const char *subject,
		const char *sealed, char **ret_text);
