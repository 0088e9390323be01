#include "sshgw/net/session.h"

#include <errno.h>
#include <libssh/server.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/net/listener.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/packets.h"
#include "sshgw/net/session_internal.h"
#include "sshgw/signals.h"

/* How long EOF waits for the exit status, which should come first (some clients stop at EOF). */
#define EOF_GRACE_USEC (200 * 1000u)
/*
 * From the reason to the refusal: OpenSSH's client ends at once when it reads that, and shows
 * nothing of what came in the same moment.
 */
#define REFUSAL_USEC (100 * 1000u)

/* ---- life ---- */

/* From within libssh: nothing may be sent from here. Return: bytes taken. */
static int on_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr,
		   void *userdata)
{
	struct net_session *s = userdata;

	/* No program has an input of that kind. */
	return (int)(is_stderr ? pump_in_skip(&s->in, len) : pump_in_take(&s->in, data, len));
}

/* RFC 4254 section 6.9: there is no answer, so what cannot be delivered vanishes. */
static void on_signal(ssh_session ssh, ssh_channel channel, const char *name, void *userdata)
{
	struct net_session *s = userdata;
	struct chan_writer w = { 0 };
	struct msg_signal msg = {
		.channel = s->request.channel,
		.number = signal_from_name(name),
	};

	if (msg.number == 0 || s->state != SESSION_RUNNING || s->exited)
		return;
	msg_signal_put(&w, &msg);
	monitor_send(s->net, NET_SIGNAL, &w);
}

static int watch_channel(struct net_session *s)
{
	ssh_callbacks_init(&s->callbacks);
	s->callbacks.userdata = s;
	s->callbacks.channel_data_function = on_data;
	s->callbacks.channel_signal_function = on_signal;
	return ssh_set_channel_callbacks(s->channel, &s->callbacks) == SSH_OK ? 0 : -ENOMEM;
}

int net_session_new(struct net *net, ssh_channel channel)
{
	_cleanup_free_ struct net_session *s = NULL;
	struct net_session **list;

	if (net->n_sessions >= net->init.max_sessions)
		return -EMFILE;
	list = reallocarray(net->sessions, net->n_sessions + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	net->sessions = list;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->net = net;
	s->channel = channel;
	s->remote_channel = packets_named().remote;
	pump_in_init(&s->in);
	s->in.window = windows_add(net, packets_named().local);
	if (!s->in.window)
		return -ENOMEM;
	if (watch_channel(s) < 0) {
		windows_remove(net, s->in.window);
		return -ENOMEM;
	}
	windows_open(s->in.window, s->remote_channel);
	s->request.channel = net->next_channel++;
	pump_out_init(&s->out, false);
	pump_out_init(&s->err, true);
	s->eof_due = s->refuse_due = UINT64_MAX;
	s->terminal = -1;
	list[net->n_sessions++] = take_ptr(s);
	return 0;
}

void net_session_say_end(struct net_session *s)
{
	struct chan_writer w = { 0 };

	if (s->state != SESSION_RUNNING || s->end_said)
		return;
	s->end_said = true;
	msg_session_end_put(&w, &(struct msg_session_end){
					.channel = s->request.channel,
					.to_client = s->out.bytes + s->err.bytes,
					.from_client = s->in.bytes,
				});
	monitor_send(s->net, NET_SESSION_END, &w);
}

void net_session_free(struct net_session *s)
{
	struct net *net = s->net;

	net_session_say_end(s);
	/* As sshd: the display goes with the channel, connections to it stay. */
	net_listener_end(net, s->request.x11_listener);
	for (size_t i = 0; i < net->n_sessions; i++) {
		if (net->sessions[i] == s) {
			net->sessions[i] = net->sessions[--net->n_sessions];
			break;
		}
	}
	pump_in_close(&s->in);
	pump_out_done(&s->out);
	pump_out_done(&s->err);
	close_fd(s->terminal);
	ssh_message_free(s->held);
	net_session_free_later(s);
	free(s->unprepared);
	msg_start_done(&s->request);
	ssh_remove_channel_callbacks(s->channel, &s->callbacks);
	pump_close_channel(s->channel);
	pump_free_channel(net, s->channel, s->in.window->local);
	windows_remove(net, s->in.window);
	free(s);
}

struct net_session *net_session_by_channel(struct net *net, ssh_channel channel)
{
	for (size_t i = 0; i < net->n_sessions; i++)
		if (net->sessions[i]->channel == channel)
			return net->sessions[i];
	return NULL;
}

struct net_session *net_session_by_id(struct net *net, uint32_t id)
{
	for (size_t i = 0; i < net->n_sessions; i++)
		if (net->sessions[i]->request.channel == id)
			return net->sessions[i];
	return NULL;
}

/* ---- the monitor's answers ---- */

void net_session_started(struct net_session *s, struct msg_started *started, struct chan_msg *msg)
{
	if (s->state != SESSION_ASKED)
		return;
	for (size_t i = 0; i < started->n_fds; i++)
		pump_set_nonblocking(msg->fds[i]);
	s->is_pty = started->n_fds == 1;
	if (s->is_pty) {
		s->terminal = take_fd(&msg->fds[0]);
		s->in.fd = s->out.fd = s->terminal;
		s->in.borrowed = s->out.borrowed = true;
	} else {
		s->in.fd = take_fd(&msg->fds[0]);
		s->out.fd = take_fd(&msg->fds[1]);
		s->err.fd = take_fd(&msg->fds[2]);
	}
	s->state = SESSION_RUNNING;
	ssh_message_channel_request_reply_success(s->held);
	ssh_message_free(take_ptr(s->held));
	if (s->is_pty && s->unprepared)
		ssh_channel_write(s->channel, s->unprepared, (uint32_t)strlen(s->unprepared));
	if (s->is_pty && started->text[0])
		ssh_channel_write(s->channel, started->text, (uint32_t)strlen(started->text));
	net_session_handle_later(s);
}

void net_session_start_failed(struct net_session *s, const char *reason)
{
	if (s->state != SESSION_ASKED)
		return;
	net_session_notice(s, reason);
	s->state = SESSION_REFUSED;
	s->refuse_due = clock_usec(CLOCK_MONOTONIC) + REFUSAL_USEC;
}

/* Return: whether it was time. */
static bool refuse(struct net_session *s)
{
	if (clock_usec(CLOCK_MONOTONIC) < s->refuse_due)
		return false;
	ssh_message_reply_default(s->held);
	return true;
}

void net_session_exited(struct net_session *s, const struct msg_exited *exited)
{
	if (s->state != SESSION_RUNNING || s->exited)
		return;
	s->exited = true;
	if (exited->by_signal)
		ssh_channel_request_send_exit_signal(
			s->channel, signal_to_name(exited->value) ?: "SIG@openssh.com",
			exited->core_dumped, "", "");
	else
		ssh_channel_request_send_exit_status(s->channel, (int)exited->value);
	/* Nobody reads its input any more, whoever may still hold its output. */
	pump_in_close(&s->in);
}

void net_session_notice(struct net_session *s, const char *text)
{
	_cleanup_free_ char *line = text_printf("\r\n%s\r\n", text);

	if (!line)
		return;
	if (s->is_pty)
		ssh_channel_write(s->channel, line, (uint32_t)strlen(line));
	else
		ssh_channel_write_stderr(s->channel, line, (uint32_t)strlen(line));
}

void net_session_not_read(struct net_session *s)
{
	s->not_read = true;
}

/* ---- bytes ---- */

/* Order: exit status, data, EOF, CLOSE. Return: whether the session is over. */
static bool finish(struct net_session *s)
{
	uint64_t now;

	if (!pump_out_is_over(&s->out) || !pump_out_is_over(&s->err))
		return false;
	now = clock_usec(CLOCK_MONOTONIC);
	if (s->eof_due == UINT64_MAX)
		s->eof_due = now + EOF_GRACE_USEC;
	if (!s->eof_sent && (s->exited || now >= s->eof_due)) {
		ssh_channel_send_eof(s->channel);
		s->eof_sent = true;
	}
	return s->exited;
}

size_t net_session_poll(struct net_session *s, struct pollfd *fds)
{
	struct pump_out *outputs[] = { &s->out, &s->err };
	size_t n = 0;

	if (pump_in_wants_room(&s->in))
		fds[n++] = (struct pollfd){ .fd = s->in.fd, .events = POLLOUT };
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		struct pump_out *p = outputs[i];

		p->polled = NULL;
		if (pump_out_wants_data(p, s->net, s->channel)) {
			fds[n] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
			p->polled = &fds[n++];
		}
	}
	return n;
}

