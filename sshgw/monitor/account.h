/* The local account of a login. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct account {
	char *name;
	uid_t uid;
	gid_t gid;
	char *shell;
};

/*
 * Look up exactly this name (NSS, through libc).
 * Return: 0; -ENOENT: no such account, or NSS answered with another name ("0" is no account);
 * other negative errno: could not be looked up.
 */
int account_lookup(const char *name, struct account *ret_account);
void account_done(struct account *account);

/* Why the shell is none to log in with, for the person; NULL: it is one. Looks at the file. */
const char *account_shell_problem(const struct account *account);
