/*
 * Two ways into libssh, besides its public interface. Callbacks that are registered before the key
 * exchange see a packet before libssh does, and may change it. And the linker hands us libssh's
 * calls of _ssh_buffer_pack(), by which it builds the beginning of most packets.
 */
#include "sshgw/net/packets.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/log.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/forward.h"
#include "sshgw/net/pty_modes.h"
#include "sshgw/net/requests.h"
#include "sshgw/net/rewrite.h"
#include "sshgw/net/session.h"
#include "sshgw/net/windows.h"

#define MSG_DISCONNECT		  1
#define MSG_IGNORE		  2
#define MSG_GLOBAL_REQUEST	  80
#define MSG_CHANNEL_OPEN	  90
#define MSG_CHANNEL_CONFIRMATION  91
#define MSG_CHANNEL_OPEN_FAILURE  92
#define MSG_CHANNEL_WINDOW_ADJUST 93
#define MSG_CHANNEL_DATA	  94
#define MSG_CHANNEL_EXTENDED_DATA 95
#define MSG_CHANNEL_REQUEST	  98

#define DISCONNECT_BY_APPLICATION 11 /* RFC 4253 section 11.1 */

bool packets_client_is_openssh(const struct net *net)
{
	const char *ident = ssh_get_clientbanner(net->ssh);

	return ident && strncmp(ident, "SSH-2.0-OpenSSH", strlen("SSH-2.0-OpenSSH")) == 0;
}

/* ---- requests, before libssh sees them ---- */

void packets_replace(ssh_buffer packet, const struct chan_writer *w)
{
	explicit_bzero(ssh_buffer_get(packet), ssh_buffer_get_len(packet));
	if (ssh_buffer_reinit(packet) == 0 && w->error == 0)
		ssh_buffer_add_data(packet, w->data, (uint32_t)w->len);
}

/* Put another request in the packet's place; the old one's name is gone then. */
static void replace(ssh_buffer packet,
		    int (*rewrite)(const uint8_t *, size_t, struct chan_writer *))
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	if (rewrite(ssh_buffer_get(packet), ssh_buffer_get_len(packet), &w) == REWRITE_DONE)
		packets_replace(packet, &w);
}

static int on_global_request(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	const uint8_t *data = ssh_buffer_get(packet);
	size_t len = ssh_buffer_get_len(packet);
	struct request request;
	struct net *net = user;

	if (request_parse_global(data, len, &request) == 0 &&
	    request_is(&request, "no-more-sessions@openssh.com"))
		net->max_opens = net->n_opens_seen;
	if (rewrite_prove(data, len, &net->init.host_keys, &w) == REWRITE_DONE)
		packets_replace(packet, &w);
	else
		replace(packet, rewrite_global);
	return SSH_PACKET_NOT_USED;
}

static int on_channel_open(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct request open;
	struct net *net = user;

	if (request_parse_open(ssh_buffer_get(packet), ssh_buffer_get_len(packet), &open) == 0 &&
	    request_is(&open, "session"))
		net->n_opens_seen++;
	replace(packet, rewrite_open);
	return SSH_PACKET_NOT_USED;
}

/* To what we asked for: libssh does not tell a closed channel from one that is not open yet. */
static int on_open_answer(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct chan_reader r = { .data = ssh_buffer_get(packet),
				 .len = ssh_buffer_get_len(packet) };
	uint32_t id = chan_get_u32(&r), remote = chan_get_u32(&r);

	for (int i = 0; i < 2; i++) /* as much as libssh wants to see */
		chan_get_u32(&r);
	if (!r.error)
		net_forward_answered(user, ssh_channel_from_local(ssh, id),
				     type == MSG_CHANNEL_CONFIRMATION, remote);
	return SSH_PACKET_NOT_USED;
}

static int on_data(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct chan_reader r = { .data = ssh_buffer_get(packet),
				 .len = ssh_buffer_get_len(packet) };
	struct net *net = user;
	uint32_t id = chan_get_u32(&r);
	size_t len;
	int result;

	if (type == MSG_CHANNEL_EXTENDED_DATA)
		chan_get_u32(&r); /* whose */
	chan_get_bytes(&r, r.len, &len);
	if (r.error)
		return SSH_PACKET_USED;
	result = windows_receive(net, id, len);
	if (result == -EPROTO)
		net_give_up(net, LOG_NOTICE, "The client sends more than it may");
	return result < 0 ? SSH_PACKET_USED : SSH_PACKET_NOT_USED;
}

