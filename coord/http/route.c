#include "coord/http/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Take the next segment off a pattern. Return: its length; *segment is NULL at the end. */
static size_t next_segment(const char **pattern, const char **segment)
{
	size_t len;

	if (**pattern != '/') {
		*segment = NULL;
		return 0;
	}
	*segment = *pattern + 1;
	len = strcspn(*segment, "/");
	*pattern = *segment + len;
	return len;
}

static bool is_parameter(const char *segment, size_t len)
{
	return len > 2 && segment[0] == '{' && segment[len - 1] == '}';
}

static bool path_matches(const char *pattern, const struct http_target *target)
{
	const char *segment;
	size_t i = 0, len;

	while (len = next_segment(&pattern, &segment), segment) {
		const char *actual = i < target->n_segments ? target->segments[i] : NULL;

		if (!actual)
			return false;
		if (is_parameter(segment, len)) {
			if (!actual[0])
				return false;
		} else if (strlen(actual) != len || memcmp(actual, segment, len) != 0) {
			return false;
		}
		i++;
	}
	return i == target->n_segments;
}

static bool method_matches(const char *served, const char *method)
{
	return strcmp(served, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(served, "GET") == 0);
}

static void add_allowed(char *allow, const char *method)
{
	size_t len = strlen(allow);
	const char *head = strcmp(method, "GET") == 0 ? ", HEAD" : "";

	/* What is listed already, and what does not fit, is left out. */
	if (strstr(allow, method) || len + strlen(method) + strlen(head) + 3 > HTTP_ALLOW_LEN)
		return;
	snprintf(allow + len, HTTP_ALLOW_LEN - len, "%s%s%s", len ? ", " : "", method, head);
}

int http_route_find(const struct http_route *routes, size_t n_routes, const char *method,
		    const struct http_target *target, unsigned on,
		    const struct http_route **ret_route, char *ret_allow)
{
	ret_allow[0] = '\0';
	for (size_t i = 0; i < n_routes; i++) {
		const struct http_route *route = &routes[i];

		if (!(route->on & on) || !path_matches(route->path, target))
			continue;
		if (method_matches(route->method, method)) {
			*ret_route = route;
			return 0;
		}
		add_allowed(ret_allow, route->method);
	}
	return ret_allow[0] ? HTTP_NO_METHOD : HTTP_NO_PATH;
}

const char *http_route_param(const struct http_route *route, const struct http_target *target,
			     const char *name)
{
	const char *pattern = route->path, *segment;
	size_t name_len = strlen(name);
	size_t i = 0, len;

	for (; len = next_segment(&pattern, &segment), segment; i++)
		if (is_parameter(segment, len) && len - 2 == name_len &&
		    memcmp(segment + 1, name, name_len) == 0)
			return target->segments[i];
	return NULL;
}

bool http_route_is_valid(const struct http_route *route)
{
	const char *at = route->path;
	const char *segment;
	size_t n = 0;

	if (!route->method || !at || !route->handler || !route->on)
		return false;
	while (next_segment(&at, &segment), segment)
		n++;
	return n > 0 && n <= HTTP_MAX_SEGMENTS && *at == '\0';
}

int http_routes_join(const struct http_route_table *tables, size_t n_tables,
		     struct http_route **ret_routes, size_t *ret_n_routes)
{
	struct http_route *routes;
	size_t n = 0;

	for (size_t i = 0; i < n_tables; i++)
		n += tables[i].n_routes;
	routes = calloc(n + 1, sizeof(*routes));
	if (!routes)
		return -ENOMEM;
	*ret_routes = routes;
	*ret_n_routes = n;
	for (size_t i = 0; i < n_tables; i++)
		for (size_t j = 0; j < tables[i].n_routes; j++) {
			*routes = tables[i].routes[j];
			routes++->userdata = tables[i].userdata;
		}
	return 0;
}
