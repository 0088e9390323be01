/*
 * A login that needs a check: a person is asked whether it is them, and the client is told where to
 * say so. The agent's answer ends it, as it ends the asking of any login.
 */
#pragma once

#include "sshgw/monitor/monitor.h"

/* Return: 0, negative errno. */
int check_init(struct monitor *m);
/* The agent says that a check is needed; with other words also a second time. */
void check_begin(struct monitor *m, const struct lease_check *check);
/* NET_HELD: the client waits for the outcome, as people do and scripts do not. */
int check_held(struct monitor *m, struct chan_msg *msg);
/* The agent has accepted: what limits other logins counts again. */
void check_passed(struct monitor *m);
/* How long the person took, as the end of a sentence: "" if nobody was asked. buf: 64 bytes. */
const char *check_took(const struct monitor *m, char *buf);
/* If it is going on, the journal is told that the client went away. */
void check_client_gone(struct monitor *m);
