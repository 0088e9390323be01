#include "coord/ctl/listed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/text.h"

void listed_text(struct cli_table *table, const json_t *object, const char *key)
{
	cli_table_add(table, CLI_PLAIN, "%s", value_text(object, key));
}

void listed_words(struct cli_table *table, const json_t *object, const char *key)
{
	_cleanup_free_ char *words = value_list(json_object_get(object, key), LISTED_WORDS);

	cli_table_add(table, CLI_PLAIN, "%s", words ? words : "");
}

const char *listed_relative(const json_t *object, const char *key, uint64_t now_usec, char *buf)
{
	const char *text = json_string_value(json_object_get(object, key));
	uint64_t usec;

	if (!text || parse_rfc3339(text, &usec) < 0)
		return NULL;
	return cli_format_relative(usec, now_usec, buf);
}

void listed_time(struct cli_table *table, const json_t *object, const char *key, uint64_t now_usec,
		 const char *none)
{
	char buf[CLI_FORMAT_LEN];
	const char *text = listed_relative(object, key, now_usec, buf);

	cli_table_add(table, text ? CLI_PLAIN : CLI_FAINT, "%s", text ? text : none);
}

void listed_owner(struct cli_table *table, const json_t *object)
{
	if (json_is_string(json_object_get(object, "user")))
		listed_text(table, object, "user");
	else
		listed_words(table, object, "tags");
}

static int compare(const void *a, const void *b, void *key)
{
	const char *x = json_string_value(json_object_get(*(json_t *const *)a, key));
	const char *y = json_string_value(json_object_get(*(json_t *const *)b, key));

	if (!x || !y)
		return !x - !y;
	return strcmp(x, y);
}

const json_t **listed_sort(const json_t *array, const char *key, size_t *ret_n)
{
	size_t n = json_array_size(array);
	const json_t **items = calloc(n + 1, sizeof(*items));

	if (!items)
		return NULL;
	for (size_t i = 0; i < n; i++)
		items[i] = json_array_get(array, i);
	qsort_r(items, n, sizeof(*items), compare, (void *)key);
	*ret_n = n;
	return items;
}

int listed_print(struct cli_table *table, const void *rows, size_t n_rows, const char *none,
		 const struct cli_out *out)
{
	int r = 0;

	if (!rows)
		r = -ENOMEM;
	else if (n_rows == 0)
		fprintf(out->file, "%s\n", none);
	else
		r = cli_table_print(table, out);
	cli_table_free(table);
	return r;
}
