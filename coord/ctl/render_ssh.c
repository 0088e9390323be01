/* The SSH rules of one node, for people. */
#include <errno.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/table.h"
#include "common/force_command.h"
#include "common/text.h"
#include "common/text_stream.h"
#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"

/* One half of a rule with localpart: often is for nobody. */
static bool gives_nothing(json_t *users)
{
	const char *user;
	json_t *local;

	json_object_foreach (users, user, local)
		if (json_string_length(local) > 0)
			return false;
	return true;
}

/* The accounts that a rule gives: "root", "any but root", "any, root too". */
static char *users_shown(json_t *users)
{
	bool root = strcmp(value_text(users, "root"), "root") == 0;
	json_auto_t *list = json_array();
	const char *user;
	json_t *local;
	int r = 0;

	if (json_object_get(users, "*"))
		return text_printf(root ? "any, root too" : "any but root");
	json_object_foreach (users, user, local)
		if (json_string_length(local) > 0)
			r |= json_array_append_new(list, json_string(user));
	return r < 0 ? NULL : value_list(list, SHOWN_MAX);
}

static void print_seconds(FILE *f, const char *what, const json_t *seconds)
{
	char buf[CLI_FORMAT_LEN];

	if (json_is_integer(seconds))
		fprintf(f, "; %s %s", what,
			cli_format_span((uint64_t)json_integer_value(seconds) * 1000000, buf));
}

/* "no forwarding", "no agent or remote forwarding" */
static void print_forwarding(FILE *f, const json_t *forwarding)
{
	static const char *const kinds[] = { "agent", "local", "remote" };
	const char *denied[ARRAY_SIZE(kinds)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (json_is_false(json_object_get(forwarding, kinds[i])))
			denied[n++] = kinds[i];
	if (n == ARRAY_SIZE(kinds))
		fputs("; no forwarding", f);
	else if (n == 2)
		fprintf(f, "; no %s or %s forwarding", denied[0], denied[1]);
	else if (n == 1)
		fprintf(f, "; no %s forwarding", denied[0]);
}

static int print_recording(FILE *f, const json_t *rule, struct ctl_names *names)
{
	bool enforced = json_is_true(json_object_get(rule, "enforce_recorder"));
	const json_t *recorders = json_object_get(rule, "recorders");
	_cleanup_free_ char *shown = shown_names(names, recorders);

	if (!shown)
		return -ENOMEM;
	if (json_array_size(recorders) > 0)
		fprintf(f, "; %s by %s", enforced ? "has to be recorded" : "recorded", shown);
	else if (enforced)
		fputs("; has to be recorded, by nobody", f);
	return 0;
}

static int print_terms(FILE *f, const json_t *rule, struct ctl_names *names)
{
	const json_t *env = json_object_get(rule, "accept_env");
	const json_t *command = json_object_get(rule, "force_command");
	_cleanup_free_ char *env_shown = value_list(env, SHOWN_MAX);

	if (!env_shown)
		return -ENOMEM;
	print_forwarding(f, json_object_get(rule, "forwarding"));
	if (force_command_is_sftp(json_string_value(command)))
		fputs("; sftp only", f);
	else if (json_is_string(command))
		fprintf(f, "; runs \"%s\"", json_string_value(command));
	print_seconds(f, "idle at most", json_object_get(rule, "idle_timeout"));
	print_seconds(f, "lasts at most", json_object_get(rule, "max_duration"));
	if (json_array_size(env) > 0)
		fprintf(f, "; takes %s", env_shown);
	if (json_is_string(json_object_get(rule, "message")))
		fputs("; has a message", f);
	return print_recording(f, rule, names);
}

/* What the rule demands or gives beside the login: "no agent forwarding; idle at most 15 min". */
static char *terms_shown(const json_t *rule, struct ctl_names *names)
{
	_cleanup_free_ char *terms = NULL;
	struct text_stream out;
	int r;

	if (text_stream_open(&out) < 0)
		return NULL;
	r = print_terms(out.file, rule, names);
	terms = text_stream_close(&out);
	if (!terms || r < 0)
		return NULL;
	return terms[0] ? strdup(terms + strlen("; ")) : strdup("");
}

static void add_action(struct cli_table *table, const json_t *rule)
{
	const char *period = json_string_value(json_object_get(rule, "check_period"));

	if (strcmp(value_text(rule, "action"), "accept") == 0)
		cli_table_add(table, CLI_GOOD, "accept");
	else if (!period)
		cli_table_add(table, CLI_WARN, "check");
	else if (strcmp(period, "always") == 0)
		cli_table_add(table, CLI_WARN, "check always");
	else
		cli_table_add(table, CLI_WARN, "check every %s", period);
}

static int add_rule(struct cli_table *table, const json_t *rule, struct ctl_names *names)
{
	_cleanup_free_ char *who = shown_names(names, json_object_get(rule, "principals"));
	_cleanup_free_ char *users = users_shown(json_object_get(rule, "users"));
	_cleanup_free_ char *terms = terms_shown(rule, names);

	if (!who || !users || !terms)
		return -ENOMEM;
	cli_table_add(table, CLI_PLAIN, "%s", who);
	cli_table_add(table, CLI_PLAIN, "%s", users);
	add_action(table, rule);
	cli_table_add(table, CLI_FAINT, "%s", value_text(rule, "origin"));
	cli_table_add(table, CLI_PLAIN, "%s", terms);
	return 0;
}

int ctl_render_ssh(const json_t *rules, struct ctl_names *names, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "WHO" }, { "AS" }, { "ACTION" }, { "RULE" }, { "TERMS" },
	};
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	size_t n = 0;
	int r;

	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	for (size_t i = 0; i < json_array_size(rules) && r == 0; i++) {
		const json_t *rule = json_array_get(rules, i);

		if (gives_nothing(json_object_get(rule, "users")))
			continue;
		r = add_rule(table, rule, names);
		n++;
	}
	if (r == 0 && n == 0)
		fputs("No SSH rules: nobody may log in.\n", out->file);
	return r < 0 || n == 0 ? r : cli_table_print(table, out);
}
