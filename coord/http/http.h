/*
 * An HTTP server in an sd-event loop, on libmicrohttpd: listeners (TCP, TLS, Unix), routes,
 * requests that are answered now or later, streams that stay open. It knows nothing of nodes and
 * policy.
 *
 * Every size, count and time is bounded (struct http_limits). Framing that two servers could read
 * in two ways is refused. README.md beside this file says what is done by whom, and the limits.
 *
 * All of it belongs to the thread of the event loop. Handlers and callbacks may use everything
 * here but http_server_free(), which is for on_stopped only.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "coord/http/buf.h"

struct http_server;
struct http_request;
struct http_stream;

/* ---- routes ---- */

enum {
	HTTP_ON_NETWORK = 1 << 0, /* TCP and TLS listeners */
	HTTP_ON_UNIX = 1 << 1,
};

/*
 * Handles a request whose body is there, whole. Answer now, or keep a reference
 * (http_request_ref()) and answer later. A negative errno without an answer becomes 500 (-ENOMEM:
 * 503), as does an answer that nobody is left to give.
 */
typedef int (*http_handler_fn)(struct http_request *req, void *userdata);

struct http_route {
	const char *method; /* "GET" (serves HEAD as well), "POST", ... */
	/* "/v1/nodes/{id}": a segment in braces matches any one segment that is not empty. The
	 * first route of the table that matches path, method and listener is taken. */
	const char *path;
	unsigned on;	 /* HTTP_ON_...; elsewhere the route does not exist */
	size_t max_body; /* bytes; 0: http_limits.max_body */
	http_handler_fn handler;
	const void *data; /* for the handler, by http_request_route(); may be NULL */
	void *userdata;	  /* for the handler; NULL: http_config.userdata */
};

/* The routes of one owner, and the userdata of their handlers. */
struct http_route_table {
	const struct http_route *routes;
	size_t n_routes;
	void *userdata;
};
/* All of them in one table, which is the caller's. Return: 0, -ENOMEM. */
int http_routes_join(const struct http_route_table *tables, size_t n_tables,
		     struct http_route **ret_routes, size_t *ret_n_routes);

/* ---- server ---- */

struct http_limits {
	unsigned max_connections; /* of each listener */
	/* Of each listener; 0: no limit. Not applied if there are trusted proxies, nor to Unix. */
	unsigned max_connections_per_address;
	/*
	 * Bytes of each connection, at least 4096: for the head of a request (with 64 for each of
	 * its fields and cookies), and 1024 for that of the answer.
	 */
	size_t connection_memory;
	size_t max_body;	  /* bytes, of routes that say nothing else */
	uint64_t idle_usec;	  /* connection without progress; whole seconds, at least one */
	uint64_t request_usec;	  /* until a request is there, whole, after the one before it */
	uint64_t tick_usec;	  /* what is written within it goes out together */
	size_t stream_bytes;	  /* queued in one stream */
	unsigned stream_messages; /* likewise */
};
/* Fit for a coordinator with ten thousand agents. */
void http_limits_default(struct http_limits *ret_limits);

struct http_config {
	const struct http_route *routes;
	size_t n_routes;
	struct http_limits limits;
	/* Whose X-Forwarded-For and X-Forwarded-Proto are believed. */
	const struct ip_prefix *trusted_proxies;
	size_t n_trusted_proxies;
	/*
	 * "HOST" or "HOST:PORT" as clients know the server: what a proxy hands on counts only if it
	 * hands on the Host as well. One that does not (nginx, without a word about it) hands on
	 * X-Forwarded-For as it came from the client, who may write there what it likes. NULL: any.
	 */
	const char *authority;
	/* On the network, for paths that no route has; NULL: 404. Method and path do not matter. */
	const struct http_route *fallback;
	void *userdata; /* for handlers whose route has none */
};

/*
 * The config is copied; routes, fallback, prefixes and userdata are borrowed and must outlive the
 * server. Return: 0, -EINVAL (a route or limit that makes no sense), -ENOMEM, other negative errno.
 */
int http_server_new(sd_event *event, const struct http_config *config,
		    struct http_server **ret_server);
/* Ends what is left at once; on_closed and on_gone are called. Not from within a callback. */
struct http_server *http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free);

