/* The target of a request, "/v1/nodes/n%31?verbose=1", taken apart. Pure. */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"

#define HTTP_MAX_SEGMENTS   16u
#define HTTP_MAX_PARAMETERS 64u

struct http_pair {
	const char *name, *value;
};

struct http_target {
	char *path;	 /* as sent */
	char *query;	 /* as sent, behind '?'; NULL: none; part of path's memory */
	char *decoded;	 /* memory of what follows */
	char **segments; /* "/a/b%2Fc/" is "a", "b/c", "" */
	size_t n_segments;
	struct http_pair *parameters; /* of the query, in order; '+' is a space */
	size_t n_parameters;
};

/*
 * Parse an origin-form target (RFC 9112, 3.2.1). Escapes must be complete, and what they stand for
 * UTF-8 without control characters; the segments "." and ".." are refused.
 * Return: 0; -EINVAL and *ret_why (static text); -ENOMEM. On failure *ret_target is untouched.
 */
int http_target_parse(const char *text, struct http_target *ret_target, const char **ret_why);
void http_target_done(struct http_target *target);
