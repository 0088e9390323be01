/*
 * What the parts of the server share. One libmicrohttpd daemon per listener, with its own epoll
 * descriptor in the event loop.
 *
 * A connection that waits for us (a stream with nothing to say, a request to be answered later) is
 * suspended: libmicrohttpd does not look at it, nor at its time. Three things follow:
 *
 *  - that its client goes away is seen by an epoll descriptor of ours (watch.c), which all
 *    connections share: as event sources of their own, thousands that end at once would be
 *    dispatched one by one, with a poll before each;
 *  - resuming costs the daemon a walk over all that are suspended. So what is to be resumed is
 *    collected, and resumed by one call per tick (flush.c);
 *  - nothing is queued to a suspended connection: it is resumed, and asks for it.
 */
#pragma once

#include <microhttpd.h>
#include <stdarg.h>
#include <sys/queue.h>

#include "coord/http/forwarded.h"
#include "coord/http/http.h"
#include "coord/http/route.h"
#include "coord/http/source.h"
#include "coord/http/target.h"

struct http_tls;

struct http_conn {
	struct http_listener *listener;
	struct http_request *request; /* that is being received or answered */
	struct ip_endpoint peer;      /* AF_UNSPEC: Unix */
	struct http_source *source;   /* NULL: it is not counted */
	struct ucred creds;	      /* Unix */
	int fd;			      /* libmicrohttpd's */
	bool watched;		      /* in the watch descriptor */
	bool gone;	  /* nothing more comes from the client; may be it still reads */
	bool cut;	  /* by us: too slow */
	unsigned n_wakes; /* see watch.c */
	LIST_ENTRY(http_conn) all_gone;
	uint64_t due; /* the request has to be there; 0: not on the list */
	TAILQ_ENTRY(http_conn) by_due;
};

enum http_phase {
	HTTP_HEAD,     /* libmicrohttpd has read the first line */
	HTTP_BODY,     /* the body is coming in */
	HTTP_WAITING,  /* with the handler, or whoever it gave the request to */
	HTTP_ANSWER,   /* there is an answer, libmicrohttpd does not have it yet */
	HTTP_SENDING,  /* libmicrohttpd has the answer */
	HTTP_FINISHED, /* sent, or the client is gone: only references are left */
};

/* An answer that is settled before the body has come in. */
struct http_refusal {
	unsigned status; /* 0: none */
	const char *code, *message;
	char allow[HTTP_ALLOW_LEN]; /* 405 */
};

struct http_request {
	unsigned n_refs;
	enum http_phase phase;
	struct http_listener *listener;
	struct http_conn *conn;	    /* NULL: finished */
	struct MHD_Connection *mhd; /* likewise */

	const char *raw_start; /* where libmicrohttpd has the target; to compare, not to read */
	struct http_target target;
	char *raw; /* the target as sent, until it is parsed */
	const char *method;
	struct ip_addr client;
	uint16_t client_port;
	struct ucred creds; /* Unix */
	bool secure, http10, chunked, head;
	const struct http_route *route;
	struct http_refusal refusal;
	char code[32]; /* of the error that is answered; "": none */

	char *body;
	size_t body_len, body_size, max_body;
	size_t drained; /* bytes of the body that were thrown away */

	bool in_handler;
	bool suspended;
	bool dirty; /* on the listener's list: to be resumed */
	TAILQ_ENTRY(http_request) by_dirty;
	LIST_ENTRY(http_request) all; /* of the listener, until it is finished */

	struct MHD_Response *response;
	unsigned status;
	struct http_stream *stream;
	void (*on_gone)(struct http_request *req, void *userdata);
	void *on_gone_userdata;
};

struct http_message {
	STAILQ_ENTRY(http_message) next;
	struct http_buf *buf;
	size_t head_len; /* bytes that go before the buffer */
	char head[];
};

struct http_stream {
	struct http_request *req; /* a reference */
	struct http_stream_config config;
	STAILQ_HEAD(, http_message) queue;
	size_t n_queued, bytes_queued;
	size_t sent;	/* bytes of the first message that are out */
	bool closing;	/* ends after the queue */
	bool owned;	/* on_closed is still to be called */
	bool undrained; /* on_drained is still to be called */
};

struct http_listener {
	struct http_server *server;
	struct MHD_Daemon *daemon;
	sd_event_source *source;  /* the daemon's epoll descriptor */
	sd_event_source *timeout; /* what MHD_get_timeout() says */
	enum http_transport transport;
	int fd;		  /* the daemon's until it is quiesced; -1: closed */
	uint64_t n_ended; /* connections */
	struct http_tls *tls;
	TAILQ_HEAD(, http_request) dirty;
	LIST_HEAD(, http_request) requests;
	LIST_HEAD(, http_conn) gone;
	TAILQ_ENTRY(http_listener) next;
};

struct http_server {
	sd_event *event;
	struct http_config config;
	struct http_proxies proxies;
	struct http_sources sources; /* of TCP connections, but for those of trusted proxies */
	uint64_t full_told;	     /* CLOCK_MONOTONIC: when one that had too many was logged */
	TAILQ_HEAD(, http_listener) listeners;

