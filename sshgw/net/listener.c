#include "sshgw/net/listener.h"

#include <errno.h>
#include <libssh/server.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/prove.h"
#include "sshgw/net/rewrite.h"
#include "sshgw/net/session.h"

/* Global requests that wait for their turn: a client that wants more at once does not listen. */
#define MAX_WAITING 256u

/* ---- life ---- */

struct net_listener *net_listener_by_id(struct net *net, uint32_t id)
{
	for (size_t i = 0; i < net->n_listeners; i++)
		if (net->listeners[i]->id == id)
			return net->listeners[i];
	return NULL;
}

struct net_listener *net_listener_of_agent(struct net *net)
{
	for (size_t i = 0; i < net->n_listeners; i++)
		if (net->listeners[i]->kind == FORWARD_AGENT)
			return net->listeners[i];
	return NULL;
}

void net_listener_free(struct net *net, struct net_listener *l)
{
	for (size_t i = 0; i < net->n_listeners; i++) {
		if (net->listeners[i] == l) {
			net->listeners[i] = net->listeners[--net->n_listeners];
			break;
		}
	}
	free(l->address);
	free(l);
}

static struct net_listener *listener_add(struct net *net, const struct msg_listen *request)
{
	struct net_listener **list =
		reallocarray(net->listeners, net->n_listeners + 1, sizeof(*list));
	struct net_listener *l;

	if (!list)
		return NULL;
	net->listeners = list;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->address = strdup(request->address);
	if (!l->address) {
		free(l);
		return NULL;
	}
	l->id = request->id;
	l->kind = request->kind;
	l->port = request->port;
	l->single = request->single;
	list[net->n_listeners++] = l;
	return l;
}

int net_listener_new(struct net *net, struct msg_listen *request)
{
	struct chan_writer w = { 0 };
	struct net_listener *l;
	int r;

	if (!msg_listen_is_sound(request))
		return -EINVAL;
	if (net->last_forward == UINT32_MAX)
		return -EOVERFLOW;
	request->id = ++net->last_forward;
	l = listener_add(net, request);
	if (!l)
		return -ENOMEM;
	msg_listen_put(&w, request);
	r = monitor_send(net, NET_LISTEN, &w);
	if (r < 0)
		net_listener_free(net, l);
	return r;
}

int net_listener_end(struct net *net, uint32_t id)
{
	struct net_listener *l = net_listener_by_id(net, id);
	struct chan_writer w = { 0 };

	if (!l || !l->is_ready)
		return 0;
	net_listener_free(net, l);
	chan_put_u32(&w, id);
	return monitor_send(net, NET_UNLISTEN, &w);
}

/* ---- global requests ---- */

static size_t count_remote(const struct net *net)
{
	size_t n = 0;

	for (size_t i = 0; i < net->n_listeners; i++)
		n += net->listeners[i]->kind == FORWARD_TCP ||
		     net->listeners[i]->kind == FORWARD_UNIX;
	return n;
}

/* Return: whether an answer of the monitor is to come. */
static bool listen_for(struct net *net, ssh_message message, enum wish wish, const char *address)
{
	struct msg_listen request = {
		.kind = wish == WISH_TCP ? FORWARD_TCP : FORWARD_UNIX,
		.address = (char *)address,
		.port = wish == WISH_TCP ? (uint32_t)ssh_message_global_request_port(message) : 0,
		.protocol = (char *)"",
		.cookie = (char *)"",
	};

	if (count_remote(net) >= net->init.max_listens) {
		log_notice("Refused to listen for the client: it has %u listeners already",
			   net->init.max_listens);
		return false;
	}
	if (net_listener_new(net, &request) < 0)
		return false;
	net->awaited_listener = request.id;
	return true;
}

