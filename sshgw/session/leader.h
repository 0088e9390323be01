/*
 * The leader of a login: root, in the login's own session scope. Checks the account, opens the PAM
 * session, starts the user process, keeps the login records, and closes all of it in reverse. It
 * does what the monitor says, in one order only, and decides nothing else.
 */
#pragma once

#include "sshgw/session/login_pam.h"

struct leader_config {
	int channel; /* to the monitor */
	int exe;     /* the session executable, for the user process */
	struct login_pam_config pam;
	const char *login_defs;
	const char *utmp, *wtmp, *lastlog;
};

/*
 * Serve until the monitor closes the login or goes away, the user process ends, or SIGTERM comes.
 * Return: 0, negative errno after a message that was out of order or could not be read. In either
 * case all that was opened is closed. Without a monitor nothing that the login started goes on: it
 * would have no lease.
 */
int leader_run(const struct leader_config *config);
