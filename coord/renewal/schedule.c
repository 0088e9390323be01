#include "coord/renewal/schedule.h"

#define FIRST_USEC (UINT64_C(15) * 1000000)

/* FNV-1a: only to spread. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

uint64_t renewal_wait(uint64_t confirmed, uint64_t every, const char *id, uint64_t now)
{
	uint64_t whole = every - every / 10 * (hash(id) % 1024) / 1024;
	uint64_t passed = now > confirmed ? now - confirmed : 0;

	return passed < whole ? whole - passed : 0;
}

uint64_t renewal_retry(unsigned failures, uint64_t every, uint64_t random)
{
	uint64_t wait = FIRST_USEC;

	for (unsigned i = 1; i < failures && wait < every; i++)
		wait *= 2;
	if (wait > every)
		wait = every;
	return wait - wait / 2 * (random % 1024) / 1024;
}
