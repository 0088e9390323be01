/* What has happened, a page at a time, from some time on. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/web/internal.h"

#define PER_PAGE 100u
#define HOUR	 (3600 * USEC_PER_SEC)

static const struct {
	const char *name, *title;
	uint64_t usec; /* 0: all */
} spans[] = {
	{ "hour", "Last hour", HOUR },
	{ "day", "Last day", 24 * HOUR },
	{ "month", "Last 30 days", 30 * 24 * HOUR },
	{ "all", "All", 0 },
};

static void add_spans(struct html *page, const struct web_call *call)
{
	html_add(page, "<nav aria-label=\"From when on\" class=\"buttons\">\n");
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		html_add(page, "<a href=\"%s/admin/events?since=%s\">%s</a>\n", call->web->base,
			 spans[i].name, spans[i].title);
	html_add(page, "</nav>\n");
}

static void add_row(struct html *page, const struct event_record *event)
{
	html_add(page, "<tr><td>");
	page_time_short(page, event->time);
	html_add(page,
		 "</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
		 event->action, event->object, event->result, event->actor, event->from,
		 event->details);
}

static void on_events(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;
	struct html page = { 0 };

	if (web_refused(call, result) == 0)
		return;
	page_begin(&page, call, "Events");
	add_spans(&page, call);
	html_add(&page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
			"aria-label=\"Table\"><table>\n<thead><tr><th>Time (UTC)</th><th>What</th>"
			"<th>To</th><th>Result</th><th>By</th><th>From</th><th>Details</th></tr>"
			"</thead>\n<tbody>\n");
	for (size_t i = 0; i < result->n_events; i++)
		add_row(&page, &result->events[i]);
	html_add(&page, "</tbody></table></div>\n");
	if (result->n_events == 0)
		html_add(&page, "<p>Nothing has happened since then.</p>\n");
	if (result->more)
		html_add(&page,
			 "<p><a class=\"button second\" href=\"%s/admin/events?after=%s\">Later "
			 "ones</a></p>\n",
			 call->web->base, result->events[result->n_events - 1].head.id);
	page_end(&page);
	web_answer(call, 200, &page);
}

int web_admin_events(struct web_call *call)
{
	const char *after = http_request_query(call->req, "after", 0);
	const char *since = http_request_query(call->req, "since", 0);
	uint64_t now = registry_now(call->web->registry), usec = 24 * HOUR;
	char start[32];

	for (size_t i = 0; since && i < ARRAY_SIZE(spans); i++)
		if (strcmp(since, spans[i].name) == 0)
			usec = spans[i].usec;
	/* Ids begin with the time. */
	snprintf(start, sizeof(start), "%016" PRIu64, usec > 0 && usec < now ? now - usec : 0);
	registry_events(call->web->registry, after ? after : start, PER_PAGE, on_events, call);
	return 0;
}