	int watch_fd;
	sd_event_source *watch_source;

	sd_event_source *tick;
	bool tick_set;
	uint64_t last_flush;

	TAILQ_HEAD(, http_conn) by_due; /* the earliest first */
	sd_event_source *due_source;

	size_t n_requests; /* that are not finished */
	bool stopping;
	bool ending; /* what asks for more is cut */
	void (*on_stopped)(void *userdata);
	void *on_stopped_userdata;
	sd_event_source *stop_source;

	uint64_t log_since; /* CLOCK_MONOTONIC */
	unsigned n_logged, n_unlogged;

	struct http_stats stats;
};

/* listener.c */
void http_listener_run(struct http_listener *listener);
/* Accept no more. */
void http_listener_quiesce(struct http_listener *listener);
struct http_listener *http_listener_free(struct http_listener *listener);

/* conn.c: called by libmicrohttpd, cls is the listener */
enum MHD_Result http_conn_accept(void *cls, const struct sockaddr *addr, socklen_t len);
void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
		      enum MHD_ConnectionNotificationCode code);
/* The time for the next request begins, or ends because it is there. */
void http_conn_set_due(struct http_conn *conn);
void http_conn_clear_due(struct http_conn *conn);
int http_conn_on_due(sd_event_source *source, uint64_t usec, void *userdata);

/* watch.c */
int http_watch_init(struct http_server *server);
/* See when the client goes away, from now on. */
void http_watch_add(struct http_conn *conn);
void http_watch_remove(struct http_conn *conn);
/* After the listener was run. */
void http_watch_wake(struct http_listener *listener);

/* flush.c */
int http_flush_init(struct http_server *server);
/* Resume the request's connection in the next tick, so that it asks for what there is. */
void http_flush_later(struct http_request *req);
/* Resume all that are due now. */
void http_flush(struct http_server *server);
/* From within a call of libmicrohttpd. */
void http_request_suspend(struct http_request *req);

/* dispatch.c: called by libmicrohttpd, cls is the listener */
void *http_dispatch_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_dispatch(void *cls, struct MHD_Connection *mhd, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *len, void **context);
void http_dispatch_end(void *cls, struct MHD_Connection *mhd, void **context,
		       enum MHD_RequestTerminationCode why);

/* request.c */
/* Header fields of this name. */
unsigned http_request_count_headers(const struct http_request *req, const char *name);
/* Client and scheme, by the socket or by the proxy. */
void http_request_identify(struct http_request *req);
/* The request is finished: nothing of the connection is to be used any more. */
void http_request_detach(struct http_request *req);
void http_request_forget_target(struct http_request *req);

/* respond.c */
/* Give the answer to libmicrohttpd, from within its call. */
enum MHD_Result http_respond_queue(struct http_request *req);
/* Answer with the refusal. */
int http_respond_refusal(struct http_request *req);
/* Takes the response. Return: as http_respond(). */
int http_respond_mhd(struct http_request *req, unsigned status, struct MHD_Response *response);
/* 429. Return: HTTP_ANSWERED, negative errno. */
int http_respond_later(struct http_request *req, unsigned seconds);
int http_respond_check(const struct http_request *req);

/* stream.c */
/* Nothing can be sent any more; frees it. */
void http_stream_ended(struct http_stream *stream, enum http_stream_end why);
/* The server stops. */
void http_stream_stop(struct http_stream *stream);

/* stop.c */
/* Was it the last one that the stop waited for? */
void http_stop_check(struct http_server *server);

/* log.c */
/* One line about a request that was refused; not more than a few per second. */
void http_log_refused(struct http_request *req, unsigned status, const char *why);
/* A trusted proxy did not hand this on: counted, and said once. */
void http_log_unattributed(struct http_request *req, const char *what);
/* A connection that was not accepted, as this address has so many: now and then one is said. */
void http_log_full(struct http_server *server, const struct ip_addr *addr, unsigned n);
/* For MHD_OPTION_EXTERNAL_LOGGER; cls is the server. */
void http_log_mhd(void *cls, const char *fmt, va_list ap) _printf_(2, 0);

/* tls.c */
int http_tls_new(const struct http_tls_files *files, struct http_tls **ret_tls, char **reterr_text);
struct http_tls *http_tls_free(struct http_tls *tls);
DEFINE_CLEANUP(struct http_tls *, http_tls_free);
/* Read the files again; http_tls_commit() then uses what was read, or http_tls_rollback() not. */
int http_tls_prepare(struct http_tls *tls, char **reterr_text);
void http_tls_commit(struct http_tls *tls);
void http_tls_rollback(struct http_tls *tls);
/* Whose certificate is presented by the calls of MHD_run() that follow; NULL: nobody's. */
void http_tls_enter(struct http_tls *tls);
/* A gnutls_certificate_retrieve_function2 for libmicrohttpd. */
void *http_tls_callback(void);
