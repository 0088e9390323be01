/*
 * Authentication (RFC 4252). Who the client is follows from its WireGuard key, and what it may from
 * the policy: the first request, of whatever method, has the monitor asked, which waits as long for
 * its answer. After a yes "none" has succeeded; whoever asks by another method is let in by any
 * key, password or answer. After a no the client is told why, and everything fails.
 *
 * The session is opened when the client is done, not at the yes: it may never be.
 */
#pragma once

#include "sshgw/net/net.h"

/* SSH_REQUEST_AUTH. Takes the message over. */
void auth_on_message(struct net *net, ssh_message message);
/* NET_AUTH_RESULT. Return: 0, negative errno. */
int auth_result(struct net *net, const struct chan_msg *msg);

/* NET_OPENED. Return: 0, -EBADMSG. */
int auth_opened(struct net *net, const struct chan_msg *msg);
/* Say why not; the client says "Permission denied" then, and leaves by itself. */
void auth_turn_away(struct net *net, const char *text);

/* ---- for sshgw/net/check.c ---- */

void auth_try_done(struct auth_try *try);
/* It is answered later; one that was held is answered now. Takes *try over. */
void auth_hold(struct net *net, struct auth_try *try);
/* The one that is held, and is not any more; the caller's. */
struct auth_try auth_take_held(struct net *net);
/* It cannot be met; the failure names what can. */
void auth_fail(struct net *net, const struct auth_try *try);
/* Have keyboard-interactive show a text ("": none) and ask nothing. Return: 0, -ENOMEM. */
int auth_prompt(struct net *net, const struct auth_try *try, const char *text);
