#include "common/openmetrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/text.h"

#define VALUE_MAX 1024 /* bytes of a label's value */

/* Backslash, quote and new line have an escape; whatever else could do harm is no valid text. */
static void print_escaped(FILE *f, const char *text)
{
	_cleanup_free_ char *clean = text_sanitize(text, VALUE_MAX);

	for (const char *c = clean ? clean : ""; *c; c++) {
		if (*c == '\\' || *c == '"')
			fputc('\\', f);
		fputc(*c, f);
	}
}

static void print_label(FILE *f, const struct om_label *label)
{
	fprintf(f, "%s=\"", label->name);
	print_escaped(f, label->value);
	fputc('"', f);
}

static void print_name(FILE *f, const struct om_family *family, const char *suffix,
		       const struct om_label *label, const struct om_label *second)
{
	fprintf(f, "%s%s", family->name, suffix);
	if (label) {
		fputc('{', f);
		print_label(f, label);
		if (second) {
			fputc(',', f);
			print_label(f, second);
		}
		fputc('}', f);
	}
	fputc(' ', f);
}

void om_begin(FILE *f, const struct om_family *family)
{
	fprintf(f, "# TYPE %s %s\n", family->name, family->type);
	if (family->unit)
		fprintf(f, "# UNIT %s %s\n", family->name, family->unit);
	fprintf(f, "# HELP %s %s\n", family->name, family->help);
}

void om_number(FILE *f, const struct om_family *family, const char *suffix,
	       const struct om_label *label, const struct om_label *second, uint64_t value)
{
	print_name(f, family, suffix, label, second);
	fprintf(f, "%" PRIu64 "\n", value);
}

void om_seconds(FILE *f, const struct om_family *family, const char *suffix,
		const struct om_label *label, const struct om_label *second, uint64_t usec)
{
	print_name(f, family, suffix, label, second);
	fprintf(f, "%" PRIu64 ".%06" PRIu64 "\n", usec / 1000000, usec % 1000000);
}

void om_end(FILE *f)
{
	fputs("# EOF\n", f);
}
