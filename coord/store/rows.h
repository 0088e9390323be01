/* Entries with memory of their own: what was read, or is to be told. */
#pragma once

#include "coord/store/store.h"

struct entry_rows {
	struct store_entry *entries;
	size_t n, size;
	size_t bytes; /* of keys and values */
};
/* Room for size entries. Return: 0, -ENOMEM. */
int entry_rows_init(struct entry_rows *rows, size_t size);
void entry_rows_done(struct entry_rows *rows);
/* Adds a copy; there has to be room. value NULL: deleted. Return: 0, -ENOMEM. */
int entry_rows_add(struct entry_rows *rows, const char *key, const void *value, size_t len,
		   uint64_t revision);
/* Takes the last one away. */
void entry_rows_drop_last(struct entry_rows *rows);
