/*
 * How a connection goes from its beginning to its end: two records in the journal, and what the
 * listener is told by our exit status.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sshgw/steps.h"

struct monitor;

struct story {
	uint64_t begun_usec; /* CLOCK_MONOTONIC; 0: it has not */
	const char *why;     /* it ends, the first reason of all; NULL: it does not yet */
	bool met_client;     /* net reads what it sends */
	uint64_t state_usec; /* CLOCK_MONOTONIC: since when the state is what it is */
	bool kept_waiting;   /* by this host, which was to decide in the state before this one */
	bool logged_in;
	bool refused;	 /* the login */
	bool misbehaved; /* the client did: the listener keeps count */
	bool is_over;	 /* recorded */
};

/* The reason while only the net process's end is known, which its exit status may explain. */
extern const char story_net_gone[];

void story_begin(struct monitor *m);
/* The first reason counts. why: a literal. */
void story_why(struct monitor *m, const char *why);
/* The state is about to become another one. */
void story_leave_state(struct monitor *m);
/* The net process has ended by itself, with this status. */
void story_net_exited(struct monitor *m, int status);
/* It was killed by a signal that is not ours. */
void story_net_crashed(struct monitor *m);
/*
 * The connection is over: record it, with what the kernel counted on it, and close it. Only the
 * first call does something.
 */
void story_end(struct monitor *m);
/* For the listener, of a monitor that has come to its end (0) or failed (negative errno). */
enum mon_exit story_exit_status(const struct monitor *m, int r);
