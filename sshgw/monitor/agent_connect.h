/* The way to the agent's socket. */
#pragma once

#include "common/varlink.h"

/*
 * Connect, and see that it is the agent who serves. Return: 0, -EPERM (somebody else does),
 * negative errno.
 */
int agent_connect(const char *path, struct varlink_client **ret_client);
