/* Which route of a table serves a request. Pure. */
#pragma once

#include "coord/http/http.h"
#include "coord/http/target.h"

/* Methods of one path, for Allow. */
#define HTTP_ALLOW_LEN 128u

enum {
	HTTP_NO_PATH = 1,   /* 404 */
	HTTP_NO_METHOD = 2, /* 405, and ret_allow says what there is */
};

/*
 * Return: 0 and *ret_route (of the table); HTTP_NO_PATH; HTTP_NO_METHOD and ret_allow, which has
 * HTTP_ALLOW_LEN bytes.
 */
int http_route_find(const struct http_route *routes, size_t n_routes, const char *method,
		    const struct http_target *target, unsigned on,
		    const struct http_route **ret_route, char *ret_allow);

/* The segment that "{name}" stands for; NULL: the route has no such parameter. */
const char *http_route_param(const struct http_route *route, const struct http_target *target,
			     const char *name);

/* Can the route be served? Method, path and handler are there, and the path is well-formed. */
bool http_route_is_valid(const struct http_route *route);
