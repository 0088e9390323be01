/* What has happened: pages of it. */
#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/api/admin_follow.h"

#define MAX_LIMIT 1000u

static json_t *events_json(const struct registry_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->n_events; i++)
		if (json_array_append_new(list, admin_event_json(&result->events[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o, s:b}", "events", list, "more", result->more);
}

static void on_events(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		admin_call_answer(call, 200, events_json(result));
}

/* Ids begin with the time: that is one which no event has, before all of that time. */
static int after_time(const char *text, char *buf, size_t size)
{
	uint64_t usec;
	int r = parse_rfc3339(text, &usec);

	if (r == 0)
		snprintf(buf, size, "%016" PRIu64, usec);
	return r;
}

int admin_events(struct admin_call *call)
{
	const char *after = http_request_query(call->req, "after", 0);
	const char *since = http_request_query(call->req, "since", 0);
	const char *limit_text = http_request_query(call->req, "limit", 0);
	const char *follow = http_request_query(call->req, "follow", 0);
	uint64_t limit = MAX_LIMIT;
	char start[32];

	if (limit_text && (parse_u64(limit_text, MAX_LIMIT, &limit) < 0 || limit == 0))
		return admin_call_refuse(call, 400, "bad-request",
					 "limit: expected a number from 1 to %u", MAX_LIMIT);
	if (since && after)
		return admin_call_refuse(call, 400, "bad-request",
					 "after and since: expected one of them");
	if (since && after_time(since, start, sizeof(start)) < 0)
		return admin_call_refuse(call, 400, "bad-request",
					 "since: expected a time, such as 2026-11-22T10:00:00Z");
	if (since)
		after = start;
	if (follow && strcmp(follow, "1") == 0)
		return admin_follow(call, after);
	registry_events(call->api->registry, after, (unsigned)limit, on_events, call);
	return 0;
}
