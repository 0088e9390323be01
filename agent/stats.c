#include "agent/stats.h"

#include <string.h>

const uint64_t stats_times_usec[STATS_N_TIMES] = {
	1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000, 10000000,
};

void stats_count(struct stats_reasons *reasons, const char *reason)
{
	size_t i = 0;

	while (i < reasons->n && strcmp(reasons->of[i].reason, reason) != 0)
		i++;
	if (i == reasons->n && reasons->n == STATS_MAX_REASONS)
		i--;
	if (i == reasons->n) {
		reasons->n++;
		reasons->of[i].reason = reasons->n == STATS_MAX_REASONS ? "other" : reason;
	}
	reasons->of[i].n++;
}

void stats_count_map(struct stats *stats, uint64_t now_usec)
{
	stats->maps_accepted++;
	stats->map_accepted_usec = now_usec;
}

void stats_count_apply(struct stats *stats, uint64_t took_usec, int r)
{
	stats->applies++;
	stats->apply_failures += r < 0;
	stats->apply_usec += took_usec;
	for (size_t i = 0; i < STATS_N_TIMES; i++)
		if (took_usec <= stats_times_usec[i]) {
			stats->apply_times[i]++;
			return;
		}
}
