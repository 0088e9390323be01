/*
 * Reading from the connection. libssh would take 4 KiB at a time, with a poll() before each; once
 * the first key exchange is over, we read larger pieces and hand them to its packet parser.
 */
#pragma once

#include "sshgw/net/net.h"

/* Before libssh gets the connection. */
void receive_init(struct net *net);
/* Once there is a session. */
void receive_start(struct net *net);
/*
 * The client reads its answers. As long as it does not, and has not logged in, nothing is read from
 * it either.
 */
bool receive_may(void);
/* Let libssh do what there is to do on the connection, within limits. */
void receive_turn(struct net *net, bool readable);
