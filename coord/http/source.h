/* How many connections each address has. IPv6 counts by the /64: who has one of these has them all.
 */
#pragma once

#include "common/ip.h"

struct http_source;

/* Zero-initialise; http_sources_done() frees. */
struct http_sources {
	void *tree;
};
void http_sources_done(struct http_sources *sources);
unsigned http_sources_count(const struct http_sources *sources, const struct ip_addr *addr);
/* One more. The source is to be dropped once for each time. NULL: no memory. */
struct http_source *http_sources_add(struct http_sources *sources, const struct ip_addr *addr);
/* Takes NULL. */
void http_sources_drop(struct http_sources *sources, struct http_source *source);

/* What addresses are told apart by. */
struct ip_addr http_source_of(const struct ip_addr *addr);
