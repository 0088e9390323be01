/* What the agent has done since it started: counters for GetMetrics. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STATS_MAX_REASONS 24
#define STATS_N_TIMES	  9

/* How often, by reason. */
struct stats_reasons {
	struct {
		const char *reason; /* static text */
		uint64_t n;
	} of[STATS_MAX_REASONS]; /* what finds no place is counted in the last one */
	size_t n;
};

struct stats {
	uint64_t started_usec; /* since 1970 */
	uint64_t maps_accepted, maps_refused;
	uint64_t map_accepted_usec; /* since 1970: of the one in force */
	uint64_t foreign_changes;   /* of others, to what we keep in the kernel */
	/* Attempts to bring the kernel in step; those that took no longer than
	 * stats_times_usec[i], and longer than [i - 1]. */
	uint64_t applies, apply_failures, apply_usec, apply_times[STATS_N_TIMES];
	uint64_t logins_accepted;
	struct stats_reasons logins_rejected, revocations;
};

extern const uint64_t stats_times_usec[STATS_N_TIMES];

/* reason is borrowed for ever: a string constant, of which there are few. */
void stats_count(struct stats_reasons *reasons, const char *reason);
void stats_count_map(struct stats *stats, uint64_t now_usec);
void stats_count_apply(struct stats *stats, uint64_t took_usec, int r);
