/* A connection that a client asks for, made as the user. */
#pragma once

#include <sys/types.h>

#include "sshgw/msg_forward.h"

/*
 * Start a process that resolves the name, connects to each address in turn, and answers the monitor
 * itself, on the channel that it shares with us: names and connections can take their time. It ends
 * with our end, and says by its status (0) whether it answered.
 * Return: 0, negative errno.
 */
int forward_connect_start(const struct msg_connect *msg, int channel, pid_t *ret_pid);

/* As it would have answered. Return: of chan_send_wait(). */
int forward_connect_fail(int channel, uint32_t id, enum forward_reason reason, const char *why);
