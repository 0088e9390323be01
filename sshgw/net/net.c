#include "sshgw/net/net.h"

#include <errno.h>
#include <libssh/server.h>
#include <libssh/ssh2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/net/auth.h"
#include "sshgw/net/check.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/pump.h"
#include "sshgw/net/receive.h"
#include "sshgw/net/session.h"
#include "sshgw/net/windows.h"

#define CLOSE_USEC (1000 * 1000u)

void net_close(struct net *net)
{
	if (net->state == NET_STATE_CLOSING)
		return;
	net->state = NET_STATE_CLOSING;
	net->deadline = clock_usec(CLOCK_MONOTONIC) + CLOSE_USEC;
}

/* ---- the monitor's messages ---- */

void net_banner(struct net *net, const char *text)
{
	_cleanup_free_ char *line = text_printf("%s\r\n", text);
	ssh_string banner;

	if (!line || !text[0])
		return;
	banner = ssh_string_from_char(line);
	if (banner)
		ssh_send_issue_banner(net->ssh, banner);
	ssh_string_free(banner);
}

static int on_started(struct net *net, struct chan_msg *msg)
{
	struct msg_started started = { 0 };
	struct net_session *s;
	int r = msg_started_get(msg, &started);

	if (r < 0)
		return r;
	/* The client may have closed the channel meanwhile: the descriptors are closed then. */
	s = net_session_by_id(net, started.channel);
	if (s)
		net_session_started(s, &started, msg);
	msg_started_done(&started);
	return 0;
}

static int on_start_failed(struct net *net, const struct chan_msg *msg)
{
	_cleanup_free_ char *reason = NULL;
	struct net_session *s;
	uint32_t channel;
	int r = msg_channel_text_get(msg, &channel, &reason);

	if (r < 0)
		return r;
	s = net_session_by_id(net, channel);
	if (s)
		net_session_start_failed(s, reason);
	return 0;
}

static int on_exited(struct net *net, const struct chan_msg *msg)
{
	struct msg_exited exited;
	struct net_session *s;
	int r = msg_exited_get(msg, &exited);

	if (r < 0)
		return r;
	s = net_session_by_id(net, exited.channel);
	if (s)
		net_session_exited(s, &exited);
	return 0;
}

static int on_end(struct net *net, const struct chan_msg *msg)
{
	_cleanup_free_ char *notice = NULL;
	int r = msg_text_get(msg, MSG_MAX_TEXT, &notice);

	if (r < 0)
		return r;
	for (size_t i = 0; i < net->n_sessions; i++)
		net_session_notice(net->sessions[i], notice);
	if (net->n_sessions == 0 && net->state == NET_STATE_OPEN && notice[0])
		packets_send_disconnect(net, notice); /* forwarding alone */
	else if (net->n_sessions == 0)
		net_banner(net, notice);
	net_close(net);
	return 0;
}

static int on_monitor(struct net *net, struct chan_msg *msg)
{
	switch ((enum net_msg)msg->type) {
	case NET_AUTH_RESULT:
		return auth_result(net, msg);
	case NET_STARTED:
		return on_started(net, msg);
	case NET_START_FAILED:
		return on_start_failed(net, msg);
	case NET_EXITED:
		return on_exited(net, msg);
	case NET_END:
		return on_end(net, msg);
	case NET_CHECK:
		return net_check_begin(net, msg);
	case NET_CONNECTED:
		return net_forward_connected(net, msg);
	case NET_CONNECT_FAILED:
		return net_forward_connect_failed(net, msg);
	case NET_LISTENING:
		return net_listening(net, msg);
	case NET_LISTEN_FAILED:
		return net_listen_failed(net, msg);
	case NET_INCOMING:
		return net_forward_incoming(net, msg);
	case NET_INIT:
	case NET_SIGNED:
	case NET_READY:
	case NET_SIGN:
	case NET_AUTHORIZE:
	case NET_START:
	case NET_HANGUP:
	case NET_LOG:
	case NET_SIGNAL:
	case NET_HELD:
	case NET_CONNECT:
	case NET_LISTEN:
	case NET_UNLISTEN:
	case NET_FORWARD_END:
	case NET_ACTIVE:
	case NET_PROVE:
	case NET_SESSION_END:
		break;
	}
	return -EBADMSG;
}

static int receive_monitor(struct net *net)
{
	for (;;) {
		struct chan_msg msg = { 0 };
		int r = monitor_receive(net, &msg);

		if (r == -EAGAIN)
			return 0;
		if (r == 0) {
			r = on_monitor(net, &msg);
			chan_msg_done(&msg);
		}
		if (r < 0)
			return r;
	}
}

/* ---- the client's messages ---- */

