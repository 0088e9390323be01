#include <errno.h>

#include "agent/ctl/link.h"
#include "agent/ctl/qr.h"
#include "common/text.h"

int ctl_render_page(const struct ctl_page *page, const struct cli_out *out)
{
	int r = 0;

	fputc('\n', out->file);
	if (page->url) {
		fputs("  Open      ", out->file);
		r = cli_show(out, CLI_PLAIN, "%s", page->url);
		fputc('\n', out->file);
	}
	fputs("  Code      ", out->file);
	if (r == 0)
		r = cli_show(out, CLI_HEADING, "%s", page->code);
	fputc('\n', out->file);
	if (page->operator) {
		fputs("  Operator  ", out->file);
		if (r == 0)
			r = cli_show(out, CLI_PLAIN, "%s", page->operator);
		fputc('\n', out->file);
	}
	fputc('\n', out->file);
	if (r == 0 && page->url && !text_has_control(page->url))
		r = qr_show(page->url, out);
	return r;
}
