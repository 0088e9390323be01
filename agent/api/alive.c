/*
 * Signs of life: whoever holds a lease hears every API_KEEP_INTERVAL_USEC that it still does. A
 * process that hangs, or was stopped, keeps its sockets open; only silence gives it away. Sent from
 * the event loop, slice by slice of the leases, so that no crowd of them is served at once.
 */
#include "agent/api/internal.h"

#define TICK_USEC     (API_KEEP_INTERVAL_USEC / LEASE_N_SLICES)
#define ACCURACY_USEC (TICK_USEC / 8)

static void schedule_tick(struct api *api)
{
	if (sd_event_source_set_time_relative(api->alive, TICK_USEC) >= 0)
		(void)sd_event_source_set_enabled(api->alive, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct api *api = userdata;

	lease_table_visit(api->leases, api->alive_slice++);
	if (lease_table_count(api->leases) > 0)
		schedule_tick(api);
	return 0;
}

int api_alive_init(struct api *api, sd_event *event)
{
	int r;

	r = sd_event_add_time_relative(event, &api->alive, CLOCK_MONOTONIC, TICK_USEC,
				       ACCURACY_USEC, on_tick, api);
	if (r >= 0)
		r = sd_event_source_set_enabled(api->alive, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

void api_alive_start(struct api *api)
{
	int enabled;

	if (sd_event_source_get_enabled(api->alive, &enabled) >= 0 && enabled == SD_EVENT_OFF)
		schedule_tick(api);
}
