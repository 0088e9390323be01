#include "sshgw/net/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "sshgw/net/client_messages.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/monitor_messages.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/pump.h"
#include "sshgw/net/receive.h"
#include "sshgw/net/session.h"
#include "sshgw/net/turns.h"
#include "sshgw/net/windows.h"

#define CLOSE_USEC (1000 * 1000u)

void net_close(struct net *net)
{
	if (net->state == NET_STATE_CLOSING)
		return;
	net->state = NET_STATE_CLOSING;
	net->deadline = clock_usec(CLOCK_MONOTONIC) + CLOSE_USEC;
}

void net_give_up(struct net *net, int level, const char *why)
{
	log_full(level, 0, NULL, 0, "%s, giving the connection up", why);
	net->is_given_up = true;
	net_close(net);
}

static int poll_timeout(const struct net *net)
{
	uint64_t deadline = net->deadline, now = clock_usec(CLOCK_MONOTONIC);

	if (net->state != NET_STATE_CLOSING && rekey_deadline(&net->rekey) < deadline)
		deadline = rekey_deadline(&net->rekey);
	for (size_t i = 0; i < net->n_sessions; i++) {
		uint64_t due = net_session_deadline(net->sessions[i]);

		deadline = due < deadline ? due : deadline;
	}
	if (deadline == UINT64_MAX)
		return -1;
	return deadline <= now ? 0 : (int)((deadline - now + 999) / 1000);
}

static bool connection_over(const struct net *net)
{
	bool pending = ssh_get_status(net->ssh) & SSH_WRITE_PENDING;

	if (ssh_get_status(net->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR))
		return true;
	/* libssh has closed it because it could not write, which its status does not tell. */
	if (ssh_get_fd(net->ssh) == SSH_INVALID_SOCKET)
		return true;
	if (clock_usec(CLOCK_MONOTONIC) >= net->deadline)
		return true;
	return net->state == NET_STATE_CLOSING && !pending;
}

/* Of what may be sent to the client then, the reason why the connection ends is one. */
static void end_without_new_keys(struct net *net)
{
	const char *why = rekey_why_over(&net->rekey, clock_usec(CLOCK_MONOTONIC));

	if (!why || net->state == NET_STATE_CLOSING)
		return;
	packets_send_disconnect(net, why);
	net_give_up(net, LOG_NOTICE, why);
}

static bool is_any_running(const struct net *net)
{
	for (size_t i = 0; i < net->n_sessions; i++)
		if (net_session_is_running(net->sessions[i]))
			return true;
	return false;
}

/*
 * Delayed acknowledgements of a client's small packets cost 40 ms each until data flows both ways
 * (tcp(7), TCP_QUICKACK: not permanent, set again each time).
 */
static void acknowledge_at_once(const struct net *net)
{
	int one = 1;

	if (!is_any_running(net))
		setsockopt(NET_FD_CONNECTION, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

/* Whether bytes flow, for the idle timeout: the monitor knows how long it may not hear of them. */
static void say_active(struct net *net)
{
	uint64_t now;

	if (net->active.msec == 0 || net->state != NET_STATE_OPEN ||
	    pump_moved() == net->active.bytes)
		return;
	now = clock_usec(CLOCK_MONOTONIC);
	if (now < net->active.due)
		return;
	net->active.bytes = pump_moved();
	net->active.due = now + net->active.msec * 1000ull;
	monitor_send(net, NET_ACTIVE, NULL);
}

int net_run(struct net *net)
{
	_cleanup_free_ struct pollfd *fds = calloc(turns_room(net), sizeof(*fds));
	int r = 0;

	if (!fds)
		return -ENOMEM;
	while (r == 0 && !connection_over(net)) {
		size_t n = turns_collect(net, fds);

		if (poll(fds, n, poll_timeout(net)) < 0 && errno != EINTR)
			return -errno;
		receive_turn(net, fds[TURNS_CONNECTION].revents & POLLIN);
		acknowledge_at_once(net);
		client_messages_receive(net);
		r = monitor_messages_receive(net);
		turns_pump(net);
		windows_tell(net);
		end_without_new_keys(net);
		say_active(net);
	}
	return r;
}

void net_say_ends(struct net *net)
{
	for (size_t i = 0; i < net->n_sessions; i++)
		net_session_say_end(net->sessions[i]);
	for (size_t i = 0; i < net->n_forwards; i++)
		net_forward_say_end(net->forwards[i]);
}
