/* Cookies (RFC 6265), of which we know two, each with a secret in it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COOKIE_MAX_NAME 32u
#define COOKIE_SIZE	64u /* of a value and its NUL: 32 bytes in base64url take 44 */
#define COOKIE_SET_SIZE 256u

/*
 * Find a cookie in the value of a Cookie field. A value in quotes loses them. Return: 0 and
 * ret_value; -ENOENT; -EINVAL: it is there twice (then one of them is not ours: somebody else could
 * set it), too long, or no value as we write them: letters, digits, "-" and "_".
 */
int cookie_find(const char *field, const char *name, char ret_value[COOKIE_SIZE]);

struct cookie_set {
	const char *name, *value; /* value "": it is to be forgotten */
	bool secure;		  /* sent over TLS only */
	uint64_t max_age;	  /* seconds; 0: until the browser ends */
};
/*
 * The value of a Set-Cookie field: for all of the origin, not for scripts, not with what other
 * sites post. Return: buf.
 */
char *cookie_set_text(const struct cookie_set *cookie, char buf[COOKIE_SET_SIZE]);
