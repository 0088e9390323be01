#include <errno.h>

#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"
#include "coord/policy/policy_json.h"

#define SHOWN_ITEMS 50 /* of packets, and of logins */

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
	fprintf(out->file, "%zu gained, %zu lost", policy_diff_count(diff, true),
		policy_diff_count(diff, false));
	if (diff->truncated)
		fprintf(out->file, "; there are more differences than these %u", POLICY_MAX_DIFF);
	fputc('\n', out->file);
	return 0;
}
