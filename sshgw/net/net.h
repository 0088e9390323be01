/*
 * The network process of one connection: the only one that parses SSH. Sandboxed before the first
 * byte; it holds no secret and decides nothing: it asks the monitor.
 */
#pragma once

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/chan.h"
#include "sshgw/msg.h"

#define NET_FD_CONNECTION 3
#define NET_FD_MONITOR	  4

struct net_session;  /* sshgw/net/session.h */
struct net_forward;  /* sshgw/net/forward.h */
struct net_listener; /* sshgw/net/listener.h */

enum net_state {
	NET_STATE_KEX,	   /* no user name yet */
	NET_STATE_AUTH,	   /* service accepted, waiting for "none" */
	NET_STATE_ASKED,   /* the monitor decides */
	NET_STATE_CHECK,   /* so it still does, a person is asked: sshgw/net/check.h */
	NET_STATE_REFUSED, /* every further method fails until the client gives up */
	NET_STATE_OPEN,	   /* logged in */
	NET_STATE_CLOSING, /* flush what is queued, then leave */
};

/*
 * Messages that can come while a signature is awaited: a few for each session, and one for each
 * forwarded connection, at the most that can be allowed (peergate-sshgw.conf(5)).
 */
#define NET_MAX_KEPT 768u

/* Requests with a method other than "none", after which the connection is closed. */
#define NET_MAX_TRIES 6u

struct net {
	int monitor_fd;
	struct chan_msg *kept; /* came while a signature was awaited */
	size_t n_kept;
	struct msg_net_init init;
	ssh_session ssh;
	ssh_bind bind;
	ssh_event event;
	enum net_state state;
	bool kex_done;		  /* the first key exchange */
	unsigned n_auth_tries;	  /* requests with a method other than "none" */
	ssh_message auth_message; /* held until the monitor answered */
	struct {
		struct msg_check where; /* all NULL: none is needed */
		bool is_prompted;	/* the client is to answer a request without prompts */
		bool is_told;		/* the monitor knows that the client waits */
		char *passed;		/* it was faster than the client: the text for it */
	} check;
	uint64_t deadline; /* CLOCK_MONOTONIC usec; login grace, later: of closing */

	struct net_session **sessions;
	size_t n_sessions;
	uint32_t next_channel;

	uint32_t n_opens_seen, n_opens; /* of session channels: as they came, as handled */
	uint32_t max_opens;		/* the client has said that it wants no more */

	struct net_forward **forwards;
	size_t n_forwards;
	bool forwards_first; /* they are pumped before the sessions, the next time */
	struct net_listener **listeners;
	size_t n_listeners;
	uint32_t last_forward; /* number of the newest of both that we chose; 0: none yet */

	ssh_message *globals; /* requests that wait for their turn, oldest first */
	size_t n_globals;
	uint32_t awaited_listener; /* what the first of them waits for; 0: nothing */

	struct msg_blob *pty_modes; /* of pty requests that libssh has queued, oldest first */
	size_t n_pty_modes;
};

/* Show the client a line, before it is logged in. "": nothing. */
void net_banner(struct net *net, const char *text);
/* Leave the loop once the output is flushed, or after a second. */
void net_close(struct net *net);

/* Serve the connection to its end. Return: 0, negative errno. */
int net_run(struct net *net);
