/*
 * How far a connection has come, as its monitor tells the listener through the status pipe: by the
 * number of bytes in it, which nobody takes out. A pipe may outlive listeners, and versions of
 * them: what a number meant, it goes on to mean.
 */
#pragma once

#include <signal.h>

enum mon_step {
	MON_STEP_LOGGED_IN = 1,
	MON_STEP_LEFT = 2, /* over, but for what it left running; also of one never let in */
	/* It waits for a check. Written at once; one of the above may follow, and adds to it. */
	MON_STEP_HELD = 3,
};

/* The listener's answer to MON_STEP_HELD if there are too many. */
#define MON_SIGNAL_NO_ROOM SIGUSR1
/* From peergate-sshgw --shutdown, which may be of another build: it keeps its meaning, too. */
#define MON_SIGNAL_SHUTDOWN SIGPWR

/* Of the monitor, for the listener that started it. */
enum mon_exit {
	MON_EXIT_DONE = 0,
	MON_EXIT_FAILED = 1, /* it has said why */
	MON_EXIT_BY_HAND = 2,
	/*
	 * The client never logged in, which this host had not hindered; or its network process
	 * said what it must not.
	 */
	MON_EXIT_MISBEHAVED = 3,
};

/* Of the net process, for its monitor: why the connection ended, as far as it knows. */
enum net_exit {
	NET_EXIT_CLOSED = 0,  /* the client has closed it, or we were told to */
	NET_EXIT_FAILED = 1,  /* it has said why */
	NET_EXIT_BROKEN = 3,  /* what the client sent was no SSH */
	NET_EXIT_LOST = 4,    /* an error of the connection */
	NET_EXIT_LATE = 5,    /* it did not go on to log in */
	NET_EXIT_GAVE_UP = 6, /* net_give_up() */
};
