/*
 * A netlink socket for requests: every answer is read, errors come with the kernel's own words, and
 * interrupted dumps are drained and tried again. One user at a time; nothing is left in the queue.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Room that callers give to a request or a message of a batch. */
#define NLSOCK_MESSAGE_MAX (128u << 10)
#define NLSOCK_EXT_MAX	   128u

struct nlsock;

/* protocol: NETLINK_NETFILTER, NETLINK_GENERIC, ... Return: 0, negative errno. */
int nlsock_open(int protocol, struct nlsock **ret_sock);
struct nlsock *nlsock_free(struct nlsock *sock);
DEFINE_CLEANUP(struct nlsock *, nlsock_free);

/*
 * Have headers of NETLINK_ROUTE's dumps checked strictly, and heeded: the kernel tells only of what
 * they say, instead of everything. Kernels before 4.20 cannot.
 */
void nlsock_narrow_dumps(struct nlsock *sock);
uint32_t nlsock_portid(const struct nlsock *sock);
uint32_t nlsock_next_seq(struct nlsock *sock);
/* Wipe the receive buffer, after answers that held a secret. */
void nlsock_wipe(struct nlsock *sock);
/* What the kernel said about the last failure; "" if nothing. */
const char *nlsock_ext_text(const struct nlsock *sock);

/* Called for each answer. 0, or a negative errno that ends the request (the rest is drained). */
typedef int (*nlsock_answer_fn)(const struct nlmsghdr *nlh, void *userdata);

/*
 * Send nlh (which must have NLM_F_ACK or NLM_F_DUMP) and read all that comes back. The sequence
 * number is set here. restart is called before a dump is repeated; it forgets what was gathered.
 * Return: 0, the kernel's or fn's error, -EBUSY (a dump kept being interrupted), -ETIMEDOUT.
 */
int nlsock_request(struct nlsock *sock, struct nlmsghdr *nlh, nlsock_answer_fn fn,
		   void (*restart)(void *userdata), void *userdata);

/*
 * Send messages with the sequence numbers first..last as one; the last carries NLM_F_ACK, any
 * other is answered only when it fails. Return: 0; the first error and *ret_seq of its message.
 */
int nlsock_batch(struct nlsock *sock, const void *data, size_t len, uint32_t first, uint32_t last,
		 uint32_t *ret_seq);
