/*
 * Every message between the gateway's processes, decoded, and on success written again as it was
 * understood: what is to be the very same bytes.
 */
#pragma once

#include "common/chan.h"

/* Return: 0; what the decoder or the encoder says. */
typedef int (*transcode_fn)(const struct chan_msg *in, struct chan_writer *again);

int transcode_net_init(const struct chan_msg *in, struct chan_writer *again);
int transcode_sign(const struct chan_msg *in, struct chan_writer *again);
int transcode_prove(const struct chan_msg *in, struct chan_writer *again);
int transcode_auth_result(const struct chan_msg *in, struct chan_writer *again);
int transcode_check(const struct chan_msg *in, struct chan_writer *again);
int transcode_start(const struct chan_msg *in, struct chan_writer *again);
int transcode_started(const struct chan_msg *in, struct chan_writer *again);
int transcode_exited(const struct chan_msg *in, struct chan_writer *again);
int transcode_signal(const struct chan_msg *in, struct chan_writer *again);
int transcode_session_end(const struct chan_msg *in, struct chan_writer *again);
int transcode_account(const struct chan_msg *in, struct chan_writer *again);
int transcode_open(const struct chan_msg *in, struct chan_writer *again);
int transcode_connect(const struct chan_msg *in, struct chan_writer *again);
int transcode_connect_failed(const struct chan_msg *in, struct chan_writer *again);
int transcode_listen(const struct chan_msg *in, struct chan_writer *again);
int transcode_listening(const struct chan_msg *in, struct chan_writer *again);
int transcode_socket(const struct chan_msg *in, struct chan_writer *again);
int transcode_incoming(const struct chan_msg *in, struct chan_writer *again);
int transcode_forward_end(const struct chan_msg *in, struct chan_writer *again);
int transcode_channel(const struct chan_msg *in, struct chan_writer *again);
int transcode_channel_text(const struct chan_msg *in, struct chan_writer *again);
int transcode_text(const struct chan_msg *in, struct chan_writer *again);
