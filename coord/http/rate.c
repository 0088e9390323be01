#include "coord/http/rate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "coord/http/internal.h"
#include "coord/http/source.h"

#define WAYS 8u /* buckets that an address may be in */

struct bucket {
	struct ip_addr addr; /* AF_UNSPEC: free */
	double tokens;
	uint64_t since; /* when it had them */
};

struct http_rate {
	struct http_rate_config config;
	uint64_t seed; /* nobody shall know which addresses share a set */
	size_t n_sets;
	struct bucket buckets[];
};

int http_rate_new(const struct http_rate_config *config, struct http_rate **ret_rate)
{
	size_t n_sets = (config->max_addresses + WAYS - 1) / WAYS;
	struct http_rate *rate;

	if (!(config->per_second > 0) || config->burst == 0 || n_sets == 0)
		return -EINVAL;
	rate = calloc(1, sizeof(*rate) + n_sets * WAYS * sizeof(rate->buckets[0]));
	if (!rate)
		return -ENOMEM;
	rate->config = *config;
	rate->n_sets = n_sets;
	if (getrandom(&rate->seed, sizeof(rate->seed), 0) != sizeof(rate->seed)) {
		free(rate);
		return -EIO;
	}
	*ret_rate = rate;
	return 0;
}

struct http_rate *http_rate_free(struct http_rate *rate)
{
	free(rate);
	return NULL;
}

static struct bucket *set_of(struct http_rate *rate, const struct ip_addr *key)
{
	uint64_t hash = rate->seed, word;

	memcpy(&word, key->bytes, sizeof(word));
	hash = (hash ^ word ^ key->family) * 0x9e3779b97f4a7c15u;
	hash = (hash ^ hash >> 29 ^ rate->seed >> 7) * 0xbf58476d1ce4e5b9u;
	hash ^= hash >> 32;
	return &rate->buckets[hash % rate->n_sets * WAYS];
}

static double tokens_at(const struct http_rate *rate, const struct bucket *b, uint64_t now)
{
	double tokens = b->tokens + rate->config.per_second * (double)(now - b->since) / 1e6;

	if (b->addr.family == AF_UNSPEC || tokens > rate->config.burst)
		return rate->config.burst;
	return tokens;
}

/* The address's bucket; else a free one, or that of whoever has most tokens. */
static struct bucket *find(struct http_rate *rate, const struct ip_addr *key, uint64_t now)
{
	struct bucket *set = set_of(rate, key);
	struct bucket *best = set;

	for (unsigned i = 0; i < WAYS; i++) {
		struct bucket *b = &set[i];

		if (b->addr.family && ip_addr_equal(&b->addr, key))
			return b;
		if (best->addr.family &&
		    (!b->addr.family || tokens_at(rate, b, now) > tokens_at(rate, best, now)))
			best = b;
	}
	*best = (struct bucket){ .addr = *key, .tokens = rate->config.burst, .since = now };
	return best;
}

int http_rate_take(struct http_rate *rate, const struct ip_addr *addr, uint64_t now_usec,
		   unsigned *ret_seconds)
{
	struct ip_addr key = http_source_of(addr);
	struct bucket *b = find(rate, &key, now_usec);

	b->tokens = tokens_at(rate, b, now_usec);
	b->since = now_usec;
	if (b->tokens < 1) {
		*ret_seconds = (unsigned)ceil((1 - b->tokens) / rate->config.per_second);
		return HTTP_RATE_EXCEEDED;
	}
	b->tokens -= 1;
	return 0;
}

int http_rate_take_key(struct http_rate *rate, const uint8_t key[HTTP_RATE_KEY_LEN],
		       uint64_t now_usec, unsigned *ret_seconds)
{
	struct ip_addr addr = { .family = AF_INET6 };

	memcpy(addr.bytes, key, HTTP_RATE_KEY_LEN);
	return http_rate_take(rate, &addr, now_usec, ret_seconds);
}

int http_request_take(const struct http_request *req, struct http_rate *rate, unsigned *ret_seconds)
{
	const struct ip_addr *client = http_request_client(req);

	return client ? http_rate_take(rate, client, clock_usec(CLOCK_MONOTONIC), ret_seconds) : 0;
}

int http_request_later(struct http_request *req, unsigned seconds)
{
	req->listener->server->stats.rate_limited++;
	return http_respond_later(req, seconds);
}

int http_request_limit(struct http_request *req, struct http_rate *rate)
{
	unsigned seconds;

	if (http_request_take(req, rate, &seconds) == 0)
		return 0;
	return http_request_later(req, seconds);
}
