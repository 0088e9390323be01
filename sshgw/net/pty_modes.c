#include "sshgw/net/pty_modes.h"

#include <errno.h>
#include <string.h>

/* Requests wait here only until libssh's own queue is read, in the same turn of the loop. */
#define MAX_WAITING 16u

int pty_modes_find(const uint8_t *packet, size_t len, const uint8_t **ret_modes, size_t *ret_len)
{
	struct chan_reader r = { .data = packet, .len = len };
	const uint8_t *name, *modes;
	size_t n, modes_len;

	chan_get_u32(&r); /* recipient channel */
	name = chan_get_bytes(&r, 256, &n);
	if (!name || n != strlen("pty-req") || memcmp(name, "pty-req", n) != 0)
		return -ENOENT;
	chan_get_u8(&r);	      /* want reply */
	chan_get_bytes(&r, 4096, &n); /* TERM */
	for (int i = 0; i < 4; i++)   /* columns, rows, width, height */
		chan_get_u32(&r);
	modes = chan_get_bytes(&r, MSG_MAX_MODES, &modes_len);
	if (!modes)
		return -ENOENT;
	*ret_modes = modes;
	*ret_len = modes_len;
	return 0;
}

void pty_modes_keep(struct net *net, const uint8_t *packet, size_t packet_len)
{
	const uint8_t *modes;
	size_t len;
	struct msg_blob *list;

	if (net->n_pty_modes == MAX_WAITING || pty_modes_find(packet, packet_len, &modes, &len) < 0)
		return;
	list = reallocarray(net->pty_modes, net->n_pty_modes + 1, sizeof(*list));
	if (!list)
		return;
	net->pty_modes = list;
	list[net->n_pty_modes].data = malloc(len ? len : 1);
	if (!list[net->n_pty_modes].data)
		return;
	memcpy(list[net->n_pty_modes].data, modes, len);
	list[net->n_pty_modes++].len = len;
}

struct msg_blob pty_modes_take(struct net *net)
{
	struct msg_blob first = { 0 };

	if (net->n_pty_modes > 0) {
		first = net->pty_modes[0];
		memmove(&net->pty_modes[0], &net->pty_modes[1],
			--net->n_pty_modes * sizeof(net->pty_modes[0]));
	}
	return first;
}
