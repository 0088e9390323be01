#include "sshgw/net/forward.h"

#include <errno.h>
#include <libssh/callbacks.h>
#include <libssh/server.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/msg_forward.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/pump.h"
#include "sshgw/net/rewrite.h"

enum forward_state {
	FORWARD_ASKED,	 /* the monitor is to have it connected */
	FORWARD_OPENING, /* it came in, and the client is to open a channel for it */
	FORWARD_DENIED,	 /* it will not */
	FORWARD_OPEN,
};

struct net_forward {
	struct net *net;
	enum forward_state state;
	bool incoming; /* the number is the user process's, else ours */
	uint32_t id;
	ssh_message message; /* the client's, until it is answered */
	ssh_channel channel; /* NULL while the monitor is asked */
	struct ssh_channel_callbacks_struct callbacks;
	int fd;
	struct pump_in in;
	struct pump_out out;	      /* both borrow the descriptor */
	const struct pollfd *watched; /* for the end alone */
	bool eof_sent;
};

/* ---- life ---- */

static struct net_forward *forward_new(struct net *net, enum forward_state state)
{
	_cleanup_free_ struct net_forward *f = NULL;
	struct net_forward **list = reallocarray(net->forwards, net->n_forwards + 1, sizeof(*list));

	if (!list)
		return NULL;
	net->forwards = list;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->net = net;
	f->state = state;
	f->fd = -1;
	pump_in_init(&f->in);
	pump_out_init(&f->out, false);
	f->in.borrowed = f->out.borrowed = true;
	list[net->n_forwards++] = f;
	return take_ptr(f);
}

static void say_end(struct net *net, const struct msg_forward_end *end)
{
	struct chan_writer w = { 0 };

	msg_forward_end_put(&w, end);
	monitor_send(net, NET_FORWARD_END, &w);
}

static void end_channel(struct net_forward *f)
{
	ssh_remove_channel_callbacks(f->channel, &f->callbacks);
	if (f->state == FORWARD_OPEN)
		pump_close_channel(f->channel);
	if (f->in.window)
		pump_free_channel(f->net, f->channel, f->in.window->local);
	else
		ssh_channel_free(f->channel);
}

static struct msg_forward_end end_of(const struct net_forward *f)
{
	return (struct msg_forward_end){
		.incoming = f->incoming,
		.id = f->id,
		.to_client = f->out.bytes,
		.from_client = f->in.bytes,
	};
}

void net_forward_say_end(const struct net_forward *f)
{
	struct msg_forward_end end = end_of(f);

	if (f->fd >= 0)
		say_end(f->net, &end);
}

/* The descriptor is closed before the monitor hears of it, which counts them. */
void net_forward_free(struct net_forward *f)
{
	struct msg_forward_end end = end_of(f);
	struct net *net = f->net;
	bool had_socket = f->fd >= 0;

	for (size_t i = 0; i < net->n_forwards; i++) {
		if (net->forwards[i] == f) {
			net->forwards[i] = net->forwards[--net->n_forwards];
			break;
		}
	}
	pump_in_close(&f->in);
	pump_out_done(&f->out);
	close_fd(f->fd);
	ssh_message_free(f->message);
	if (f->channel)
		end_channel(f);
	if (f->in.window)
		windows_remove(net, f->in.window);
	free(f);
	if (had_socket)
		say_end(net, &end);
}

static struct net_forward *forward_by_id(struct net *net, bool incoming, uint32_t id)
{
	for (size_t i = 0; i < net->n_forwards; i++)
		if (net->forwards[i]->incoming == incoming && net->forwards[i]->id == id)
			return net->forwards[i];
	return NULL;
}

/* From within libssh: nothing may be sent from here. Return: bytes taken. */
static int on_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr,
		   void *userdata)
{
	struct net_forward *f = userdata;

	/* A socket has but one input. */
	return (int)(is_stderr ? pump_in_skip(&f->in, len) : pump_in_take(&f->in, data, len));
}

static int watch_channel(struct net_forward *f)
{
	ssh_callbacks_init(&f->callbacks);
	f->callbacks.userdata = f;
	f->callbacks.channel_data_function = on_data;
	return ssh_set_channel_callbacks(f->channel, &f->callbacks) == SSH_OK ? 0 : -ENOMEM;
}

/* Of the channel that was named to the client just now. */
static int watch_window(struct net_forward *f)
{
	f->in.window = windows_add(f->net, packets_named().local);
	return f->in.window ? 0 : -ENOMEM;
}

