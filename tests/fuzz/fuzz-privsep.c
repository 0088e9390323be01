/*
 * The decoders of the privilege separation channel. Byte 0 chooses one of them, the rest is a
 * message. What is understood must be written again as the very same bytes: there is one way to say
 * a thing, and nothing of a message goes unread.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sshgw/msg.h"
#include "sshgw/msg_forward.h"
#include "sshgw/net/pty_modes.h"
#include "sshgw/net/requests.h"
#include "tests/unit/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static const transcode_fn transcoders[] = {
	transcode_net_init,
	transcode_sign,
	transcode_auth_result,
	transcode_start,
	transcode_started,
	transcode_exited,
	transcode_account,
	transcode_open,
	transcode_channel,
	transcode_channel_text,
	transcode_text,
	transcode_signal,
	transcode_check,
	NULL, /* 13 to 15: what is found in the client's packets */
	NULL,
	NULL,
	transcode_connect,
	transcode_connect_failed,
	transcode_listen,
	transcode_listening,
	transcode_incoming,
	transcode_forward_end,
	transcode_socket,
	transcode_prove,
	transcode_session_end,
};

/* The packet is the client's own; what is found in it must lie within it. */
static void find_request(const uint8_t *packet, size_t size, bool is_global)
{
	struct request request;
	int r = is_global ? request_parse_global(packet, size, &request)
			  : request_parse_channel(packet, size, &request);

	check(r == 0 || r == -EBADMSG);
	if (r == 0)
		check(request.name >= packet && request.name + request.name_len < packet + size);
}

static void find_pty_modes(const uint8_t *packet, size_t size)
{
	const uint8_t *modes;
	size_t len;

	if (pty_modes_find(packet, size, &modes, &len) == 0)
		check(len <= MSG_MAX_MODES && modes >= packet && modes + len <= packet + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chan_msg msg = { 0 };
	struct chan_writer again = { 0 };
	unsigned which;
	int r;

	if (size == 0)
		return 0;
	which = data[0] & 31;
	/* Only the number is looked at here. */
	msg.n_fds = data[0] >> 5 & 3;
	/* A copy of just its size, and writable, as it comes from chan_receive(). */
	msg.len = size - 1;
	msg.data = malloc(msg.len ? msg.len : 1);
	memcpy(msg.data, data + 1, msg.len);
	if (which < sizeof(transcoders) / sizeof(transcoders[0]) && transcoders[which]) {
		r = transcoders[which](&msg, &again);
		check(r == -EBADMSG || r == 0);
		if (r == 0)
			check(again.error == 0 && again.len == msg.len &&
			      (msg.len == 0 || memcmp(again.data, msg.data, msg.len) == 0));
	} else if (which == 15) {
		find_pty_modes(msg.data, msg.len);
	} else if (which == 13 || which == 14) {
		find_request(msg.data, msg.len, which & 1);
	}
	chan_writer_done(&again);
	free(msg.data);
	return 0;
}
