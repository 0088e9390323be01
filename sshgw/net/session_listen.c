/*
 * What a session's program is to reach at the client: its ssh-agent, and its display (RFC 4254
 * section 6.3.1). The listener is there before the program, and is named to it when it starts.
 */
#define SSH_SUPPRESS_DEPRECATED /* x11 accessors of messages have no successor in 0.10 */
#include <libssh/server.h>

#include "common/text.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/session_internal.h"

static void wait_for(struct net_session *s, ssh_message message, uint32_t listener)
{
	s->state = SESSION_LISTEN;
	s->held = message;
	s->listener = listener;
}

/* One for all sessions, as the agent is one. */
bool net_session_ask_agent(struct net_session *s, ssh_message message, bool *ret_ok)
{
	struct msg_listen request = {
		.kind = FORWARD_AGENT,
		.address = (char *)"",
		.protocol = (char *)"",
		.cookie = (char *)"",

	};
	const struct net_listener *l = net_listener_of_agent(s->net);

	if (s->state != SESSION_IDLE || s->request.agent_listener != 0)
		return false;
	if (l && l->is_ready) {
		s->request.agent_listener = l->id;
		*ret_ok = true;
		return false;
	}
	if (l) {
		wait_for(s, message, l->id);
		return true;
	}
	if (net_listener_new(s->net, &request) < 0)
		return false;
	wait_for(s, message, request.id);
	return true;
}

/* One for each session: each has a cookie of its own. */
bool net_session_ask_x11(struct net_session *s, ssh_message message)
{
	struct msg_listen request = {
		.kind = FORWARD_X11,
		.address = (char *)"",
		.single = ssh_message_channel_request_x11_single_connection(message) != 0,
		.protocol = (char *)ssh_message_channel_request_x11_auth_protocol(message),
		.cookie = (char *)ssh_message_channel_request_x11_auth_cookie(message),
		.screen = (uint32_t)ssh_message_channel_request_x11_screen_number(message),
	};

	if (s->state != SESSION_IDLE || s->request.x11_listener != 0 || !request.protocol ||
	    !request.cookie || net_listener_new(s->net, &request) < 0)
		return false;
	wait_for(s, message, request.id);
	return true;
}

/*
 * Clients say nothing of such a refusal. Where a person sits at a terminal it is shown to them; the
 * output of others may be read by programs.
 */
static void keep_reason(struct net_session *s, const char *reason)
{
	char *text = text_printf("%s%s\r\n", s->unprepared ?: "", reason);

	if (!text)
		return;
	free(s->unprepared);
	s->unprepared = text;
}

static void answer(struct net_session *s, const struct net_listener *l, const char *failure)
{
	if (failure) {
		keep_reason(s, failure);
		ssh_message_reply_default(s->held);
	} else {
		if (l->kind == FORWARD_AGENT)
			s->request.agent_listener = l->id;
		else
			s->request.x11_listener = l->id;
		ssh_message_channel_request_reply_success(s->held);
	}
	ssh_message_free(take_ptr(s->held));
	s->state = SESSION_IDLE;
	net_session_handle_later(s);
}

bool net_session_listening(struct net *net, uint32_t listener, const char *failure)
{
	bool is_awaited = false;

	for (size_t i = 0; i < net->n_sessions; i++) {
		struct net_session *s = net->sessions[i];

		if (s->state != SESSION_LISTEN || s->listener != listener)
			continue;
		is_awaited = true;
		answer(s, net_listener_by_id(net, listener), failure);
	}
	return is_awaited;
}
