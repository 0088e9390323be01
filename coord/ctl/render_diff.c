#include <errno.h>

#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"

#define SHOWN_ITEMS 50 /* of packets, and of logins */

static size_t count_items(const struct policy_diff *diff, bool gained)
{
	size_t n = 0;

	for (size_t i = 0; i < diff->n_items; i++)
		n += diff->items[i].gained == gained;
	return n;
}

static int render_item(const struct policy_diff_item *item, const struct source *source,
		       const struct cli_out *out)
{
	fputs("  ", out->file);
	if (cli_show(out, item->gained ? CLI_GOOD : CLI_BAD, "%s %s", item->gained ? "+" : "-",
		     item->text) < 0)
		return -ENOMEM;
	if (item->line > 0)
		cli_print(out, CLI_FAINT, "  %s:%u", source->name, item->line);
	fputc('\n', out->file);
	return 0;
}

static int render_group(const struct policy_diff *diff, bool ssh, const struct source *old_source,
			const struct source *new_source, const struct cli_out *out)
{
	size_t n = 0;

	for (size_t i = 0; i < diff->n_items; i++) {
		const struct policy_diff_item *item = &diff->items[i];

		if (item->ssh != ssh || n++ >= SHOWN_ITEMS)
			continue;
		if (n == 1) {
			cli_print(out, CLI_HEADING, ssh ? "Logins" : "Packets");
			fputc('\n', out->file);
		}
		if (render_item(item, item->gained ? new_source : old_source, out) < 0)
			return -ENOMEM;
	}
	if (n > SHOWN_ITEMS)
		fprintf(out->file, "  ... and %zu more; --json lists them\n", n - SHOWN_ITEMS);
	if (n > 0)
		fputc('\n', out->file);
	return 0;
}

int ctl_render_diff(const struct policy_diff *diff, const struct source *old_source,
		    const struct source *new_source, const struct cli_out *out)
{
	if (diff->n_items == 0) {
		fputs("No access is gained or lost.\n", out->file);
		return 0;
	}
	if (render_group(diff, false, old_source, new_source, out) < 0 ||
	    render_group(diff, true, old_source, new_source, out) < 0)
		return -ENOMEM;
	fprintf(out->file, "%zu gained, %zu lost", count_items(diff, true),
		count_items(diff, false));
	if (diff->truncated)
		fprintf(out->file, "; there are more differences than these %u", POLICY_MAX_DIFF);
	fputc('\n', out->file);
	return 0;
}

/* ---- JSON ---- */

static json_t *item_json(const struct policy_diff_item *item)
{
	json_t *line = item->line > 0 ? json_integer(item->line) : NULL;

	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:o*}", "change",
			 item->gained ? "gained" : "lost", "kind", item->ssh ? "login" : "packets",
			 "src", item->src, "src_nodes", (json_int_t)item->n_src, "dst", item->dst,
			 "dst_nodes", (json_int_t)item->n_dst, "what", item->what, "text",
			 item->text, "line", line);
}

json_t *ctl_diff_json(const struct policy_diff *diff)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->n_items; i++)
		if (json_array_append_new(list, item_json(&diff->items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:I, s:I, s:b, s:o}", "gained", (json_int_t)count_items(diff, true),
			 "lost", (json_int_t)count_items(diff, false), "truncated", diff->truncated,
			 "changes", list);
}
