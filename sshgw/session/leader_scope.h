/*
 * The control groups of a login, as its leader sees them. Killing what is in them is the monitor's
 * work; when that is gone, nobody else is left to do it, and what runs would run without a lease.
 */
#pragma once

#include "common/cleanup.h"

struct leader_scope {
	char *made;    /* by the monitor, for us; NULL: none */
	char *above;   /* the monitor's own */
	char *session; /* where PAM moved us; NULL: nowhere, or not looked for yet */
};

/* Before PAM is asked for anything. Return: 0 (also without a group), negative errno. */
int leader_scope_init(struct leader_scope *scope);
void leader_scope_done(struct leader_scope *scope);

/*
 * Kill every process of the login but ourselves, who have a PAM session to close, and are in its
 * group again after that. If we cannot be spared we go as well. Logs.
 */
void leader_scope_kill(struct leader_scope *scope);
