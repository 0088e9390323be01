/* What the monitor says, and whom in this process it concerns. */
#pragma once

#include "sshgw/net/net.h"

/*
 * Handle all that has come. Return: 0, -EBADMSG: it never says that; -ECONNRESET: it is gone;
 * -ENOMEM, -EIO and others.
 */
int monitor_messages_receive(struct net *net);