static void move_input(struct net_session *s)
{
	if (pump_in_move(&s->in, s->channel) < 0) {
		/* The program has closed its end: the client can stop sending. */
		pump_in_close(&s->in);
		if (packets_client_is_openssh(s->net))
			packets_send_eow(s->net, s->remote_channel);
	} else if (!s->in.closed && pump_in_is_over(&s->in, s->channel)) {
		pump_in_close(&s->in);
	}
}

static void move_output(struct net_session *s, struct pump_out *p)
{
	if (pump_out_move(p, s->net, s->channel) < 0)
		net_give_up(s->net, LOG_ERR, "Out of memory");
	/* A terminal that hung up takes no input either. */
	if (s->in.borrowed && s->out.fd < 0)
		pump_in_close(&s->in);
}

static void say_hangup(struct net_session *s)
{
	struct chan_writer w = { 0 };

	if ((s->state != SESSION_ASKED && s->state != SESSION_RUNNING) || s->exited)
		return;
	chan_put_u32(&w, s->request.channel);
	monitor_send(s->net, NET_HANGUP, &w);
}

bool net_session_pump(struct net_session *s)
{
	bool over = ssh_channel_is_closed(s->channel);

	if (over) {
		/* In this order: the monitor waits for no more once it hears of the hangup. */
		net_session_say_end(s);
		say_hangup(s);
	} else if (s->state == SESSION_REFUSED) {
		over = refuse(s);
	} else if (s->state == SESSION_RUNNING) {
		move_input(s);
		if (s->not_read && !s->out.stopped)
			pump_out_stop(&s->out, s->is_pty);
		move_output(s, &s->out);
		move_output(s, &s->err);
		over = finish(s);
	}
	if (over)
		net_session_free(s);
	return !over;
}

uint64_t net_session_deadline(const struct net_session *s)
{
	if (s->state == SESSION_REFUSED)
		return s->refuse_due;
	return s->eof_sent ? UINT64_MAX : s->eof_due;
}

bool net_session_is_running(const struct net_session *s)
{
	return s->state == SESSION_RUNNING;
}
