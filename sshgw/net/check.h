/*
 * A login that is held until a person has confirmed it elsewhere. "none" fails, with a banner that
 * says where, and so does a key. A client that has a person before it goes on with
 * keyboard-interactive (RFC 4256): it is shown the same, asked nothing, and its answer is answered
 * when the monitor knows; or with a password, if that is all it can do. A script does not offer
 * these, and has failed at once.
 */
#pragma once

#include "sshgw/net/net.h"

/* NET_CHECK. Return: 0, negative errno. */
int net_check_begin(struct net *net, const struct chan_msg *msg);
/* An authentication request in NET_STATE_CHECK. Takes over what it holds. */
void check_on_try(struct net *net, struct auth_try *try);
