#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/protocol.h"
#include "agent/ctl/render.h"
#include "agent/ctl/rule_name.h"
#include "common/cli/format.h"
#include "common/cli/table.h"
#include "common/cli/value.h"
#include "common/text.h"
#include "common/text_stream.h"

#define SHOWN_NAMES 6

/* ---- packet filter ---- */

static void print_protocol(FILE *f, json_int_t proto)
{
	const char *name = proto >= 0 && proto <= UINT8_MAX ? protocol_name((uint8_t)proto) : NULL;

	if (name)
		fputs(name, f);
	else
		fprintf(f, "%" PRIi64, (int64_t)proto);
}

static char *protocols_shown(const json_t *protocols)
{
	size_t n = json_array_size(protocols);
	struct text_stream out;

	/* The map's way to say "what one usually means". */
	if (n == 0)
		return text_printf("tcp, udp, icmp");
	if (text_stream_open(&out) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputs(", ", out.file);
		print_protocol(out.file, json_integer_value(json_array_get(protocols, i)));
	}
	return text_stream_close(&out);
}

static void add_ports(struct cli_table *table, const json_t *dst)
{
	uint64_t first = value_number(dst, "firstPort"), last = value_number(dst, "lastPort");

	if (first == 0 && last == UINT16_MAX)
		cli_table_add(table, CLI_PLAIN, "any");
	else if (first == last)
		cli_table_add(table, CLI_PLAIN, "%" PRIu64, first);
	else
		cli_table_add(table, CLI_PLAIN, "%" PRIu64 "-%" PRIu64, first, last);
}

/* "laptop, phone, 192.0.2.0/24 and 7 more" */
static char *sources_shown(const json_t *rule)
{
	json_auto_t *all = json_array();

	if (json_array_extend(all, json_object_get(rule, "nodes")) < 0 ||
	    json_array_extend(all, json_object_get(rule, "networks")) < 0)
		return NULL;
	return value_list(all, SHOWN_NAMES);
}

static int add_filter_rule(struct cli_table *table, const json_t *rule, size_t index)
{
	const json_t *dsts = json_object_get(rule, "destinations");
	_cleanup_free_ char *protocols = protocols_shown(json_object_get(rule, "protocols"));
	_cleanup_free_ char *sources = sources_shown(rule);
	_cleanup_free_ char *name = ctl_rule_name(rule, "origin", "packet_filter", index);
	uint64_t omitted = value_number(rule, "omitted");

	if (!sources || !protocols || !name)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(dsts); i++) {
		const json_t *dst = json_array_get(dsts, i);

		/* What is the same as in the line above is not repeated. */
		if (i > 0)
			cli_table_add(table, CLI_PLAIN, "%s", "");
		else if (omitted > 0)
			cli_table_add(table, CLI_PLAIN, "%s (%" PRIu64 " not listed)", sources,
				      omitted);
		else
			cli_table_add(table, CLI_PLAIN, "%s", sources);
		cli_table_add(table, CLI_PLAIN, "%s", value_text(dst, "prefix"));
		cli_table_add(table, CLI_PLAIN, "%s", protocols);
		add_ports(table, dst);
		cli_table_add(table, CLI_FAINT, "%s", i > 0 ? "" : name);
	}
	return 0;
}

int ctl_render_filter(const json_t *rules, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "FROM" }, { "TO" }, { "PROTOCOL" }, { "PORTS" }, { "RULE" },
	};
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	int r;

	if (json_array_size(rules) == 0) {
		fputs("No packet filter rules: nothing is let in.\n", out->file);
		return 0;
	}
	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	for (size_t i = 0; i < json_array_size(rules) && r == 0; i++)
		r = add_filter_rule(table, json_array_get(rules, i), i);
	return r < 0 ? r : cli_table_print(table, out);
}

/* ---- SSH ---- */

/* "root" beside "*": it is said with the word for "*". */
static bool is_said_with_any(const char *user, const char *local, const char *any)
{
	return strcmp(user, "root") == 0 && strcmp(any, "=") == 0 &&
	       (local[0] == '\0' || strcmp(local, "root") == 0);
}

static void print_any(FILE *f, const char *any, const char *root)
{
	if (strcmp(any, "=") != 0)
		fprintf(f, "any as %s", any);
	else
		fputs(strcmp(root, "root") == 0 ? "any, root too" : "any but root", f);
}

