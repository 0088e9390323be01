#include "sshgw/net/windows.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "sshgw/net/packets.h"

#define RTT_EVERY_USEC (250 * 1000u)

struct net_window *windows_add(struct net *net, uint32_t local)
{
	struct net_window **list = reallocarray(net->windows, net->n_windows + 1, sizeof(*list));
	struct net_window *w;

	if (!list)
		return NULL;
	net->windows = list;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	window_init(&w->window);
	w->local = local;
	list[net->n_windows++] = w;
	return w;
}

void windows_open(struct net_window *w, uint32_t remote)
{
	w->remote = remote;
	w->is_open = true;
}

void windows_remove(struct net *net, struct net_window *w)
{
	for (size_t i = 0; i < net->n_windows; i++) {
		if (net->windows[i] == w) {
			net->windows[i] = net->windows[--net->n_windows];
			break;
		}
	}
	free(w);
}

int windows_receive(struct net *net, uint32_t local, size_t len)
{
	for (size_t i = 0; i < net->n_windows; i++)
		if (net->windows[i]->local == local && net->windows[i]->is_open)
			return window_receive(&net->windows[i]->window, len);
	return -ENOENT;
}

/* The kernel measures it all the time (tcp(7), TCP_INFO). */
static uint32_t target_now(struct net *net)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (now < net->rtt.due)
		return window_target(net->rtt.usec);
	net->rtt.due = now + RTT_EVERY_USEC;
	if (getsockopt(NET_FD_CONNECTION, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
		net->rtt.usec = info.tcpi_rtt;
	return window_target(net->rtt.usec);
}

void windows_tell(struct net *net)
{
	uint32_t target;
	uint64_t shares = 0;

	/* It would have to wait, and is more when there is room for it. */
	if (net->n_windows == 0 || rekey_is_under_way(&net->rekey))
		return;
	target = target_now(net);
	for (size_t i = 0; i < net->n_windows; i++)
		shares += window_share(&net->windows[i]->window);
	for (size_t i = 0; i < net->n_windows; i++) {
		struct net_window *w = net->windows[i];
		uint64_t others = shares - window_share(&w->window);
		uint32_t due = w->is_open ? window_due(&w->window, target, others) : 0;

		if (due == 0 || packets_send_window(net, w->remote, due) < 0)
			continue;
		w->window.granted += due;
		shares = others + window_share(&w->window);
	}
}
