/*
 * A request from its first line to its handler. libmicrohttpd calls http_dispatch() when the head
 * is there, for each piece of the body, when the body is there, and again after each resumption
 * until there is an answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "coord/http/head.h"
#include "coord/http/internal.h"

/* Header fields of one request. */
#define MAX_FIELDS 48u
/* What libmicrohttpd keeps for each field and cookie besides its text. */
#define FIELD_MEMORY 64u
/* For the head of the answer. */
#define ANSWER_MEMORY 1024u
/* Of a body that is refused this much is read, so that the client gets to read why. */
#define MAX_DRAIN (1u << 20)

/*
 * The query is read from our copy of the target. libmicrohttpd would keep a record of each
 * parameter in the connection's memory; where they do not fit, 0.9.75 prepares its 431 and then
 * forgets it (parse_initial_message_line() goes on to the fields), so that the client never gets an
 * answer. So it finds an empty query. The text is its own buffer, which it writes to itself after
 * this.
 */
static void hide_query(const char *uri)
{
	char *query = strchr(uri, '?');

	if (query && query[1])
		query[1] = '\0';
}

void *http_dispatch_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http_listener *listener = cls;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_request *req;

	if (!info || !info->socket_context || !uri)
		return NULL;
	req = calloc(1, sizeof(*req));
	if (!req)
		return NULL;
	req->n_refs = 1;
	req->raw_start = uri;
	req->raw = strdup(uri);
	hide_query(uri);
	if (!req->raw) {
		free(req);
		return NULL;
	}
	req->listener = listener;
	req->conn = info->socket_context;
	req->mhd = mhd;
	req->conn->request = req;
	LIST_INSERT_HEAD(&listener->requests, req, all);
	listener->server->n_requests++;
	return req;
}

static void refuse(struct http_request *req, unsigned status, const char *code, const char *message)
{
	if (req->refusal.status)
		return;
	req->refusal.status = status;
	req->refusal.code = code;
	req->refusal.message = message;
}

static const char *header(const struct http_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

/* Does it leave enough of the connection's memory for an answer? */
static bool head_is_bearable(const struct http_request *req, const struct http_head *head)
{
	const char *cookies = header(req, "Cookie");
	int n = MHD_get_connection_values(req->mhd, MHD_HEADER_KIND | MHD_COOKIE_KIND, NULL, NULL);
	size_t used = head->len + (size_t)n * FIELD_MEMORY + ANSWER_MEMORY;

	/* It copies them. */
	if (cookies)
		used += strlen(cookies);
	return head->n_fields <= MAX_FIELDS &&
	       used <= req->listener->server->config.limits.connection_memory;
}

/* What of the head is not as it should be. Return: whether the connection is of any more use. */
static bool check_head(struct http_request *req, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	int n_fields = MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, NULL, NULL);
	const struct http_head head = {
		.start = method,
		.target = req->raw_start,
		.version = version,
		.len = info->header_size,
		.n_fields = (size_t)n_fields,
		.target_len = strlen(req->raw),
	};
	const struct http_framing framing = {
		.transfer_encoding = header(req, "Transfer-Encoding"),
		.content_length = header(req, "Content-Length"),
		.n_transfer_encoding = http_request_count_headers(req, "Transfer-Encoding"),
		.n_content_length = http_request_count_headers(req, "Content-Length"),
		.n_host = http_request_count_headers(req, "Host"),
		.http10 = req->http10,
	};
	const char *why = http_head_check(&head);

	if (!why)
		why = http_framing_check(&framing);
	if (why) {
		refuse(req, 400, "malformed", why);
		return false;
	}
	if (!head_is_bearable(req, &head)) {
		refuse(req, 431, "head_too_large", "the head of the request is too large");
		return false;
	}
	return true;
}

static void find_route(struct http_request *req)
{
	const struct http_config *config = &req->listener->server->config;
	unsigned on = req->listener->transport == HTTP_UNIX ? HTTP_ON_UNIX : HTTP_ON_NETWORK;
	int r;

	r = http_route_find(config->routes, config->n_routes, req->method, &req->target, on,
			    &req->route, req->refusal.allow);
	if (r == HTTP_NO_PATH && config->fallback && on == HTTP_ON_NETWORK) {
		req->route = config->fallback;
		r = 0;
	}
	if (r == HTTP_NO_PATH)
		refuse(req, 404, "not_found", "there is nothing at this path");
	else if (r == HTTP_NO_METHOD)
		refuse(req, 405, "method_not_allowed", "the path does not know this method");
	else
		req->max_body =
			req->route->max_body ? req->route->max_body : config->limits.max_body;
}

static int parse_target(struct http_request *req)
{
	const char *why = NULL;
	int r;

	r = http_target_parse(req->raw, &req->target, &why);
	free(req->raw);
	req->raw = NULL;
	if (r == -EINVAL)
		refuse(req, 400, "malformed", why);
	return r == -ENOMEM ? r : 0;
}

/*
 * A body of known length. Return: whether to read it: to use it, or to throw away as much as is
 * bearable.
 */
static bool check_length(struct http_request *req)
{
	const char *text = header(req, "Content-Length");
	/* libmicrohttpd has seen to it that it is a number. */
	uint64_t length = text ? strtoull(text, NULL, 10) : 0;

	if (!req->refusal.status && length > req->max_body)
		refuse(req, 413, "body_too_large", "the body is larger than is allowed here");
	return !req->refusal.status || length <= MAX_DRAIN;
}

