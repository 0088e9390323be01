#include "sshgw/net/monitor_messages.h"

#include <errno.h>

#include "sshgw/net/auth.h"
#include "sshgw/net/auth_packets.h"
#include "sshgw/net/check.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/session.h"

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
	/* The monitor waits until it is gone, but not for long. */
	if (net->state == NET_STATE_COMING) {
		auth_turn_away(net, notice);
		return 0;
	}
	for (size_t i = 0; i < net->n_sessions; i++)
		net_session_notice(net->sessions[i], notice);
	if (net->n_sessions == 0 && net->state == NET_STATE_OPEN && notice[0])
		packets_send_disconnect(net, notice); /* forwarding alone */
	else if (net->n_sessions == 0)
		auth_banner(net, notice);
	net_close(net);
	return 0;
}

static int on_message(struct net *net, struct chan_msg *msg)
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
	case NET_OPENED:
		return auth_opened(net, msg);
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
	case NET_LOGGED_IN:
		break;
	}
	return -EBADMSG;
}

int monitor_messages_receive(struct net *net)
{
	for (;;) {
		struct chan_msg msg = { 0 };
		int r = monitor_receive(net, &msg);

		if (r == -EAGAIN)
			return 0;
		if (r == 0) {
			r = on_message(net, &msg);
			chan_msg_done(&msg);
		}
		if (r < 0)
			return r;
	}
}
