#include "sshgw/net/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sshgw/msg_forward.h"
#include "sshgw/net/requests.h"

/* How a request names its target, and the wish it is. */
struct naming {
	const char *name;
	enum wish wish;
	bool has_port;
};

static const struct naming opens[] = {
	{ "direct-tcpip", WISH_TCP, true },
	{ "direct-streamlocal@openssh.com", WISH_UNIX, false },
};

static const struct naming globals[] = {
	{ "tcpip-forward", WISH_TCP, true },
	{ "cancel-tcpip-forward", WISH_NOT_TCP, true },
	{ "streamlocal-forward@openssh.com", WISH_UNIX, false },
	{ "cancel-streamlocal-forward@openssh.com", WISH_NOT_UNIX, false },
};

static const struct naming *naming_by_name(const struct naming *list, size_t n,
					   const struct request *request)
{
	for (size_t i = 0; i < n; i++)
		if (request_is(request, list[i].name))
			return &list[i];
	return NULL;
}

static int done(const struct chan_writer *w)
{
	return w->error ? w->error : REWRITE_DONE;
}

/* An address and a port, or a path; with what neither could be, none. */
static void put_target(struct chan_writer *w, struct chan_reader *r, const struct naming *naming)
{
	_cleanup_free_ char *address =
		chan_get_string(r, naming->has_port ? MSG_MAX_HOST : MSG_MAX_PATH);
	uint32_t port = naming->has_port ? chan_get_u32(r) : WISH_NO_PORT;
	char text[1 + MSG_MAX_HOST + 1] = { WISH_FAILURE };

	if (r->error || port > UINT16_MAX)
		port = WISH_NO_PORT;
	else
		snprintf(text, sizeof(text), "%c%s", naming->wish, address);
	chan_put_string(w, text);
	chan_put_u32(w, port);
}

/* ---- opens ---- */

int rewrite_open(const uint8_t *packet, size_t len, struct chan_writer *w)
{
	struct chan_reader r = { .data = packet, .len = len };
	const struct naming *naming;
	struct request request;
	size_t n;

	if (request_parse_open(packet, len, &request) < 0)
		return 0;
	naming = naming_by_name(opens, ARRAY_SIZE(opens), &request);
	if (!naming)
		return 0;
	chan_get_bytes(&r, len, &n);
	chan_put_string(w, "direct-tcpip");
	for (int i = 0; i < 3; i++) /* sender's channel, window, largest packet */
		chan_put_u32(w, chan_get_u32(&r));
	if (r.error)
		return 0;
	put_target(w, &r, naming);
	/* Where the connection comes from is the client's word, and nobody's business. */
	chan_put_string(w, "");
	chan_put_u32(w, 0);
	return done(w);
}

/* ---- global requests ---- */

/* A request of libssh's whose answer never carries a port. */
static void put_answer(struct chan_writer *w, bool want_reply, enum wish answer)
{
	const char text[] = { (char)answer, '\0' };

	chan_put_string(w, "tcpip-forward");
	chan_put_u8(w, want_reply);
	chan_put_string(w, text);
	chan_put_u32(w, WISH_NO_PORT);
}

int rewrite_global(const uint8_t *packet, size_t len, struct chan_writer *w)
{
	struct chan_reader r = { .data = packet, .len = len };
	const struct naming *naming;
	struct request request;

	request.name = chan_get_bytes(&r, len, &request.name_len);
	request.want_reply = chan_get_u8(&r) != 0;
	if (r.error)
		return 0;
	naming = naming_by_name(globals, ARRAY_SIZE(globals), &request);
	if (naming) {
		chan_put_string(w, naming->wish == WISH_NOT_TCP ? "cancel-tcpip-forward"
								: "tcpip-forward");
		chan_put_u8(w, request.want_reply);
		put_target(w, &r, naming);
	} else if (request.want_reply) {
		put_answer(w, true,
			   request_is(&request, "keepalive@openssh.com") ? WISH_SUCCESS
									 : WISH_FAILURE);
	} else {
		return 0;
	}
	return done(w);
}

/* ---- host keys that are to be proven ---- */

/* Return: its digit; '\0': it is none of them. */
static char digit_of(const struct msg_host_keys *keys, const uint8_t *blob, size_t len)
{
	for (size_t i = 0; blob && i < keys->n; i++)
		if (keys->keys[i].len == len && memcmp(keys->keys[i].data, blob, len) == 0)
			return (char)('0' + i);
	return '\0';
}

/* All of them are known, and each is named once at most: else none. */
static void put_keys(struct chan_reader *r, const struct msg_host_keys *keys, char *ret_text)
{
	char text[1 + MSG_MAX_KEYS + 1] = { WISH_PROVE };

	for (size_t n = 1; r->len > 0; n++) {
		size_t len;
		const uint8_t *blob = chan_get_bytes(r, MSG_MAX_BLOB, &len);
		char digit = r->error || n > MSG_MAX_KEYS ? '\0' : digit_of(keys, blob, len);

		if (!digit || strchr(text, digit))
			return;
		text[n] = digit;
	}
	if (text[1])
		memcpy(ret_text, text, sizeof(text));
}

int rewrite_prove(const uint8_t *packet, size_t len, const struct msg_host_keys *keys,
		  struct chan_writer *w)
{
	struct chan_reader r = { .data = packet, .len = len };
	char text[1 + MSG_MAX_KEYS + 1] = { WISH_FAILURE };
	struct request request;

	request.name = chan_get_bytes(&r, len, &request.name_len);
	request.want_reply = chan_get_u8(&r) != 0;
	if (r.error || !request.want_reply ||
	    !request_is(&request, "hostkeys-prove-00@openssh.com"))
		return 0;
	put_keys(&r, keys, text);
	chan_put_string(w, "tcpip-forward");
	chan_put_u8(w, true);
	chan_put_string(w, text);
	chan_put_u32(w, WISH_NO_PORT);
	return done(w);
}

/* ---- channel requests ---- */

int rewrite_channel(const uint8_t *packet, size_t len, struct chan_writer *w)
{
	static const struct {
		const char *name, *type, *subsystem;
	} requests[] = {
		{ "keepalive@openssh.com", REWRITE_UNKNOWN, NULL },
		{ "auth-agent-req@openssh.com", "subsystem", WISH_AGENT },
		{ "break", "subsystem", WISH_BREAK },
	};
	struct request request;

	if (request_parse_channel(packet, len, &request) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!request_is(&request, requests[i].name))
			continue;
		chan_put_u32(w, request.channel);
		chan_put_string(w, requests[i].type);
		chan_put_u8(w, request.want_reply);
		if (requests[i].subsystem)
			chan_put_string(w, requests[i].subsystem);
		return done(w);
	}
	return 0;
}
