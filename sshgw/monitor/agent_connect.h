/* The way to the agent's socket. */
#pragma once

#include <sys/types.h>

#include "common/varlink.h"

/*
 * The account that the agent runs as. Asked for once, before there is a lease: an account database
 * that hangs must not stand between an agent that is back and what it revokes.
 * Return: its user id; that of root, whom we believe anyway, if there is no such account.
 */
uid_t agent_account(void);

/*
 * Connect, and see that it is the agent who serves: this user, or root. Return: 0, -EPERM (somebody
 * else does), negative errno.
 */
int agent_connect(const char *path, uid_t account, struct varlink_client **ret_client);
