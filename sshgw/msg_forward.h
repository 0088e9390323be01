/* What the gateway's processes say to one another about forwarding: payloads (sshgw/msg.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/chan.h"

#define MSG_MAX_HOST 255u /* bytes of a host name, or of an address as text */
#define MSG_MAX_PATH 107u /* of a unix socket: unix(7), without the final NUL */
#define MSG_MAX_X11  256u /* an authentication protocol's name; a cookie as text */

/*
 * Forwarding. Who opens chooses the number: net for NET_CONNECT and NET_LISTEN, which share one
 * space, the user process for connections that came in. 0 is none's, and none is used twice.
 */
enum forward_kind {
	FORWARD_TCP = 1,
	FORWARD_UNIX = 2,
	FORWARD_AGENT = 3, /* a socket for the client's ssh-agent */
	FORWARD_X11 = 4,   /* a display for the client's X server */
	FORWARD_LAST = FORWARD_X11,
};
/* "tcp", "unix", "agent", "x11". */
const char *forward_kind_to_string(enum forward_kind kind);

struct msg_connect {
	uint32_t id;
	enum forward_kind kind; /* tcp, unix */
	char *target;  /* host, 1..MSG_MAX_HOST bytes; or absolute path, up to MSG_MAX_PATH */
	uint32_t port; /* tcp: 1..65535; unix: 0 */
};
/* What the decoder insists on. Who writes one from a client's words asks before. */
bool msg_connect_is_sound(const struct msg_connect *msg);
int msg_connect_put(struct chan_writer *w, const struct msg_connect *msg);
int msg_connect_get(const struct chan_msg *in, struct msg_connect *ret_msg);
void msg_connect_done(struct msg_connect *msg);

/* Reasons of SSH_MSG_CHANNEL_OPEN_FAILURE, RFC 4254 section 5.1. */
enum forward_reason {
	FORWARD_PROHIBITED = 1,
	FORWARD_CONNECT_FAILED = 2,
	FORWARD_NO_RESOURCES = 4,
};
struct msg_connect_failed {
	uint32_t id;
	enum forward_reason reason;
	char *text; /* for the person */
};
int msg_connect_failed_put(struct chan_writer *w, const struct msg_connect_failed *msg);
int msg_connect_failed_get(const struct chan_msg *in, struct msg_connect_failed *ret_msg);
void msg_connect_failed_done(struct msg_connect_failed *msg);

struct msg_listen {
	uint32_t id;
	enum forward_kind kind;
	char *address; /* tcp: as the client says it, may be ""; unix: absolute path; else "" */
	uint32_t port; /* tcp: up to 65535, 0: any; else 0 */
	/* x11 */
	bool single;	/* one connection, then no more */
	char *protocol; /* MIT-MAGIC-COOKIE-1; "" for the other kinds */
	char *cookie;	/* hexadecimal digits; "" for the other kinds */
	uint32_t screen;
};
/* As above. */
bool msg_listen_is_sound(const struct msg_listen *msg);
int msg_listen_put(struct chan_writer *w, const struct msg_listen *msg);
int msg_listen_get(const struct chan_msg *in, struct msg_listen *ret_msg);
void msg_listen_done(struct msg_listen *msg);

struct msg_listening {
	uint32_t id;
	uint32_t port; /* tcp: that is bound; else 0 */
};
int msg_listening_put(struct chan_writer *w, const struct msg_listening *msg);
int msg_listening_get(const struct chan_msg *in, struct msg_listening *ret_msg);

/* What a listener leaves in the filesystem, if nobody removes it. */
struct msg_socket {
	uint32_t id;
	char *path;	   /* absolute */
	uint64_t dev, ino; /* of the socket: another one of that name stays */
	bool has_dir;	   /* the directory that it is in was made for it */
};
int msg_socket_put(struct chan_writer *w, const struct msg_socket *msg);
int msg_socket_get(const struct chan_msg *in, struct msg_socket *ret_msg);
void msg_socket_done(struct msg_socket *msg);

struct msg_incoming {
	uint32_t listener;
	uint32_t id;
	char *address; /* of who connected; "" for a unix socket */
	uint32_t port; /* the same; 0 for a unix socket */
};
int msg_incoming_put(struct chan_writer *w, const struct msg_incoming *msg);
int msg_incoming_get(const struct chan_msg *in, struct msg_incoming *ret_msg);
void msg_incoming_done(struct msg_incoming *msg);

struct msg_forward_end {
	bool incoming; /* the number is the user process's */
	uint32_t id;
	uint64_t to_client, from_client; /* bytes */
};
int msg_forward_end_put(struct chan_writer *w, const struct msg_forward_end *msg);
int msg_forward_end_get(const struct chan_msg *in, struct msg_forward_end *ret_msg);
