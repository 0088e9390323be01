/* Text for people: colour where there is somebody to see it, and the width of what is shown. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/cleanup.h"

enum cli_style {
	CLI_PLAIN,
	CLI_HEADING,
	CLI_GOOD,
	CLI_WARN,
	CLI_BAD,
	CLI_FAINT,
};

/* Where a command writes to. */
struct cli_out {
	FILE *file;
	bool colour;
	bool terminal;
};

/* Colour if file is a terminal that can show it, and the user did not set NO_COLOR. */
struct cli_out cli_out_for(FILE *file);

/* printf with a style. Text from outside goes through text_sanitize() first. */
void cli_print(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
	_printf_(3, 4);

/* The same for text from outside, which is made fit for a terminal here. Return: 0, -ENOMEM. */
int cli_show(const struct cli_out *out, enum cli_style style, const char *fmt, ...) _printf_(3, 4);

/*
 * JSON, with the flags of jansson. A terminal gets nothing of it that it could take for more than
 * text. Return: 0, -EIO, -ENOMEM.
 */
int cli_show_json(const struct cli_out *out, const json_t *value, size_t flags);

/* Columns that valid UTF-8 takes on a terminal: combining marks take none, CJK and emoji two. */
size_t cli_text_width(const char *text);
