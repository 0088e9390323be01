/* Watching libssh, for sshgw/net/rekey.h: when new keys are exchanged, and what it is to send. */
#pragma once

#include "sshgw/net/net.h"

/* Before the key exchange. */
void rekey_packets_init(struct net *net);
