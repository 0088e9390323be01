/* GetMetrics: numbers for monitoring, of which there are as many today as in a year. */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "common/clock.h"

static json_t *json_reasons(const struct stats_reasons *reasons)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < reasons->n; i++)
		if (json_array_append_new(array,
					  json_pack("{s:s, s:I}", "reason", reasons->of[i].reason,
						    "count", (json_int_t)reasons->of[i].n)) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_times(const struct stats *stats)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < STATS_N_TIMES; i++)
		if (json_array_append_new(array, json_pack("{s:I, s:I}", "upToUsec",
							   (json_int_t)stats_times_usec[i], "count",
							   (json_int_t)stats->apply_times[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_count(const char *reason, const struct nft_count *count)
{
	return json_pack("{s:s*, s:I, s:I}", "reason", reason, "packets",
			 (json_int_t)count->packets, "bytes", (json_int_t)count->bytes);
}

static json_t *json_dropped(const struct nft_tally *tally)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < tally->n_dropped; i++)
		if (json_array_append_new(array, json_count(tally->dropped[i].reason,
							    &tally->dropped[i].count)) < 0)
			return NULL;
	return take_ptr(array);
}

int api_refresh_tally(struct api *api)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	int r;

	if (api->tally_usec != 0 && now - api->tally_usec < API_KERNEL_AGE_USEC)
		return 0;
	r = api->hooks->count_packets(api->userdata, &api->tally);
	if (r == 0)
		api->tally_usec = now;
	return r;
}

int api_get_metrics(struct varlink_call *call, const json_t *params, void *userdata)
{
	struct api *api = userdata;
	const struct stats *stats = api->stats;
	int r = api_refresh_tally(api);
	struct api_view view;

	api_view(api, &view);
	return api_reply(
		call,
		json_pack("{s:I, s:o*, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:o, "
			  "s:s*}",
			  "startedAt", (json_int_t)stats->started_usec, "mapAcceptedAt",
			  view.map ? json_integer((json_int_t)stats->map_accepted_usec) : NULL,
			  "mapsAccepted", (json_int_t)stats->maps_accepted, "mapsRefused",
			  (json_int_t)stats->maps_refused, "applies", (json_int_t)stats->applies,
			  "applyFailures", (json_int_t)stats->apply_failures, "applyUsec",
			  (json_int_t)stats->apply_usec, "applyTimes", json_times(stats),
			  "foreignChanges", (json_int_t)stats->foreign_changes, "loginsAccepted",
			  (json_int_t)stats->logins_accepted, "loginsRejected",
			  json_reasons(&stats->logins_rejected), "revocations",
			  json_reasons(&stats->revocations), "packetsAccepted",
			  json_count(NULL, &api->tally.accepted), "packetsDropped",
			  json_dropped(&api->tally), "packetsProblem",
			  r < 0 ? strerror(-r) : NULL));
}
