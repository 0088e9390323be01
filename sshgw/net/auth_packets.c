#include "sshgw/net/auth_packets.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "sshgw/libssh/private.h"
#include "sshgw/net/packets.h"

#define MSG_USERAUTH_REQUEST  50
#define MSG_USERAUTH_RESPONSE 61

/* Requests wait here only until libssh's own queue is read, in the same turn of the loop. */
#define MAX_WAITING 64u

/* What comes after is not kept, and so ends the connection when its turn comes. */
static void keep(struct net *net, const uint8_t *packet, size_t len)
{
	struct auth_request *list;

	if (net->auth.n_waiting == MAX_WAITING)
		return;
	list = reallocarray(net->auth.waiting, net->auth.n_waiting + 1, sizeof(*list));
	if (!list)
		return;
	net->auth.waiting = list;
	if (auth_request_parse(packet, len, &list[net->auth.n_waiting]) < 0)
		list[net->auth.n_waiting] = (struct auth_request){ 0 };
	net->auth.n_waiting++;
}

static int on_request(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	keep(user, ssh_buffer_get(packet), ssh_buffer_get_len(packet));
	chan_put_string(&w, "");
	chan_put_string(&w, "ssh-connection");
	chan_put_string(&w, "none");
	packets_replace(packet, &w);
	return SSH_PACKET_NOT_USED;
}

/* The answers to keyboard-interactive: whatever they are, there are none. */
static int on_response(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u32(&w, 0);
	packets_replace(packet, &w);
	return SSH_PACKET_NOT_USED;
}

void auth_packets_init(struct net *net)
{
	static ssh_packet_callback functions[] = {
		[0] = on_request,
		[MSG_USERAUTH_RESPONSE - MSG_USERAUTH_REQUEST] = on_response,
	};
	/* libssh keeps the pointer for the life of the session: of the process. */
	static struct ssh_packet_callbacks_struct callbacks = {
		.start = MSG_USERAUTH_REQUEST,
		.n_callbacks = ARRAY_SIZE(functions),
		.callbacks = functions,
	};

	callbacks.user = net;
	ssh_packet_set_callbacks(net->ssh, &callbacks);
}

int auth_packets_take(struct net *net, struct auth_request *ret_request)
{
	struct auth_request first;

	if (net->auth.n_waiting == 0)
		return -ENOMEM;
	first = net->auth.waiting[0];
	memmove(&net->auth.waiting[0], &net->auth.waiting[1],
		--net->auth.n_waiting * sizeof(net->auth.waiting[0]));
	if (!first.user)
		return -EBADMSG;
	*ret_request = first;
	return 0;
}

void auth_banner(struct net *net, const char *text)
{
	_cleanup_free_ char *line = text_printf("%s\r\n", text);
	ssh_string banner;

	if (!line || !text[0])
		return;
	banner = ssh_string_from_char(line);
	if (banner)
		ssh_send_issue_banner(net->ssh, banner);
	ssh_string_free(banner);
}
