#define SSH_SUPPRESS_DEPRECATED /* pty accessors of messages have no successor in 0.10 */
#include "sshgw/net/session.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/server.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/pty_modes.h"

/* libssh puts at most 32768 - 10 bytes into a packet: whole packets, no small rests. */
#define PUMP_SIZE (4u * 32758u)
/* How long EOF waits for the exit status, which should come first (some clients stop at EOF). */
#define EOF_GRACE_USEC (200 * 1000u)

enum session_state {
	SESSION_IDLE,	 /* channel is open: env and pty requests */
	SESSION_ASKED,	 /* the monitor is starting the program */
	SESSION_RUNNING, /* until output has ended and the exit status is known */
};

struct pump {
	int fd;
	uint8_t *buf; /* PUMP_SIZE, allocated at first use */
	size_t start, len;
};

struct net_session {
	struct net *net;
	ssh_channel channel;
	enum session_state state;
	struct msg_start request; /* collected until shell or exec; .channel is our id */
	ssh_message start_message;
	struct pump in, out, err; /* a terminal has its one descriptor in "out" */
	bool is_pty;
	bool exited, eof_sent;
	uint64_t eof_due;
};

/* ---- life ---- */

int net_session_new(struct net *net, ssh_channel channel)
{
	struct net_session **list, *s;

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
	s->request.channel = net->next_channel++;
	s->in.fd = s->out.fd = s->err.fd = -1;
	s->eof_due = UINT64_MAX;
	list[net->n_sessions++] = s;
	return 0;
}

static void pump_done(struct pump *p)
{
	p->fd = close_fd(p->fd);
	free(p->buf);
	*p = (struct pump){ .fd = -1 };
}

