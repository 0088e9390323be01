/* A session's state, for the files that share it. */
#pragma once

#include <libssh/callbacks.h>

#include "sshgw/net/pump.h"
#include "sshgw/net/session.h"

enum session_state {
	SESSION_IDLE,	 /* channel is open: env and pty requests */
	SESSION_LISTEN,	 /* the monitor prepares a listener that its program is to know of */
	SESSION_ASKED,	 /* the monitor is starting the program */
	SESSION_REFUSED, /* it will not; the client is being told why */
	SESSION_RUNNING, /* until output has ended and the exit status is known */
};

/* Most of what precedes a program can come while a listener for it is prepared. */
#define MAX_LATER (MSG_MAX_ENV + 16u)

/* A request that came behind one that is not answered yet. */
struct later {
	ssh_message message;
	struct msg_blob modes; /* of a terminal */
};

struct net_session {
	struct net *net;
	ssh_channel channel;
	uint32_t remote_channel; /* the client's number for it */
	struct ssh_channel_callbacks_struct callbacks;
	enum session_state state;
	struct msg_start request; /* collected until the program is started; .channel is our id */
	ssh_message held;	  /* what the monitor is to answer */
	struct later later[MAX_LATER];
	size_t n_later;
	uint32_t listener; /* that it waits for */
	char *unprepared;  /* what its terminal is to be told: lines */
	struct pump_in in;
	struct pump_out out, err; /* a terminal has one descriptor for "in" and "out" */
	/*
	 * That one, until the session is over: closed earlier, when the program has closed the
	 * terminal and is about to exit, the kernel's SIGHUP would kill it.
	 */
	int terminal; /* -1: none */
	bool is_pty;
	bool not_read; /* the client has closed its output: the program's is to be closed */
	bool exited, eof_sent;
	bool end_said;		      /* to the monitor */
	uint64_t eof_due, refuse_due; /* CLOCK_MONOTONIC usec; UINT64_MAX: not yet */
};

/* session_requests.c: what came while the monitor was asked. */
void net_session_handle_later(struct net_session *s);
void net_session_free_later(struct net_session *s);
/*
 * session_listen.c: a listener for the client's agent or display. Return: whether the message is
 * kept until the monitor has answered; else *ret_ok is the answer.
 */
bool net_session_ask_agent(struct net_session *s, ssh_message message, bool *ret_ok);
bool net_session_ask_x11(struct net_session *s, ssh_message message);
