/*
 * Authentication's packets: requests, before libssh sees them, and banners. libssh would import
 * keys, check signatures, copy passwords, and leave a client without an answer whose kind of key it
 * does not know. It is shown a request for "none" in the place of each; what was asked for waits
 * here.
 */
#pragma once

#include "sshgw/net/net.h"

/* Before the key exchange. */
void auth_packets_init(struct net *net);
/*
 * The oldest request not yet taken, which is the one in the message that libssh has queued.
 * Return: 0, -EBADMSG: it was none; -ENOMEM. The caller owns *ret_request.
 */
int auth_packets_take(struct net *net, struct auth_request *ret_request);
/* Show the client a line, before it is logged in. "": nothing. */
void auth_banner(struct net *net, const char *text);