static const char *text_or_empty(const json_t *value)
{
	const char *text = json_string_value(value);

	return text ? text : "";
}

/* "root", "alice as al", "any but root", "any, root too", "any, not guest": the accounts that a
 * rule gives. */
static void print_users(FILE *f, json_t *users)
{
	const char *any = text_or_empty(json_object_get(users, "*"));
	const char *user, *comma = "";
	json_t *value;

	if (any[0]) {
		print_any(f, any, text_or_empty(json_object_get(users, "root")));
		comma = ", ";
	}
	json_object_foreach (users, user, value) {
		const char *local = text_or_empty(value);

		if (strcmp(user, "*") == 0 || is_said_with_any(user, local, any))
			continue;
		if (local[0] == '\0' && any[0])
			fprintf(f, "%snot %s", comma, user);
		else if (local[0] == '\0')
			continue;
		else if (strcmp(user, local) == 0 || strcmp(local, "=") == 0)
			fprintf(f, "%s%s", comma, user);
		else
			fprintf(f, "%s%s as %s", comma, user, local);
		comma = ", ";
	}
	if (comma[0] == '\0')
		fputs("nobody", f);
}

/* In fresh memory; NULL when there is none. */
static char *users_shown(const json_t *rule)
{
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return NULL;
	/* A rule that refuses does so for every user. */
	if (strcmp(value_text(rule, "action"), "reject") == 0)
		fputs("any", out.file);
	else
		print_users(out.file, json_object_get(rule, "users"));
	return text_stream_close(&out);
}

static void add_action(struct cli_table *table, const json_t *rule)
{
	const char *action = value_text(rule, "action"), *period = value_text(rule, "checkPeriod");
	const char *written = value_text(rule, "actionText");

	if (strcmp(action, "accept") == 0)
		cli_table_add(table, CLI_GOOD, "accept");
	else if (strcmp(action, "check") == 0 && strcmp(period, "-") != 0)
		cli_table_add(table, CLI_WARN, "check every %s", period);
	else if (strcmp(action, "check") == 0)
		cli_table_add(table, CLI_WARN, "check");
	else if (strcmp(written, "reject") == 0)
		cli_table_add(table, CLI_BAD, "reject");
	else
		cli_table_add(table, CLI_BAD, "reject (unknown: %s)", written);
}

static void add_expiry(struct cli_table *table, const json_t *rule, uint64_t now_usec)
{
	char text[CLI_FORMAT_LEN];

	if (json_is_true(json_object_get(rule, "expired")))
		cli_table_add(table, CLI_FAINT, "expired");
	else if (!json_object_get(rule, "expires"))
		cli_table_add(table, CLI_PLAIN, "-");
	else
		cli_table_add(table, CLI_PLAIN, "%s",
			      cli_format_relative(value_number(rule, "expires"), now_usec, text));
}

/* A rule being put into the table: a line for each of those whom it names. */
struct rule_lines {
	struct cli_table *table;
	const json_t *rule;
	const char *users, *name;
	uint64_t now_usec;
	size_t n;
};

/* After the cell that says who. What is the same as in the line above is not repeated. */
static void end_line(struct rule_lines *lines)
{
	if (lines->n++ > 0) {
		for (int i = 0; i < 4; i++)
			cli_table_add(lines->table, CLI_PLAIN, "%s", "");
		return;
	}
	cli_table_add(lines->table, CLI_PLAIN, "%s", lines->users);
	add_action(lines->table, lines->rule);
	add_expiry(lines->table, lines->rule, lines->now_usec);
	cli_table_add(lines->table, CLI_FAINT, "%s", lines->name);
}

static int add_owners(struct rule_lines *lines, const json_t *owners)
{
	size_t n = json_array_size(owners);

	for (size_t i = 0; i < n && i < SHOWN_NAMES; i++) {
		const json_t *owner = json_array_get(owners, i);
		_cleanup_free_ char *nodes =
			value_list(json_object_get(owner, "nodes"), SHOWN_NAMES);

		if (!nodes)
			return -ENOMEM;
		cli_table_add(lines->table, CLI_PLAIN, "%s (%s)", value_text(owner, "owner"),
			      nodes);
		end_line(lines);
	}
	if (n > SHOWN_NAMES) {
		cli_table_add(lines->table, CLI_PLAIN, "and %zu more", n - SHOWN_NAMES);
		end_line(lines);
	}
	return 0;
}

