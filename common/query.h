/* Names and values as URLs and forms carry them (RFC 3986, application/x-www-form-urlencoded).
 * Pure. */
#pragma once

#include <stddef.h>

#include "common/cleanup.h"

struct query {
	char *text; /* "client_id=peergate&scope=openid%20email"; NULL: nothing yet */
	int error;  /* -ENOMEM: a part is missing */
};

/* Everything but letters, digits and "-._~" is escaped. value NULL: nothing is added. */
void query_add(struct query *query, const char *name, const char *value);
void query_done(struct query *query);

/* Return: the caller's; NULL when out of memory. */
char *query_escape(const char *text);
