#include "agent/filter/rulelist.h"

#include <stdbool.h>
#include <string.h>

#include "agent/grow.h"

static uint32_t rules_hash(const uint32_t *rules, size_t n)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < n; i++) {
		hash = (hash ^ rules[i]) * 16777619u;
		hash ^= hash >> 15;
	}
	return hash;
}

static bool rules_equal(const struct rulelist *list, const uint32_t *rules, size_t n)
{
	return list->n == n && (n == 0 || memcmp(list->rules, rules, n * sizeof(*rules)) == 0);
}

/* The slot that holds the list, or the free one where it belongs. */
static size_t slot_find(const struct rulelists *all, const uint32_t *rules, size_t n)
{
	size_t i = rules_hash(rules, n) & (all->n_slots - 1);

	while (all->slots[i] && !rules_equal(&all->lists[all->slots[i] - 1], rules, n))
		i = (i + 1) & (all->n_slots - 1);
	return i;
}

static int slots_double(struct rulelists *all)
{
	size_t n_slots = all->n_slots ? all->n_slots * 2 : 64;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(all->slots);
	all->slots = slots;
	all->n_slots = n_slots;
	for (size_t i = 0; i < all->n; i++)
		slots[slot_find(all, all->lists[i].rules, all->lists[i].n)] = (uint32_t)i + 1;
	return 0;
}

int rulelists_init(struct rulelists *all)
{
	uint32_t id;

	*all = (struct rulelists){ 0 };
	return rulelists_intern(all, NULL, 0, &id);
}

void rulelists_done(struct rulelists *all)
{
	for (size_t i = 0; i < all->n; i++)
		free(all->lists[i].rules);
	free(all->lists);
	free(all->slots);
	*all = (struct rulelists){ 0 };
}

int rulelists_intern(struct rulelists *all, const uint32_t *rules, size_t n, uint32_t *ret_id)
{
	struct rulelist *list;
	size_t slot;
	int r;

	if (all->n * 2 >= all->n_slots) {
		r = slots_double(all);
		if (r < 0)
			return r;
	}
	slot = slot_find(all, rules, n);
	if (all->slots[slot]) {
		*ret_id = all->slots[slot] - 1;
		return 0;
	}
	r = array_grow(&all->lists, &all->n_alloc, all->n, sizeof(*all->lists));
	if (r < 0)
		return r;
	list = &all->lists[all->n];
	*list = (struct rulelist){ .n = n };
	if (n > 0) {
		list->rules = malloc(n * sizeof(*rules));
		if (!list->rules)
			return -ENOMEM;
		memcpy(list->rules, rules, n * sizeof(*rules));
	}
	*ret_id = (uint32_t)all->n++;
	all->slots[slot] = *ret_id + 1;
	return 0;
}
