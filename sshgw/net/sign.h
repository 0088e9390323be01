/* Host key signatures come from the monitor: see sign.c. */
#pragma once

#include "sshgw/net/net.h"

/* The connection that libssh's calls for a signature belong to (one per process). */
void sign_init(struct net *net);
