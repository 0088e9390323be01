/*
 * PAM for one login: account check, credentials, session, and the end of these in reverse.
 *
 * Nobody is authenticated through PAM (the mesh did that), so pam_authenticate() is never called.
 * A module that asks a question gets none answered.
 */
#pragma once

#include <sys/types.h>

#include "common/account.h"
#include "common/cleanup.h"

struct login_pam_config {
	const char *service;
	const char *confdir; /* directory of service files; NULL: the system's */
};

struct login_pam;

/* Return: 0, -EIO with text. */
int login_pam_new(const struct login_pam_config *config, const struct account *account,
		  const char *remote_host, struct login_pam **ret_pam, char **reterr_text);
/* Closes what was opened: session, credentials, PAM itself. */
struct login_pam *login_pam_free(struct login_pam *pam);
DEFINE_CLEANUP(struct login_pam *, login_pam_free);

enum {
	LOGIN_PAM_REFUSED = 1, /* the account may not log in: text says why */
	LOGIN_PAM_CLOSED,      /* the same, while nologin(5) keeps out everybody but root */
};

/*
 * The account stack. A password that is due for a change is no refusal: it plays no part here.
 * Return: 0, LOGIN_PAM_REFUSED, LOGIN_PAM_CLOSED; -EIO with text (a module that does not work is no
 * verdict), -ENOMEM.
 */
int login_pam_account(struct login_pam *pam, char **ret_text);

/*
 * Establish credentials, open the session (which moves this process into the login's scope).
 * ssh_connection is shown to the modules. On failure what was opened stays for login_pam_free().
 * Return: 0, -EACCES with text, -ENOMEM.
 */
int login_pam_open(struct login_pam *pam, const char *ssh_connection, char **reterr_text);

/* What the modules said so far; borrowed. */
const char *login_pam_text(const struct login_pam *pam);
/* The variables that modules set, ended by NULL; the caller frees each and the list. May be NULL.
 */
char **login_pam_environment(struct login_pam *pam);
