/* Names to numbers. Keys are borrowed and outlive the map. Zero-initialise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STRMAP_NONE UINT32_MAX

struct strmap {
	struct strmap_slot *slots;
	size_t n, size; /* size: a power of two, or 0 */
};
void strmap_done(struct strmap *map);

/* STRMAP_NONE: not there. */
uint32_t strmap_get(const struct strmap *map, const char *key);
/* Add, or give a key that is there another value. Return: 0, -ENOMEM. */
int strmap_set(struct strmap *map, const char *key, uint32_t value);
/* Does nothing if the key is not there. */
void strmap_remove(struct strmap *map, const char *key);
