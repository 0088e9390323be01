#include <errno.h>
#include <string.h>

#include "agent/ctl/link.h"
#include "common/cli/value.h"
#include "common/text.h"

static bool same(const json_t *link, const json_t *before, const char *key)
{
	return before && strcmp(value_text(link, key), value_text(before, key)) == 0;
}

static bool is(const json_t *link, const char *key, const char *value)
{
	return strcmp(value_text(link, key), value) == 0;
}

/* Somebody has to say yes: who reads this, in a browser, or an operator. */
static int tell_approval(const json_t *link, const struct cli_out *out)
{
	const struct ctl_page page = {
		.url = json_string_value(json_object_get(link, "loginUrl")),
		.code = value_text(link, "code"),
		.operator= json_string_value(json_object_get(link, "approve")),
	};
	int r;

	fputs("This host has to be approved.\n", out->file);
	r = ctl_render_page(&page, out);
	fputs("Waiting (it goes on when this is interrupted) ...\n", out->file);
	return r;
}

/* One line, made fit for a terminal. */
static int tell(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
	_printf_(3, 4);
static int tell(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	r = cli_show(out, style, "%s", text);
	fputc('\n', out->file);
	return r;
}

static int tell_problem(const json_t *link, const struct cli_out *out)
{
	bool final = is(link, "join", "refused");

	return tell(out, final ? CLI_BAD : CLI_WARN, "%s%s", value_text(link, "problem"),
		    final ? "" : "; trying again");
}

static int tell_connected(const json_t *link, const struct cli_out *out)
{
	return tell(out, CLI_GOOD, "Connected to %s as %s.%s.", value_text(link, "coordinator"),
		    value_text(link, "nodeName"), value_text(link, "domain"));
}

/* With the key that it is to have. NULL: no. */
static bool is_connected(const json_t *link)
{
	return is(link, "state", "connected") && is(link, "join", "idle") &&
	       !json_is_true(json_object_get(link, "renewing"));
}

int ctl_render_link(const json_t *link, const json_t *before, const struct cli_out *out)
{
	int r = 0;

	if (json_object_get(link, "code") && !same(link, before, "code"))
		r = tell_approval(link, out);
	if (r == 0 && json_object_get(link, "problem") && !same(link, before, "problem"))
		r = tell_problem(link, out);
	if (r == 0 && is_connected(link) && !is_connected(before))
		r = tell_connected(link, out);
	if (r == 0 && is(link, "state", "key-expired") && is(link, "join", "idle"))
		r = tell(out, CLI_BAD,
			 "This host's key has expired; 'agentctl login' gets a new one.");
	return r;
}
