/* What the test and its puppets (puppet.c) say to one another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* An abstract address, in the network namespace of the test. */
#define PUPPET_SOCKET	  "peergate-privsep"
#define PUPPET_SOCKET_LEN (offsetof(struct sockaddr_un, sun_path) + 1 + sizeof(PUPPET_SOCKET) - 1)

/* Where the monitor puts the channels: sshgw/net/net.h, sshgw/session/main.c. */
#define PUPPET_NET_CHANNEL    4
#define PUPPET_LEADER_CHANNEL 3
#define PUPPET_LAST_FD	      4

enum puppet_role {
	PUPPET_NET,
	PUPPET_LEADER,
};

/* The first message, with the channel's descriptor. */
struct puppet_hello {
	enum puppet_role role;
	pid_t pid;
	unsigned extra_fds; /* inherited besides 0 to PUPPET_LAST_FD */
	bool has_environment;
};

/* Orders of one byte; at the end of the control connection it exits. */
#define PUPPET_EXIT  'x'
#define PUPPET_FORK  'f' /* answered with the same byte */
#define PUPPET_FAIL  'e' /* exits with NET_EXIT_FAILED */
#define PUPPET_BREAK 'b' /* with NET_EXIT_BROKEN */
#define PUPPET_HANG  'h' /* asks about the file whose path follows, as the next message */
