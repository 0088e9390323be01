/* Keys whose signatures stand in tests and corpora: their seeds are bytes that count up. */
#pragma once

#include <stdlib.h>

#include "common/httpsig.h"

#define KNOWN_MACHINE	  0  /* seed 00..1f */
#define KNOWN_COORDINATOR 32 /* seed 20..3f */
#define KNOWN_EPOCH	  64 /* 40..4f */
#define KNOWN_OTHER	  200

/* X25519, of a stream; private keys. */
#define KNOWN_AGENT_EPHEMERAL	    100
#define KNOWN_COORDINATOR_EPHEMERAL 132

static inline void known_bytes(uint8_t first, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
}

static inline struct ed25519_key *known_key(uint8_t first)
{
	uint8_t seed[ED25519_SEED_LEN];
	struct ed25519_key *key = NULL;

	known_bytes(first, seed, sizeof(seed));
	if (ed25519_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static inline struct httpsig_audience known_audience(const struct ed25519_key *coordinator)
{
	struct httpsig_audience audience = { .key = *ed25519_key_public(coordinator) };

	known_bytes(KNOWN_EPOCH, audience.epoch.bytes, sizeof(audience.epoch.bytes));
	return audience;
}
