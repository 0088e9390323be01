#include "sshgw/monitor/forwarding.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/passed.h"
#include "common/text.h"
#include "sshgw/monitor/forwarding_log.h"
#include "sshgw/monitor/incoming.h"

void forwarding_init(struct monitor *m)
{
	incoming_init(m);
	forwarding_log_init(m);
}

void forwarding_done(struct monitor *m)
{
	incoming_done(m);
	forwards_done(&m->forwarding.table);
}

/* ---- what is refused, and why ---- */

static char *not_by_rule(const struct monitor *m, const char *what)
{
	return text_printf("Peergate: the policy's rule %.200s does not allow %s forwarding",
			   m->lease.rule ?: "for this login", what);
}

static char *too_many(const char *what, const char *key)
{
	return text_printf("Peergate: too many %s on this connection (%s= in sshgw.conf)", what,
			   key);
}

static void answer_no(struct monitor *m, uint32_t id, enum forward_reason reason, char *text)
{
	struct chan_writer w = { 0 };

	msg_connect_failed_put(&w, &(struct msg_connect_failed){ id, reason, text });
	mon_send(m, MON_NET, NET_CONNECT_FAILED, &w, NULL, 0);
}

static void refuse_connect(struct monitor *m, const struct msg_connect *msg,
			   enum forward_reason reason, char *text)
{
	_cleanup_free_ char *name = forward_name_connect(msg);

	forwarding_log_refused(m, "local", name, text);
	answer_no(m, msg->id, reason, text);
}

static void answer_no_listener(struct monitor *m, uint32_t id, const char *text)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, id);
	chan_put_string(&w, text);
	mon_send(m, MON_NET, NET_LISTEN_FAILED, &w, NULL, 0);
}

static void refuse_listen(struct monitor *m, const struct msg_listen *msg, const char *text)
{
	_cleanup_free_ char *name = forward_name_listen(msg);

	forwarding_log_refused(m, forward_way(msg->kind, true), name, text);
	answer_no_listener(m, msg->id, text);
}

/* Return: NULL, it may be. */
static char *why_no_listener(const struct monitor *m, enum forward_kind kind)
{
	const struct lease *lease = &m->lease;

	if (kind == FORWARD_X11 && !m->ceiling.x11_forwarding)
		return strdup("Peergate: X11 is not forwarded on this host (X11Forwarding= in "
			      "sshgw.conf)");
	/* A display lets this host's programs reach the client, as a remote port does. */
	if (kind == FORWARD_AGENT ? !lease->forward_agent : !lease->forward_remote)
		return not_by_rule(m, kind == FORWARD_AGENT ? "agent" : "remote");
	if (m->forwarding.table.n_listeners >= m->ceiling.max_listens)
		return too_many("listeners", "MaxListens");
	return NULL;
}

/* ---- opening: the net process asks ---- */

static void tell_connect(struct monitor *m, struct mon_forward *forward)
{
	struct chan_writer w = { 0 };

	forward->state = MON_FORWARD_ASKED;
	msg_connect_put(&w, &forward->request);
	mon_send(m, MON_USER, USER_CONNECT, &w, NULL, 0);
}

/* As the ceiling has it. Borrowed from the request. */
static struct msg_listen as_bound(const struct monitor *m, const struct msg_listen *request)
{
	struct msg_listen msg = *request;

	if (msg.kind == FORWARD_TCP)
		msg.address = (char *)forwards_bind_address(m->ceiling.gateway_ports, msg.address);
	return msg;
}

static void name_listener(const struct monitor *m, struct mon_listener *listener)
{
	struct msg_listen bound = as_bound(m, &listener->request);

	free(listener->name);
	listener->name = forward_name_listen(&bound);
}

static void tell_listen(struct monitor *m, struct mon_listener *listener)
{
	struct msg_listen msg = as_bound(m, &listener->request);
	struct chan_writer w = { 0 };

	listener->state = MON_FORWARD_ASKED;
	msg_listen_put(&w, &msg);
	mon_send(m, MON_USER, USER_LISTEN, &w, NULL, 0);
}

