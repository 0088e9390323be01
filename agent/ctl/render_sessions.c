#include "agent/ctl/render_sessions.h"

#include <errno.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/table.h"
#include "common/cli/value.h"
#include "common/text.h"

#define ID_MAX 32u

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t common_len(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

size_t session_id_len(const json_t *sessions)
{
	size_t n = json_array_size(sessions), len = SESSION_ID_MIN;
	_cleanup_free_ const char **ids = calloc(n + 1, sizeof(*ids));

	if (!ids)
		return ID_MAX;
	for (size_t i = 0; i < n; i++)
		ids[i] = value_text(json_array_get(sessions, i), "leaseId");
	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 1; i < n; i++)
		if (common_len(ids[i - 1], ids[i]) >= len)
			len = common_len(ids[i - 1], ids[i]) + 1;
	return len < ID_MAX ? len : ID_MAX;
}

char *session_words(const json_t *session)
{
	const char *node = json_object_get(session, "nodeName") ? "nodeName" : "nodeId";
	_cleanup_free_ char *raw =
		text_printf("%s (%s) as %s", value_text(session, "user"), value_text(session, node),
			    value_text(session, "localUser"));

	return raw ? text_sanitize(raw, 1024) : NULL;
}

/* ---- list ---- */

static int compare_since(const void *a, const void *b)
{
	uint64_t x = value_number(*(const json_t *const *)a, "since");
	uint64_t y = value_number(*(const json_t *const *)b, "since");

	return (x > y) - (x < y);
}

static void add_account(struct cli_table *table, const json_t *session)
{
	const char *local = value_text(session, "localUser");
	const char *asked = value_text(session, "sshUser");

	if (strcmp(local, asked) == 0)
		cli_table_add(table, CLI_PLAIN, "%s", local);
	else
		cli_table_add(table, CLI_PLAIN, "%s (as %s)", local, asked);
}

static void add_end(struct cli_table *table, const json_t *session, uint64_t now_usec)
{
	char text[CLI_FORMAT_LEN];

	if (json_object_get(session, "validUntil"))
		cli_table_add(
			table, CLI_PLAIN, "%s",
			cli_format_relative(value_number(session, "validUntil"), now_usec, text));
	else
		cli_table_add(table, CLI_FAINT, "-");
}

static void add_session(struct cli_table *table, const json_t *session, size_t id_len,
			uint64_t now_usec)
{
	char text[CLI_FORMAT_LEN];

	cli_table_add(table, CLI_PLAIN, "%.*s", (int)id_len, value_text(session, "leaseId"));
	cli_table_add(table, CLI_PLAIN, "%s", value_text(session, "user"));
	cli_table_add(table, CLI_PLAIN, "%s", value_text(session, "nodeName"));
	add_account(table, session);
	if (json_object_get(session, "since"))
		cli_table_add(table, CLI_PLAIN, "%s",
			      cli_format_relative(value_number(session, "since"), now_usec, text));
	else
		cli_table_add(table, CLI_FAINT, "-");
	add_end(table, session, now_usec);
	cli_table_add(table, CLI_FAINT, "%s", value_text(session, "rule"));
}

int render_sessions(const json_t *sessions, uint64_t now_usec, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "ID" }, { "WHO" }, { "NODE" }, { "ACCOUNT" }, { "SINCE" }, { "ENDS" }, { "RULE" },
	};
	size_t n = json_array_size(sessions), id_len = session_id_len(sessions);
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	_cleanup_free_ const json_t **order = NULL;
	int r;

	if (n == 0) {
		fputs("Nobody is logged in through the mesh.\n", out->file);
		return 0;
	}
	order = calloc(n, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = json_array_get(sessions, i);
	qsort(order, n, sizeof(*order), compare_since);
	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		add_session(table, order[i], id_len, now_usec);
	return cli_table_print(table, out);
}

/* ---- watch ---- */

static enum cli_style event_style(const char *event)
{
	if (strcmp(event, "began") == 0)
		return CLI_GOOD;
	if (strcmp(event, "revoked") == 0)
		return CLI_BAD;
	return CLI_PLAIN;
}

/* "2027-01-15T08:00:00Z  began    1a2b3c4d  alice@example.com (laptop) as root  ssh[0] line 31" */
int render_event(const json_t *event, const struct cli_out *out)
{
	const json_t *session = json_object_get(event, "session");
	const char *word = value_text(event, "event");
	bool revoked = json_object_get(event, "message");
	_cleanup_free_ char *who = session_words(session), *shown = text_sanitize(word, 16);
	char when[21];
	int r;

	if (!session)
		return 0;
	if (!who || !shown)
		return -ENOMEM;
	fprintf(out->file, "%s  ", format_rfc3339(value_number(event, "time"), when, sizeof(when)));
	cli_print(out, event_style(word), "%-7s", shown);
	r = cli_show(out, CLI_PLAIN, "  %.*s  %s  %s", (int)SESSION_ID_MIN,
		     value_text(session, "leaseId"), who,
		     revoked ? value_text(event, "message") : value_text(session, "rule"));
	fputc('\n', out->file);
	return r;
}
