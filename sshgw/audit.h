/*
 * Logins for the kernel's audit subsystem, as login programs tell it: AUDIT_USER_LOGIN. The records
 * of account, credentials and session (USER_ACCT, CRED_ACQ, USER_START, USER_END) are libpam's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Room for the text of a record: two values, in hexadecimal digits. */
#define AUDIT_TEXT_LEN 2304u

struct audit_login {
	bool success;
	uid_t uid;	     /* with success */
	const char *account; /* else: what was asked for, in any bytes */
	const char *exe;     /* path of the program that tells */
	const char *address; /* of the peer */
};

/*
 * The record's text, as audit.rules(7)'s tools read it: what came from outside is in hexadecimal
 * digits unless it is plain. What is too long for it is cut. Pure. Return: text.
 */
const char *audit_login_text(const struct audit_login *login, char text[AUDIT_TEXT_LEN]);

/*
 * Tell the kernel; exe is found out. Return: 0, also without an audit subsystem, or one that is
 * not for us (a container); negative errno.
 */
int audit_login(const struct audit_login *login);
