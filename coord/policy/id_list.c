#include <errno.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"

int id_list_add(struct id_list *list, uint32_t id)
{
	if (grow(&list->items, list->n + 1, &list->size) < 0)
		return -ENOMEM;
	list->items[list->n++] = id;
	return 0;
}

void id_list_remove(struct id_list *list, uint32_t id)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i] == id) {
			list->items[i] = list->items[--list->n];
			return;
		}
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void id_list_sort_unique(struct id_list *list)
{
	size_t n = 0;

	if (list->n < 2)
		return;
	qsort(list->items, list->n, sizeof(*list->items), compare_ids);
	for (size_t i = 1; i < list->n; i++)
		if (list->items[i] != list->items[n])
			list->items[++n] = list->items[i];
	list->n = n + 1;
}
