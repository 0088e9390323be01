#include "sshgw/net/client_messages.h"

#include <libssh/server.h>
#include <libssh/ssh2.h>
#include <string.h>

#include "common/text.h"
#include "sshgw/net/auth.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/session.h"

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
	ssh_channel channel = ssh_message_channel_request_channel(message);
	struct net_session *s = net_session_by_channel(net, channel);

	if (s)
		return net_session_request(s, message);
	/* An answer looks into the channel, and on one that we have closed there is none. */
	if (net_forward_has_channel(net, channel))
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

void client_messages_receive(struct net *net)
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
