/*
 * Ed25519 (RFC 8032): the keys that machines and coordinators sign with, their text and their
 * files. A public key is written "pgm:" (machine) or "pgc:" (coordinator) and 43 characters of
 * base64url, so that one is not taken for the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define ED25519_SEED_LEN      32
#define ED25519_PUBLIC_LEN    32
#define ED25519_SIGNATURE_LEN 64

#define ED25519_MACHINE	    "pgm:"
#define ED25519_COORDINATOR "pgc:"
#define ED25519_TEXT_LEN    48 /* prefix of 4, 43 characters and the final NUL */

/* Filled by the functions below only: zeros are a key for which anybody can sign. */
struct ed25519_public {
	uint8_t bytes[ED25519_PUBLIC_LEN];
};

/* A secret key, and its public one. */
struct ed25519_key;

/* A fresh key from getrandom(2). Return: 0, -ENOMEM, -EIO when libcrypto fails, getrandom's. */
int ed25519_key_generate(struct ed25519_key **ret_key);
/* The key of a seed, which is what RFC 8032 calls the private key. Return: 0, -ENOMEM, -EIO. */
int ed25519_key_from_seed(const uint8_t seed[ED25519_SEED_LEN], struct ed25519_key **ret_key);
/* The caller wipes what it got. */
void ed25519_key_seed(const struct ed25519_key *key, uint8_t ret_seed[ED25519_SEED_LEN]);
const struct ed25519_public *ed25519_key_public(const struct ed25519_key *key);
/* Wipes. Takes NULL. */
struct ed25519_key *ed25519_key_free(struct ed25519_key *key);
DEFINE_CLEANUP(struct ed25519_key *, ed25519_key_free);

enum {
	ED25519_CREATED = 1, /* there was no file: it is a new key */
};

/*
 * Read the key in a file, or make one and write it (mode 0600, synced, whole or not at all). A file
 * that is not of root or of this process' user, that others may read or write, or that is anything
 * but a key, is refused and left as it is. On failure *reterr_text (the caller's) says why, with
 * path. Return: 0, ED25519_CREATED, negative errno.
 */
int ed25519_key_load_or_create(int dirfd, const char *path, struct ed25519_key **ret_key,
			       char **reterr_text);

/*
 * 32 bytes as a public key. Refused are those that no honest key has: coordinates of 2^255-19 and
 * above (RFC 8032, 5.1.3) and points of small order, whose signatures prove nothing.
 * Return: 0, -EINVAL.
 */
int ed25519_public_from_bytes(const uint8_t bytes[ED25519_PUBLIC_LEN],
			      struct ed25519_public *ret_public);
/* Exactly prefix and canonical base64url of such a key; len without a NUL. Return: 0, -EINVAL. */
int ed25519_public_parse(const char *prefix, const char *text, size_t len,
			 struct ed25519_public *ret_public);
/* Writes ED25519_TEXT_LEN bytes; returns buf. */
char *ed25519_public_to_string(const char *prefix, const struct ed25519_public *public, char *buf);
bool ed25519_public_equal(const struct ed25519_public *a, const struct ed25519_public *b);

/* Return: 0, -ENOMEM, -EIO when libcrypto fails. */
int ed25519_sign(const struct ed25519_key *key, const void *data, size_t len,
		 uint8_t ret_signature[ED25519_SIGNATURE_LEN]);
/*
 * Is it the signature of data by the key? Return: 0 if so; -EKEYREJECTED if not, which is also what
 * a key is told that ed25519_public_from_bytes() refuses; -ENOMEM. When libcrypto runs out of
 * memory half-way it says no as well.
 */
int ed25519_verify(const struct ed25519_public *public, const void *data, size_t len,
		   const uint8_t signature[ED25519_SIGNATURE_LEN]);