/* The certificate of a listener, with the chain, and its private key: files in PEM form. */
struct http_tls_files {
	const char *cert, *key;
};

/*
 * Serve a listening SOCK_STREAM socket (socket activation); AF_INET, AF_INET6 or AF_UNIX. The
 * server owns fd, also on failure. tls may be NULL: plain HTTP; its paths are copied.
 * Return: 0; negative errno and *reterr_text (the caller's), which may be NULL without memory.
 */
int http_server_listen_fd(struct http_server *server, int fd, const struct http_tls_files *tls,
			  char **reterr_text);
/* The same on an address. Port 0: any; http_server_endpoint() tells. */
int http_server_listen(struct http_server *server, const struct ip_endpoint *address,
		       const struct http_tls_files *tls, char **reterr_text);
/* The address of the n-th listener. Return: 0, -ENOENT, -EAFNOSUPPORT (Unix). */
int http_server_endpoint(const struct http_server *server, size_t n, struct ip_endpoint *ret_ep);

/*
 * Read certificates and keys again, for new connections. If any pair is not usable all stay what
 * they were. Return: 0; negative errno and *reterr_text (the caller's).
 */
int http_server_reload_tls(struct http_server *server, char **reterr_text);

/*
 * Stop gracefully: listeners close, streams end, requests that are being received or answered have
 * timeout_usec to finish. on_stopped is called from the loop when nothing is left or time is up: it
 * may free the server. Return: 0, -EALREADY, negative errno.
 */
int http_server_stop(struct http_server *server, uint64_t timeout_usec,
		     void (*on_stopped)(void *userdata), void *userdata);

struct http_stats {
	uint64_t connections, streams; /* open now */
	uint64_t connections_total, streams_total;
	uint64_t connections_full; /* not accepted, as their address had as many as it may */
	uint64_t requests[6];  /* by class of status: [2]: 200..299; [0]: gone without an answer */
	uint64_t bytes_out;    /* of bodies and streams */
	uint64_t slow_senders; /* cut: request not there in time */
	uint64_t slow_readers; /* streams cut: nothing taken for idle_usec */
	uint64_t queue_full;   /* -ENOBUFS of http_stream_write() */
	uint64_t rate_limited; /* answered 429 by http_request_limit() */
	uint64_t unattributed; /* from trusted proxies, which did not say for whom, or how */
};
void http_server_get_stats(const struct http_server *server, struct http_stats *ret_stats);

/* ---- requests ---- */

enum http_transport {
	HTTP_TCP,
	HTTP_TLS,
	HTTP_UNIX,
};

/*
 * What was asked. Strings are borrowed and last until the request is answered, or the last
 * reference goes; they are free of control characters where they were decoded.
 */
const char *http_request_method(const struct http_request *req);
/* As sent, percent-encoded (for signatures); the query is without '?', NULL: there is none. */
const char *http_request_raw_path(const struct http_request *req);
const char *http_request_raw_query(const struct http_request *req);
/* The route that was taken, for as long as the server lives. */
const struct http_route *http_request_route(const struct http_request *req);
/* The segment that "{name}" of the route stands for, decoded; NULL: no such. */
const char *http_request_param(const struct http_request *req, const char *name);
/* The n-th value of a query parameter, decoded; NULL: no such. */
const char *http_request_query(const struct http_request *req, const char *name, size_t n);
/* The n-th header of this name, upper and lower case alike; NULL: no such. */
const char *http_request_header(const struct http_request *req, const char *name, size_t n);
/* Never NULL; a NUL follows the last byte. */
const char *http_request_body(const struct http_request *req, size_t *ret_len);

enum {
	HTTP_ANSWERED = 1, /* the helper has refused the request: there is nothing left to do */
};
enum http_transport http_request_transport(const struct http_request *req);
/* Of the socket, or what a trusted proxy says. NULL: a Unix socket. */
const struct ip_addr *http_request_client(const struct http_request *req);
/* Port of the socket's peer; 0: unknown, because there is a proxy in between. */
uint16_t http_request_client_port(const struct http_request *req);
/* Is the socket's peer a trusted proxy? */
bool http_request_is_proxied(const struct http_request *req);
/* Did the client speak TLS, with us or with a trusted proxy? */
bool http_request_is_secure(const struct http_request *req);
/* The peer of a Unix socket when it connected (SO_PEERCRED); NULL: another transport. */
const struct ucred *http_request_creds(const struct http_request *req);
/*
 * Was the peer of a Unix socket a member of the group when it connected (SO_PEERGROUPS: no name
 * service is asked)? False when it is gone, and for other transports.
 */
