/* Codes that change with the time (TOTP, RFC 6238): SHA-1, 30 seconds, six digits, as apps have it.
 */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"

#define TOTP_SECRET_LEN 20u /* bytes */
#define TOTP_TEXT_SIZE	33u /* of their base32, and a NUL */

/* Fresh, from getrandom(2), in base32 (RFC 4648, upper case). Return: 0, negative errno. */
int totp_secret_new(char ret_secret[TOTP_TEXT_SIZE]);

enum {
	TOTP_WRONG = 1,
};
/*
 * Is this the code of now, of the step before, or of the one after (clocks differ)? Blanks in it do
 * not matter. last_step: of the last code that was used; that step and older ones are wrong. now in
 * microseconds since 1970.
 * Return: 0 and *ret_step, to be kept as the last one; TOTP_WRONG; -EINVAL: the secret is none;
 * -EIO.
 */
int totp_check(const char *secret, const char *code, uint64_t now, uint64_t last_step,
	       uint64_t *ret_step);
/* The code of a step (time in seconds / 30), six digits and a NUL. Return: 0, -EINVAL, -EIO. */
int totp_code(const char *secret, uint64_t step, char ret_code[7]);

/*
 * "otpauth://totp/ISSUER:LOGIN?secret=...", for a QR code. It holds the secret: secret_free().
 * Return: the caller's; NULL: out of memory.
 */
char *totp_uri(const char *issuer, const char *login, const char *secret);
