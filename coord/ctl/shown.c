#include "coord/ctl/shown.h"

#include <errno.h>
#include <stdarg.h>

#include "common/text.h"

#define MAX_BYTES 4096u /* of one text */

int shown_print(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL, *shown = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&raw, fmt, ap) < 0)
		raw = NULL;
	va_end(ap);
	shown = raw ? text_sanitize(raw, MAX_BYTES) : NULL;
	if (!shown)
		return -ENOMEM;
	cli_print(out, style, "%s", shown);
	return 0;
}

char *shown_names(struct ctl_names *names, const json_t *addresses)
{
	json_auto_t *list = ctl_names_of(names, addresses);

	return list ? value_list(list, SHOWN_MAX) : NULL;
}

char *shown_count(size_t n, const char *noun, char *buf, size_t size)
{
	if (n == 0)
		snprintf(buf, size, "no %ss", noun);
	else
		snprintf(buf, size, "%zu %s%s", n, noun, n == 1 ? "" : "s");
	return buf;
}
