/*
 * Where libssh hides or mishandles something of the protocol: requests are looked at before libssh
 * gets them, and packets that it has no function for are made in place of others.
 */
#pragma once

#include <libssh/libssh.h>

#include "sshgw/net/net.h"

/* Before the key exchange. */
void packets_init(struct net *net);

/*
 * From a callback that sees a packet before libssh: other bytes in its place, w's, after its type;
 * none if w failed. Of the old ones, which may be a password, nothing is left.
 */
void packets_replace(ssh_buffer packet, const struct chan_writer *w);

/*
 * The numbers of the channel that was confirmed to the client, or that it was asked for, last. The
 * client's is not known of those that it is asked for.
 */
struct packets_channel {
	uint32_t local, remote;
};
struct packets_channel packets_named(void);
/* Others may not know what OpenSSH's client does, and need not ignore it. */
bool packets_client_is_openssh(const struct net *net);
/* A packet, from its number on; is done with the writer. Return: 0, -EIO, -ENOMEM. */
int packets_send(struct net *net, struct chan_writer *w);
/* The client may send so many bytes more on a channel. Return: 0, -EIO. */
int packets_send_window(struct net *net, uint32_t remote_channel, uint32_t bytes);
/*
 * Tell the client that nobody reads a channel any more ("eow@openssh.com", see PROTOCOL of
 * OpenSSH). Return: 0, -EIO.
 */
int packets_send_eow(struct net *net, uint32_t remote_channel);
/* The connection ends, and why. Nothing can be said to the client afterwards. Return: as above. */
int packets_send_disconnect(struct net *net, const char *text);
/*
 * Ask the client for a channel: of a type, with what is said besides, which may be empty. The
 * answer comes later: net_forward_answered(). Return: 0, -EIO.
 */
int packets_open(ssh_channel channel, const char *type, const struct chan_writer *more);
/* Refuse a channel that the client wants, with a reason of RFC 4254 section 5.1 and a text. */
void packets_refuse(ssh_message message, uint32_t reason, const char *text);