/* Return: 0, -ENOENT: there is none. */
static int cancel(struct net *net, ssh_message message, enum wish wish, const char *address)
{
	enum forward_kind kind = wish == WISH_NOT_TCP ? FORWARD_TCP : FORWARD_UNIX;
	uint32_t port =
		wish == WISH_NOT_TCP ? (uint32_t)ssh_message_global_request_port(message) : 0;

	for (size_t i = 0; i < net->n_listeners; i++) {
		const struct net_listener *l = net->listeners[i];

		if (l->kind == kind && l->port == port && strcmp(l->address, address) == 0)
			return net_listener_end(net, l->id);
	}
	return -ENOENT;
}

/* Return: whether it is answered. */
static bool handle(struct net *net, ssh_message message)
{
	const char *text = ssh_message_global_request_address(message);
	enum wish wish = text && text[0] ? (enum wish)text[0] : WISH_FAILURE;
	bool ok = false;

	switch (wish) {
	case WISH_TCP:
	case WISH_UNIX:
		if (listen_for(net, message, wish, text + 1))
			return false;
		break;
	case WISH_NOT_TCP:
	case WISH_NOT_UNIX:
		ok = cancel(net, message, wish, text + 1) == 0;
		break;
	case WISH_PROVE:
		if (prove_answer(net, text + 1))
			return true;
		break;
	case WISH_SUCCESS:
		ok = true;
		break;
	case WISH_FAILURE:
		break;
	}
	if (ok)
		ssh_message_global_request_reply_success(message, 0);
	else
		ssh_message_reply_default(message);
	return true;
}

static void first_is_answered(struct net *net)
{
	ssh_message_free(net->globals[0]);
	memmove(&net->globals[0], &net->globals[1], --net->n_globals * sizeof(net->globals[0]));
}

static void go_on(struct net *net)
{
	while (net->n_globals > 0 && net->awaited_listener == 0)
		if (handle(net, net->globals[0]))
			first_is_answered(net);
}

void net_global_request(struct net *net, ssh_message message)
{
	ssh_message *list = NULL;

	if (net->n_globals == MAX_WAITING)
		log_notice("The client does not wait for its listeners, and floods us");
	else
		list = reallocarray(net->globals, net->n_globals + 1, sizeof(ssh_message));
	if (!list) {
		ssh_message_free(message);
		net_close(net);
		return;
	}
	net->globals = list;
	list[net->n_globals++] = message;
	go_on(net);
}

/* ---- the monitor's answers ---- */

/*
 * To whom the answer is owed: the first of the global requests, or sessions. Return: whether
 * anybody waited for it.
 */
static bool pass_on(struct net *net, uint32_t id, uint32_t port, const char *failure)
{
	if (id != net->awaited_listener)
		return net_session_listening(net, id, failure);
	net->awaited_listener = 0;
	if (failure)
		ssh_message_reply_default(net->globals[0]);
	else
		ssh_message_global_request_reply_success(net->globals[0], (uint16_t)port);
	first_is_answered(net);
	go_on(net);
	return true;
}

int net_listening(struct net *net, const struct chan_msg *msg)
{
	struct msg_listening listening;
	struct net_listener *l;
	int r = msg_listening_get(msg, &listening);

	if (r < 0)
		return r;
	l = net_listener_by_id(net, listening.id);
	if (!l || l->is_ready)
		return -EBADMSG;
	l->is_ready = true;
	l->port = listening.port;
	/* A display is of use to nobody but the session that wanted it, and may be gone by now. */
	if (!pass_on(net, l->id, l->port, NULL) && l->kind == FORWARD_X11)
		return net_listener_end(net, l->id);
	return 0;
}

int net_listen_failed(struct net *net, const struct chan_msg *msg)
{
	_cleanup_free_ char *reason = NULL;
	struct net_listener *l;
	uint32_t id;
	int r = msg_channel_text_get(msg, &id, &reason);

	if (r < 0)
		return r;
	l = net_listener_by_id(net, id);
	if (!l || l->is_ready)
		return -EBADMSG;
	net_listener_free(net, l);
	pass_on(net, id, 0, reason);
	return 0;
}
