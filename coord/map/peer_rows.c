#include "coord/map/peer_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "coord/policy/hash.h"

void peer_rows_done(struct peer_rows *rows)
{
	for (size_t i = 0; i < rows->size; i++)
		free(rows->items[i].row);
	free(rows->items);
	*rows = (struct peer_rows){ 0 };
}

/* The item of the key, or a free one. */
static struct peer_rows_item *find(struct peer_rows_item *items, size_t size, uint64_t key)
{
	size_t i = hash_bytes(&key, sizeof(key)) & (size - 1);

	while (items[i].row && items[i].key != key)
		i = (i + 1) & (size - 1);
	return &items[i];
}

static int grow_table(struct peer_rows *rows)
{
	size_t size = rows->size ? 2 * rows->size : 64;
	struct peer_rows_item *items;

	if (rows->n < rows->size / 2)
		return 0;
	items = calloc(size, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < rows->size; i++)
		if (rows->items[i].row)
			*find(items, size, rows->items[i].key) = rows->items[i];
	free(rows->items);
	rows->items = items;
	rows->size = size;
	return 0;
}

int peer_rows_get(struct peer_rows *rows, uint32_t index, const uint64_t **ret_row)
{
	const struct policy_engine *engine = rows->engine->engine;
	uint64_t key = policy_peers_key(engine, index);
	struct peer_rows_item *item;
	uint64_t *row;

	if (grow_table(rows) < 0)
		return -ENOMEM;
	item = find(rows->items, rows->size, key);
	if (!item->row) {
		if (world_row(rows->engine, index, rows->n_slots, &row) < 0)
			return -ENOMEM;
		/* The node is not its own peer; but it is one of the others like it, or not. */
		if (policy_sees_alike(engine, index))
			slot_set(row, rows->engine->slots[index]);
		*item = (struct peer_rows_item){ key, row };
		rows->n++;
	}
	*ret_row = item->row;
	return 0;
}
