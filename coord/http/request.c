/* What a handler may know of a request, and its life. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/peer_group.h"
#include "coord/http/internal.h"

/* Proxies in a row whose X-Forwarded-For are fields of their own. */
#define MAX_FORWARDED 8u

const char *http_request_method(const struct http_request *req)
{
	return req->method;
}

const char *http_request_raw_path(const struct http_request *req)
{
	return req->target.path;
}

const char *http_request_raw_query(const struct http_request *req)
{
	return req->target.query;
}

const struct http_route *http_request_route(const struct http_request *req)
{
	return req->route;
}

const char *http_request_param(const struct http_request *req, const char *name)
{
	if (!req->target.path)
		return NULL;
	return http_route_param(req->route, &req->target, name);
}

const char *http_request_query(const struct http_request *req, const char *name, size_t n)
{
	for (size_t i = 0; i < req->target.n_parameters; i++)
		if (strcmp(req->target.parameters[i].name, name) == 0 && n-- == 0)
			return req->target.parameters[i].value;
	return NULL;
}

struct wanted {
	const char *name;
	const char **values;
	size_t skip, n, max;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name,
			       const char *value)
{
	struct wanted *wanted = cls;

	if (strcasecmp(name, wanted->name) != 0)
		return MHD_YES;
	if (wanted->skip > 0) {
		wanted->skip--;
		return MHD_YES;
	}
	if (wanted->n < wanted->max)
		wanted->values[wanted->n] = value ? value : "";
	wanted->n++;
	return MHD_YES;
}

const char *http_request_header(const struct http_request *req, const char *name, size_t n)
{
	const char *value = NULL;
	struct wanted wanted = { .name = name, .values = &value, .skip = n, .max = 1 };

	if (req->mhd && req->phase < HTTP_SENDING)
		MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, collect, &wanted);
	return value;
}

unsigned http_request_count_headers(const struct http_request *req, const char *name)
{
	struct wanted wanted = { .name = name };

	MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, collect, &wanted);
	return (unsigned)wanted.n;
}

const char *http_request_body(const struct http_request *req, size_t *ret_len)
{
	*ret_len = req->body_len;
	return req->body ? req->body : "";
}

enum http_transport http_request_transport(const struct http_request *req)
{
	return req->listener->transport;
}

/* Of the last ones, if there are too many: the nearest proxies. */
static size_t forwarded(const struct http_request *req, const char **values)
{
	unsigned n = http_request_count_headers(req, "X-Forwarded-For");
	struct wanted wanted = {
		.name = "X-Forwarded-For",
		.values = values,
		.skip = n > MAX_FORWARDED ? n - MAX_FORWARDED : 0,
		.max = MAX_FORWARDED,
	};

	MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, collect, &wanted);
	return wanted.n;
}

/* A proxy that says nothing of the client hands on what the client says of itself. */
static bool keeps_host(const struct http_request *req)
{
	const char *authority = req->listener->server->config.authority;
	const char *host = http_request_header(req, "Host", 0);

	return !authority ||
	       (host && !http_request_header(req, "Host", 1) && http_host_is(host, authority));
}

bool http_request_is_proxied(const struct http_request *req)
{
	return req->listener->transport != HTTP_UNIX &&
	       http_proxies_trust(&req->listener->server->proxies, &req->conn->peer.addr);
}

void http_request_identify(struct http_request *req)
{
	const struct http_proxies *proxies = &req->listener->server->proxies;
	const char *values[MAX_FORWARDED];
	const char *scheme;
	size_t n;

	req->creds = req->conn->creds;
	req->secure = req->listener->transport == HTTP_TLS;
	req->client = req->conn->peer.addr;
	req->client_port = req->conn->peer.port;
	if (!http_request_is_proxied(req))
		return;
	req->client_port = 0;
	if (!keeps_host(req)) {
		http_log_unattributed(req, "Host of the client");
		return;
	}
	n = forwarded(req, values);
	req->client = http_forwarded_client(proxies, &req->conn->peer.addr, values, n);
	if (n == 0)
		http_log_unattributed(req, "X-Forwarded-For");
	n = http_request_count_headers(req, "X-Forwarded-Proto");
	if (n == 0)
		http_log_unattributed(req, "X-Forwarded-Proto");
	scheme = n > 0 ? http_request_header(req, "X-Forwarded-Proto", n - 1) : NULL;
	if (scheme)
		req->secure = http_forwarded_secure(scheme);
}

const struct ip_addr *http_request_client(const struct http_request *req)
{
	return req->client.family == AF_UNSPEC ? NULL : &req->client;
}

uint16_t http_request_client_port(const struct http_request *req)
{
	return req->client_port;
}

bool http_request_is_secure(const struct http_request *req)
{
	return req->secure;
}

const struct ucred *http_request_creds(const struct http_request *req)
{
	return req->listener->transport == HTTP_UNIX ? &req->creds : NULL;
}

bool http_request_in_group(const struct http_request *req, gid_t gid)
{
	if (req->listener->transport != HTTP_UNIX || !req->conn)
		return false;
	return req->creds.gid == gid || peer_in_group(req->conn->fd, gid);
}

struct http_request *http_request_ref(struct http_request *req)
{
	req->n_refs++;
	return req;
}

void http_request_forget_target(struct http_request *req)
{
	http_target_done(&req->target);
	free(req->raw);
	req->raw = NULL;
	free(req->body);
	req->body = NULL;
	req->body_len = 0;
}

struct http_request *http_request_unref(struct http_request *req)
{
	if (!req)
		return NULL;
	if (--req->n_refs == 0) {
		http_request_forget_target(req);
		if (req->response)
			MHD_destroy_response(req->response);
		free(req);
	} else if (req->n_refs == 1 && req->phase == HTTP_WAITING && !req->in_handler) {
		/* The one reference left is the connection's, which ends if there is no memory. */
		if (http_respond_error(req, 500, "internal", "the request could not be handled") <
		    0)
			shutdown(req->conn->fd, SHUT_RDWR);
	}
	return NULL;
}

void http_request_on_gone(struct http_request *req,
			  void (*fn)(struct http_request *req, void *userdata), void *userdata)
{
	req->on_gone = fn;
	req->on_gone_userdata = userdata;
}

void http_request_detach(struct http_request *req)
{
	struct http_server *server = req->listener->server;
	bool unanswered = req->phase == HTTP_WAITING;

	req->phase = HTTP_FINISHED;
	req->conn = NULL;
	req->mhd = NULL;
	LIST_REMOVE(req, all);
	server->n_requests--;
	if (unanswered && req->on_gone)
		req->on_gone(req, req->on_gone_userdata);
	http_request_unref(req);
	http_stop_check(server);
}
