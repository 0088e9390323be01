/*
 * The account of a login, looked up through NSS. The monitor decides about it, the leader becomes
 * it: they compare what they found.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"

struct account {
	char *name, *home;
	char *shell; /* "/bin/sh" where the account names none */
	uid_t uid;
	gid_t gid;
};

enum {
	ACCOUNT_UNKNOWN = 1, /* no such account, or it goes by another name */
};

/* Return: 0, ACCOUNT_UNKNOWN, negative errno when the account database failed. */
int account_get(const char *name, struct account **ret_account);
struct account *account_free(struct account *account);
DEFINE_CLEANUP(struct account *, account_free);

/* A shell whose job is to refuse logins (nologin(8), false(1)). Pure. */
bool account_shell_refuses(const char *shell);

/* The shell can be run: it is an executable file. */
bool account_shell_exists(const char *shell);

/*
 * Whether the person does not want to be greeted: ~/.hushlogin. Looked up with the user's own file
 * access, so that root follows no link for them.
 */
bool account_is_quiet(const struct account *account);
