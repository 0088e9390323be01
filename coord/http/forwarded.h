/* Who is behind the proxies, by X-Forwarded-For and X-Forwarded-Proto. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/ip.h"

struct http_proxies {
	const struct ip_prefix *trusted;
	size_t n_trusted;
};

bool http_proxies_trust(const struct http_proxies *proxies, const struct ip_addr *addr);

/*
 * The client, from the values of all X-Forwarded-For fields in their order, and the socket's peer.
 * Each trusted proxy appends whom it serves: the right-most address that is not trusted counts, and
 * what is further to the left is anybody's claim. Something that is no address ends the search.
 */
struct ip_addr http_forwarded_client(const struct http_proxies *proxies, const struct ip_addr *peer,
				     const char *const *values, size_t n_values);

/* Is this the Host of somebody who asks for the authority, "HOST" or "HOST:PORT"? The port may
 * lack. */
bool http_host_is(const char *host, const char *authority);

/* The last word of X-Forwarded-Proto is "https". */
bool http_forwarded_secure(const char *value);
