/* "status", "metrics", "debug map". */
#include <errno.h>

#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/text.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

_printf_(3, 4) static int line(const struct ctl *ctl, const char *title, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	cli_print(&ctl->out, CLI_FAINT, "%14s  ", title);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s", text);
	fputc('\n', ctl->out.file);
	return r;
}

static unsigned long long number(const json_t *object, const char *key)
{
	return (unsigned long long)value_number(object, key);
}

static int render_policy(const struct ctl *ctl, const json_t *policy)
{
	char buf[CLI_FORMAT_LEN];
	const char *confirm = listed_relative(policy, "confirm_by", ctl->now_usec, buf);

	if (number(policy, "version") == 0)
		return line(ctl, "policy", "the default one");
	return line(ctl, "policy", "version %llu, by %s%s%s", number(policy, "version"),
		    value_text(policy, "author"), confirm ? "; rolled back unless confirmed, " : "",
		    confirm ? confirm : "");
}

/* Nothing of providers where there are none. */
static int render_renewals(const struct ctl *ctl, const json_t *renewals)
{
	if (number(renewals, "kept") == 0)
		return 0;
	if (number(renewals, "failing") == 0)
		return line(ctl, "providers", "are asked about %llu people",
			    number(renewals, "kept"));
	return line(ctl, "providers", "cannot be asked about %llu of %llu people; the last: %s",
		    number(renewals, "failing"), number(renewals, "kept"),
		    value_text(renewals, "problem"));
}

static int render_warnings(const struct ctl *ctl, const json_t *list)
{
	const json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, item) {
		cli_print(&ctl->out, CLI_WARN, "warning:");
		r |= cli_show(&ctl->out, CLI_PLAIN, " %s",
			      json_is_string(item) ? json_string_value(item) : "-");
		fputc('\n', ctl->out.file);
	}
	return r;
}

static int render_status(const struct ctl *ctl, const json_t *reply)
{
	const json_t *mesh = json_object_get(reply, "mesh");
	_cleanup_free_ char *prefixes = value_list(json_object_get(mesh, "prefixes"), LISTED_WORDS);
	int r = line(ctl, "mesh", "%s", value_text(mesh, "domain"));

	r |= line(ctl, "prefixes", "%s", prefixes ? prefixes : "-");
	r |= line(ctl, "reached at", "%s", value_text(reply, "url"));
	r |= line(ctl, "key", "%s", value_text(reply, "key"));
	r |= line(ctl, "version", "%s", value_text(reply, "version"));
	r |= line(ctl, "nodes", "%llu, connected: %llu, with an expired key: %llu",
		  number(reply, "nodes"), number(reply, "streams"), number(reply, "expired"));
	r |= line(ctl, "waiting", "%llu", number(reply, "waiting"));
	r |= line(ctl, "users", "%llu", number(reply, "users"));
	r |= render_renewals(ctl, json_object_get(reply, "renewals"));
	r |= render_policy(ctl, json_object_get(reply, "policy"));
	r |= line(ctl, "generation", "%llu", number(reply, "generation"));
	r |= render_warnings(ctl, json_object_get(reply, "warnings"));
	return r ? -ENOMEM : 0;
}

int verb_status(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask(ctl, "GET", "status", NULL, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_status) : r;
}

int verb_metrics(int argc, char **argv, void *userdata)
{
	_cleanup_(client_reply_done) struct client_reply reply = { 0 };
	const struct client_request request = { .method = "GET", .path = "metrics" };
	struct ctl *ctl = userdata;
	int r = ctl_ask_raw(ctl, &request, 0, &reply);

	if (r == CLI_OK)
		fwrite(reply.body, 1, reply.len, ctl->out.file);
	return r;
}

int verb_debug_map(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "GET", "nodes/", argv[0], "/map", NULL, &reply);

	return r == CLI_OK ? ctl_print_json(ctl, reply) : r;
}
