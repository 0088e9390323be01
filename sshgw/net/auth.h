/* Authentication (RFC 4252): the client's requests, held until the monitor has decided. */
#pragma once

#include "sshgw/net/net.h"

/* SSH_REQUEST_AUTH. Return: whether the message is kept. */
bool auth_request(struct net *net, ssh_message message);
/* NET_AUTH_RESULT. Return: 0, negative errno. */
int auth_result(struct net *net, const struct chan_msg *msg);

/* The client is in; text is shown before. Answers the request that is held. */
void auth_let_in(struct net *net, const char *text);
/* One more request that cannot be met: there is an end to that. Answers it. */
void auth_fail(struct net *net, ssh_message message);
