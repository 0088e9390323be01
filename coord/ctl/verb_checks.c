/* "checks": what is remembered of people who showed that they are there. */
#include <errno.h>
#include <string.h>

#include "common/cli/value.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

static void add_host(struct cli_table *table, const json_t *check)
{
	listed_text(table, check, json_is_string(json_object_get(check, "name")) ? "name" : "node");
}

static int render_checks(const struct ctl *ctl, const json_t *reply)
{
	static const struct cli_column columns[] = {
		{ "HOST", false }, { "USER", false },	  { "CHECKED", false },
		{ "BY", false },   { "STRENGTH", false }, { "FROM", false },
	};
	_cleanup_free_ const json_t **checks = NULL;
	struct cli_table *table;
	size_t n;
	int r = cli_table_new(columns, ARRAY_SIZE(columns), &table);

	if (r < 0)
		return r;
	checks = listed_sort(json_object_get(reply, "checks"), "checked_at", &n);
	for (size_t i = 0; checks && i < n; i++) {
		add_host(table, checks[i]);
		listed_text(table, checks[i], "user");
		listed_time(table, checks[i], "checked_at", ctl->now_usec, "-");
		listed_text(table, checks[i], "method");
		listed_text(table, checks[i], "strength");
		listed_text(table, checks[i], "from");
	}
	return listed_print(table, checks, n, "No checks are remembered.", &ctl->out);
}

/* "root on web", "before a login", "root on web and 2 more" */
static void add_logins(struct cli_table *table, const json_t *check)
{
	const json_t *logins = json_object_get(check, "logins"), *first = json_array_get(logins, 0);
	const char *user = json_string_value(json_object_get(first, "ssh_user"));
	const char *target = json_string_value(json_object_get(first, "target_name"));
	size_t n = json_array_size(logins);
	char more[32] = "";

	if (n > 1)
		snprintf(more, sizeof(more), " and %zu more", n - 1);
	cli_table_add(table, CLI_PLAIN, "%s%s%s%s", user ? user : "before a login",
		      target ? " on " : "", target ? target : "", more);
}

static int render_waiting(const struct ctl *ctl, const json_t *reply)
{
	static const struct cli_column columns[] = {
		{ "HOST", false }, { "USER", false },	  { "CODE", false },
		{ "FOR", false },  { "RUNS OUT", false },
	};
	_cleanup_free_ const json_t **checks = NULL;
	struct cli_table *table;
	size_t n;
	int r = cli_table_new(columns, ARRAY_SIZE(columns), &table);

	if (r < 0)
		return r;
	checks = listed_sort(json_object_get(reply, "waiting"), "expires", &n);
	for (size_t i = 0; checks && i < n; i++) {
		add_host(table, checks[i]);
		listed_text(table, checks[i], "user");
		listed_text(table, checks[i], "code");
		add_logins(table, checks[i]);
		listed_time(table, checks[i], "expires", ctl->now_usec, "-");
	}
	return listed_print(table, checks, n, "Nobody is asked for one.", &ctl->out);
}

static int render_list(const struct ctl *ctl, const json_t *reply)
{
	int r = render_checks(ctl, reply);

	if (r < 0 || json_array_size(json_object_get(reply, "waiting")) == 0)
		return r;
	cli_print(&ctl->out, CLI_FAINT, "\nThese wait for an answer:\n");
	return render_waiting(ctl, reply);
}

int verb_checks_list(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask(ctl, "GET", "checks", NULL, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_list) : r;
}

int verb_checks_revoke(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "DELETE", "checks/", argv[0], "", NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: forgotten", argv[0]);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}