void net_session_free(struct net_session *s)
{
	struct net *net = s->net;

	for (size_t i = 0; i < net->n_sessions; i++) {
		if (net->sessions[i] == s) {
			net->sessions[i] = net->sessions[--net->n_sessions];
			break;
		}
	}
	pump_done(&s->in);
	pump_done(&s->out);
	pump_done(&s->err);
	if (s->start_message)
		ssh_message_free(s->start_message);
	msg_start_done(&s->request);
	ssh_channel_free(s->channel);
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

/* ---- requests before the program runs ---- */

static uint32_t dimension(int value)
{
	return value > 0 && value <= UINT16_MAX ? (uint32_t)value : 0;
}

static bool take_pty(struct net_session *s, ssh_message message)
{
	struct msg_blob modes = pty_modes_take(s->net);
	const char *term = ssh_message_channel_request_pty_term(message);
	struct msg_pty *pty = &s->request.pty;

	if (s->state != SESSION_IDLE || s->request.has_pty || !term ||
	    strlen(term) > MSG_MAX_TERM || !(pty->term = strdup(term))) {
		free(modes.data);
		return false;
	}
	s->request.has_pty = true;
	pty->modes = modes;
	pty->columns = dimension(ssh_message_channel_request_pty_width(message));
	pty->rows = dimension(ssh_message_channel_request_pty_height(message));
	pty->xpixel = dimension(ssh_message_channel_request_pty_pxwidth(message));
	pty->ypixel = dimension(ssh_message_channel_request_pty_pxheight(message));
	return true;
}

/* The monitor says which names are let in; here only size and number are bounded. */
static bool take_env(struct net_session *s, ssh_message message)
{
	const char *name = ssh_message_channel_request_env_name(message);
	const char *value = ssh_message_channel_request_env_value(message);
	struct msg_env *env = &s->request.env[s->request.n_env];

	if (s->state != SESSION_IDLE || s->request.n_env >= MSG_MAX_ENV ||
	    s->request.n_env >= s->net->init.max_env || !name || !value ||
	    strlen(name) > MSG_MAX_ENV_NAME || strlen(value) > MSG_MAX_ENV_VALUE)
		return false;
	env->name = strdup(name);
	env->value = strdup(value);
	if (!env->name || !env->value) {
		free(env->name);
		free(env->value);
		*env = (struct msg_env){ 0 };
		return false;
	}
	s->request.n_env++;
	return true;
}

static bool change_window(struct net_session *s, ssh_message message)
{
	struct winsize size = {
		.ws_col = (uint16_t)dimension(ssh_message_channel_request_pty_width(message)),
		.ws_row = (uint16_t)dimension(ssh_message_channel_request_pty_height(message)),
		.ws_xpixel = (uint16_t)dimension(ssh_message_channel_request_pty_pxwidth(message)),
		.ws_ypixel = (uint16_t)dimension(ssh_message_channel_request_pty_pxheight(message)),
	};

	if (!s->is_pty || s->out.fd < 0)
		return false;
	return ioctl(s->out.fd, TIOCSWINSZ, &size) == 0;
}

/* Return: whether the message is kept until the monitor answers. */
static bool ask_start(struct net_session *s, ssh_message message, enum start_kind kind)
{
	const char *command = ssh_message_channel_request_command(message);
	struct chan_writer w = { 0 };

	if (s->state != SESSION_IDLE || (kind == START_EXEC && !command))
		return false;
	s->request.kind = kind;
	free(s->request.command);
	s->request.command = strdup(kind == START_EXEC ? command : "");
	if (!s->request.command || strlen(s->request.command) > MSG_MAX_COMMAND)
		return false;
	msg_start_put(&w, &s->request);
	if (monitor_send(s->net, NET_START, &w) < 0)
		return false;
	s->state = SESSION_ASKED;
	s->start_message = message;
	return true;
}

bool net_session_request(struct net_session *s, ssh_message message)
{
	bool ok = false;

	switch (ssh_message_subtype(message)) {
	case SSH_CHANNEL_REQUEST_PTY:
		ok = take_pty(s, message);
		break;
	case SSH_CHANNEL_REQUEST_ENV:
		ok = take_env(s, message);
		break;
	case SSH_CHANNEL_REQUEST_WINDOW_CHANGE:
		ok = change_window(s, message);
		break;
	case SSH_CHANNEL_REQUEST_SHELL:
		if (ask_start(s, message, START_SHELL))
			return true;
		break;
	case SSH_CHANNEL_REQUEST_EXEC:
		if (ask_start(s, message, START_EXEC))
			return true;
		break;
	default:
		break;
	}
	if (ok)
		ssh_message_channel_request_reply_success(message);
	else
		ssh_message_reply_default(message);
	return false;
}

/* ---- the monitor's answers ---- */

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void net_session_started(struct net_session *s, struct msg_started *started, struct chan_msg *msg)
{
	struct pump *pumps[] = { &s->in, &s->out, &s->err };

	if (s->state != SESSION_ASKED)
		return;
	s->is_pty = started->n_fds == 1;
	for (size_t i = 0; i < started->n_fds; i++) {
		struct pump *p = s->is_pty ? &s->out : pumps[i];

		p->fd = take_fd(&msg->fds[i]);
		set_nonblocking(p->fd);
	}
	s->state = SESSION_RUNNING;
	ssh_message_channel_request_reply_success(s->start_message);
	ssh_message_free(take_ptr(s->start_message));
	if (s->is_pty && started->text[0])
		ssh_channel_write(s->channel, started->text, (uint32_t)strlen(started->text));
}

void net_session_start_failed(struct net_session *s, const char *reason)
{
	if (s->state != SESSION_ASKED)
		return;
	net_session_notice(s, reason);
	ssh_message_reply_default(s->start_message);
	ssh_channel_close(s->channel);
	net_session_free(s);
}

/* RFC 4254 section 6.10. */
static const char *signal_name(uint32_t number)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{ SIGABRT, "ABRT" }, { SIGALRM, "ALRM" }, { SIGFPE, "FPE" },   { SIGHUP, "HUP" },
		{ SIGILL, "ILL" },   { SIGINT, "INT" },	  { SIGKILL, "KILL" }, { SIGPIPE, "PIPE" },
		{ SIGQUIT, "QUIT" }, { SIGSEGV, "SEGV" }, { SIGTERM, "TERM" }, { SIGUSR1, "USR1" },
		{ SIGUSR2, "USR2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((uint32_t)names[i].number == number)
			return names[i].name;
	return "SIG@openssh.com";
}

void net_session_exited(struct net_session *s, const struct msg_exited *exited)
{
	if (s->state != SESSION_RUNNING || s->exited)
		return;
	s->exited = true;
	if (exited->by_signal)
		ssh_channel_request_send_exit_signal(s->channel, signal_name(exited->value),
						     exited->core_dumped, "", "");
	else
		ssh_channel_request_send_exit_status(s->channel, (int)exited->value);
	/* Nobody reads its input any more, whoever may still hold its output. */
	pump_done(&s->in);
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

/* ---- bytes ---- */

static bool pump_ready(struct pump *p)
{
	if (!p->buf)
		p->buf = malloc(PUMP_SIZE);
	return p->buf != NULL;
}

static bool can_send(const struct net_session *s)
{
	return ssh_channel_window_size(s->channel) > 0 &&
	       !(ssh_get_poll_flags(s->net->ssh) & SSH_WRITE_PENDING);
}

/* Input of the program: the pipe, or the terminal that is its output as well. */
static int input_fd(const struct net_session *s)
{
	return s->is_pty ? s->out.fd : s->in.fd;
}

static void close_input(struct net_session *s)
{
	/* A terminal stays open for reading; nothing to close on the writing side. */
	if (!s->is_pty)
		s->in.fd = close_fd(s->in.fd);
	s->in.len = 0;
}

/* Take from libssh only what fits: the window grows only as the program reads. */
static bool refill_input(struct net_session *s)
{
	int n;

	if (s->in.len > 0)
		return true;
	if (!pump_ready(&s->in))
		return false;
	n = ssh_channel_read_nonblocking(s->channel, s->in.buf, PUMP_SIZE, 0);
	if (n > 0) {
		s->in.start = 0;
		s->in.len = (size_t)n;
		return true;
	}
	if (n == SSH_EOF || ssh_channel_is_eof(s->channel))
		close_input(s);
	return false;
}

static void pump_input(struct net_session *s)
{
	while (refill_input(s)) {
		int fd = input_fd(s);
		ssize_t n;

		if (fd < 0) {
			/* The program is gone: what comes is thrown away, so that the window moves.
			 */
			s->in.len = 0;
			continue;
		}
		n = write(fd, s->in.buf + s->in.start, s->in.len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			close_input(s);
			continue;
		}
		s->in.start += (size_t)n;
		s->in.len -= (size_t)n;
	}
}

static bool flush_output(struct net_session *s, struct pump *p, bool is_stderr)
{
	while (p->len > 0 && can_send(s)) {
		const uint8_t *data = p->buf + p->start;
		int n = is_stderr ? ssh_channel_write_stderr(s->channel, data, (uint32_t)p->len)
				  : ssh_channel_write(s->channel, data, (uint32_t)p->len);

		/* Zero during a rekey; an error shows as a closed session. */
		if (n <= 0)
			break;
		p->start += (size_t)n;
		p->len -= (size_t)n;
	}
	return p->len == 0;
}

static void pump_output(struct net_session *s, struct pump *p, bool is_stderr)
{
	while (flush_output(s, p, is_stderr) && p->fd >= 0 && can_send(s) && pump_ready(p)) {
		ssize_t n = read(p->fd, p->buf, PUMP_SIZE);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			/* EIO: the last process closed the terminal. */
			p->fd = close_fd(p->fd);
			return;
		}
		p->start = 0;
		p->len = (size_t)n;
	}
}

static bool output_done(const struct net_session *s)
{
	return s->out.fd < 0 && s->err.fd < 0 && s->out.len == 0 && s->err.len == 0;
}

/* Order: exit status, data, EOF, CLOSE. Return: whether the session is over. */
static bool finish(struct net_session *s)
{
	uint64_t now;

	if (s->state != SESSION_RUNNING || !output_done(s))
		return false;
	now = clock_usec(CLOCK_MONOTONIC);
	if (s->eof_due == UINT64_MAX)
		s->eof_due = now + EOF_GRACE_USEC;
	if (!s->eof_sent && (s->exited || now >= s->eof_due)) {
		ssh_channel_send_eof(s->channel);
		s->eof_sent = true;
	}
	if (!s->exited)
		return false;
	ssh_channel_close(s->channel);
	return true;
}

size_t net_session_poll(struct net_session *s, struct pollfd *fds)
{
	const struct pump *outputs[] = { &s->out, &s->err };
	size_t n = 0;

	if (s->in.len > 0 && input_fd(s) >= 0)
		fds[n++] = (struct pollfd){ .fd = input_fd(s), .events = POLLOUT };
	if (!can_send(s))
		return n;
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
		if (outputs[i]->fd >= 0)
			fds[n++] = (struct pollfd){ .fd = outputs[i]->fd, .events = POLLIN };
	return n;
}

bool net_session_pump(struct net_session *s)
{
	if (ssh_channel_is_closed(s->channel)) {
		struct chan_writer w = { 0 };

		if (s->state != SESSION_IDLE && !s->exited) {
			chan_put_u32(&w, s->request.channel);
			monitor_send(s->net, NET_HANGUP, &w);
		}
		net_session_free(s);
		return false;
	}
	if (s->state != SESSION_RUNNING)
		return true;
	pump_input(s);
	pump_output(s, &s->out, false);
	pump_output(s, &s->err, true);
	if (finish(s)) {
		net_session_free(s);
		return false;
	}
	return true;
}

uint64_t net_session_deadline(const struct net_session *s)
{
	return s->eof_sent ? UINT64_MAX : s->eof_due;
}
