/* Setting libssh up for one connection: algorithms, host keys, callbacks. */
#pragma once

#include "sshgw/net/net.h"

/* Before the sandbox: libraries initialised, keys imported. Return: 0, negative errno (logged). */
int transport_init(struct net *net);
/* After it: give libssh the connection. */
int transport_start(struct net *net, int fd);
