#include "coord/store/rows.h"

#include <errno.h>
#include <string.h>

int rows_init(struct rows *rows, size_t size)
{
	*rows = (struct rows){ .size = size };
	if (size == 0)
		return 0;
	rows->entries = calloc(size, sizeof(*rows->entries));
	return rows->entries ? 0 : -ENOMEM;
}

void rows_done(struct rows *rows)
{
	while (rows->n > 0)
		rows_drop_last(rows);
	free(rows->entries);
	*rows = (struct rows){ 0 };
}

int rows_add(struct rows *rows, const char *key, const void *value, size_t len, uint64_t revision)
{
	size_t key_size = strlen(key) + 1;
	char *copy = malloc(key_size + len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, key, key_size);
	if (len > 0)
		memcpy(copy + key_size, value, len);
	rows->entries[rows->n++] = (struct store_entry){
		.key = copy,
		.value = value ? copy + key_size : NULL,
		.len = len,
		.revision = revision,
	};
	rows->bytes += key_size + len;
	return 0;
}

void rows_drop_last(struct rows *rows)
{
	struct store_entry *entry = &rows->entries[--rows->n];

	rows->bytes -= strlen(entry->key) + 1 + entry->len;
	free((char *)entry->key);
}
