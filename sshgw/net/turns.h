/* Sessions and forwarded connections: what they wait for, and whose turn it is to move bytes. */
#pragma once

#include <poll.h>
#include <stddef.h>

#include "sshgw/net/net.h"

/* Where they are in a poll set. */
enum {
	TURNS_MONITOR,
	TURNS_CONNECTION,
	TURNS_OTHERS,
};

/* Of a poll set that takes all there may be. */
size_t turns_room(const struct net *net);
/*
 * What is asked about: the monitor, the connection, and what has bytes to be moved. fds has room
 * for turns_room(). Return: how many.
 */
size_t turns_collect(struct net *net, struct pollfd *fds);
/* Move bytes; those that are over are freed. */
void turns_pump(struct net *net);
