/* Which request is legal in which state, how often, and who carries it out. */
#pragma once

#include "sshgw/monitor/monitor.h"

/*
 * Carry out one message from a peer. Return: 0; -EPROTO: not legal now, or malformed: the
 * connection must end.
 */
int dispatch(struct monitor *m, enum mon_peer_index from, struct chan_msg *msg);
