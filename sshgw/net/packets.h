/*
 * Where libssh hides or mishandles something of the protocol: requests are looked at before libssh
 * gets them, and packets that it has no function for are made in place of others.
 */
#pragma once

#include <libssh/libssh.h>

#include "sshgw/net/net.h"

/* Before the key exchange. */
void packets_init(struct net *net);

/* The client's number for the channel whose opening was confirmed last. */
uint32_t packets_confirmed(void);
/*
 * Tell the client that nobody reads a channel any more ("eow@openssh.com", see PROTOCOL of
 * OpenSSH). Return: 0, -EIO.
 */
int packets_send_eow(struct net *net, uint32_t remote_channel);
