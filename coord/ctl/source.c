#include "coord/ctl/source.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/text.h"

#define SHOWN_CHARS  120 /* of a line */
#define SHOWN_LINES  8	 /* of an object */
#define BEFORE_CARET 48	 /* characters kept there when a line is cut */
#define TAB	     "    "

void source_done(struct source *source)
{
	free(source->name);
	free(source->text);
	*source = (struct source){ 0 };
}

/* The line without its end; NULL: there are fewer lines. */
static const char *find_line(const struct source *source, unsigned number, size_t *ret_len)
{
	const char *line = source->text, *end = source->text + source->len, *next;

	for (; number > 1; number--) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			return NULL;
		line = next + 1;
	}
	next = memchr(line, '\n', (size_t)(end - line));
	*ret_len = (size_t)((next ? next : end) - line);
	if (*ret_len > 0 && line[*ret_len - 1] == '\r')
		--*ret_len;
	return line;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Part of a line: characters first to last, 0 being the first one. */
static char *cut(const char *line, size_t len, size_t first, size_t last)
{
	_cleanup_free_ char *part = malloc(len * strlen(TAB) + 1);
	size_t n = 0, at = 0;

	if (!part)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && !is_continuation(line[i]))
			at++;
		if (at < first || at >= last)
			continue;
		if (line[i] == '\t')
			n = (size_t)(stpcpy(part + n, TAB) - part);
		else
			part[n++] = line[i];
	}
	part[n] = '\0';
	return text_sanitize(part, n);
}

static size_t count_chars(const char *line, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += !is_continuation(line[i]);
	return n;
}

/* The line from a character on (0: the first one); column as for source_quote(). */
static int quote_from(const char *line, size_t len, unsigned number, size_t first, unsigned column,
		      const struct cli_out *out)
{
	_cleanup_free_ char *shown = cut(line, len, first, first + SHOWN_CHARS), *before = NULL;
	bool more = count_chars(line, len) > first + SHOWN_CHARS;

	before = column > 0 ? cut(line, len, first, column - 1) : NULL;
	if (!shown || (column > 0 && !before))
		return -ENOMEM;
	cli_print(out, CLI_FAINT, "%5u |", number);
	fprintf(out->file, "%s%s%s%s\n", shown[0] ? " " : "", first > 0 ? "..." : "", shown,
		more ? "..." : "");
	if (column == 0)
		return 0;
	cli_print(out, CLI_FAINT, "%5s |", "");
	fprintf(out->file, " %*s", (int)cli_text_width(before) + (first > 0 ? 3 : 0), "");
	cli_print(out, CLI_GOOD, "^");
	fputc('\n', out->file);
	return 0;
}

int source_quote(const struct source *source, unsigned number, unsigned column,
		 const struct cli_out *out)
{
	size_t len = 0, first = 0;
	const char *line = number > 0 ? find_line(source, number, &len) : NULL;

	if (!line)
		return 0;
	if (count_chars(line, len) > SHOWN_CHARS && column > SHOWN_CHARS - BEFORE_CARET / 2)
		first = column - 1 - BEFORE_CARET;
	return quote_from(line, len, number, first, column, out);
}

/* ---- objects ---- */

/* Behind the comment or the text that begins at p; p when neither does. */
static const char *skip_opaque(const char *p, const char *end)
{
	const char *stop = NULL;

	if (*p == '"') {
		for (p++; p < end && *p != '"' && *p != '\n'; p++)
			if (*p == '\\' && p + 1 < end)
				p++;
		return p < end ? p + 1 : end;
	}
	if (*p != '/' || p + 1 == end)
		return p;
	if (p[1] == '/')
		stop = memchr(p, '\n', (size_t)(end - p));
	else if (p[1] == '*')
		stop = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
	else
		return p;
	return stop ? stop : end;
}

/* Number of lines that the object, or the value in its place, takes up. */
static unsigned count_lines(const char *p, const char *end)
{
	unsigned lines = 1, depth = 0;

	while (p < end) {
		const char *next = skip_opaque(p, end);

		for (const char *q = p; q < next; q++)
			lines += *q == '\n';
		if (next != p) {
			p = next;
			continue;
		}
		lines += *p == '\n';
		depth += *p == '{' || *p == '[';
		if ((*p == '}' || *p == ']') && depth-- <= 1)
			break;
		p++;
	}
	return lines;
}

/* Bytes before the column. */
static size_t column_offset(const char *line, size_t len, unsigned column)
{
	size_t at = 0;

	for (unsigned c = 1; at < len && c < column; c++)
		do {
			at++;
		} while (at < len && is_continuation(line[at]));
	return at;
}

int source_quote_object(const struct source *source, unsigned line, unsigned column,
			const struct cli_out *out)
{
	size_t len = 0, first = 0;
	const char *start = line > 0 ? find_line(source, line, &len) : NULL;
	unsigned n_lines;
	int r;

	if (!start)
		return 0;
	if (count_chars(start, len) > SHOWN_CHARS && column > 0)
		first = column - 1;
	n_lines =
		count_lines(start + column_offset(start, len, column), source->text + source->len);
	r = quote_from(start, len, line, first, 0, out);
	for (unsigned i = 1; r == 0 && i < n_lines && i < SHOWN_LINES; i++)
		r = source_quote(source, line + i, 0, out);
	if (r == 0 && n_lines > SHOWN_LINES)
		cli_print(out, CLI_FAINT, "%5s | ... %u more lines\n", "", n_lines - SHOWN_LINES);
	return r;
}
