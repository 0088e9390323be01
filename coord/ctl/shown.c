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

static void print_list(FILE *f, const json_t *texts, size_t max)
{
	size_t n = json_array_size(texts), n_shown = n > max ? max : n;

	for (size_t i = 0; i < n_shown; i++) {
		const char *text = json_string_value(json_array_get(texts, i));

		fprintf(f, "%s%s", i > 0 ? ", " : "", text ? text : "?");
	}
	if (n > n_shown)
		fprintf(f, " and %zu more", n - n_shown);
	if (n == 0)
		fputs("-", f);
}

char *shown_list(const json_t *texts, size_t max)
{
	_cleanup_free_ char *raw = NULL;
	size_t len;
	FILE *f;

	f = open_memstream(&raw, &len);
	if (!f)
		return NULL;
	print_list(f, texts, max);
	if (fclose(f) < 0)
		return NULL;
	return text_sanitize(raw, MAX_BYTES);
}

char *shown_names(struct ctl_names *names, const json_t *addresses)
{
	json_auto_t *list = ctl_names_of(names, addresses);

	return list ? shown_list(list, SHOWN_MAX) : NULL;
}

const char *shown_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

char *shown_count(size_t n, const char *noun, char *buf, size_t size)
{
	if (n == 0)
		snprintf(buf, size, "no %ss", noun);
	else
		snprintf(buf, size, "%zu %s%s", n, noun, n == 1 ? "" : "s");
	return buf;
}
