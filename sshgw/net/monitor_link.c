#include "sshgw/net/monitor_link.h"

#include <errno.h>
#include <string.h>

int monitor_send(struct net *net, uint32_t type, struct chan_writer *w)
{
	int r = chan_send_wait(net->monitor_fd, MONITOR_TIMEOUT_USEC, type, w, NULL, 0);

	if (w)
		chan_writer_done(w);
	return r;
}

static int take_signature(struct chan_msg *msg, struct msg_blob *ret_blob)
{
	struct chan_reader r = chan_msg_reader(msg);
	struct msg_blob blob = { 0 };
	const uint8_t *p = chan_get_bytes(&r, MSG_MAX_BLOB, &blob.len);

	if (chan_reader_end(&r) < 0)
		return r.error;
	blob.data = malloc(blob.len ? blob.len : 1);
	if (!blob.data)
		return -ENOMEM;
	memcpy(blob.data, p, blob.len);
	*ret_blob = blob;
	return 0;
}

/* Takes the message over. Return: 0, -ENOBUFS, -ENOMEM. */
static int keep(struct net *net, struct chan_msg *msg)
{
	struct chan_msg *list = NULL;

	if (net->n_kept < NET_MAX_KEPT)
		list = reallocarray(net->kept, net->n_kept + 1, sizeof(*list));
	if (!list) {
		chan_msg_done(msg);
		return net->n_kept < NET_MAX_KEPT ? -ENOMEM : -ENOBUFS;
	}
	net->kept = list;
	list[net->n_kept++] = *msg;
	return 0;
}

/* Sends the request, and is done with the writer. */
static int await_signature(struct net *net, uint32_t type, struct chan_writer *w,
			   struct msg_blob *ret_blob)
{
	struct chan_msg msg = { 0 };
	int r = monitor_send(net, type, w);

	while (r == 0) {
		r = chan_receive_wait(net->monitor_fd, MONITOR_TIMEOUT_USEC, &msg);
		if (r < 0)
			break;
		if (msg.type == NET_SIGNED) {
			r = take_signature(&msg, ret_blob);
			chan_msg_done(&msg);
			return r;
		}
		r = keep(net, &msg);
	}
	return r;
}

int monitor_sign(struct net *net, const struct msg_sign *request, struct msg_blob *ret_blob)
{
	struct chan_writer w = { 0 };

	msg_sign_put(&w, request);
	return await_signature(net, NET_SIGN, &w, ret_blob);
}

int monitor_prove(struct net *net, const struct msg_prove *request, struct msg_blob *ret_blob)
{
	struct chan_writer w = { 0 };

	msg_prove_put(&w, request);
	return await_signature(net, NET_PROVE, &w, ret_blob);
}

int monitor_receive(struct net *net, struct chan_msg *ret_msg)
{
	if (net->n_kept == 0)
		return chan_receive(net->monitor_fd, ret_msg);
	*ret_msg = net->kept[0];
	memmove(&net->kept[0], &net->kept[1], --net->n_kept * sizeof(net->kept[0]));
	return 0;
}

void monitor_log(void *userdata, int level, const char *text)
{
	struct net *net = userdata;
	struct chan_writer w = { 0 };
	size_t len = strlen(text);

	chan_put_u32(&w, (uint32_t)level);
	chan_put_bytes(&w, text, len < MSG_MAX_TEXT ? len : MSG_MAX_TEXT);
	/* A log line is not worth waiting for. */
	chan_send(net->monitor_fd, NET_LOG, &w, NULL, 0);
	chan_writer_done(&w);
}
