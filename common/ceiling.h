/*
 * The host's own ceiling, /etc/peergate/sshgw.conf: what no map, agent or coordinator can exceed.
 * Root-owned; read by the monitor for each connection, and by the listener for its limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"

/* When new keys are exchanged. */
struct rekey_limit {
	uint64_t bytes; /* in one direction; 0: what the cipher allows */
	uint64_t usec;	/* 0: no limit */
};

/* GatewayPorts=, as in sshd_config(5): where a client may have this host listen. */
enum gateway_ports {
	GATEWAY_PORTS_NO,     /* on the loopback alone */
	GATEWAY_PORTS_CLIENT, /* where the client says */
	GATEWAY_PORTS_YES,    /* on all addresses */
};

/* MaxListens= is no larger. */
#define CEILING_MAX_LISTENS 100

struct ceiling {
	bool ssh;	    /* SSH=: off unless the file says so */
	bool permit_root;   /* PermitRootLogin=: uid 0 under any name */
	char **allow_users; /* AllowUsers=: account names; NULL: all */
	char **deny_users;  /* DenyUsers= */
	uint64_t login_grace_usec;
	uint64_t max_agent_absence_usec;
	uint64_t keepalive_usec;	/* KeepaliveInterval= */
	uint64_t max_peer_absence_usec; /* without any answer of the peer */
	uint64_t max_connections;	/* logged in or not, in total and from one address */
	uint64_t max_connections_per_peer;
	uint64_t max_unauthenticated;
	uint64_t max_unauthenticated_per_peer;
	uint64_t penalty_after; /* connections of an address that misbehave, in a minute; 0: off */
	uint64_t penalty_usec;	/* for how long it is refused then, at first */
	uint64_t max_penalty_usec;
	uint64_t max_held; /* logins that wait for a check */
	uint64_t max_held_per_peer;
	uint64_t check_timeout_usec; /* how long one may wait */
	uint64_t max_left_running;   /* connections that are over but for programs left running */
	uint64_t max_left_running_per_peer;
	uint64_t max_sessions;	  /* concurrent, per connection */
	uint64_t max_env;	  /* variables per session */
	uint64_t max_forwards;	  /* forwarded connections at a time, per connection */
	uint64_t max_listens;	  /* listeners for remote forwarding at a time, per connection */
	struct rekey_limit rekey; /* RekeyLimit= */
	enum gateway_ports gateway_ports;
	bool x11_forwarding; /* X11Forwarding= */
	char *sftp_server; /* SftpServer=: a path; "none": there is to be none; NULL: look for it */
};

/* As if there were no file: SSH is off, limits have their defaults. */
void ceiling_default(struct ceiling *ret_ceiling);

/*
 * Parse the text of the file; source names it in messages.
 * Return: 0; -EINVAL, -EFBIG and *reterr_text (the caller's), -ENOMEM.
 */
int ceiling_parse(const char *text, size_t len, const char *source, struct ceiling *ret_ceiling,
		  char **reterr_text);

/*
 * Load the file; one that does not exist gives the defaults, with SSH off.
 * Return: 0; negative errno and *reterr_text (the caller's): bad syntax, or a file that others than
 * root could have written (-EPERM).
 */
int ceiling_load(const char *path, struct ceiling *ret_ceiling, char **reterr_text);
void ceiling_done(struct ceiling *ceiling);

/*
 * Why the account may not log in here, in words for the person; NULL: it may. Pure.
 */
const char *ceiling_refuses(const struct ceiling *ceiling, const char *account, uid_t uid);
