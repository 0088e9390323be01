/*
 * Connections that come to a listener of the user process: one at a time is handed over, and the
 * next one is asked for (USER_NEXT) when it is let in or dropped.
 */
#pragma once

#include "sshgw/monitor/monitor.h"

void incoming_init(struct monitor *m);
/* Once there is the loop. Return: 0, negative errno. */
int incoming_add_timer(struct monitor *m);
void incoming_done(struct monitor *m);

/* USER_INCOMING. Return: 0, -EPROTO, -ENOMEM. */
int incoming_came(struct monitor *m, struct chan_msg *msg);
/*
 * There may be room for the one that waits, and with it all who come after it. Return: 0, -ENOMEM.
 */
int incoming_let_in(struct monitor *m);
