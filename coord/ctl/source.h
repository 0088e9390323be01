/* A file that was named on the command line, and quoting its lines. */
#pragma once

#include <stddef.h>

#include "common/cli/style.h"

struct source {
	char *name; /* fit for a terminal */
	char *text;
	size_t len;
};
void source_done(struct source *source);

/*
 * Print a line as "   14 | text" and, unless column is 0, a caret below that column (characters
 * from 1). A long line is cut to what is around the column. Prints nothing when there is no such
 * line. Return: 0, -ENOMEM.
 */
int source_quote(const struct source *source, unsigned line, unsigned column,
		 const struct cli_out *out);

/* Print the lines of the object that begins there, the first of them if there are many. */
int source_quote_object(const struct source *source, unsigned line, unsigned column,
			const struct cli_out *out);