static void take_socket(struct net_forward *f, struct chan_msg *msg)
{
	f->fd = take_fd(&msg->fds[0]);
	pump_set_nonblocking(f->fd);
	f->in.fd = f->out.fd = f->fd;
	/* libssh may have something already when we get to see it. */
	f->in.waiting = true;
}

/* ---- the client wants a connection from here ---- */

static int ask_monitor(struct net *net, ssh_message message, struct msg_connect *request)
{
	struct chan_writer w = { 0 };
	struct net_forward *f = forward_new(net, FORWARD_ASKED);
	int r;

	if (!f)
		return -ENOMEM;
	f->id = request->id = ++net->last_forward;
	msg_connect_put(&w, request);
	r = monitor_send(net, NET_CONNECT, &w);
	if (r < 0)
		net_forward_free(f);
	else
		f->message = message;
	return r;
}

bool net_forward_open(struct net *net, ssh_message message)
{
	const char *wish = ssh_message_channel_request_open_destination(message);
	bool is_unix = wish && wish[0] == WISH_UNIX;
	struct msg_connect request = {
		.kind = is_unix ? FORWARD_UNIX : FORWARD_TCP,
		.target = wish && wish[0] ? (char *)wish + 1 : NULL,
		.port = is_unix ? 0
				: (uint32_t)ssh_message_channel_request_open_destination_port(
					  message),
	};
	_cleanup_free_ char *text = NULL;

	if (net->n_forwards >= net->init.max_forwards) {
		text = text_printf("Peergate: no more than %u forwarded connections at a time",
				   net->init.max_forwards);
		packets_refuse(message, FORWARD_NO_RESOURCES, text ?: "");
		return false;
	}
	if (!request.target || wish[0] == WISH_FAILURE || !msg_connect_is_sound(&request)) {
		packets_refuse(message, FORWARD_CONNECT_FAILED,
			       "Peergate: that is no host and port, and no socket's path");
		return false;
	}
	if (net->last_forward == UINT32_MAX || ask_monitor(net, message, &request) < 0) {
		packets_refuse(message, FORWARD_NO_RESOURCES, "Peergate: out of resources");
		return false;
	}
	return true;
}

int net_forward_connected(struct net *net, struct chan_msg *msg)
{
	struct net_forward *f;
	uint32_t id;
	int r = msg_channel_get(msg, &id);

	if (r < 0)
		return r;
	f = forward_by_id(net, false, id);
	if (!f || f->state != FORWARD_ASKED || msg->n_fds != 1)
		return -EBADMSG;
	take_socket(f, msg);
	f->state = FORWARD_OPEN;
	f->channel = ssh_message_channel_request_open_reply_accept(f->message);
	if (!f->channel || watch_channel(f) < 0 || watch_window(f) < 0) {
		net_forward_free(f);
		return 0;
	}
	windows_open(f->in.window, packets_named().remote);
	ssh_message_free(take_ptr(f->message));
	return 0;
}

int net_forward_connect_failed(struct net *net, const struct chan_msg *msg)
{
	struct msg_connect_failed failed = { 0 };
	struct net_forward *f;
	int r = msg_connect_failed_get(msg, &failed);

	if (r < 0)
		return r;
	f = forward_by_id(net, false, failed.id);
	if (f && f->state == FORWARD_ASKED) {
		packets_refuse(f->message, failed.reason, failed.text);
		net_forward_free(f);
	} else {
		r = -EBADMSG;
	}
	msg_connect_failed_done(&failed);
	return r;
}

/* ---- somebody has connected here ---- */

/* RFC 4254 sections 6.3.2 and 7.2; for the others, PROTOCOL of OpenSSH */
static const char *put_channel_type(struct chan_writer *w, const struct net_listener *listener,
				    const struct msg_incoming *from)
{
	switch (listener->kind) {
	case FORWARD_TCP:
		chan_put_string(w, listener->address);
		chan_put_u32(w, listener->port);
		chan_put_string(w, from->address);
		chan_put_u32(w, from->port);
		return "forwarded-tcpip";
	case FORWARD_UNIX:
		chan_put_string(w, listener->address);
		chan_put_string(w, ""); /* reserved */
		return "forwarded-streamlocal@openssh.com";
	case FORWARD_AGENT:
		return "auth-agent@openssh.com";
	case FORWARD_X11:
		break;
	}
	chan_put_string(w, from->address);
	chan_put_u32(w, from->port);
	return "x11";
}

