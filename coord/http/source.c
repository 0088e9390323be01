/* How many connections each address has. */
#include "coord/http/source.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct http_source {
	struct ip_addr addr; /* first: the tree compares it */
	unsigned n;
};

struct ip_addr http_source_of(const struct ip_addr *addr)
{
	struct ip_addr source = *addr;

	if (source.family == AF_INET6)
		memset(source.bytes + 8, 0, 8);
	return source;
}

static int compare(const void *a, const void *b)
{
	const struct ip_addr *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

void http_sources_done(struct http_sources *sources)
{
	tdestroy(sources->tree, free);
	sources->tree = NULL;
}

unsigned http_sources_count(const struct http_sources *sources, const struct ip_addr *addr)
{
	const struct ip_addr key = http_source_of(addr);
	struct http_source **found = tfind(&key, &sources->tree, compare);

	return found ? (*found)->n : 0;
}

struct http_source *http_sources_add(struct http_sources *sources, const struct ip_addr *addr)
{
	struct http_source *source = calloc(1, sizeof(*source)), **found;

	if (!source)
		return NULL;
	source->addr = http_source_of(addr);
	found = tsearch(source, &sources->tree, compare);
	if (!found || *found != source)
		free(source);
	if (!found)
		return NULL;
	(*found)->n++;
	return *found;
}

void http_sources_drop(struct http_sources *sources, struct http_source *source)
{
	if (!source || --source->n > 0)
		return;
	tdelete(source, &sources->tree, compare);
	free(source);
}
