/* "checks": what is remembered of people who showed that they are there. */
#include <stdio.h>

#include "common/cli/value.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

static void add_host(struct cli_table *table, const json_t *check)
{
	listed_text(table, check, json_is_string(json_object_get(check, "name")) ? "name" : "node");
}

static void add_check(struct cli_table *table, const json_t *check, uint64_t now_usec)
{
	add_host(table, check);
	listed_text(table, check, "user");
	listed_time(table, check, "checked_at", now_usec, "-");
	listed_text(table, check, "method");
	listed_text(table, check, "strength");
	listed_text(table, check, "from");
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

static void add_waiting(struct cli_table *table, const json_t *check, uint64_t now_usec)
{
	add_host(table, check);
	listed_text(table, check, "user");
	listed_text(table, check, "code");
	add_logins(table, check);
	listed_time(table, check, "expires", now_usec, "-");
}

static int render_list(const struct ctl *ctl, const json_t *reply)
{
	static const struct cli_column check_columns[] = {
		{ "HOST", false }, { "USER", false },	  { "CHECKED", false },
		{ "BY", false },   { "STRENGTH", false }, { "FROM", false },
	};
	static const struct cli_column waiting_columns[] = {
		{ "HOST", false }, { "USER", false },	  { "CODE", false },
		{ "FOR", false },  { "RUNS OUT", false },
	};
	static const struct ctl_list checks = {
		.path = "checks",
		.sort = "checked_at",
		.columns = check_columns,
		.n_columns = ARRAY_SIZE(check_columns),
		.row = add_check,
		.none = "No checks are remembered.",
	};
	static const struct ctl_list waiting = {
		.path = "waiting",
		.sort = "expires",
		.columns = waiting_columns,
		.n_columns = ARRAY_SIZE(waiting_columns),
		.row = add_waiting,
		.none = "Nobody is asked for one.",
	};
	int r = ctl_print_list(ctl, &checks, reply);

	if (r < 0 || json_array_size(json_object_get(reply, "waiting")) == 0)
		return r;
	cli_print(&ctl->out, CLI_FAINT, "\nThese wait for an answer:\n");
	return ctl_print_list(ctl, &waiting, reply);
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
