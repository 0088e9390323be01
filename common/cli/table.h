/* Tables of text: columns as wide as their widest cell, two blanks between them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/cli/style.h"

struct cli_column {
	const char *title;
	bool right; /* numbers */
};

struct cli_table;

/* columns is borrowed. Return: 0, -ENOMEM. */
int cli_table_new(const struct cli_column *columns, size_t n_columns, struct cli_table **ret_table);
struct cli_table *cli_table_free(struct cli_table *table);
DEFINE_CLEANUP(struct cli_table *, cli_table_free);

/*
 * Fill the next cell, row by row. The text is made fit for a terminal here; empty cells are shown
 * as they are. Errors are remembered for cli_table_print().
 */
void cli_table_add(struct cli_table *table, enum cli_style style, const char *fmt, ...)
	_printf_(3, 4);

/* Return: 0, -ENOMEM (also of an earlier cell; nothing is printed). */
int cli_table_print(const struct cli_table *table, const struct cli_out *out);
