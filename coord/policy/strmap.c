#include "coord/policy/strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/hash.h"

/* Open addressing with linear probing; a removal closes the gap that it leaves. */
struct strmap_slot {
	const char *key; /* NULL: free */
	uint64_t hash;
	uint32_t value;
};

void strmap_done(struct strmap *map)
{
	free(map->slots);
	*map = (struct strmap){ 0 };
}

static struct strmap_slot *find(const struct strmap *map, const char *key, uint64_t hash)
{
	size_t mask = map->size - 1;
	struct strmap_slot *slot;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		slot = &map->slots[i];
		if (!slot->key || (slot->hash == hash && strcmp(slot->key, key) == 0))
			return slot;
	}
}

uint32_t strmap_get(const struct strmap *map, const char *key)
{
	const struct strmap_slot *slot;

	if (!map->size)
		return STRMAP_NONE;
	slot = find(map, key, hash_bytes(key, strlen(key)));
	return slot->key ? slot->value : STRMAP_NONE;
}

static int resize(struct strmap *map, size_t size)
{
	struct strmap bigger = { .size = size, .n = map->n };

	bigger.slots = calloc(size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->size; i++)
		if (map->slots[i].key)
			*find(&bigger, map->slots[i].key, map->slots[i].hash) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return 0;
}

int strmap_set(struct strmap *map, const char *key, uint32_t value)
{
	uint64_t hash = hash_bytes(key, strlen(key));
	struct strmap_slot *slot;
	int r;

	if (map->n * 4 >= map->size * 3) {
		r = resize(map, map->size ? map->size * 2 : 16);
		if (r < 0)
			return r;
	}
	slot = find(map, key, hash);
	map->n += !slot->key;
	*slot = (struct strmap_slot){ .key = key, .hash = hash, .value = value };
	return 0;
}

void strmap_remove(struct strmap *map, const char *key)
{
	size_t mask = map->size - 1, hole, i;

	if (!map->size)
		return;
	hole = (size_t)(find(map, key, hash_bytes(key, strlen(key))) - map->slots);
	if (!map->slots[hole].key)
		return;
	for (i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;

		/* Whoever's home is not behind the hole may move into it. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole].key = NULL;
	map->n--;
}
