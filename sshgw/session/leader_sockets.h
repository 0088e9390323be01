/*
 * Sockets that the user process has made in the filesystem, and removes: unless it is killed, which
 * ends with the leader doing it, in a process with the rights of the user.
 */
#pragma once

#include <stddef.h>

#include "common/account.h"
#include "sshgw/msg_forward.h"

struct leader_sockets {
	struct msg_socket *list;
	size_t n;
};

/* LEADER_SOCKET, LEADER_SOCKET_GONE. Return: 0, -EBADMSG, -ENOMEM. */
int leader_sockets_add(struct leader_sockets *sockets, const struct chan_msg *in);
int leader_sockets_forget(struct leader_sockets *sockets, const struct chan_msg *in);

/* Remove those that are there still, as the account, within two seconds. */
void leader_sockets_remove(const struct leader_sockets *sockets, const struct account *account);
void leader_sockets_done(struct leader_sockets *sockets);
