#include "sshgw/msg_forward.h"

#include <errno.h>
#include <string.h>

#include "sshgw/msg.h"

const char *forward_kind_to_string(enum forward_kind kind)
{
	switch (kind) {
	case FORWARD_TCP:
		return "tcp";
	case FORWARD_UNIX:
		return "unix";
	case FORWARD_AGENT:
		return "agent";
	case FORWARD_X11:
		return "x11";
	}
	return "unknown";
}

static enum forward_kind get_kind(struct chan_reader *r)
{
	uint8_t kind = chan_get_u8(r);

	if (!r->error && (kind < FORWARD_TCP || kind > FORWARD_LAST))
		r->error = -EBADMSG;
	return (enum forward_kind)kind;
}

static void insist(struct chan_reader *r, bool sound)
{
	if (!r->error && !sound)
		r->error = -EBADMSG;
}

/* ---- what may be asked for ---- */

static bool is_empty(const char *text)
{
	return !text || !*text;
}

/* Nothing that a resolver or a journal would stumble over. */
static bool is_host(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len <= MSG_MAX_HOST;
}

static bool is_path(const char *text)
{
	return text[0] == '/' && strlen(text) <= MSG_MAX_PATH;
}

static bool is_made_of(const char *text, const char *characters)
{
	size_t len = strlen(text);

	return len > 0 && len <= MSG_MAX_X11 && strspn(text, characters) == len;
}

bool msg_connect_is_sound(const struct msg_connect *msg)
{
	if (is_empty(msg->target))
		return false;
	if (msg->kind == FORWARD_TCP)
		return is_host(msg->target) && msg->port > 0 && msg->port <= 65535;
	return msg->kind == FORWARD_UNIX && is_path(msg->target) && msg->port == 0;
}

