#include "agent/netmap/age.h"

#define MAX_SET_BACK_USEC (UINT64_C(300) * 1000000)

static uint64_t elapsed(const struct map_age *age, uint64_t boottime_usec, uint64_t realtime_usec)
{
	if (age->heard_usec > 0)
		return boottime_usec - age->heard_usec;
	if (age->kept_usec == 0 || age->kept_usec > realtime_usec + MAX_SET_BACK_USEC)
		return UINT64_MAX;
	return age->kept_usec < realtime_usec ? realtime_usec - age->kept_usec : 0;
}

uint64_t map_age_left(const struct map_age *age, uint64_t boottime_usec, uint64_t realtime_usec)
{
	uint64_t old = elapsed(age, boottime_usec, realtime_usec);

	if (age->max_usec == 0)
		return UINT64_MAX;
	return old < age->max_usec ? age->max_usec - old : 0;
}