/*
 * The head is there. An answer now makes libmicrohttpd close the connection after it; all others
 * wait for the end of the body.
 */
static enum MHD_Result begin(struct http_request *req, const char *method, const char *version)
{
	bool usable;

	req->method = method;
	req->http10 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
	req->head = strcmp(method, "HEAD") == 0;
	req->chunked = header(req, "Transfer-Encoding");
	req->phase = HTTP_BODY;
	http_request_identify(req);
	usable = check_head(req, method, version);
	if (parse_target(req) < 0)
		return MHD_NO;
	if (!req->refusal.status)
		find_route(req);
	if (usable && check_length(req))
		return MHD_YES;
	if (http_respond_refusal(req) < 0)
		return MHD_NO;
	http_conn_clear_due(req->conn);
	return http_respond_queue(req);
}

static int keep_body(struct http_request *req, const char *data, size_t len)
{
	size_t need = req->body_len + len + 1;

	if (need > req->body_size) {
		size_t size = req->body_size * 2 > need ? req->body_size * 2 : need;
		char *bigger;

		if (size > req->max_body + 1)
			size = req->max_body + 1;
		bigger = realloc(req->body, size);
		if (!bigger)
			return -ENOMEM;
		req->body = bigger;
		req->body_size = size;
	}
	memcpy(req->body + req->body_len, data, len);
	req->body_len += len;
	req->body[req->body_len] = '\0';
	return 0;
}

static enum MHD_Result take_body(struct http_request *req, const char *data, size_t len)
{
	if (!req->refusal.status && len > req->max_body - req->body_len)
		refuse(req, 413, "body_too_large", "the body is larger than is allowed here");
	if (!req->refusal.status)
		return keep_body(req, data, len) == 0 ? MHD_YES : MHD_NO;
	req->drained += len;
	return req->drained <= MAX_DRAIN ? MHD_YES : MHD_NO;
}

static void call_handler(struct http_request *req)
{
	void *userdata = req->route->userdata;
	int r;

	req->in_handler = true;
	r = req->route->handler(req, userdata ? userdata : req->listener->server->config.userdata);
	req->in_handler = false;
	if (req->phase != HTTP_WAITING)
		return;
	/* Nobody else has it. */
	if (r >= 0 && req->n_refs > 1)
		return;
	if (r == -ENOMEM)
		(void)http_respond_error(req, 503, "out_of_memory", "out of memory; try again");
	else
		(void)http_respond_error(req, 500, "internal", "the request could not be handled");
	(void)log_with(LOG_ERR, r < 0 ? r : 0, NULL, 0, "No answer to %s %s", req->route->method,
		       req->route->path);
}

/* The body is there, too. */
static enum MHD_Result handle(struct http_request *req)
{
	http_conn_clear_due(req->conn);
	req->phase = HTTP_WAITING;
	if (req->refusal.status)
		(void)http_respond_refusal(req);
	else
		call_handler(req);
	if (req->phase == HTTP_ANSWER)
		return http_respond_queue(req);
	/* Without memory for an answer, and nobody who could give one: cut. */
	if (req->phase != HTTP_WAITING || req->n_refs == 1)
		return MHD_NO;
	http_request_suspend(req);
	return MHD_YES;
}

/* Resumed: because there is an answer, or because there is nobody to give it to. */
static enum MHD_Result resumed(struct http_request *req)
{
	if (req->conn->gone)
		return MHD_NO;
	if (req->phase == HTTP_ANSWER)
		return http_respond_queue(req);
	http_request_suspend(req);
	return MHD_YES;
}

enum MHD_Result http_dispatch(void *cls, struct MHD_Connection *mhd, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *len, void **context)
{
	struct http_request *req = *context;
	size_t n = *len;

	if (!req || req->listener->server->ending)
		return MHD_NO;
	*len = 0;
	if (req->phase == HTTP_HEAD)
		return begin(req, method, version);
	if (req->phase == HTTP_BODY)
		return n > 0 ? take_body(req, data, n) : handle(req);
	return resumed(req);
}

static void count_status(struct http_request *req)
{
	struct http_stats *stats = &req->listener->server->stats;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
	unsigned status = info ? info->http_status : 0;

	stats->requests[status / 100 < 6 ? status / 100 : 0]++;
	/* What libmicrohttpd refuses by itself it never shows to http_dispatch(). */
	if (status >= 400 && req->phase < HTTP_ANSWER)
		http_log_refused(req, status, "not HTTP as it should be, or too large");
}

void http_dispatch_end(void *cls, struct MHD_Connection *mhd, void **context,
		       enum MHD_RequestTerminationCode why)
{
	struct http_request *req = *context;
	struct http_conn *conn;

	*context = NULL;
	if (!req)
		return;
	conn = req->conn;
	count_status(req);
	if (req->dirty)
		TAILQ_REMOVE(&req->listener->dirty, req, by_dirty);
	req->dirty = false;
	conn->request = NULL;
	if (conn->cut || why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		http_log_refused(req, 0, "too slow");
	else
		http_conn_set_due(conn);
	if (req->stream)
		http_stream_ended(req->stream, why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED
						       ? HTTP_STREAM_SLOW
						       : HTTP_STREAM_GONE);
	http_request_detach(req);
}
