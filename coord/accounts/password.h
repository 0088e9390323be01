/*
 * Passwords of built-in accounts: yescrypt, by libxcrypt. These take tens of milliseconds and 16
 * MiB each, by design: they are for a thread of their own (verify.h).
 */
#pragma once

#include "common/cleanup.h"

#define PASSWORD_MIN 10u  /* characters */
#define PASSWORD_MAX 256u /* bytes; longer ones would only cost time */

/*
 * May it be somebody's password? Return: NULL; else what is wrong with it, for people, to be put
 * behind "The password ". login: whose it would be; NULL: not known.
 */
const char *password_problem(const char *password, const char *login);

/* Wiped and freed; NULL is fine. Returns NULL. */
char *secret_free(char *secret);
DEFINE_CLEANUP(char *, secret_free);

/* Return: 0 and *ret_hash, the caller's, as crypt(5) has it; -ENOMEM; -EIO. */
int password_hash(const char *password, char **ret_hash);

enum {
	PASSWORD_WRONG = 1,
};
/*
 * Is it the one that the hash was made of? Every method that crypt(3) knows is understood.
 * Return: 0: it is; PASSWORD_WRONG; -ENOMEM; -EINVAL: the hash is none.
 */
int password_check(const char *password, const char *hash);
