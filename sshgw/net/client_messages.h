/*
 * What the client wants, and whom in this process it concerns. libssh queues each such message
 * (sshgw/net/packets.h sees some before it does), and one may be kept for an answer that comes
 * later.
 */
#pragma once

#include "sshgw/net/net.h"

/* Go on with the first key exchange; then handle all that is queued. */
void client_messages_receive(struct net *net);