int forwarding_connect(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_(msg_connect_done) struct msg_connect request = { 0 };
	_cleanup_free_ char *no = NULL;
	struct mon_forward *forward;

	if (msg_connect_get(msg, &request) < 0 ||
	    forwards_take_net_id(&m->forwarding.table, request.id) < 0)
		return -EPROTO;
	if (!m->lease.forward_local) {
		no = not_by_rule(m, "local");
		refuse_connect(m, &request, FORWARD_PROHIBITED, no);
		return 0;
	}
	if (m->forwarding.table.n >= m->ceiling.max_forwards) {
		no = too_many("forwarded connections", "MaxForwards");
		refuse_connect(m, &request, FORWARD_NO_RESOURCES, no);
		return 0;
	}
	forward = forwards_add(&m->forwarding.table, request.id, false);
	if (!forward)
		return -ENOMEM;
	forward->kind = request.kind;
	forward->name = forward_name_connect(&request);
	forward->request = request;
	request = (struct msg_connect){ 0 };
	if (m->state == MON_OPEN)
		tell_connect(m, forward);
	return 0;
}

int forwarding_listen(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_(msg_listen_done) struct msg_listen request = { 0 };
	_cleanup_free_ char *no = NULL;
	struct mon_listener *listener;

	if (msg_listen_get(msg, &request) < 0 ||
	    forwards_take_net_id(&m->forwarding.table, request.id) < 0)
		return -EPROTO;
	no = why_no_listener(m, request.kind);
	if (no) {
		refuse_listen(m, &request, no);
		return 0;
	}
	listener = forwards_add_listener(&m->forwarding.table, request.id);
	if (!listener)
		return -ENOMEM;
	listener->asked = forward_name_listen(&request);
	listener->request = request;
	request = (struct msg_listen){ 0 };
	name_listener(m, listener);
	if (m->state == MON_OPEN)
		tell_listen(m, listener);
	return 0;
}

void forwarding_release_listeners(struct monitor *m)
{
	for (size_t i = 0; i < m->forwarding.table.n_listeners && m->state == MON_OPEN; i++)
		if (m->forwarding.table.listeners[i].state == MON_FORWARD_WAITING)
			tell_listen(m, &m->forwarding.table.listeners[i]);
}

void forwarding_release_connects(struct monitor *m)
{
	for (size_t i = 0; i < m->forwarding.table.n && m->state == MON_OPEN; i++)
		if (m->forwarding.table.list[i].state == MON_FORWARD_WAITING)
			tell_connect(m, &m->forwarding.table.list[i]);
}

/* ---- the user process answers ---- */

static struct mon_forward *find_asked(struct monitor *m, uint32_t id)
{
	struct mon_forward *forward = forwards_find(&m->forwarding.table, id, false);

	return forward && forward->state == MON_FORWARD_ASKED ? forward : NULL;
}

static struct mon_listener *find_asked_listener(struct monitor *m, uint32_t id)
{
	struct mon_listener *listener = forwards_find_listener(&m->forwarding.table, id);

	return listener && listener->state == MON_FORWARD_ASKED ? listener : NULL;
}

void forwarding_bring_up(struct monitor *m, struct mon_forward *forward, uint32_t type,
			 struct chan_writer *w, int fd)
{
	forward->state = MON_FORWARD_UP;
	forward->begun_usec = clock_usec(CLOCK_MONOTONIC);
	forwarding_log_begun(m, forward);
	mon_send(m, MON_NET, type, w, &fd, 1);
}

int forwarding_connected(struct monitor *m, struct chan_msg *msg)
{
	struct chan_writer w = { 0 };
	struct mon_forward *forward;
	uint32_t id;

	if (msg_channel_get(msg, &id) < 0 || msg->n_fds != 1 || !passed_is_connection(msg->fds[0]))
		return -EPROTO;
	forward = find_asked(m, id);
	if (!forward)
		return -EPROTO;
	chan_put_u32(&w, id);
	forwarding_bring_up(m, forward, NET_CONNECTED, &w, msg->fds[0]);
	return 0;
}

int forwarding_listening(struct monitor *m, struct chan_msg *msg)
{
	struct chan_writer w = { 0 };
	struct msg_listening listening;
	struct mon_listener *listener;

	if (msg_listening_get(msg, &listening) < 0)
		return -EPROTO;
	listener = find_asked_listener(m, listening.id);
	if (!listener || (listener->request.kind == FORWARD_TCP) != (listening.port > 0))
		return -EPROTO;
	listener->state = MON_FORWARD_UP;
	if (listener->request.port != listening.port) {
		listener->request.port = listening.port;
		name_listener(m, listener);
	}
	forwarding_log_listening(m, listener);
	msg_listening_put(&w, &listening);
	mon_send(m, MON_NET, NET_LISTENING, &w, NULL, 0);
	return 0;
}

