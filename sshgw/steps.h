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