static int on_channel_request(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	const uint8_t *data = ssh_buffer_get(packet);
	size_t len = ssh_buffer_get_len(packet);
	struct request request;
	struct net_session *s;
	struct net *net = user;

	if (request_parse_channel(data, len, &request) < 0)
		return SSH_PACKET_NOT_USED;
	if (request_is(&request, "pty-req")) {
		pty_modes_keep(net, data, len);
	} else if (request_is(&request, "eow@openssh.com")) {
		s = net_session_by_channel(net, ssh_channel_from_local(ssh, request.channel));
		if (s)
			net_session_not_read(s);
	}
	replace(packet, rewrite_channel);
	return SSH_PACKET_NOT_USED;
}

void packets_init(struct net *net)
{
	static ssh_packet_callback functions[MSG_CHANNEL_REQUEST - MSG_GLOBAL_REQUEST + 1] = {
		[0] = on_global_request,
		[MSG_CHANNEL_OPEN - MSG_GLOBAL_REQUEST] = on_channel_open,
		[MSG_CHANNEL_CONFIRMATION - MSG_GLOBAL_REQUEST] = on_open_answer,
		[MSG_CHANNEL_OPEN_FAILURE - MSG_GLOBAL_REQUEST] = on_open_answer,
		[MSG_CHANNEL_DATA - MSG_GLOBAL_REQUEST] = on_data,
		[MSG_CHANNEL_EXTENDED_DATA - MSG_GLOBAL_REQUEST] = on_data,
		[MSG_CHANNEL_REQUEST - MSG_GLOBAL_REQUEST] = on_channel_request,
	};
	/* libssh keeps the pointer for the life of the session: of the process. */
	static struct ssh_packet_callbacks_struct callbacks = {
		.start = MSG_GLOBAL_REQUEST,
		.n_callbacks = ARRAY_SIZE(functions),
		.callbacks = functions,
	};

	callbacks.user = net;
	net->max_opens = UINT32_MAX;
	ssh_packet_set_callbacks(net->ssh, &callbacks);
}

/* ---- packets that libssh builds ---- */

int __wrap__ssh_buffer_pack(ssh_buffer buffer, const char *format, size_t argc, ...);

static struct packets_channel named;
static const struct chan_writer *instead; /* of the next global request */
static struct {
	const char *type; /* NULL: as libssh has it */
	const struct chan_writer *more;
} opening; /* the next channel that is opened */
static struct {
	const char *text; /* NULL: as libssh has it */
	uint32_t reason;
} refusal; /* of the next channel that is refused */

struct packets_channel packets_named(void)
{
	return named;
}

int packets_send(struct net *net, struct chan_writer *w)
{
	int r = w->error;

	if (r == 0) {
		instead = w;
		r = ssh_global_request(net->ssh, REWRITE_UNKNOWN, NULL, 0) == SSH_OK ? 0 : -EIO;
		instead = NULL;
	}
	chan_writer_done(w);
	return r;
}

int packets_send_eow(struct net *net, uint32_t remote_channel)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_CHANNEL_REQUEST);
	chan_put_u32(&w, remote_channel);
	chan_put_string(&w, "eow@openssh.com");
	chan_put_u8(&w, 0);
	return packets_send(net, &w);
}

int packets_send_window(struct net *net, uint32_t remote_channel, uint32_t bytes)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_CHANNEL_WINDOW_ADJUST);
	chan_put_u32(&w, remote_channel);
	chan_put_u32(&w, bytes);
	return packets_send(net, &w);
}

int packets_send_disconnect(struct net *net, const char *text)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_DISCONNECT);
	chan_put_u32(&w, DISCONNECT_BY_APPLICATION);
	chan_put_string(&w, text);
	chan_put_string(&w, ""); /* language */
	return packets_send(net, &w);
}

int packets_open(ssh_channel channel, const char *type, const struct chan_writer *more)
{
	int r;

	opening.type = type;
	opening.more = more;
	r = ssh_channel_open_auth_agent(channel);
	opening.type = NULL;
	return r == SSH_ERROR ? -EIO : 0;
}

void packets_refuse(ssh_message message, uint32_t reason, const char *text)
{
	refusal.reason = reason;
	refusal.text = text;
	ssh_message_reply_default(message);
	refusal.text = NULL;
}

