/* Records by id, sorted. */
#pragma once

#include "coord/registry/model.h"

/* Zero-initialise. The items are the owner's. */
struct table {
	struct record_head **items;
	size_t n, size;
};

/* NULL: not there. */
struct record_head *table_find(const struct table *table, const char *id);
/* Put in place of the one with the same id, which is in *ret_old then. Return: 0, -ENOMEM. */
int table_put(struct table *table, struct record_head *item, struct record_head **ret_old);
/* The item is the caller's now; NULL: not there. */
struct record_head *table_take(struct table *table, const char *id);
