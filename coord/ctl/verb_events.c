/* "events": what has happened, by whom, from where. */
#include <errno.h>
#include <string.h>

#include "common/cli/value.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"

#define DEFAULT_SINCE (UINT64_C(24) * 3600 * 1000000)
#define MAX_LINE      (64u << 10)

/* ---- one event ---- */

/* "2026-11-22T10:00:00Z  root (unix)  node.approve n... ok: details" */
static int render_event(const struct ctl *ctl, const json_t *event)
{
	const char *from = json_string_value(json_object_get(event, "from"));
	const char *object = json_string_value(json_object_get(event, "object"));
	const char *details = json_string_value(json_object_get(event, "details"));
	const char *result = value_text(event, "result");
	int r = cli_show(&ctl->out, CLI_FAINT, "%s", value_text(event, "time"));

	r |= cli_show(&ctl->out, CLI_PLAIN, "  %s%s%s%s  %s%s%s ", value_text(event, "actor"),
		      from ? " (" : "", from ? from : "", from ? ")" : "",
		      value_text(event, "action"), object ? " " : "", object ? object : "");
	r |= cli_show(&ctl->out, strcmp(result, "ok") == 0 ? CLI_GOOD : CLI_BAD, "%s", result);
	if (details)
		r |= cli_show(&ctl->out, CLI_PLAIN, ": %s", details);
	fputc('\n', ctl->out.file);
	return r;
}

/* With --json one on each line, followed or not. */
static int show_event(const struct ctl *ctl, const json_t *event)
{
	int r;

	if (!ctl->json)
		return render_event(ctl, event);
	r = cli_show_json(&ctl->out, event, JSON_COMPACT);
	fputc('\n', ctl->out.file);
	return r;
}

/* ---- pages ---- */

static int read_since(struct ctl *ctl, char buf[32])
{
	const char *text = ctl->since;
	uint64_t usec = DEFAULT_SINCE;

	if (text && parse_rfc3339(text, &usec) == 0) {
		format_rfc3339(usec, buf, 32);
		return CLI_OK;
	}
	if (text && parse_duration(text, &usec) < 0)
		return ctl_tell_usage(ctl,
				      "--since %s: expected how long ago (2h, 30d), or a time "
				      "(2026-11-22T10:00:00Z)",
				      text);
	format_rfc3339(ctl->now_usec > usec ? ctl->now_usec - usec : 0, buf, 32);
	return CLI_OK;
}

/* Show a page; *ret_path is that of the next one, NULL if there is none. */
static int show_page(struct ctl *ctl, const json_t *reply, char **ret_path)
{
	const json_t *events = json_object_get(reply, "events"), *event;
	const char *last = NULL;
	size_t i;

	json_array_foreach (events, i, event) {
		last = json_string_value(json_object_get(event, "id"));
		if (show_event(ctl, event) < 0)
			return ctl_rendered(ctl, -ENOMEM);
	}
	if (!last || !json_is_true(json_object_get(reply, "more")))
		return CLI_OK;
	*ret_path = client_path("events?after=", last, "");
	return *ret_path ? CLI_OK : ctl_rendered(ctl, -ENOMEM);
}

static int show_pages(struct ctl *ctl, const char *since)
{
	char *path = client_path("events?since=", since, "");
	int r = path ? CLI_OK : ctl_rendered(ctl, -ENOMEM);

	while (r == CLI_OK && path) {
		_cleanup_free_ char *page = take_ptr(path);
		json_t *reply;

		r = ctl_ask(ctl, "GET", page, NULL, &reply);
		if (r == CLI_OK) {
			r = show_page(ctl, reply, &path);
			json_decref(reply);
		}
	}
	return r;
}

/* ---- follow ---- */

struct follow {
	struct ctl *ctl;
	char line[MAX_LINE];
	size_t len;
};

static int take_line(struct follow *follow)
{
	json_auto_t *event = json_loadb(follow->line, follow->len, 0, NULL);
	int r;

	follow->len = 0;
	if (!event)
		return -EBADMSG;
	if (strcmp(value_text(event, "type"), "keepalive") == 0)
		return 0;
	r = show_event(follow->ctl, event);
	fflush(follow->ctl->out.file);
	return r < 0 || ferror(follow->ctl->out.file) ? -EIO : 0;
}

static int take(const char *data, size_t len, void *userdata)
{
	struct follow *follow = userdata;
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++) {
		if (data[i] == '\n')
			r = take_line(follow);
		else if (follow->len == sizeof(follow->line))
			r = -EMSGSIZE;
		else
			follow->line[follow->len++] = data[i];
	}
	return r;
}

static int follow_events(struct ctl *ctl, const char *since)
{
	_cleanup_free_ struct follow *follow = calloc(1, sizeof(*follow));
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	_cleanup_free_ char *path = client_path("events?follow=1&since=", since, "");
	const struct client_request request = {
		.method = "GET",
		.path = path,
		.take = take,
		.userdata = follow,
		.endless = true,
	};
	int r;

	if (!follow || !path)
		return ctl_rendered(ctl, -ENOMEM);
	follow->ctl = ctl;
	r = ctl_ask_raw(ctl, &request, 0, &reply);
	return r == CLI_OK ? ctl_tell(ctl, "the coordinator ended the stream") : r;
}

int verb_events(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	char since[32];
	int r = read_since(ctl, since);

	if (r != CLI_OK)
		return r;
	return ctl->follow ? follow_events(ctl, since) : show_pages(ctl, since);
}