/* Arguments by format: b is a byte, d a number of 32 bits; both come as int. */
static uint32_t argument(va_list ap)
{
	return va_arg(ap, uint32_t);
}

static int add(ssh_buffer buffer, struct chan_writer *w)
{
	int r = w->error ? SSH_ERROR : ssh_buffer_add_data(buffer, w->data, (uint32_t)w->len);

	chan_writer_done(w);
	return r;
}

/* RFC 4254 section 5.1; libssh's type was the first argument. Once: what follows is another's. */
static int pack_open(ssh_buffer buffer, va_list ap)
{
	struct chan_writer w = { 0 };

	va_arg(ap, const char *);
	chan_put_u8(&w, MSG_CHANNEL_OPEN);
	chan_put_string(&w, take_ptr(opening.type));
	named.local = argument(ap);
	chan_put_u32(&w, named.local);
	argument(ap);
	chan_put_u32(&w, WINDOW_FLOOR);
	chan_put_u32(&w, argument(ap)); /* largest packet */
	if (add(buffer, &w) != SSH_OK || opening.more->error)
		return SSH_ERROR;
	if (opening.more->len == 0)
		return SSH_OK;
	return ssh_buffer_add_data(buffer, opening.more->data, (uint32_t)opening.more->len);
}

static int pack_confirmation(ssh_buffer buffer, va_list ap)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_CHANNEL_CONFIRMATION);
	named.remote = argument(ap);
	named.local = argument(ap);
	chan_put_u32(&w, named.remote);
	chan_put_u32(&w, named.local);
	argument(ap);
	chan_put_u32(&w, WINDOW_FLOOR);
	chan_put_u32(&w, argument(ap)); /* largest packet */
	return add(buffer, &w);
}

/* Something has to be sent: what everybody ignores (RFC 4253 section 11.2). */
static int pack_nothing(ssh_buffer buffer)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_IGNORE);
	chan_put_string(&w, "");
	return add(buffer, &w);
}

static int pack_refusal(ssh_buffer buffer, va_list ap)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, MSG_CHANNEL_OPEN_FAILURE);
	chan_put_u32(&w, argument(ap)); /* the client's number */
	chan_put_u32(&w, refusal.reason);
	chan_put_string(&w, take_ptr(refusal.text));
	chan_put_string(&w, ""); /* language */
	return add(buffer, &w);
}

/* Room for the length that is put before a packet at last: else all its data is moved for that. */
static int pack_with_room(ssh_buffer buffer, const char *format, size_t argc, va_list ap)
{
	uint8_t room[5] = { 0 };
	int r = SSH_OK;

	if (ssh_buffer_get_len(buffer) == 0)
		r = ssh_buffer_add_data(buffer, room, sizeof(room));
	if (r == SSH_OK)
		r = ssh_buffer_pack_va(buffer, format, argc, ap);
	if (r == SSH_OK)
		ssh_buffer_get_data(buffer, room, sizeof(room));
	return r;
}

int __wrap__ssh_buffer_pack(ssh_buffer buffer, const char *format, size_t argc, ...)
{
	va_list ap, peek;
	uint32_t type;
	int r;

	va_start(ap, argc);
	va_copy(peek, ap);
	type = format[0] == 'b' ? argument(peek) : 0;
	if (type == MSG_GLOBAL_REQUEST && instead) {
		r = ssh_buffer_add_data(buffer, instead->data, (uint32_t)instead->len);
	} else if (type == MSG_CHANNEL_OPEN && opening.type) {
		r = pack_open(buffer, peek);
	} else if (type == MSG_CHANNEL_OPEN_FAILURE && refusal.text) {
		r = pack_refusal(buffer, peek);
	} else if (type == MSG_CHANNEL_DATA || type == MSG_CHANNEL_EXTENDED_DATA) {
		r = pack_with_room(buffer, format, argc, ap);
	} else if (type == MSG_CHANNEL_CONFIRMATION) {
		r = pack_confirmation(buffer, peek);
	} else if (type == MSG_CHANNEL_WINDOW_ADJUST) {
		r = pack_nothing(buffer);
	} else {
		r = ssh_buffer_pack_va(buffer, format, argc, ap);
	}
	va_end(peek);
	va_end(ap);
	return r;
}
