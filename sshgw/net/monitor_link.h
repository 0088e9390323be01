/* The net process's end of the channel to its monitor. */
#pragma once

#include "sshgw/net/net.h"

/* The monitor answers within this, or the connection ends. */
#define MONITOR_TIMEOUT_USEC (10 * 1000000ull)

/* Send; waits while the monitor is busy. Frees the writer. Return: 0, negative errno. */
int monitor_send(struct net *net, uint32_t type, struct chan_writer *w);

/*
 * Ask for a signature and wait for it. Other messages that come meanwhile are kept for
 * monitor_receive(). The caller owns ret_blob->data.
 */
int monitor_sign(struct net *net, const struct msg_sign *request, struct msg_blob *ret_blob);
/* The same. */
int monitor_prove(struct net *net, const struct msg_prove *request, struct msg_blob *ret_blob);

/* Next message. Return: 0, -EAGAIN, -ECONNRESET, -EBADMSG. */
int monitor_receive(struct net *net, struct chan_msg *ret_msg);

/* Log sink: lines go to the monitor's journal. */
void monitor_log(void *userdata, int level, const char *text);
