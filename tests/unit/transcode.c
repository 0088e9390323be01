#include "tests/unit/transcode.h"

#include "common/cleanup.h"
#include "sshgw/msg.h"
#include "sshgw/msg_forward.h"

#define TRANSCODE(name, type, done)                                                \
	int transcode_##name(const struct chan_msg *in, struct chan_writer *again) \
	{                                                                          \
		struct type msg;                                                   \
		int r = msg_##name##_get(in, &msg);                                \
                                                                                   \
		if (r < 0)                                                         \
			return r;                                                  \
		r = msg_##name##_put(again, &msg);                                 \
		done;                                                              \
		return r;                                                          \
	}

TRANSCODE(net_init, msg_net_init, msg_net_init_done(&msg))
TRANSCODE(sign, msg_sign, (void)0)
TRANSCODE(prove, msg_prove, (void)0)
TRANSCODE(auth_result, msg_auth_result, msg_auth_result_done(&msg))
TRANSCODE(check, msg_check, msg_check_done(&msg))
TRANSCODE(start, msg_start, msg_start_done(&msg))
TRANSCODE(started, msg_started, msg_started_done(&msg))
TRANSCODE(exited, msg_exited, (void)0)
TRANSCODE(signal, msg_signal, (void)0)
TRANSCODE(session_end, msg_session_end, (void)0)
TRANSCODE(account, msg_account, msg_account_done(&msg))
TRANSCODE(open, msg_open, msg_open_done(&msg))
TRANSCODE(connect, msg_connect, msg_connect_done(&msg))
TRANSCODE(connect_failed, msg_connect_failed, msg_connect_failed_done(&msg))
TRANSCODE(listen, msg_listen, msg_listen_done(&msg))
TRANSCODE(listening, msg_listening, (void)0)
TRANSCODE(socket, msg_socket, msg_socket_done(&msg))
TRANSCODE(incoming, msg_incoming, msg_incoming_done(&msg))
TRANSCODE(forward_end, msg_forward_end, (void)0)

int transcode_channel(const struct chan_msg *in, struct chan_writer *again)
{
	uint32_t channel;
	int r = msg_channel_get(in, &channel);

	if (r == 0)
		chan_put_u32(again, channel);
	return r;
}

int transcode_channel_text(const struct chan_msg *in, struct chan_writer *again)
{
	_cleanup_free_ char *text = NULL;
	uint32_t channel;
	int r = msg_channel_text_get(in, &channel, &text);

	if (r == 0) {
		chan_put_u32(again, channel);
		chan_put_string(again, text);
	}
	return r;
}

int transcode_text(const struct chan_msg *in, struct chan_writer *again)
{
	_cleanup_free_ char *text = NULL;
	int r = msg_text_get(in, MSG_MAX_TEXT, &text);

	if (r == 0)
		chan_put_string(again, text);
	return r;
}
