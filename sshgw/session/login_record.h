/* utmp, wtmp and lastlog: who is on which terminal. Entries of one login, several at a time. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"

struct login_record_config {
	const char *utmp, *wtmp, *lastlog; /* paths */
	const char *user, *remote_host;
	uid_t uid;
	uid_t lastlog_uid_max;
	pid_t pid; /* the session's leader: logind finds the session's terminal by it */
};

struct login_record;

#define LOGIN_RECORD_LAST_MAX 320u

/* "pts/" and a number as the kernel writes it. Pure. */
bool login_line_is_valid(const char *line);

/* The config's strings are copied. Return: 0, -ENOMEM. */
int login_record_new(const struct login_record_config *config, struct login_record **ret_record);
/*
 * "Last login: DATE from HOST" and a newline: what lastlog has of the account until
 * login_record_login() writes there, fit for a terminal. At most LOGIN_RECORD_LAST_MAX bytes.
 * Return: the caller's to free; NULL when there is none, or it cannot be read.
 */
char *login_record_last(const struct login_record *record);
/* Logs out the lines that are still there. */
struct login_record *login_record_free(struct login_record *record);
DEFINE_CLEANUP(struct login_record *, login_record_free);

/*
 * Return: 0, -EINVAL (no such line), -EEXIST (already logged in), -ENOSPC (too many), or the first
 * error of writing; the other files were written all the same. Files that do not exist are skipped:
 * a host without utmp wants none.
 */
int login_record_login(struct login_record *record, const char *line);
/* Return: 0, -ENOENT (not logged in there), or as above. */
int login_record_logout(struct login_record *record, const char *line);
