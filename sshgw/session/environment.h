/* Environment blocks as execve() takes them, and the two that a login needs. Pure. */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"
#include "sshgw/msg.h"

struct environment {
	char **vars; /* ends with NULL; NULL while empty */
	size_t n;
};

void environment_done(struct environment *env);
/* Adds or replaces. Return: 0, -EINVAL (no name, or '=' in it), -ENOMEM. */
int environment_set(struct environment *env, const char *name, const char *value);
/* Borrowed; NULL when there is none. */
const char *environment_get(char *const *vars, const char *name);

struct login_environment {
	const char *user, *home, *shell;
	const char *path; /* as login.defs or the distribution wants it */
	const char *tz;	  /* the gateway's own $TZ, or NULL */
	char *const *pam; /* what PAM modules set, or NULL */
	const char *ssh_client, *ssh_connection;
};

/*
 * What all of a login's sessions share. PAM's variables win over the defaults (PATH, TZ), but not
 * over what the account and the connection are; LD_* is never taken.
 */
int login_environment_build(const struct login_environment *in, struct environment *ret_env);

/*
 * The environment of one session: the login's, then what its request brings. As with sshd, the
 * login's variables win over the client's of the same name. tty is NULL without a terminal.
 */
int session_environment_build(char *const *login, const struct msg_start *start, const char *tty,
			      struct environment *ret_env);
