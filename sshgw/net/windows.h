/*
 * The windows of the client's channels. libssh's are of one size, and it takes what goes beyond
 * them, on channels that are closed as well: so they are kept here, what libssh says of them is not
 * passed on, and what the client was not allowed to send never reaches it.
 */
#pragma once

#include <stdbool.h>

#include "sshgw/net/net.h"
#include "sshgw/net/window.h"

struct net_window {
	struct window window;
	uint32_t local, remote; /* numbers of the channel: ours, the client's */
	bool is_open;		/* the client has agreed to the channel */
};

/* A channel of our number that begins with WINDOW_FLOOR. NULL: without memory. */
struct net_window *windows_add(struct net *net, uint32_t local);
void windows_open(struct net_window *w, uint32_t remote);
void windows_remove(struct net *net, struct net_window *w);

/*
 * The client has sent data. Return: 0; -ENOENT: on no channel that is open; -EPROTO: more than it
 * may.
 */
int windows_receive(struct net *net, uint32_t local, size_t len);
/* Tell the client where it may go on. */
void windows_tell(struct net *net);
