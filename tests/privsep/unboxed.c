/*
 * The network process without its sandbox, in which sanitisers cannot live: they map terabytes of
 * address space and make system calls of their own. Otherwise as in sshgw/net/main.c.
 */
#include <signal.h>

#include "common/clock.h"
#include "common/log.h"
#include "sshgw/net/ended.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/transport.h"

int main(void)
{
	struct net net = { .monitor_fd = NET_FD_MONITOR, .deadline = UINT64_MAX };
	struct chan_msg msg = { 0 };
	int r;

	log_set_sink(monitor_log, &net);
	signal(SIGPIPE, SIG_IGN);
	r = chan_receive_wait(net.monitor_fd, MONITOR_TIMEOUT_USEC, &msg);
	if (r == 0)
		r = msg_net_init_get(&msg, &net.init);
	chan_msg_done(&msg);
	if (r == 0)
		net.deadline =
			clock_usec(CLOCK_MONOTONIC) + net.init.login_grace_sec * USEC_PER_SEC;
	if (r == 0)
		r = transport_init(&net);
	if (r == 0)
		r = monitor_send(&net, NET_READY, NULL);
	if (r == 0)
		r = transport_start(&net, NET_FD_CONNECTION);
	if (r == 0)
		r = net_run(&net);
	net_say_ends(&net);
	/* What lives as long as the process does is no leak; libssh keeps much of that kind. */
	_exit(net.ssh ? net_why_ended(&net, r) : NET_EXIT_FAILED);
}
