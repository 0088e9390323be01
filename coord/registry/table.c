#include "coord/registry/table.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"

/* Return: where it is, or belongs. */
static size_t position(const struct table *table, const char *id, bool *ret_found)
{
	size_t low = 0, high = table->n;

	/* What is loaded from the store comes in order. */
	if (high > 0 && strcmp(table->items[high - 1]->id, id) < 0)
		low = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(table->items[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < table->n && strcmp(table->items[low]->id, id) == 0;
	return low;
}

struct record_head *table_find(const struct table *table, const char *id)
{
	bool found;
	size_t i = position(table, id, &found);

	return found ? table->items[i] : NULL;
}

int table_put(struct table *table, struct record_head *item, struct record_head **ret_old)
{
	bool found;
	size_t i = position(table, item->id, &found);

	if (found) {
		*ret_old = table->items[i];
		table->items[i] = item;
		return 0;
	}
	if (grow(&table->items, table->n + 1, &table->size) < 0)
		return -ENOMEM;
	memmove(table->items + i + 1, table->items + i, (table->n - i) * sizeof(*table->items));
	table->items[i] = item;
	table->n++;
	*ret_old = NULL;
	return 0;
}

struct record_head *table_take(struct table *table, const char *id)
{
	bool found;
	size_t i = position(table, id, &found);
	struct record_head *item;

	if (!found)
		return NULL;
	item = table->items[i];
	table->n--;
	memmove(table->items + i, table->items + i + 1, (table->n - i) * sizeof(*table->items));
	return item;
}
