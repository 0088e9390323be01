#include "common/cli/table.h"

#include <errno.h>
#include <stdarg.h>

#include "common/text.h"

#define CELL_MAX 4096 /* bytes */
#define GAP	 2    /* blanks */

struct cell {
	char *text;
	enum cli_style style;
};

struct cli_table {
	const struct cli_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells, n_alloc;
	bool failed; /* out of memory */
};

int cli_table_new(const struct cli_column *columns, size_t n_columns, struct cli_table **ret_table)
{
	struct cli_table *table;

	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->columns = columns;
	table->n_columns = n_columns;
	*ret_table = table;
	return 0;
}

struct cli_table *cli_table_free(struct cli_table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
	return NULL;
}

static struct cell *next_cell(struct cli_table *table)
{
	if (table->n_cells == table->n_alloc) {
		size_t n = table->n_alloc ? table->n_alloc * 2 : 64;
		struct cell *cells = reallocarray(table->cells, n, sizeof(*cells));

		if (!cells)
			return NULL;
		table->cells = cells;
		table->n_alloc = n;
	}
	return &table->cells[table->n_cells];
}

void cli_table_add(struct cli_table *table, enum cli_style style, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	struct cell *cell;
	va_list ap;

	va_start(ap, fmt);
	raw = text_vprintf(fmt, ap);
	va_end(ap);
	cell = raw ? next_cell(table) : NULL;
	if (cell)
		cell->text = text_sanitize(raw, CELL_MAX);
	if (!cell || !cell->text) {
		table->failed = true;
		return;
	}
	cell->style = style;
	table->n_cells++;
}

static void measure(const struct cli_table *table, size_t *widths)
{
	for (size_t c = 0; c < table->n_columns; c++)
		widths[c] = cli_text_width(table->columns[c].title);
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t width = cli_text_width(table->cells[i].text);

		if (width > widths[i % table->n_columns])
			widths[i % table->n_columns] = width;
	}
}

/* *owed: blanks that the cells before left; printed only if something follows. */
static void print_cell(const struct cli_out *out, enum cli_style style, const char *text,
		       size_t width, bool right, size_t *owed)
{
	size_t pad = width - cli_text_width(text);

	if (right)
		*owed += pad;
	if (text[0]) {
		fprintf(out->file, "%*s", (int)*owed, "");
		cli_print(out, style, "%s", text);
		*owed = 0;
	}
	*owed += (right ? 0 : pad) + GAP;
}

static void print_row(const struct cli_table *table, const struct cli_out *out,
		      const struct cell *cells, const size_t *widths)
{
	size_t owed = 0;

	for (size_t c = 0; c < table->n_columns; c++)
		print_cell(out, cells[c].style, cells[c].text, widths[c], table->columns[c].right,
			   &owed);
	fputc('\n', out->file);
}

static void print_titles(const struct cli_table *table, const struct cli_out *out,
			 const size_t *widths)
{
	size_t owed = 0;

	for (size_t c = 0; c < table->n_columns; c++)
		print_cell(out, CLI_HEADING, table->columns[c].title, widths[c],
			   table->columns[c].right, &owed);
	fputc('\n', out->file);
}

int cli_table_print(const struct cli_table *table, const struct cli_out *out)
{
	_cleanup_free_ size_t *widths = NULL;

	if (table->failed)
		return -ENOMEM;
	widths = calloc(table->n_columns, sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	measure(table, widths);
	print_titles(table, out, widths);
	for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns)
		print_row(table, out, &table->cells[i], widths);
	return 0;
}
