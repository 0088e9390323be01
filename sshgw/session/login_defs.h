/* /etc/login.defs (login.defs(5)): the few settings of it that concern a login. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"

struct login_defs {
	char *path;	       /* $PATH of users */
	char *root_path;       /* $PATH of root */
	uid_t lastlog_uid_max; /* accounts above it get no lastlog entry */
};

/* Pure: settings that text lacks get Debian's defaults. Return: 0, -ENOMEM. */
int login_defs_parse(const char *text, struct login_defs *ret_defs);
/* From the file; one that cannot be read counts as empty. Return: 0, -ENOMEM. */
int login_defs_read(const char *path, struct login_defs *ret_defs);
void login_defs_done(struct login_defs *defs);
