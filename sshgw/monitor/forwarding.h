/*
 * Forwarding: what the net process asks for, the policy and the ceiling permitting, is opened by
 * the user process, and what that hands over goes to the net process if it is a connected socket.
 */
#pragma once

#include "sshgw/monitor/monitor.h"

void forwarding_init(struct monitor *m);
void forwarding_done(struct monitor *m);

/* ---- the net process; return: 0, -EPROTO ---- */

int forwarding_connect(struct monitor *m, struct chan_msg *msg);
int forwarding_listen(struct monitor *m, struct chan_msg *msg);
int forwarding_unlisten(struct monitor *m, struct chan_msg *msg);
int forwarding_end(struct monitor *m, struct chan_msg *msg);

/*
 * Whether a program may be started with the variables of these listeners. One that is not there any
 * more becomes 0, for a display of a single connection may have had it already.
 */
int forwarding_check_start(struct monitor *m, struct msg_start *start);

/* ---- the user process; return: 0, -EPROTO ---- */

int forwarding_connected(struct monitor *m, struct chan_msg *msg);
int forwarding_connect_failed(struct monitor *m, struct chan_msg *msg);
int forwarding_listening(struct monitor *m, struct chan_msg *msg);
int forwarding_listen_failed(struct monitor *m, struct chan_msg *msg);
int forwarding_socket(struct monitor *m, struct chan_msg *msg);

/*
 * Open to both sides: fd goes to the net process by this message (w is freed), and the journal has
 * a record.
 */
void forwarding_bring_up(struct monitor *m, struct mon_forward *forward, uint32_t type,
			 struct chan_writer *w, int fd);

/* ---- the login ---- */

/* The PAM session is open: what has waited for it. Listeners come before programs start. */
void forwarding_release_listeners(struct monitor *m);
void forwarding_release_connects(struct monitor *m);