/*
 * What it would leave behind if it were killed. The leader removes that with the rights of the
 * user, who could just as well: what the user process says is good enough.
 */
int forwarding_socket(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_(msg_socket_done) struct msg_socket left = { 0 };
	struct chan_writer w = { 0 };
	struct mon_listener *listener;

	if (msg_socket_get(msg, &left) < 0)
		return -EPROTO;
	listener = find_asked_listener(m, left.id);
	if (!listener || listener->has_path ||
	    (listener->request.kind != FORWARD_UNIX && listener->request.kind != FORWARD_AGENT))
		return -EPROTO;
	listener->has_path = true;
	msg_socket_put(&w, &left);
	mon_send(m, MON_LEADER, LEADER_SOCKET, &w, NULL, 0);
	return 0;
}

static void forget_socket(struct monitor *m, const struct mon_listener *listener)
{
	struct chan_writer w = { 0 };

	if (!listener->has_path)
		return;
	chan_put_u32(&w, listener->id);
	mon_send(m, MON_LEADER, LEADER_SOCKET_GONE, &w, NULL, 0);
}

int forwarding_listen_failed(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_free_ char *reason = NULL;
	struct mon_listener *listener;
	uint32_t id;

	if (msg_channel_text_get(msg, &id, &reason) < 0)
		return -EPROTO;
	listener = find_asked_listener(m, id);
	if (!listener)
		return -EPROTO;
	forwarding_log_failed(m, forward_way(listener->request.kind, true), listener->name, reason);
	forget_socket(m, listener);
	forwards_remove_listener(&m->forwarding.table, listener);
	answer_no_listener(m, id, reason);
	return 0;
}

/* ---- the end of one ---- */

int forwarding_connect_failed(struct monitor *m, struct chan_msg *msg)
{
	_cleanup_(msg_connect_failed_done) struct msg_connect_failed failed = { 0 };
	struct mon_forward *forward;

	if (msg_connect_failed_get(msg, &failed) < 0)
		return -EPROTO;
	forward = find_asked(m, failed.id);
	if (!forward)
		return -EPROTO;
	forwarding_log_failed(m, "local", forward->name, failed.text);
	forwards_remove(&m->forwarding.table, forward);
	answer_no(m, failed.id, failed.reason, failed.text);
	return incoming_let_in(m);
}

int forwarding_end(struct monitor *m, struct chan_msg *msg)
{
	struct msg_forward_end end;
	struct mon_forward *forward;

	if (msg_forward_end_get(msg, &end) < 0)
		return -EPROTO;
	forward = forwards_find(&m->forwarding.table, end.id, end.incoming);
	if (!forward || forward->state != MON_FORWARD_UP)
		return -EPROTO;
	forwarding_log_ended(m, forward, &end);
	forwards_remove(&m->forwarding.table, forward);
	/* While the connection ends, nothing comes in. */
	return m->state == MON_OPEN ? incoming_let_in(m) : 0;
}

int forwarding_unlisten(struct monitor *m, struct chan_msg *msg)
{
	struct forwards *table = &m->forwarding.table;
	struct chan_writer w = { 0 };
	struct mon_listener *listener;
	uint32_t id;

	if (msg_channel_get(msg, &id) < 0)
		return -EPROTO;
	/* The session ended while the display's only connection was on its way to net. */
	if (forwards_end_used_up(table, id))
		return 0;
	listener = forwards_find_listener(table, id);
	if (!listener || listener->state != MON_FORWARD_UP)
		return -EPROTO;
	forget_socket(m, listener);
	forwards_cancel_listener(table, listener);
	chan_put_u32(&w, id);
	mon_send(m, MON_USER, USER_UNLISTEN, &w, NULL, 0);
	return 0;
}

/* ---- programs ---- */

static int check_listener(struct monitor *m, uint32_t *id, enum forward_kind kind)
{
	struct forwards *table = &m->forwarding.table;
	const struct mon_listener *listener = forwards_find_listener(table, *id);

	if (*id > table->last_of_net || (listener && listener->request.kind != kind))
		return -EPROTO;
	if (!listener)
		*id = 0;
	return 0;
}

int forwarding_check_start(struct monitor *m, struct msg_start *start)
{
	int r = check_listener(m, &start->agent_listener, FORWARD_AGENT);

	return r < 0 ? r : check_listener(m, &start->x11_listener, FORWARD_X11);
}