/* xauth(1) reads them from its input: nothing that ends a line, or a word. */
static bool is_x11(const struct msg_listen *msg)
{
	return is_empty(msg->address) && msg->port == 0 && msg->protocol && msg->cookie &&
	       is_made_of(msg->protocol, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-") &&
	       msg->protocol[0] != '-' && is_made_of(msg->cookie, "0123456789abcdefABCDEF");
}

bool msg_listen_is_sound(const struct msg_listen *msg)
{
	if (msg->kind == FORWARD_X11)
		return is_x11(msg);
	if (!is_empty(msg->protocol) || !is_empty(msg->cookie) || msg->single || msg->screen)
		return false;
	switch (msg->kind) {
	case FORWARD_TCP:
		return (is_empty(msg->address) || is_host(msg->address)) && msg->port <= 65535;
	case FORWARD_UNIX:
		return !is_empty(msg->address) && is_path(msg->address) && msg->port == 0;
	case FORWARD_AGENT:
		return is_empty(msg->address) && msg->port == 0;
	case FORWARD_X11:
		break;
	}
	return false;
}

/* ---- NET_CONNECT, USER_CONNECT ---- */

int msg_connect_put(struct chan_writer *w, const struct msg_connect *msg)
{
	chan_put_u32(w, msg->id);
	chan_put_u8(w, (uint8_t)msg->kind);
	chan_put_string(w, msg->target);
	chan_put_u32(w, msg->port);
	return w->error;
}

int msg_connect_get(const struct chan_msg *in, struct msg_connect *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_connect msg = { 0 };

	msg.id = chan_get_u32(&r);
	msg.kind = get_kind(&r);
	msg.target = chan_get_string(&r, MSG_MAX_HOST);
	msg.port = chan_get_u32(&r);
	insist(&r, msg.id != 0 && msg_connect_is_sound(&msg));
	if (chan_reader_end(&r) < 0) {
		msg_connect_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_connect_done(struct msg_connect *msg)
{
	free(msg->target);
	*msg = (struct msg_connect){ 0 };
}

/* ---- NET_CONNECT_FAILED, USER_CONNECT_FAILED ---- */

int msg_connect_failed_put(struct chan_writer *w, const struct msg_connect_failed *msg)
{
	chan_put_u32(w, msg->id);
	chan_put_u32(w, (uint32_t)msg->reason);
	chan_put_string(w, msg->text);
	return w->error;
}

int msg_connect_failed_get(const struct chan_msg *in, struct msg_connect_failed *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_connect_failed msg = { 0 };
	uint32_t reason;

	msg.id = chan_get_u32(&r);
	reason = chan_get_u32(&r);
	insist(&r, reason == FORWARD_PROHIBITED || reason == FORWARD_CONNECT_FAILED ||
			   reason == FORWARD_NO_RESOURCES);
	msg.reason = (enum forward_reason)reason;
	msg.text = chan_get_string(&r, MSG_MAX_TEXT);
	if (chan_reader_end(&r) < 0) {
		msg_connect_failed_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_connect_failed_done(struct msg_connect_failed *msg)
{
	free(msg->text);
	*msg = (struct msg_connect_failed){ 0 };
}

/* ---- NET_LISTEN, USER_LISTEN ---- */

int msg_listen_put(struct chan_writer *w, const struct msg_listen *msg)
{
	chan_put_u32(w, msg->id);
	chan_put_u8(w, (uint8_t)msg->kind);
	chan_put_string(w, msg->address);
	chan_put_u32(w, msg->port);
	chan_put_u8(w, msg->single);
	chan_put_string(w, msg->protocol);
	chan_put_string(w, msg->cookie);
	chan_put_u32(w, msg->screen);
	return w->error;
}

int msg_listen_get(const struct chan_msg *in, struct msg_listen *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_listen msg = { 0 };

	msg.id = chan_get_u32(&r);
	msg.kind = get_kind(&r);
	msg.address = chan_get_string(&r, MSG_MAX_HOST);
	msg.port = chan_get_u32(&r);
	msg.single = chan_get_bool(&r);
	msg.protocol = chan_get_string(&r, MSG_MAX_X11);
	msg.cookie = chan_get_string(&r, MSG_MAX_X11);
	msg.screen = chan_get_u32(&r);
	insist(&r, msg.id != 0 && msg_listen_is_sound(&msg));
	if (chan_reader_end(&r) < 0) {
		msg_listen_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_listen_done(struct msg_listen *msg)
{
	free(msg->address);
	free(msg->protocol);
	free(msg->cookie);
	*msg = (struct msg_listen){ 0 };
}

/* ---- NET_LISTENING, USER_LISTENING ---- */

int msg_listening_put(struct chan_writer *w, const struct msg_listening *msg)
{
	chan_put_u32(w, msg->id);
	chan_put_u32(w, msg->port);
	return w->error;
}

int msg_listening_get(const struct chan_msg *in, struct msg_listening *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_listening msg = { 0 };

	msg.id = chan_get_u32(&r);
	msg.port = chan_get_u32(&r);
	insist(&r, msg.port <= 65535);
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}

/* ---- USER_SOCKET, LEADER_SOCKET ---- */

int msg_socket_put(struct chan_writer *w, const struct msg_socket *msg)
{
	chan_put_u32(w, msg->id);
	chan_put_string(w, msg->path);
	chan_put_u64(w, msg->dev);
	chan_put_u64(w, msg->ino);
	chan_put_u8(w, msg->has_dir);
	return w->error;
}

int msg_socket_get(const struct chan_msg *in, struct msg_socket *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_socket msg = { 0 };

	msg.id = chan_get_u32(&r);
	msg.path = chan_get_string(&r, MSG_MAX_PATH);
	msg.dev = chan_get_u64(&r);
	msg.ino = chan_get_u64(&r);
	msg.has_dir = chan_get_bool(&r);
	insist(&r, msg.path && is_path(msg.path));
	if (chan_reader_end(&r) < 0) {
		msg_socket_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_socket_done(struct msg_socket *msg)
{
	free(msg->path);
	*msg = (struct msg_socket){ 0 };
}

/* ---- NET_INCOMING, USER_INCOMING ---- */

int msg_incoming_put(struct chan_writer *w, const struct msg_incoming *msg)
{
	chan_put_u32(w, msg->listener);
	chan_put_u32(w, msg->id);
	chan_put_string(w, msg->address);
	chan_put_u32(w, msg->port);
	return w->error;
}

int msg_incoming_get(const struct chan_msg *in, struct msg_incoming *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_incoming msg = { 0 };

	msg.listener = chan_get_u32(&r);
	msg.id = chan_get_u32(&r);
	msg.address = chan_get_string(&r, MSG_MAX_HOST);
	msg.port = chan_get_u32(&r);
	insist(&r, msg.listener != 0 && msg.id != 0 && msg.address && is_host(msg.address) &&
			   msg.port <= 65535);
	if (chan_reader_end(&r) < 0) {
		msg_incoming_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_incoming_done(struct msg_incoming *msg)
{
	free(msg->address);
	*msg = (struct msg_incoming){ 0 };
}

/* ---- NET_FORWARD_END ---- */

int msg_forward_end_put(struct chan_writer *w, const struct msg_forward_end *msg)
{
	chan_put_u8(w, msg->incoming);
	chan_put_u32(w, msg->id);
	chan_put_u64(w, msg->to_client);
	chan_put_u64(w, msg->from_client);
	return w->error;
}

int msg_forward_end_get(const struct chan_msg *in, struct msg_forward_end *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_forward_end msg = { 0 };

	msg.incoming = chan_get_bool(&r);
	msg.id = chan_get_u32(&r);
	msg.to_client = chan_get_u64(&r);
	msg.from_client = chan_get_u64(&r);
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}
