/* May a connection go on to exist, by this map? Pure. */
#pragma once

#include "agent/ssh/lease.h"

/* The outcome of judging terms by a map. */
struct lease_judgement {
	enum lease_end end;   /* if it is revoked */
	char *message;	      /* likewise; NULL when out of memory */
	uint64_t valid_until; /* if it is kept */
};

extern const char lease_text_time_is_over[];

/* Return: 0 (kept until valid_until), LEASE_REVOKED. map NULL: there is none. */
int lease_judge(const struct lease_terms *terms, const struct netmap *map, uint64_t now_usec,
		struct lease_judgement *judgement);
