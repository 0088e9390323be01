#define SSH_SUPPRESS_DEPRECATED /* pty accessors of messages have no successor in 0.10 */
#include <libssh/server.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/log.h"
#include "sshgw/net/monitor_link.h"
#include "sshgw/net/pty_modes.h"
#include "sshgw/net/rewrite.h"
#include "sshgw/net/session_internal.h"

static uint32_t dimension(int value)
{
	return value > 0 && value <= UINT16_MAX ? (uint32_t)value : 0;
}

/* Takes the modes over. */
static bool take_pty(struct net_session *s, ssh_message message, struct msg_blob modes)
{
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
	s->held = message;
	return true;
}

/*
 * One that there is (the monitor says which program that is), or a request in the clothes of one:
 * sshgw/net/rewrite.h. Return: whether the message is kept.
 */
static bool ask_subsystem(struct net_session *s, ssh_message message, bool *ret_ok)
{
	const char *name = ssh_message_channel_request_subsystem(message) ?: "";

	if (strcmp(name, "sftp") == 0)
		return ask_start(s, message, START_SFTP);
	if (strcmp(name, WISH_AGENT) == 0)
		return net_session_ask_agent(s, message, ret_ok);
	/*
	 * As sshd: it is done where there is a terminal. The kernel's pseudoterminals do nothing at
	 * it (they have no break_ctl), so that there is nothing to call it for.
	 */
	*ret_ok = strcmp(name, WISH_BREAK) == 0 && s->request.has_pty;
	return false;
}

/* Return: whether the message is kept. */
static bool handle(struct net_session *s, ssh_message message, struct msg_blob modes)
{
	bool ok = false;

	switch (ssh_message_subtype(message)) {
	case SSH_CHANNEL_REQUEST_PTY:
		ok = take_pty(s, message, modes);
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
	case SSH_CHANNEL_REQUEST_SUBSYSTEM:
		if (ask_subsystem(s, message, &ok))
			return true;
		break;
	case SSH_CHANNEL_REQUEST_X11:
		if (net_session_ask_x11(s, message))
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

/* ---- while the monitor is asked ---- */

/* Of the sizes that a terminal has had meanwhile, the last one counts. */
static bool replaces(ssh_message later, ssh_message message)
{
	return ssh_message_subtype(later) == SSH_CHANNEL_REQUEST_WINDOW_CHANGE &&
	       ssh_message_subtype(message) == SSH_CHANNEL_REQUEST_WINDOW_CHANGE;
}

/*
 * Clients tell answers by their order: none may overtake the one that the monitor owes us. Takes
 * the modes over. Return: whether the message is kept.
 */
static bool keep_for_later(struct net_session *s, ssh_message message, struct msg_blob modes)
{
	for (size_t i = 0; i < s->n_later; i++) {
		if (replaces(s->later[i].message, message)) {
			ssh_message_free(s->later[i].message);
			s->later[i].message = message;
			return true;
		}
	}
	if (s->n_later == ARRAY_SIZE(s->later)) {
		log_notice("The client does not wait for its program to start, and floods us");
		free(modes.data);
		net_close(s->net);
		return false;
	}
	s->later[s->n_later++] = (struct later){ message, modes };
	return true;
}

static bool is_waiting(const struct net_session *s)
{
	return s->state == SESSION_LISTEN || s->state == SESSION_ASKED ||
	       s->state == SESSION_REFUSED;
}

void net_session_handle_later(struct net_session *s)
{
	while (s->n_later > 0 && !is_waiting(s)) {
		struct later first = s->later[0];

		memmove(&s->later[0], &s->later[1], --s->n_later * sizeof(s->later[0]));
		if (!handle(s, first.message, first.modes))
			ssh_message_free(first.message);
	}
}

void net_session_free_later(struct net_session *s)
{
	for (size_t i = 0; i < s->n_later; i++) {
		ssh_message_free(s->later[i].message);
		free(s->later[i].modes.data);
	}
	s->n_later = 0;
}

bool net_session_request(struct net_session *s, ssh_message message)
{
	struct msg_blob modes = { 0 };

	/* They are in a list of their own, in the order of the requests. */
	if (ssh_message_subtype(message) == SSH_CHANNEL_REQUEST_PTY)
		modes = pty_modes_take(s->net);
	if (is_waiting(s))
		return keep_for_later(s, message, modes);
	return handle(s, message, modes);
}
