/* Memory that is freed all at once. */
#pragma once

#include <stddef.h>

struct arena {
	struct arena_block *blocks;
};
void arena_done(struct arena *arena);

/* Zeroed memory for n items of size bytes; NULL when out of memory. Valid also for n = 0. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);
/* The first len bytes as a string. */
char *arena_strndup(struct arena *arena, const char *s, size_t len);
