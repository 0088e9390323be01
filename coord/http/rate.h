/*
 * How often one client may ask: a token bucket per address (per /64 of IPv6). The table has a fixed
 * size. If it is full, whoever has asked least is forgotten, and begins afresh: a limit against
 * single clients, not against ten thousand addresses at once.
 */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"

struct http_rate;
struct http_request;

struct http_rate_config {
	double per_second;	/* more than 0 */
	unsigned burst;		/* at once; at least 1 */
	unsigned max_addresses; /* that are remembered; rounded up */
};

int http_rate_new(const struct http_rate_config *config, struct http_rate **ret_rate);
struct http_rate *http_rate_free(struct http_rate *rate);
DEFINE_CLEANUP(struct http_rate *, http_rate_free);

enum {
	HTTP_RATE_EXCEEDED = 1,
};
/*
 * Take a token; now is of CLOCK_MONOTONIC and does not go back.
 * Return: 0; HTTP_RATE_EXCEEDED and the seconds, rounded up, until there is one.
 */
int http_rate_take(struct http_rate *rate, const struct ip_addr *addr, uint64_t now_usec,
		   unsigned *ret_seconds);

#define HTTP_RATE_KEY_LEN 8u
/* The same for somebody who is known by a public key rather than an address: its first bytes. */
int http_rate_take_key(struct http_rate *rate, const uint8_t key[HTTP_RATE_KEY_LEN],
		       uint64_t now_usec, unsigned *ret_seconds);

/*
 * The same for the client of a request, which is answered 429 with Retry-After if it asks too
 * often. Unix sockets are not limited. Return: 0: go on; HTTP_ANSWERED; negative errno of
 * http_respond().
 */
int http_request_limit(struct http_request *req, struct http_rate *rate);
/* In two steps: http_rate_take() for the client of a request, and the answer to it. */
int http_request_take(const struct http_request *req, struct http_rate *rate,
		      unsigned *ret_seconds);
int http_request_later(struct http_request *req, unsigned seconds);
