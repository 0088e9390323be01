#include "coord/policy/stab.h"

#include <errno.h>

#include "coord/policy/grow.h"

struct stab_item {
	struct range range;
	unsigned __int128 max_last; /* of the subtree */
	uint32_t value;
};

void stab_done(struct stab *stab)
{
	free(stab->trees[0].items);
	free(stab->trees[1].items);
	*stab = (struct stab){ 0 };
}

int stab_add(struct stab *stab, const struct range *range, uint32_t value)
{
	struct stab_tree *tree = &stab->trees[range->v6];

	if (grow(&tree->items, tree->n + 1, &tree->size) < 0)
		return -ENOMEM;
	tree->items[tree->n++] = (struct stab_item){ .range = *range, .value = value };
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct stab_item *x = a, *y = b;

	return range_compare(&x->range, &y->range);
}

/* The middle of lo..hi is the root of that subtree. */
static unsigned __int128 finish(struct stab_item *items, size_t lo, size_t hi)
{
	struct stab_item *item = &items[lo + (hi - lo) / 2];
	unsigned __int128 side;

	if (lo >= hi)
		return 0;
	item->max_last = item->range.last;
	side = finish(items, lo, (size_t)(item - items));
	if (side > item->max_last)
		item->max_last = side;
	side = finish(items, (size_t)(item - items) + 1, hi);
	if (side > item->max_last)
		item->max_last = side;
	return item->max_last;
}

void stab_finish(struct stab *stab)
{
	for (size_t i = 0; i < 2; i++) {
		struct stab_tree *tree = &stab->trees[i];

		if (!tree->n)
			continue;
		qsort(tree->items, tree->n, sizeof(*tree->items), compare_items);
		finish(tree->items, 0, tree->n);
	}
}

struct query {
	const struct stab_item *items;
	const struct range *r;
	int (*found)(uint32_t value, void *userdata);
	void *userdata;
};

static int search(const struct query *q, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2;
	const struct stab_item *item = &q->items[mid];
	int r;

	if (lo >= hi || item->max_last < q->r->first)
		return 0;
	r = search(q, lo, mid);
	if (r >= 0 && range_overlaps(&item->range, q->r))
		r = q->found(item->value, q->userdata);
	if (r >= 0 && item->range.first <= q->r->last)
		r = search(q, mid + 1, hi);
	return r;
}

int stab_query(const struct stab *stab, const struct range *r,
	       int (*found)(uint32_t value, void *userdata), void *userdata)
{
	const struct stab_tree *tree = &stab->trees[r->v6];
	struct query q = { .items = tree->items, .r = r, .found = found, .userdata = userdata };

	return tree->n ? search(&q, 0, tree->n) : 0;
}
