#include "common/cli/style.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#define SHOWN_MAX 4096u /* bytes of one text */

struct cli_out cli_out_for(FILE *file)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool terminal = isatty(fileno(file));

	return (struct cli_out){
		.file = file,
		.terminal = terminal,
		.colour =
			terminal && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0,
	};
}

static const char *style_sequence(enum cli_style style)
{
	switch (style) {
	case CLI_PLAIN:
		return "";
	case CLI_HEADING:
		return "\033[1m";
	case CLI_GOOD:
		return "\033[32m";
	case CLI_WARN:
		return "\033[33m";
	case CLI_BAD:
		return "\033[31m";
	case CLI_FAINT:
		return "\033[2m";
	}
	return "";
}

void cli_print(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
{
	bool styled = out->colour && style != CLI_PLAIN;
	va_list ap;

	if (styled)
		fputs(style_sequence(style), out->file);
	va_start(ap, fmt);
	vfprintf(out->file, fmt, ap);
	va_end(ap);
	if (styled)
		fputs("\033[0m", out->file);
}

int cli_show(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL, *shown = NULL;
	va_list ap;

	va_start(ap, fmt);
	raw = text_vprintf(fmt, ap);
	va_end(ap);
	shown = raw ? text_sanitize(raw, SHOWN_MAX) : NULL;
	if (!shown)
		return -ENOMEM;
	cli_print(out, style, "%s", shown);
	return 0;
}

/* JSON leaves DEL as it is (RFC 8259, 7), JSON_ENSURE_ASCII too. */
static int print_without_del(const char *text, size_t len, void *userdata)
{
	FILE *file = userdata;

	while (len > 0) {
		const char *del = memchr(text, 0x7f, len);
		size_t n = del ? (size_t)(del - text) : len;

		fwrite(text, 1, n, file);
		if (del)
			fputs("\\u007f", file);
		n += del ? 1 : 0;
		text += n;
		len -= n;
	}
	return ferror(file) ? -1 : 0;
}

int cli_show_json(const struct cli_out *out, const json_t *value, size_t flags)
{
	int r;

	if (out->terminal)
		r = json_dump_callback(value, print_without_del, out->file,
				       flags | JSON_ENSURE_ASCII);
	else
		r = json_dumpf(value, out->file, flags);
	if (r < 0)
		return ferror(out->file) ? -EIO : -ENOMEM;
	return 0;
}

/*
 * Widths are looked up here rather than with wcwidth(3), whose answer depends on the locale: tables
 * line up in LANG=C as well. Ranges are those of Unicode 15 that occur in names of people.
 */
struct range {
	uint32_t first, last;
};

static const struct range zero_width[] = {
	{ 0x0300, 0x036f },   { 0x0483, 0x0489 }, { 0x0591, 0x05bd }, { 0x0610, 0x061a },
	{ 0x064b, 0x065f },   { 0x0e34, 0x0e3a }, { 0x0e47, 0x0e4e }, { 0x200b, 0x200f },
	{ 0x20d0, 0x20ff },   { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff },
	{ 0xe0100, 0xe01ef },
};

static const struct range double_width[] = {
	{ 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },	  { 0xa960, 0xa97f },
	{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },	  { 0xff01, 0xff60 },
	{ 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
	{ 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd },
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static size_t char_width(uint32_t c)
{
	if (in_ranges(c, zero_width, ARRAY_SIZE(zero_width)))
		return 0;
	return in_ranges(c, double_width, ARRAY_SIZE(double_width)) ? 2 : 1;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t cli_text_width(const char *text)
{
	size_t width = 0;

	while (*text) {
		unsigned char head = (unsigned char)*text++;
		uint32_t c = head < 0x80   ? head
			     : head < 0xe0 ? head & 0x1f
			     : head < 0xf0 ? head & 0x0f
					   : head & 0x07;

		for (; is_continuation(*text); text++)
			c = c << 6 | ((unsigned char)*text & 0x3f);
		width += char_width(c);
	}
	return width;
}
