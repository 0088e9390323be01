/* The session channels of one connection, as the monitor knows them. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshgw/msg.h"

/* Programs whose channel the client closed may go on; there is an end to their number too. */
#define CHANNELS_MAX 256u

enum channel_state {
	CHANNEL_WAITING,  /* for the PAM session to be open */
	CHANNEL_STARTING, /* the user process was told */
	CHANNEL_RUNNING,  /* its descriptors went to the net process */
	CHANNEL_DETACHED, /* the client closed it; the program has not ended yet */
};

struct channel {
	uint32_t id;
	enum channel_state state;
	enum start_kind asked;	/* by the client */
	enum start_kind kind;	/* of what is started: a forced command is START_EXEC */
	struct msg_start start; /* while waiting */
	bool has_pty;
	bool takes_signals; /* the client's own choice of a program: it may signal it */
	bool greeted;	    /* a shell on a terminal: shown motd and last login */
	char line[16];	    /* "pts/3" once the terminal is known and logged in */
};

struct channels {
	struct channel *list;
	size_t n;
};

void channels_done(struct channels *channels);
struct channel *channels_find(struct channels *channels, uint32_t id);
/* Channels that count against the limit of concurrent sessions. */
size_t channels_active(const struct channels *channels);
/* Return: 0 and the new channel in *ret_channel; -EEXIST, -EMFILE, -ENOMEM. */
int channels_add(struct channels *channels, uint32_t id, size_t max_active,
		 struct channel **ret_channel);
/* Pointers to other channels are no longer valid afterwards. */
void channels_remove(struct channels *channels, struct channel *channel);
