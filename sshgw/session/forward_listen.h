/* Listening sockets of remote forwarding, opened as the user; and what is left of them removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sshgw/msg_forward.h"

#define FORWARD_MAX_SOCKETS 2 /* of one listener: one for each family */

struct listen_sockets {
	int fds[FORWARD_MAX_SOCKETS];
	size_t n;
	uint32_t port; /* tcp and x11; else 0 */
	char *path;    /* of a unix socket, which is removed at the end; NULL: none */
	dev_t dev;     /* that it was made with: another of that name stays */
	ino_t ino;
	char *dir; /* that was made for it */
};

/*
 * At an address as text, "" for all, "localhost" for the loopback in both families. port 0: any,
 * the same in both. All that there is of it is bound, or nothing.
 * Return: 0 and the caller's sockets; negative errno with *reterr_text.
 */
int listen_tcp(const char *address, uint32_t port, struct listen_sockets *ret_sockets,
	       char **reterr_text);
/* At a path where nothing is, for the user alone. */
int listen_unix(const char *path, struct listen_sockets *ret_sockets, char **reterr_text);
/* In a directory of its own, in runtime_dir if that is the user's alone, or else in /tmp. */
int listen_agent(const char *runtime_dir, struct listen_sockets *ret_sockets, char **reterr_text);
void listen_sockets_done(struct listen_sockets *sockets);
/* Remove the unix socket at a path, if it is still that one. Allocates nothing. Return: it was. */
bool listen_remove_socket(const char *path, dev_t dev, ino_t ino);
