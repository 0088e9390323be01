/*
 * Requests of the client, put into others that libssh puts in its queue. It knows nothing of unix
 * sockets, cuts ports off at 16 bits, and answers some requests at once and others when their turn
 * comes: a client, which tells answers by their order, would take one for another. Pure: bytes in,
 * bytes out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"
#include "sshgw/msg.h"

/* A name that libssh does not know: it queues such a channel request. */
#define REWRITE_UNKNOWN "unknown@peergate"

/*
 * What is wanted: the first byte of the target's address in what libssh hands on, with the address
 * as the client said it behind. A target that cannot be one (RFC 4254 section 7, unix(7)) has none.
 */
enum wish {
	WISH_TCP = 't',
	WISH_UNIX = 'u',
	WISH_NOT_TCP = 'T', /* to cancel it */
	WISH_NOT_UNIX = 'U',
	WISH_FAILURE = '-', /* nothing but to be answered, like this */
	WISH_SUCCESS = '+',
	WISH_PROVE = 'p', /* host keys: their indices follow, a digit each */
};
/* The port of unix sockets: libssh adds one to its answer where none was asked for. */
#define WISH_NO_PORT 1u

/* A subsystem's name. A client that asks for a subsystem of that name gets the same. */
#define WISH_AGENT "auth-agent-req@openssh.com"
#define WISH_BREAK "break" /* RFC 4335 */

enum {
	REWRITE_DONE = 1, /* the bytes to take instead are in w */
};

/*
 * From what follows the message's number. Return: 0: leave it as it is; REWRITE_DONE; -ENOMEM.
 */
/* direct-tcpip, direct-streamlocal@openssh.com: to direct-tcpip. */
int rewrite_open(const uint8_t *packet, size_t len, struct chan_writer *w);
/* hostkeys-prove-00@openssh.com, for some of these: to tcpip-forward. */
int rewrite_prove(const uint8_t *packet, size_t len, const struct msg_host_keys *keys,
		  struct chan_writer *w);
/* All that want an answer, and those that forward: to tcpip-forward. */
int rewrite_global(const uint8_t *packet, size_t len, struct chan_writer *w);
/* Those that libssh answers itself, or queues without their name. */
int rewrite_channel(const uint8_t *packet, size_t len, struct chan_writer *w);
