/* WireGuard keys: curve25519, in base64 as wg(8) prints them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WG_KEY_LEN    32
#define WG_KEY_B64LEN 45 /* 44 characters and the final NUL */

struct wg_key {
	uint8_t bytes[WG_KEY_LEN];
};

/* Exactly 44 characters of canonical base64. Return: 0, -EINVAL. */
int wg_key_parse(const char *text, struct wg_key *ret_key);
/* Writes WG_KEY_B64LEN bytes; returns buf. */
char *wg_key_to_string(const struct wg_key *key, char *buf);
bool wg_key_equal(const struct wg_key *a, const struct wg_key *b);
bool wg_key_is_zero(const struct wg_key *key);

/* A fresh private key from getrandom(2), clamped (RFC 7748). Return: 0, negative errno. */
int wg_key_generate(struct wg_key *ret_private);
/* The public key of a private one. Return: 0, -EIO when libcrypto fails. */
int wg_key_public(const struct wg_key *private, struct wg_key *ret_public);
/*
 * What the owners of two key pairs share (RFC 7748, 6.1): the same with either's private key and
 * the other's public one. The caller wipes it. Return: 0; -EINVAL: public is a point of small
 * order, which shares nothing; -EIO when libcrypto fails otherwise.
 */
int wg_key_shared(const struct wg_key *private, const struct wg_key *public,
		  struct wg_key *ret_shared);
/* Overwrite with zeros in a way the compiler keeps. */
void wg_key_wipe(struct wg_key *key);
