/* A session's state, for the files that share it. */
#pragma once

#include <libssh/callbacks.h>

#include "sshgw/net/pump.h"
#include "sshgw/net/session.h"

enum session_state {
	SESSION_IDLE,	 /* channel is open: env and pty requests */
	SESSION_ASKED,	 /* the monitor is starting the program */
	SESSION_REFUSED, /* it will not; the client is being told why */
	SESSION_RUNNING, /* until output has ended and the exit status is known */
};

struct net_session {
	struct net *net;
	ssh_channel channel;
	uint32_t remote_channel; /* the client's number for it */
	struct ssh_channel_callbacks_struct callbacks;
	enum session_state state;
	struct msg_start request; /* collected until the program is started; .channel is our id */
	ssh_message start_message;
	ssh_message later[16]; /* came after it, to be answered after it */
	size_t n_later;
	struct pump_in in;
	struct pump_out out, err; /* a terminal has its one descriptor in "out" */
	bool is_pty;
	bool not_read; /* the client has closed its output: the program's is to be closed */
	bool exited, eof_sent;
	uint64_t eof_due, refuse_due; /* CLOCK_MONOTONIC usec; UINT64_MAX: not yet */
};

/* session_requests.c: what came while the program was being started. */
void net_session_handle_later(struct net_session *s);
