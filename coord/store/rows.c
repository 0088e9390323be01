#include "coord/store/rows.h"

#include <errno.h>
#include <string.h>

int entry_rows_init(struct entry_rows *rows, size_t size)
{
	*rows = (struct entry_rows){ .size = size };
	if (size == 0)
		return 0;
	rows->entries = calloc(size, sizeof(*rows->entries));
	return rows->entries ? 0 : -ENOMEM;
}

void entry_rows_done(struct entry_rows *rows)
{
	while (rows->n > 0)
		entry_rows_drop_last(rows);
	free(rows->entries);
	*rows = (struct entry_rows){ 0 };
}

int entry_rows_add(struct entry_rows *rows, const char *key, const void *value, size_t len,
		   uint64_t revision)
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

void entry_rows_drop_last(struct entry_rows *rows)
{
	struct store_entry *entry = &rows->entries[--rows->n];

	rows->bytes -= strlen(entry->key) + 1 + entry->len;
	free((char *)entry->key);
}
