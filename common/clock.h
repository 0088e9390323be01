/* The time, in the one unit used everywhere: microseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC 1000000ull

/* Of CLOCK_MONOTONIC, CLOCK_REALTIME (since 1970), ... */
static inline uint64_t clock_usec(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}
