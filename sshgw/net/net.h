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
#include "sshgw/net/auth_request.h"
#include "sshgw/net/rekey.h"

#define NET_FD_CONNECTION 3
#define NET_FD_MONITOR	  4

struct net_session;  /* sshgw/net/session.h */
struct net_forward;  /* sshgw/net/forward.h */
struct net_listener; /* sshgw/net/listener.h */
struct net_window;   /* sshgw/net/windows.h */

enum net_state {
	NET_STATE_KEX,	   /* no user name yet */
	NET_STATE_AUTH,	   /* service accepted, waiting for a user name */
	NET_STATE_ASKED,   /* the monitor decides */
	NET_STATE_CHECK,   /* so it still does, a person is asked: sshgw/net/check.h */
	NET_STATE_AGREED,  /* the client may come in by any method it likes */
	NET_STATE_COMING,  /* it is done, and hears so when the session is open */
	NET_STATE_REFUSED, /* every further method fails until the client gives up */
	NET_STATE_OPEN,	   /* logged in */
	NET_STATE_CLOSING, /* flush what is queued, then leave */
};

/*
 * Messages that can come while a signature is awaited: a few for each session, and one for each
 * forwarded connection, at the most that can be allowed (peergate-sshgw.conf(5)).
 */
#define NET_MAX_KEPT 768u

/* Authentication requests of one connection: a key for each, and some more. */
#define NET_MAX_AUTH_REQUESTS 20u

/* An authentication request, and libssh's message, by which it is answered. */
struct auth_try {
	ssh_message message;
	struct auth_request request;
};

struct net {
	int monitor_fd;
	struct chan_msg *kept; /* came while a signature was awaited */
	size_t n_kept;
	struct msg_net_init init;
	ssh_session ssh;
	ssh_bind bind;
	ssh_event event;
	enum net_state state;
	bool is_given_up;   /* net_give_up() */
	bool kex_done;	    /* the first key exchange */
	struct rekey rekey; /* those after it */
	struct {
		struct auth_request *waiting; /* that libssh has queued, oldest first */
		size_t n_waiting;
		unsigned n_requests;
		char *user; /* as first named; NULL: not yet */
		struct auth_try
			held;	  /* until the monitor has answered, or has opened the session */
		bool is_prompted; /* the client is to answer keyboard-interactive */
		char *welcome;	  /* the policy agreed: what to show when the client is in */
	} auth;
	struct {
		struct msg_check where; /* all NULL: none is needed */
		bool is_told;		/* the monitor knows that the client waits */
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

	struct net_window **windows;
	size_t n_windows;
	struct {
		uint32_t usec; /* the round trip of the connection, as last seen */
		uint64_t due;  /* CLOCK_MONOTONIC usec: not to be looked at before */
	} rtt;

	uint32_t rsa_digest; /* that the client wants an RSA key to sign with */
	unsigned n_proofs;   /* of host keys, that it has had */

	ssh_message *globals; /* requests that wait for their turn, oldest first */
	size_t n_globals;
	uint32_t awaited_listener; /* what the first of them waits for; 0: nothing */

	struct {
		uint32_t msec;	/* tell the monitor so often that bytes flow; 0: never */
		uint64_t bytes; /* pump_moved() when it was told last */
		uint64_t due;	/* CLOCK_MONOTONIC usec: not before */
	} active;

	struct msg_blob *pty_modes; /* of pty requests that libssh has queued, oldest first */
	size_t n_pty_modes;
};

/* Leave the loop once the output is flushed, or after a second. */
void net_close(struct net *net);
/* Likewise, for something that the journal is to have: why, without a full stop. level: LOG_*. */
void net_give_up(struct net *net, int level, const char *why);

/* Serve the connection to its end. Return: 0, negative errno. */
int net_run(struct net *net);
/* To the monitor, of all that is open then: how much went through it. */
void net_say_ends(struct net *net);
