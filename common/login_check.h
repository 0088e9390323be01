/*
 * What a host itself says of a login that its agent accepts: the account, its shell, and the
 * ceiling. The gateway's monitor decides by this, and agentctl explains by it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/account.h"
#include "common/ceiling.h"

/* What the agent grants. */
struct login_grant {
	const char *account;
	bool nonroot;	/* the account must not be uid 0 */
	bool sftp_only; /* no shell is run: one that refuses logins has nothing to say */
};

struct login_refusal {
	const char *reason; /* one word, for programs; a literal */
	char text[256];	    /* for the person; cut if a shell's path is very long */
	int error;	    /* negative errno when the account could not be looked up */
};

enum {
	LOGIN_REFUSED = 1,
};
/*
 * Looks the account up (NSS). Return: 0, LOGIN_REFUSED and *ret_refusal. *ret_account (the
 * caller's) is set whenever the account was found.
 */
int login_check(const struct login_grant *grant, const struct ceiling *ceiling,
		struct account **ret_account, struct login_refusal *ret_refusal);