static int add_ssh_rule(struct cli_table *table, const json_t *rule, size_t index,
			uint64_t now_usec)
{
	_cleanup_free_ char *users = users_shown(rule);
	_cleanup_free_ char *name = ctl_rule_name(rule, "origin", "ssh_rules", index);
	struct rule_lines lines = { table, rule, users, name, now_usec, 0 };
	size_t n_strangers = json_array_size(json_object_get(rule, "strangers"));
	int r;

	if (!users || !name)
		return -ENOMEM;
	if (json_is_true(json_object_get(rule, "any"))) {
		cli_table_add(table, CLI_PLAIN, "every peer");
		end_line(&lines);
		return 0;
	}
	r = add_owners(&lines, json_object_get(rule, "who"));
	if (r == 0 && n_strangers > 0) {
		cli_table_add(table, CLI_FAINT, "%zu address%s of no peer", n_strangers,
			      n_strangers == 1 ? "" : "es");
		end_line(&lines);
	}
	if (r == 0 && lines.n == 0) {
		cli_table_add(table, CLI_FAINT, "nobody");
		end_line(&lines);
	}
	return r;
}

static int print_table(const json_t *rules, uint64_t now_usec, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "WHO" }, { "AS" }, { "ACTION" }, { "EXPIRES" }, { "RULE" },
	};
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	int r;

	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	for (size_t i = 0; i < json_array_size(rules) && r == 0; i++)
		r = add_ssh_rule(table, json_array_get(rules, i), i, now_usec);
	return r < 0 ? r : cli_table_print(table, out);
}

/* "warning: " and "note: ", a blank line above the first. */
static void begin_remark(const struct cli_out *out, enum cli_style style, const char *word,
			 size_t *n_remarks)
{
	if ((*n_remarks)++ == 0)
		fputc('\n', out->file);
	cli_print(out, style, "%s:", word);
	fputc(' ', out->file);
}

/* A login needs a packet filter rule as well: say where there is only one of the two. */
static int print_unreachable(const json_t *rules, const struct cli_out *out, size_t *n_remarks)
{
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		const json_t *nodes = json_object_get(rule, "unreachable");
		_cleanup_free_ char *names = value_list(nodes, SHOWN_NAMES);
		_cleanup_free_ char *name = ctl_rule_name(rule, "origin", "ssh_rules", i);

		if (!names || !name)
			return -ENOMEM;
		if (json_array_size(nodes) == 0)
			continue;
		begin_remark(out, CLI_WARN, "warning", n_remarks);
		fprintf(out->file,
			"%s names %s, but no packet filter rule lets %s through to tcp/22 of this "
			"host\n",
			name, names, json_array_size(nodes) == 1 ? "it" : "them");
	}
	return 0;
}

static int print_unruled(const json_t *policy, const struct cli_out *out, size_t *n_remarks)
{
	const json_t *nodes = json_object_get(policy, "unruled");
	_cleanup_free_ char *names = value_list(nodes, SHOWN_NAMES);

	if (!names)
		return -ENOMEM;
	if (json_array_size(nodes) == 0)
		return 0;
	cli_print(out, CLI_FAINT, "note:");
	fprintf(out->file,
		" the packet filter lets %s through to tcp/22, but no SSH rule names %s\n", names,
		json_array_size(nodes) == 1 ? "it" : "them");
	return 0;
}

int ctl_render_ssh_policy(const json_t *policy, uint64_t now_usec, const struct cli_out *out)
{
	const json_t *rules = json_object_get(policy, "rules");
	size_t n_remarks = 0;
	int r = 0;

	if (json_array_size(rules) == 0)
		fputs("No SSH rules: nobody may log in.\n", out->file);
	else
		r = print_table(rules, now_usec, out);
	if (r == 0 && !json_is_true(json_object_get(policy, "ssh"))) {
		begin_remark(out, CLI_WARN, "warning", &n_remarks);
		fprintf(out->file, "SSH is off on this host%s\n",
			json_array_size(rules) ? ": none of this applies" : "");
	}
	if (r == 0)
		r = print_unreachable(rules, out, &n_remarks);
	if (r == 0)
		r = print_unruled(policy, out, &n_remarks);
	return r;
}
