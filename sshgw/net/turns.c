#include "sshgw/net/turns.h"

#include <string.h>

#include "sshgw/net/forward.h"
#include "sshgw/net/receive.h"
#include "sshgw/net/session.h"

size_t turns_room(const struct net *net)
{
	return TURNS_OTHERS + (size_t)net->init.max_sessions * SESSION_MAX_POLL +
	       (size_t)net->init.max_forwards * FORWARD_MAX_POLL;
}

size_t turns_collect(struct net *net, struct pollfd *fds)
{
	size_t n = TURNS_OTHERS;

	fds[TURNS_MONITOR] = (struct pollfd){ .fd = net->monitor_fd, .events = POLLIN };
	fds[TURNS_CONNECTION] =
		(struct pollfd){ .fd = NET_FD_CONNECTION, .events = receive_may() ? POLLIN : 0 };
	if (ssh_get_status(net->ssh) & SSH_WRITE_PENDING)
		fds[TURNS_CONNECTION].events |= POLLOUT;
	for (size_t i = 0; i < net->n_sessions; i++)
		n += net_session_poll(net->sessions[i], &fds[n]);
	for (size_t i = 0; i < net->n_forwards; i++)
		n += net_forward_poll(net->forwards[i], &fds[n]);
	return n;
}

/* From the end: what is over goes, and another takes its place. */
static void pump_sessions(struct net *net)
{
	for (size_t i = net->n_sessions; i-- > 0;)
		net_session_pump(net->sessions[i]);
}

static void pump_forwards(struct net *net)
{
	for (size_t i = net->n_forwards; i-- > 0;)
		net_forward_pump(net->forwards[i]);
}

/* The last of a list of pointers, which was served first, becomes its first. */
static void rotate(void *list, size_t n)
{
	char *p = list;
	void *last;

	if (n < 2)
		return;
	memcpy(&last, p + (n - 1) * sizeof(last), sizeof(last));
	memmove(p + sizeof(last), p, (n - 1) * sizeof(last));
	memcpy(p, &last, sizeof(last));
}

/* Where the connection takes no more than one piece at a time, each gets its turn. */
void turns_pump(struct net *net)
{
	bool was_full = ssh_get_status(net->ssh) & SSH_WRITE_PENDING;

	if (net->forwards_first)
		pump_forwards(net);
	pump_sessions(net);
	if (!net->forwards_first)
		pump_forwards(net);
	if (was_full || !(ssh_get_status(net->ssh) & SSH_WRITE_PENDING))
		return;
	if (net->forwards_first)
		rotate(net->forwards, net->n_forwards);
	else
		rotate(net->sessions, net->n_sessions);
	net->forwards_first = !net->forwards_first;
}
