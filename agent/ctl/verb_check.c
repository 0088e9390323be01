/* check-login. */
#include <errno.h>
#include <string.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/link.h"
#include "common/cli/value.h"
#include "common/text.h"

static int render_waiting(const json_t *reply, const struct cli_out *out)
{
	const struct ctl_page page = { .url = value_text(reply, "url"),
				       .code = value_text(reply, "code") };
	int r;

	fputs("Confirm there that it is you, if the page shows this code:\n", out->file);
	r = ctl_render_page(&page, out);
	fputs("Waiting ...\n", out->file);
	return r;
}

static int render_passed(const json_t *reply, const struct cli_out *out)
{
	char at[21];
	int r;

	if (!json_object_get(reply, "checkedAt"))
		r = cli_show(out, CLI_GOOD, "No check is needed.");
	else
		r = cli_show(out, CLI_GOOD,
			     "Confirmed at %s (%s): such logins are let in without a question, for "
			     "as long as their rule says.",
			     format_rfc3339(value_number(reply, "checkedAt"), at, sizeof(at)),
			     value_text(reply, "method"));
	fputc('\n', out->file);
	return r;
}

int ctl_render_check(const json_t *reply, const struct cli_out *out)
{
	const char *state = value_text(reply, "state");
	int r;

	if (strcmp(state, "waiting") == 0)
		return render_waiting(reply, out);
	if (strcmp(state, "passed") == 0)
		return render_passed(reply, out);
	r = cli_show(out, CLI_BAD, "Not confirmed: %s.", value_text(reply, "message"));
	fputc('\n', out->file);
	return r;
}

static int take_check(struct ctl *ctl, const json_t *reply)
{
	int r;

	if (ctl->json)
		r = ctl_print_json_line(ctl, reply);
	else
		r = ctl_rendered(ctl_render_check(reply, &ctl->out));
	fflush(ctl->out.file);
	if (r == CLI_OK && strcmp(value_text(reply, "state"), "refused") == 0)
		r = CLI_NO;
	return r;
}

/* "HOST" or "USER@HOST"; accounts may have an "@" in their name, hosts may not. */
int verb_check_login(int argc, char **argv, void *userdata)
{
	const char *host = argc > 0 ? argv[0] : NULL, *at = host ? strrchr(host, '@') : NULL;
	_cleanup_free_ char *user = NULL;

	if (at) {
		user = strndup(host, (size_t)(at - host));
		if (!user)
			return ctl_rendered(-ENOMEM);
		host = at + 1;
	}
	if ((host && !host[0]) || (user && !user[0]))
		return ctl_tell(CLI_USAGE, "'%s' is no HOST and no USER@HOST", argv[0]);
	return ctl_stream(userdata, "CheckLogin",
			  json_pack("{s:s*, s:s*}", "target", host, "sshUser", user), take_check);
}
