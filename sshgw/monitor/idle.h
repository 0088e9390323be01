/*
 * A rule's idle timeout: the connection ends when for so long no byte went through any of its
 * channels, in either direction. That bytes flow is the net process's word: one that was taken over
 * can keep its own connection from being idle, and nothing else.
 */
#pragma once

#include "sshgw/monitor/monitor.h"

/* Return: 0, negative errno. */
int idle_init(struct monitor *m);
/* How often the net process is to say that bytes flow, in milliseconds; 0: it need not. */
uint32_t idle_tell_msec(const struct monitor *m);
/* The login is open, or a program has started: time counts from here, if the lease limits it. */
void idle_begin(struct monitor *m);
/* NET_ACTIVE: it counts anew. */
int idle_not(struct monitor *m, struct chan_msg *msg);
