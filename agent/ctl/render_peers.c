#include <errno.h>
#include <inttypes.h>

#include "agent/ctl/render.h"
#include "common/cli/format.h"
#include "common/cli/table.h"
#include "common/cli/value.h"
#include "common/text.h"

/* WireGuard makes a new handshake at least this often while there is traffic. */
#define ACTIVE_USEC UINT64_C(180000000)
/* Of known_hosts: far above any key and its names. */
#define LINE_MAX_BYTES 16384

static const char *owner_of(const json_t *node)
{
	const char *tag = json_string_value(json_array_get(json_object_get(node, "tags"), 0));

	if (json_object_get(node, "user") || !tag)
		return value_text(node, "user");
	return tag;
}

static const char *first_of(const json_t *array)
{
	const char *text = json_string_value(json_array_get(array, 0));

	return text ? text : "-";
}

static void add_handshake(struct cli_table *table, const json_t *peer, uint64_t now_usec)
{
	uint64_t last = value_number(peer, "lastHandshake");
	char text[CLI_FORMAT_LEN];

	if (json_is_true(json_object_get(json_object_get(peer, "node"), "keyExpired")))
		cli_table_add(table, CLI_BAD, "key expired");
	else if (json_is_true(json_object_get(peer, "noPath")) && last == 0)
		cli_table_add(table, CLI_BAD, "no path");
	else if (last == 0)
		cli_table_add(table, CLI_FAINT, "never");
	else
		cli_table_add(table,
			      last <= now_usec && now_usec - last < ACTIVE_USEC ? CLI_GOOD
										: CLI_PLAIN,
			      "%s", cli_format_relative(last, now_usec, text));
}

static void add_peer(struct cli_table *table, const json_t *peer, uint64_t now_usec)
{
	const json_t *node = json_object_get(peer, "node");
	char text[CLI_FORMAT_LEN];

	cli_table_add(table, CLI_PLAIN, "%s", value_text(node, "nodeName"));
	cli_table_add(table, CLI_PLAIN, "%s", owner_of(node));
	cli_table_add(table, CLI_PLAIN, "%s", first_of(json_object_get(node, "addresses")));
	add_handshake(table, peer, now_usec);
	cli_table_add(table, CLI_PLAIN, "%s", value_text(peer, "endpoint"));
	cli_table_add(table, CLI_PLAIN, "%s",
		      cli_format_bytes(value_number(peer, "rxBytes"), text));
	cli_table_add(table, CLI_PLAIN, "%s",
		      cli_format_bytes(value_number(peer, "txBytes"), text));
}

/* Why there is none, below the table: it takes a sentence. */
static int print_no_path(const json_t *peer, const struct cli_out *out)
{
	const char *reason = json_string_value(json_object_get(peer, "pathReason"));
	int r;

	if (!json_is_true(json_object_get(peer, "noPath")))
		return 0;
	r = cli_show(out, CLI_WARN, "No path to %s: %s",
		     value_text(json_object_get(peer, "node"), "nodeName"),
		     reason ? reason : "the coordinator does not say why");
	fputc('\n', out->file);
	return r;
}

int ctl_render_peers(const json_t *peers, uint64_t now_usec, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "NODE" },	{ "OWNER" },	      { "ADDRESS" },	{ "HANDSHAKE" },
		{ "ENDPOINT" }, { "RECEIVED", true }, { "SENT", true },
	};
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	int r;

	if (json_array_size(peers) == 0) {
		fputs("This host has no peers.\n", out->file);
		return 0;
	}
	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(peers); i++)
		add_peer(table, json_array_get(peers, i), now_usec);
	r = cli_table_print(table, out);
	for (size_t i = 0; i < json_array_size(peers) && r == 0; i++)
		r = print_no_path(json_array_get(peers, i), out);
	return r;
}

int ctl_render_known_hosts(const json_t *lines, const struct cli_out *out)
{
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *line = json_string_value(json_array_get(lines, i));
		_cleanup_free_ char *shown = text_sanitize(line ? line : "", LINE_MAX_BYTES);

		if (!shown)
			return -ENOMEM;
		fprintf(out->file, "%s\n", shown);
	}
	return 0;
}
