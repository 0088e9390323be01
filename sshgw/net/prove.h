/*
 * The host's other keys, for clients that keep a list of their own: they learn them after the
 * login, and have them proven (OpenSSH's PROTOCOL, section 2.5).
 */
#pragma once

#include <stdbool.h>

#include "sshgw/net/net.h"

/* Name all keys to a client that knows what that is. */
void prove_offer(struct net *net);
/*
 * keys: a digit for each of them, as rewrite_prove() writes it. Return: whether the client has got
 * its signatures; if not, it is to be refused.
 */
bool prove_answer(struct net *net, const char *keys);
