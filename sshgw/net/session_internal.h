/* A session's state, for the files that share it. */
#pragma once

#include <libssh/callbacks.h>

#include "sshgw/net/pump.h"
#include "sshgw/net/session.h"

enum session_state {
	SESSION_IDLE,	 /* channel is open: env and pty requests */
	SESSION_ASKED,	 /* the monitor is starting the program */
	SESSION_RUNNING, /* until output has ended and the exit status is known */
};

struct net_session {
	struct net *net;
	ssh_channel channel;
	struct ssh_channel_callbacks_struct callbacks;
	enum session_state state;
	struct msg_start request; /* collected until the program is started; .channel is our id */
	ssh_message start_message;
	struct pump_in in;
	struct pump_out out, err; /* a terminal has its one descriptor in "out" */
	bool is_pty;
	bool exited, eof_sent;
	uint64_t eof_due;
};
