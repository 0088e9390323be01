/*
 * How often something may fail in a row: after so many failures each further try has to wait, twice
 * as long each time, 15 minutes at most. What is waited for does not move: tries meanwhile are not
 * counted. A try counts as a failure until it is known to have been none, so that many at the same
 * time are no way around it. Who has not tried for some time is forgotten.
 *
 * The table has a fixed size; who has been quiet for longest goes first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "common/sha256.h"

struct limit;

/* What fails: an account, an address, both together. Of texts, so that nobody chooses its place. */
struct limit_key {
	uint8_t hash[SHA256_LEN];
};
/* login NULL, from NULL or AF_UNSPEC: it is not about that. IPv6: the /64. Return: 0, -EIO. */
int limit_key(const char *login, const struct ip_addr *from, struct limit_key *ret_key);

struct limit_config {
	unsigned free; /* failures in a row that cost nothing */
	size_t max;    /* keys that are remembered */
	uint64_t forget_usec;
};
/* Return: 0, -ENOMEM. */
int limit_new(const struct limit_config *config, struct limit **ret_limit);
struct limit *limit_free(struct limit *limit);
DEFINE_CLEANUP(struct limit *, limit_free);

/* How long to wait, in microseconds; 0: try. now is of CLOCK_MONOTONIC, here and below. */
uint64_t limit_wait(const struct limit *limit, const struct limit_key *key, uint64_t now);
/* Is there a try that is remembered? */
bool limit_has(const struct limit *limit, const struct limit_key *key, uint64_t now);
/* A try begins. Return: 0, -ENOMEM. */
int limit_take(struct limit *limit, const struct limit_key *key, uint64_t now);
/* It was no failure, and says nothing of those before. */
void limit_give_back(struct limit *limit, const struct limit_key *key);
/* It went well: what was before does not matter. */
void limit_forget(struct limit *limit, const struct limit_key *key);