static int ask_client(struct net *net, const struct net_listener *listener,
		      const struct msg_incoming *from, struct chan_msg *msg)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	struct net_forward *f = forward_new(net, FORWARD_OPENING);
	const char *type;
	int r;

	if (!f)
		return -ENOMEM;
	f->incoming = true;
	f->id = from->id;
	take_socket(f, msg);
	type = put_channel_type(&w, listener, from);
	f->channel = ssh_channel_new(net->ssh);
	r = f->channel ? watch_channel(f) : -ENOMEM;
	if (r == 0)
		r = packets_open(f->channel, type, &w);
	if (r == 0)
		r = watch_window(f);
	if (r < 0)
		net_forward_free(f);
	return 0;
}

/* What nobody waits for any more is closed: the client has cancelled it meanwhile. */
static void drop_incoming(struct net *net, const struct msg_incoming *from, struct chan_msg *msg)
{
	struct msg_forward_end end = { .incoming = true, .id = from->id };

	msg->fds[0] = close_fd(msg->fds[0]);
	say_end(net, &end);
}

int net_forward_incoming(struct net *net, struct chan_msg *msg)
{
	struct msg_incoming from = { 0 };
	struct net_listener *listener;
	int r = msg_incoming_get(msg, &from);

	if (r < 0)
		return r;
	listener = net_listener_by_id(net, from.listener);
	if (msg->n_fds != 1 || forward_by_id(net, true, from.id))
		r = -EBADMSG;
	else if (!listener || net->n_forwards >= net->init.max_forwards ||
		 ask_client(net, listener, &from, msg) < 0)
		drop_incoming(net, &from, msg);
	if (r == 0 && listener && listener->single)
		net_listener_free(net, listener);
	msg_incoming_done(&from);
	return r;
}

void net_forward_answered(struct net *net, ssh_channel channel, bool yes, uint32_t remote)
{
	for (size_t i = 0; channel && i < net->n_forwards; i++) {
		struct net_forward *f = net->forwards[i];

		if (f->channel != channel || f->state != FORWARD_OPENING)
			continue;
		f->state = yes ? FORWARD_OPEN : FORWARD_DENIED;
		if (yes)
			windows_open(f->in.window, remote);
	}
}

bool net_forward_has_channel(const struct net *net, ssh_channel channel)
{
	for (size_t i = 0; i < net->n_forwards; i++)
		if (net->forwards[i]->channel == channel)
			return true;
	return false;
}

/* ---- bytes ---- */

size_t net_forward_poll(struct net_forward *f, struct pollfd *fds)
{
	size_t n = 0;

	f->out.polled = f->watched = NULL;
	if (f->state != FORWARD_OPEN)
		return 0;
	if (pump_in_wants_room(&f->in))
		fds[n++] = (struct pollfd){ .fd = f->fd, .events = POLLOUT };
	if (pump_out_wants_data(&f->out, f->net, f->channel)) {
		fds[n] = (struct pollfd){ .fd = f->fd, .events = POLLIN };
		f->out.polled = &fds[n++];
	} else if (pump_out_is_over(&f->out) && !f->in.closed) {
		fds[n] = (struct pollfd){ .fd = f->fd };
		f->watched = &fds[n++];
	}
	return n;
}

/* From the client: its end is passed on as one, once everything before it was. */
static void move_in(struct net_forward *f)
{
	if (pump_in_move(&f->in, f->channel) < 0) {
		pump_in_close(&f->in);
	} else if (!f->in.closed && pump_in_is_over(&f->in, f->channel)) {
		shutdown(f->fd, SHUT_WR);
		pump_in_close(&f->in);
	} else if (f->watched && f->watched->revents) {
		/* The other side is gone altogether, and not only done with sending. */
		pump_in_close(&f->in);
	}
}

static void move_out(struct net_forward *f)
{
	if (pump_out_move(&f->out, f->net, f->channel) < 0)
		net_give_up(f->net, LOG_ERR, "Out of memory");
	if (pump_out_is_over(&f->out) && !f->eof_sent) {
		ssh_channel_send_eof(f->channel);
		f->eof_sent = true;
	}
}

/* Return: whether it is over. */
static bool move(struct net_forward *f)
{
	move_in(f);
	/* The client has closed the channel: what it sent before that still goes out, and nothing
	 * comes back. */
	if (ssh_channel_is_closed(f->channel)) {
		pump_out_stop(&f->out, true);
		return f->in.closed;
	}
	move_out(f);
	return f->in.closed && pump_out_is_over(&f->out);
}

void net_forward_pump(struct net_forward *f)
{
	bool over = false;

	switch (f->state) {
	case FORWARD_ASKED:
	case FORWARD_OPENING:
		break;
	case FORWARD_DENIED:
		over = true;
		break;
	case FORWARD_OPEN:
		over = move(f);
		break;
	}
	if (over)
		net_forward_free(f);
}
