/* How old a map is: the time since its source last said that it holds (MaxMapAge=). Pure. */
#pragma once

#include <stdint.h>

struct map_age {
	uint64_t max_usec; /* 0: no limit */
	/*
	 * CLOCK_BOOTTIME, which nobody sets, and which goes on while the host sleeps; 0: nothing
	 * was heard since the start.
	 */
	uint64_t heard_usec;
	uint64_t kept_usec; /* CLOCK_REALTIME: when an earlier agent heard; 0: never */
};

/*
 * Time that is left until the map is too old, 0: it is; UINT64_MAX: it never will be. A time that
 * an earlier agent noted and that is still to come says that the clock was set back since: more
 * than five minutes of that are not believed.
 */
uint64_t map_age_left(const struct map_age *age, uint64_t boottime_usec, uint64_t realtime_usec);
