/*
 * Varlink (https://varlink.org, protocol as systemd 252 speaks it): JSON messages ended by NUL over
 * a Unix stream socket; method calls, "more" streams, errors, org.varlink.service introspection.
 * Every count, size and queue is bounded; a peer that breaks the protocol is disconnected.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

#define VARLINK_MAX_MESSAGE (4u << 20)	 /* bytes, replies */
#define VARLINK_MAX_CALL    (256u << 10) /* bytes, calls that a server accepts */

/* ---- framing: pure, for both sides and the fuzzer ---- */

struct varlink_call_msg {
	char *method; /* "io.peergate.Agent.WhoIs" */
	json_t *parameters;
	bool more;
	bool oneway;
};
void varlink_call_msg_done(struct varlink_call_msg *msg);
/* One message without its NUL. Return: 0, -EINVAL (not a call), -ENOMEM. */
int varlink_call_parse(const char *text, size_t len, struct varlink_call_msg *ret_msg);

/* ---- server ---- */

struct varlink_server;
struct varlink_call;

/*
 * Handles a call. Answer now or later with one of the functions below; the call is borrowed unless
 * varlink_call_ref() keeps it. A negative errno without an answer becomes io.systemd.System.
 * The calls of one connection are handled one after the other, as the protocol has it. Root's
 * connections have the event priority IMPORTANT, those of others IDLE: what must not wait for them
 * needs a method that answers in small parts, and a priority above IDLE.
 */
typedef int (*varlink_method_fn)(struct varlink_call *call, const json_t *params, void *userdata);

struct varlink_method {
	const char *name; /* without the interface */
	varlink_method_fn fn;
	bool needs_more; /* refuse calls without "more": org.varlink.service ExpectedMore */
};

struct varlink_interface {
	const char *name;
	const char *description; /* the .varlink text, for GetInterfaceDescription */
	const struct varlink_method *methods;
	size_t n_methods;
};

struct varlink_info {
	const char *vendor, *product, *version, *url;
};

struct varlink_limits {
	unsigned max_connections;	   /* in total; half of them are kept for root */
	unsigned max_connections_per_uid;  /* root is not counted */
	unsigned max_calls_per_connection; /* sent ahead and not answered; more disconnects */
	size_t max_output;		   /* bytes queued to one connection; more disconnects it */
};

/* All pointers are borrowed and must outlive the server. */
int varlink_server_new(sd_event *event, const struct varlink_info *info,
		       const struct varlink_interface *interface,
		       const struct varlink_limits *limits, void *userdata,
		       struct varlink_server **ret_server);
struct varlink_server *varlink_server_free(struct varlink_server *server);
DEFINE_CLEANUP(struct varlink_server *, varlink_server_free);
/*
 * Serve a listening SOCK_STREAM socket, among others; the server owns fd, also on failure. Callers
 * are accepted at the priority of those that are not root's: anybody can keep the queue full.
 */
int varlink_server_listen(struct varlink_server *server, int fd);
/* Likewise for a socket at which only root is served, before all others. */
int varlink_server_listen_root(struct varlink_server *server, int fd);
/* Serve a connected, non-blocking socket. Likewise. Return: 0, -EUSERS (limits), -errno. */
int varlink_server_add_connection(struct varlink_server *server, int fd);

/*
 * fn is called when a connection cannot be accepted for want of descriptors or memory (error: the
 * negative errno); the server tries again a second later.
 */
void varlink_server_on_exhausted(struct varlink_server *server,
				 void (*fn)(void *userdata, int error));

/* Credentials of the caller (SO_PEERCRED). */
const struct ucred *varlink_call_creds(const struct varlink_call *call);
/* Was the caller a member of the group when it connected (SO_PEERGROUPS)? False when answered. */
bool varlink_call_in_group(const struct varlink_call *call, gid_t gid);
/* Bytes that the caller has not read yet, and the socket does not take. */
size_t varlink_call_backlog(const struct varlink_call *call);
/*
 * Final answer, params is stolen also on failure; NULL means {}. An answer that cannot be sent ends
 * the connection, but never before control returns to the event loop.
 */
int varlink_call_reply(struct varlink_call *call, json_t *params);
/* One answer of several ("continues": true). */
int varlink_call_notify(struct varlink_call *call, json_t *params);
/* Final answer: error "io.peergate.Agent.NotAPeer", params stolen, may be NULL. */
int varlink_call_error(struct varlink_call *call, const char *error, json_t *params);
/* org.varlink.service.InvalidParameter for the named parameter. */
int varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter);
/* Called once when the connection of an unanswered call goes away (before the last unref). */
void varlink_call_on_disconnect(struct varlink_call *call,
				void (*fn)(struct varlink_call *call, void *userdata),
				void *userdata);
struct varlink_call *varlink_call_ref(struct varlink_call *call);
struct varlink_call *varlink_call_unref(struct varlink_call *call); /* returns NULL */
DEFINE_CLEANUP(struct varlink_call *, varlink_call_unref);

/* ---- client ---- */

struct varlink_client;

struct varlink_reply {
	json_t *parameters; /* never NULL */
	char *error;	    /* NULL: success */
	bool continues;
};
void varlink_reply_done(struct varlink_reply *reply);

/* Speak over a connected, non-blocking socket; the client owns fd, also on failure. */
int varlink_client_new(int fd, struct varlink_client **ret_client);
/*
 * Connect to a socket path. Where the server's queue is full, wait in the kernel's order for a
 * place, this long (0: not at all). Return: 0, -EAGAIN (there is none), other negative errno
 * (-ENOENT, -ECONNREFUSED, -EACCES, ...).
 */
int varlink_client_connect(const char *path, uint64_t timeout_usec,
			   struct varlink_client **ret_client);
struct varlink_client *varlink_client_free(struct varlink_client *client);
DEFINE_CLEANUP(struct varlink_client *, varlink_client_free);
/* For poll(): non-blocking socket. */
int varlink_client_fd(const struct varlink_client *client);
/* Who serves (SO_PEERCRED). */
int varlink_client_server_creds(const struct varlink_client *client, struct ucred *ret_creds);

/* Send a call; params is stolen, may be NULL. Blocks until written (timeout applies). */
int varlink_client_send(struct varlink_client *client, const char *method, json_t *params,
			bool more, uint64_t timeout_usec);
/*
 * Take the next reply. timeout_usec 0: only what is there already.
 * Return: 0, -EAGAIN (none yet), -ETIME, -ECONNRESET (server went away), -EBADMSG.
 */
int varlink_client_receive(struct varlink_client *client, uint64_t timeout_usec,
			   struct varlink_reply *ret_reply);
/* Send without "more" and receive. */
int varlink_client_call(struct varlink_client *client, const char *method, json_t *params,
			uint64_t timeout_usec, struct varlink_reply *ret_reply);