bool http_request_in_group(const struct http_request *req, gid_t gid);

/* To answer later. The last reference to a request without an answer makes it 500. */
struct http_request *http_request_ref(struct http_request *req);
struct http_request *http_request_unref(struct http_request *req); /* returns NULL */
DEFINE_CLEANUP(struct http_request *, http_request_unref);
/*
 * Called once, from the loop, if the client goes away before there is an answer. An answer after
 * that gives -ENOTCONN. Half-closing is going away.
 */
void http_request_on_gone(struct http_request *req,
			  void (*fn)(struct http_request *req, void *userdata), void *userdata);

/* ---- answers ---- */

struct http_header {
	const char *name, *value;
};

struct http_response {
	unsigned status;	  /* 200..599 */
	const char *content_type; /* NULL: none */
	const struct http_header *headers;
	size_t n_headers;
	struct http_buf *body; /* borrowed; NULL: empty */
};

/*
 * Answer. "Cache-Control: no-store" is added. Return, of all of these: 0, -EALREADY (there is an
 * answer), -ENOTCONN (the client is gone), -EINVAL (a header with control characters), -ENOMEM.
 */
int http_respond(struct http_request *req, const struct http_response *response);
/* body is stolen, also on failure. */
int http_respond_json(struct http_request *req, unsigned status, json_t *body);
int http_respond_json_with(struct http_request *req, unsigned status, json_t *body,
			   const struct http_header *headers, size_t n_headers);
/* The code of an error's body, for the log: where the body goes out by http_respond(). NULL: none.
 */
void http_request_note_error(struct http_request *req, const json_t *body);
/* {"error":{"code":CODE,"message":...}}; NULL: out of memory. */
json_t *http_error_json(const char *code, const char *message);
/* An answer of this. */
int http_respond_error(struct http_request *req, unsigned status, const char *code, const char *fmt,
		       ...) _printf_(4, 5);

/* ---- streams ---- */

enum http_stream_end {
	HTTP_STREAM_GONE, /* the client went away */
	HTTP_STREAM_SLOW, /* it took nothing for http_limits.idle_usec, and was cut */
	HTTP_STREAM_STOP, /* the server stops */
};

struct http_stream_config {
	const char *content_type;
	/*
	 * Called once, from the loop, when the stream ends other than by http_stream_close(); it
	 * is not to be used after that.
	 */
	void (*on_closed)(struct http_stream *stream, enum http_stream_end why, void *userdata);
	/* Called from the loop when all that was queued has gone to the kernel; may be NULL. */
	void (*on_drained)(struct http_stream *stream, void *userdata);
	void *userdata;
};

/*
 * Answer 200 with a body that goes on: chunked in HTTP/1.1, until the connection's end in HTTP/1.0.
 * The head goes out at once, with "X-Accel-Buffering: no".
 * Return: as http_respond(); -EOPNOTSUPP (HEAD).
 */
int http_stream_open(struct http_request *req, const struct http_stream_config *config,
		     struct http_stream **ret_stream);
/*
 * Queue a reference to a message; it is not copied. A message of any length finds place in an empty
 * queue. Return: 0, -ENOBUFS (the queue is full: the client reads too slowly), -ENOMEM.
 */
int http_stream_write(struct http_stream *stream, struct http_buf *buf);
/*
 * The same of a message that begins with some bytes of this stream's own, which are copied: what
 * many are told, behind what each knows it by.
 */
int http_stream_write_line(struct http_stream *stream, const char *head, size_t head_len,
			   struct http_buf *buf);
/* Messages that wait. */
size_t http_stream_queued(const struct http_stream *stream);
/* End after what is queued. The stream is the caller's no more. Returns NULL. */
struct http_stream *http_stream_close(struct http_stream *stream);
