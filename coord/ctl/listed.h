/* Cells of tables that lists have in common. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/cli/style.h"
#include "common/cli/table.h"

#define LISTED_WORDS 4 /* in one cell */

/* The member's text; "-" for none. */
void listed_text(struct cli_table *table, const json_t *object, const char *key);
/* "a, b and 2 more" of an array of texts. */
void listed_words(struct cli_table *table, const json_t *object, const char *key);
/* A time (RFC 3339 in the JSON) as "in 2 d", "3 min ago"; none: what is said. */
void listed_time(struct cli_table *table, const json_t *object, const char *key, uint64_t now_usec,
		 const char *none);
/* The user, or the tags. */
void listed_owner(struct cli_table *table, const json_t *object);
/* For cells that are put together: the time as above, in buf (CLI_FORMAT_LEN). NULL: none. */
const char *listed_relative(const json_t *object, const char *key, uint64_t now_usec, char *buf);

/*
 * The elements of an array of objects, sorted by the text of a member; those without it come last.
 * The caller frees; *ret_n is how many there are. NULL: out of memory.
 */
const json_t **listed_sort(const json_t *array, const char *key, size_t *ret_n);

/*
 * Print the table and free it, or `none` if there are no rows. rows: what it was made of; NULL: out
 * of memory. Return: 0, -ENOMEM.
 */
int listed_print(struct cli_table *table, const void *rows, size_t n_rows, const char *none,
		 const struct cli_out *out);
