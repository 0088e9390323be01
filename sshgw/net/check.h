/*
 * A login that is held until a person has confirmed it elsewhere. "none" fails, with a banner that
 * says where. A client that has a person before it goes on with keyboard-interactive (RFC 4256): it
 * is shown the same, asked nothing, and its answer is answered when the monitor knows. A script
 * does not offer that method, and has failed at once.
 */
#pragma once

#include "sshgw/net/net.h"

/* NET_CHECK. Return: 0, negative errno. So do these. */
int net_check_begin(struct net *net, const struct chan_msg *msg);
/* It is passed, and the client has not come to wait yet. */
int net_check_passed(struct net *net, const char *text);
/* The client's part of keyboard-interactive. Return: whether the message is kept. */
bool net_check_client(struct net *net, ssh_message message);
