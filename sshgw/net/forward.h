/*
 * Forwarded connections: each a channel of the client's and a connected socket that the user
 * process has opened or accepted. Which may be is the monitor's to say; here bytes are moved.
 */
#pragma once

#include <libssh/libssh.h>
#include <poll.h>
#include <stdbool.h>

#include "sshgw/net/net.h"

/* Descriptors that one can have in a poll set: the socket, to be written and to be read. */
#define FORWARD_MAX_POLL 2u

struct net_forward;

/* Frees everything, closes socket and channel, and tells the monitor; leaves net->forwards. */
void net_forward_free(struct net_forward *f);
/* That alone: this process ends, and everything with it. */
void net_forward_say_end(const struct net_forward *f);

/*
 * The client wants a connection from here: ask the monitor. The message is direct-tcpip, as
 * sshgw/net/rewrite.h puts it. Return: whether it is kept, else it was answered.
 */
bool net_forward_open(struct net *net, ssh_message message);
/* The client has opened, or refused, a channel that we asked it for. For within libssh. */
void net_forward_answered(struct net *net, ssh_channel channel, bool yes, uint32_t remote);

/* Whether one has it: a pointer that libssh has kept may be that of a channel that is gone. */
bool net_forward_has_channel(const struct net *net, ssh_channel channel);

/*
 * The monitor's messages, whose descriptors are taken. Return: 0; -EBADMSG, -EIO and others: the
 * connection cannot go on.
 */
int net_forward_connected(struct net *net, struct chan_msg *msg);
int net_forward_connect_failed(struct net *net, const struct chan_msg *msg);
int net_forward_incoming(struct net *net, struct chan_msg *msg);

/* Add what it waits for to a poll set with room for FORWARD_MAX_POLL. */
size_t net_forward_poll(struct net_forward *f, struct pollfd *fds);
/* Move bytes as far as window and socket allow; it may be over and freed afterwards. */
void net_forward_pump(struct net_forward *f);
