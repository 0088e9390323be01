/*
 * What a client wants to be let in by (RFC 4252 sections 5, 7 and 8, RFC 4256). Pure.
 *
 * Nothing here proves who somebody is: that is the business of WireGuard, and of the monitor. So
 * keys, signatures, passwords and answers are not looked at, only told apart.
 */
#pragma once

#include "common/cleanup.h"
#include "sshgw/msg.h"

enum auth_method {
	AUTH_METHOD_OTHER, /* nobody is let in by that, or to that service */
	AUTH_METHOD_NONE,
	AUTH_METHOD_OFFER, /* publickey without a signature: would that key do? */
	AUTH_METHOD_KEY,
	AUTH_METHOD_PASSWORD,
	AUTH_METHOD_INTERACTIVE,
	AUTH_METHOD_ANSWER, /* to keyboard-interactive's question: a message of its own */
};

struct auth_request {
	enum auth_method method;
	char *user;
	struct msg_blob algorithm, key; /* of an offer: the answer names them */
};

/*
 * From what follows the message's number. Never AUTH_METHOD_ANSWER.
 * Return: 0, -EBADMSG: no request, or a user name that is too long or has a NUL in it; -ENOMEM.
 */
int auth_request_parse(const uint8_t *packet, size_t len, struct auth_request *ret_request);
void auth_request_done(struct auth_request *request);

/*
 * "alice+password" is alice, who wants to be asked for a password: for clients that cannot bear
 * that "none" succeeds. An account that is called so has to be named with the suffix once more.
 * Return: length of the account's name; that of all of user, if there is no suffix.
 */
size_t auth_user_len(const char *user);
