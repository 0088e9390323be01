/* The account of a login, looked up once through NSS and kept. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"

struct login_account {
	char *name, *home;
	char *shell; /* "/bin/sh" where the account names none */
	uid_t uid;
	gid_t gid;
};

enum {
	LOGIN_ACCOUNT_UNKNOWN = 1, /* no such account, or it goes by another name */
};

/* Return: 0, LOGIN_ACCOUNT_UNKNOWN, negative errno when the account database failed. */
int login_account_get(const char *name, struct login_account **ret_account);
struct login_account *login_account_free(struct login_account *account);
DEFINE_CLEANUP(struct login_account *, login_account_free);

/* A shell whose job is to refuse logins (nologin(8), false(1)). Pure. */
bool login_shell_refuses(const char *shell);

/* The shell can be run: it is an executable file. */
bool login_shell_exists(const char *shell);

/*
 * Whether the person does not want to be greeted: ~/.hushlogin. Looked up with the user's own file
 * access, so that root follows no link for them.
 */
bool login_account_is_quiet(const struct login_account *account);
