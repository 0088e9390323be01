/* The frame of all pages, and pieces of them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/web/internal.h"

static void add_head(struct html *html, const struct web_call *call, const char *title)
{
	html_add(html,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n"
		 "<meta name=\"robots\" content=\"noindex\">\n"
		 "<title>%s \xe2\x80\x93 Peergate</title>\n"
		 "<link rel=\"stylesheet\" href=\"%s/style.css\">\n"
		 "<link rel=\"icon\" href=\"data:,\">\n</head>\n",
		 title, call->web->base);
}

static void add_navigation(struct html *html, const struct web_call *call)
{
	const char *base = call->web->base;

	html_add(html,
		 "<nav aria-label=\"Pages\"><ul>\n<li><a href=\"%s/\">Your devices</a></li>\n",
		 base);
	if (call->is_admin)
		html_add(html,
			 "<li><a href=\"%s/admin/nodes\">Nodes</a></li>\n"
			 "<li><a href=\"%s/admin/policy\">Policy</a></li>\n"
			 "<li><a href=\"%s/admin/events\">Events</a></li>\n",
			 base, base, base);
	html_add(html, "</ul></nav>\n<div class=\"who\"><span>%s</span>\n", call->login);
	page_form(html, call, "/logout", "logout");
	html_add(html, "<button class=\"plain\">Sign out</button></form></div>\n");
}

void page_begin(struct html *html, const struct web_call *call, const char *title)
{
	add_head(html, call, title);
	html_add(html, "<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n"
		       "<header>\n<p class=\"brand\">Peergate</p>\n");
	if (call->login)
		add_navigation(html, call);
	html_add(html, "</header>\n<main id=\"content\" tabindex=\"-1\">\n<h1>%s</h1>\n", title);
}

void page_end(struct html *html)
{
	html_add(html, "</main>\n</body>\n</html>\n");
}

void page_form(struct html *html, const struct web_call *call, const char *path,
	       const char *purpose, ...)
{
	_cleanup_free_ char *text = NULL;
	char token[CSRF_SIZE];
	va_list ap;

	va_start(ap, purpose);
	text = text_vprintf(purpose, ap);
	va_end(ap);
	if (!text) {
		html->failed = true;
		return;
	}
	html_add(html,
		 "<form method=\"post\" action=\"%s%s\">\n"
		 "<input type=\"hidden\" name=\"csrf\" value=\"%s\">\n",
		 call->web->base, path, web_token(call, text, token));
}

void page_account(struct html *html, const char *login)
{
	html_add(html,
		 "<input name=\"login\" value=\"%s\" autocomplete=\"username\" hidden "
		 "readonly>\n",
		 login);
}

void page_item(struct html *html, const char *name, const char *value)
{
	html_add(html, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

void page_problem(struct html *html, const char *text)
{
	if (text)
		html_add(html, "<p class=\"problem\" role=\"alert\">%s</p>\n", text);
}

/* Return: whether there is such a time; else what there is has been added. */
static bool split_time(struct html *html, uint64_t usec, struct tm *ret_tm)
{
	time_t seconds = (time_t)(usec / USEC_PER_SEC);

	if (usec > 0 && usec != RECORD_NEVER && gmtime_r(&seconds, ret_tm))
		return true;
	html_add(html, "never");
	return false;
}

static void add_time(struct html *html, uint64_t usec, const char *shown)
{
	char exact[32];

	html_add(html, "<time datetime=\"%s\">%s</time>",
		 format_rfc3339(usec, exact, sizeof(exact)), shown);
}

void page_time(struct html *html, uint64_t usec)
{
	char shown[64];
	struct tm tm;

	if (!split_time(html, usec, &tm))
		return;
	strftime(shown, sizeof(shown), "%-d %B %Y, %H:%M UTC", &tm);
	add_time(html, usec, shown);
}

void page_time_short(struct html *html, uint64_t usec)
{
	char shown[64];
	struct tm tm;

	if (!split_time(html, usec, &tm))
		return;
	strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M", &tm);
	add_time(html, usec, shown);
}

void page_duration(struct html *html, uint64_t usec)
{
	static const struct {
		unsigned seconds;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	uint64_t seconds = usec / USEC_PER_SEC;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = (size_t)(seconds / units[i].seconds);

		/* Two units and more: "90 minutes" says more than "1 hour". */
		if (n < 2 && i + 1 < ARRAY_SIZE(units))
			continue;
		html_add(html, "%zu %s%s", n, units[i].name, text_plural(n));
		return;
	}
}
