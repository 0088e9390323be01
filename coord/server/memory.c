#include "coord/server/memory.h"

#include <malloc.h>

#include "common/clock.h"

/* With ten thousand hosts connected it takes a millisecond; some ten after a change for all. */
#define EVERY_USEC    (30 * USEC_PER_SEC)
#define ACCURACY_USEC (5 * USEC_PER_SEC)

static int arm(sd_event_source *source)
{
	int r = sd_event_source_set_time_relative(source, EVERY_USEC);

	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	malloc_trim(0);
	return arm(source);
}

int memory_give_back(sd_event *event, sd_event_source **ret_source)
{
	sd_event_source *source = NULL;
	int r = sd_event_add_time(event, &source, CLOCK_MONOTONIC, 0, ACCURACY_USEC, on_timer,
				  NULL);

	if (r >= 0)
		r = arm(source);
	if (r < 0) {
		sd_event_source_disable_unref(source);
		return r;
	}
	*ret_source = source;
	return 0;
}
