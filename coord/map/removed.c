#include "coord/map/removed.h"

#include <stdlib.h>
#include <string.h>

#include "coord/policy/grow.h"

/* One that was removed in this revision is not known any more. */
static void forget(struct removed *removed, uint64_t revision)
{
	if (revision > removed->dropped)
		removed->dropped = revision;
	if (removed->dropped > removed->from)
		removed->from = removed->dropped;
}

static void drop_first(struct removed *removed, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		forget(removed, removed->items[i].revision);
		free(removed->items[i].id);
	}
	removed->n -= n;
	if (n > 0 && removed->n > 0)
		memmove(removed->items, removed->items + n, removed->n * sizeof(*removed->items));
}

void removed_begin(struct removed *removed, uint64_t revision)
{
	removed->from = revision;
}

void removed_reach_back(struct removed *removed, uint64_t revision)
{
	removed->from = revision > removed->dropped ? revision : removed->dropped;
}

void removed_done(struct removed *removed)
{
	drop_first(removed, removed->n);
	free(removed->items);
	*removed = (struct removed){ 0 };
}

size_t removed_after(const struct removed *removed, uint64_t revision)
{
	size_t i = removed->n;

	while (i > 0 && removed->items[i - 1].revision > revision)
		i--;
	return i;
}

void removed_add(struct removed *removed, uint64_t revision, const char *id)
{
	char *copy = strdup(id);
	size_t at;

	/* A quarter at a time, so that moving the others costs little for each. */
	if (removed->n == REMOVED_MAX)
		drop_first(removed, REMOVED_MAX / 4);
	if (!copy || grow(&removed->items, removed->n + 1, &removed->size) < 0) {
		free(copy);
		drop_first(removed, removed->n);
		forget(removed, revision);
		return;
	}
	at = removed_after(removed, revision);
	memmove(removed->items + at + 1, removed->items + at,
		(removed->n - at) * sizeof(*removed->items));
	removed->items[at] = (struct removed_node){ revision, copy };
	removed->n++;
}
