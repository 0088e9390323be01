/* Text from files, made fit for a terminal. */
#pragma once

#include <jansson.h>

#include "common/cli/style.h"
#include "coord/ctl/names.h"

#define SHOWN_MAX 6 /* names in one cell of a table */

/* printf with a style, of text from outside. Return: 0, -ENOMEM. */
int shown_print(const struct cli_out *out, enum cli_style style, const char *fmt, ...)
	_printf_(3, 4);
/*
 * "a, b, c and 4 more" of an array of texts, at most max of them; "-" when it is empty. Fit for a
 * terminal. The caller frees; NULL when out of memory.
 */
char *shown_list(const json_t *texts, size_t max);
/* The same for addresses, with the names of nodes for them; at most SHOWN_MAX. */
char *shown_names(struct ctl_names *names, const json_t *addresses);
/* The member's text; "-" when there is none. Borrowed, and not fit for a terminal yet. */
const char *shown_text(const json_t *object, const char *key);
/* "no errors", "1 error", "2 errors", written into buf, which is returned. */
char *shown_count(size_t n, const char *noun, char *buf, size_t size);