static void on_service(struct net *net, ssh_message message)
{
	const char *service = ssh_message_service_service(message);

	if (net->state != NET_STATE_KEX || !service || strcmp(service, "ssh-userauth") != 0) {
		ssh_message_reply_default(message);
		return;
	}
	net->state = NET_STATE_AUTH;
	ssh_message_service_reply_success(message);
}

/* Why there is to be no further session; NULL: there may be. The caller frees. */
static char *why_no_session(const struct net *net)
{
	if (net->n_opens > net->max_opens)
		return strdup("Peergate: no more sessions, as the client has said");
	if (net->n_sessions >= net->init.max_sessions)
		return text_printf("Peergate: no more than %u sessions at a time",
				   net->init.max_sessions);
	return NULL;
}

static void open_session(struct net *net, ssh_message message)
{
	_cleanup_free_ char *why_not = NULL;
	ssh_channel channel;

	net->n_opens++;
	why_not = why_no_session(net);
	if (why_not) {
		packets_refuse(message, SSH2_OPEN_ADMINISTRATIVELY_PROHIBITED, why_not);
		return;
	}
	channel = ssh_message_channel_request_open_reply_accept(message);
	if (channel && net_session_new(net, channel) < 0)
		ssh_channel_free(channel);
}

/* Return: whether the message is kept. */
static bool on_channel_open(struct net *net, ssh_message message)
{
	switch (ssh_message_subtype(message)) {
	case SSH_CHANNEL_SESSION:
		open_session(net, message);
		return false;
	case SSH_CHANNEL_DIRECT_TCPIP:
		return net_forward_open(net, message);
	default:
		packets_refuse(message, SSH2_OPEN_UNKNOWN_CHANNEL_TYPE,
			       "Peergate: no such type of channel");
		return false;
	}
}

/* Return: whether the message is kept. */
static bool on_channel_request(struct net *net, ssh_message message)
{
	struct net_session *s =
		net_session_by_channel(net, ssh_message_channel_request_channel(message));

	if (s)
		return net_session_request(s, message);
	ssh_message_reply_default(message);
	return false;
}

/* Return: whether the message is kept. */
static bool on_message(struct net *net, ssh_message message)
{
	switch (ssh_message_type(message)) {
	case SSH_REQUEST_SERVICE:
		on_service(net, message);
		return false;
	case SSH_REQUEST_AUTH:
		auth_on_message(net, message);
		return true;
	case SSH_REQUEST_CHANNEL_OPEN:
		return on_channel_open(net, message);
	case SSH_REQUEST_CHANNEL:
		return on_channel_request(net, message);
	case SSH_REQUEST_GLOBAL:
		net_global_request(net, message);
		return true;
	default:
		ssh_message_reply_default(message);
		return false;
	}
}

static void receive_client(struct net *net)
{
	ssh_message message;

	if (!net->kex_done) {
		net->kex_done = ssh_handle_key_exchange(net->ssh) == SSH_OK;
		if (!net->kex_done)
			return;
	}
	while (net->state != NET_STATE_CLOSING && (message = ssh_message_get(net->ssh)))
		if (!on_message(net, message))
			ssh_message_free(message);
}

/* ---- the loop ---- */

static int poll_timeout(const struct net *net)
{
	uint64_t deadline = net->deadline, now = clock_usec(CLOCK_MONOTONIC);

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
	if (clock_usec(CLOCK_MONOTONIC) >= net->deadline)
		return true;
	return net->state == NET_STATE_CLOSING && !pending;
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

/* What is asked about: the monitor, the connection, and what has bytes to be moved. */
static size_t collect(struct net *net, struct pollfd *fds)
{
	size_t n = 2;

	fds[0] = (struct pollfd){ .fd = net->monitor_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = NET_FD_CONNECTION, .events = receive_may() ? POLLIN : 0 };
	if (ssh_get_status(net->ssh) & SSH_WRITE_PENDING)
		fds[1].events |= POLLOUT;
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
static void pump(struct net *net)
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
	size_t room = 2 + (size_t)net->init.max_sessions * SESSION_MAX_POLL +
		      (size_t)net->init.max_forwards * FORWARD_MAX_POLL;
	_cleanup_free_ struct pollfd *fds = calloc(room, sizeof(*fds));
	int r = 0;

	if (!fds)
		return -ENOMEM;
	while (r == 0 && !connection_over(net)) {
		size_t n = collect(net, fds);

		if (poll(fds, n, poll_timeout(net)) < 0 && errno != EINTR)
			return -errno;
		receive_turn(net, fds[1].revents & POLLIN);
		acknowledge_at_once(net);
		receive_client(net);
		r = receive_monitor(net);
		pump(net);
		windows_tell(net);
		say_active(net);
	}
	return r;
}
