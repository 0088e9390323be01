/*
 * What has happened of late to somebody's account and devices: sign-ins and checks, out of the
 * events of all. These can be read from a time on only; so it is tried with a month, and with less
 * if there are too many.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "coord/web/internal.h"

#define MINUTE	   (60 * USEC_PER_SEC)
#define MAX_EVENTS 500u /* that are read at once */
#define MAX_SHOWN  12u

static const uint64_t spans[] = { 30 * 24 * 60 * MINUTE, 3 * 24 * 60 * MINUTE, 6 * 60 * MINUTE,
				  30 * MINUTE };

/* ---- showing ---- */

/* NULL: nothing that is shown here. */
static const char *title_of(const struct event_record *event)
{
	static const struct {
		const char *action, *title, *refused;
	} titles[] = {
		{ "user.sign-in", "Signed in", "Sign-in refused" },
		{ "user.gone", "Your provider did not know you any more", NULL },
		{ "user.back", "Your provider knew you again", NULL },
		{ "check.approve", "You let a login in", NULL },
		{ "check.deny", "You turned a login away", NULL },
		{ "check.expire", "A login waited for you in vain", NULL },
	};
	bool ok = strcmp(event->result, "ok") == 0;

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (strcmp(titles[i].action, event->action) == 0)
			return ok ? titles[i].title : titles[i].refused;
	return NULL;
}

/* The object is the account, or one of their devices. */
static bool is_mine(const struct web_call *call, const struct event_record *event)
{
	const struct node_record *node;

	if (!event->object)
		return false;
	node = registry_node(call->web->registry, event->object);
	return strcmp(event->object, call->login) == 0 ||
	       (node && node->user && strcmp(node->user, call->login) == 0);
}

static void add_line(struct html *page, const struct event_record *event)
{
	html_add(page, "<li><strong>%s</strong>, ", title_of(event));
	page_time(page, event->time);
	html_add(page, "%s%s", event->from ? ", from " : "", event->from);
	if (event->details)
		html_add(page, " <small>%s</small>", event->details);
	html_add(page, "</li>\n");
}

void lately_show(struct html *page, const struct web_call *call,
		 const struct registry_result *result)
{
	size_t n = 0;

	for (size_t i = result->n_events; i > 0 && n < MAX_SHOWN; i--) {
		const struct event_record *event = &result->events[i - 1];

		if (!title_of(event) || !is_mine(call, event))
			continue;
		if (n++ == 0)
			html_add(page, "<h2>Lately</h2>\n<ul class=\"lines\">\n");
		add_line(page, event);
	}
	if (n > 0)
		html_add(page, "</ul>\n");
}

/* ---- reading ---- */

static void on_events(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (web_refused(call, result) == 0)
		return;
	if (result->more && ++call->number < ARRAY_SIZE(spans))
		lately_read(call);
	else
		web_home_show(call, result);
}

void lately_read(struct web_call *call)
{
	uint64_t now = registry_now(call->web->registry), span = spans[call->number];
	char after[32];

	/* Ids begin with the time. */
	snprintf(after, sizeof(after), "%016" PRIu64, span < now ? now - span : 0);
	registry_events(call->web->registry, after, MAX_EVENTS, on_events, call);
}
