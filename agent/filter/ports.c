#include "agent/filter/ports.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"

/* Claims that began at or before the sweep's position: a heap, lowest rule on top. */
struct active {
	const struct port_claim **heap;
	size_t n;
};

static void active_swap(struct active *active, size_t i, size_t j)
{
	const struct port_claim *tmp = active->heap[i];

	active->heap[i] = active->heap[j];
	active->heap[j] = tmp;
}

static void active_push(struct active *active, const struct port_claim *claim)
{
	size_t i = active->n++;

	active->heap[i] = claim;
	while (i > 0 && active->heap[(i - 1) / 2]->rule > active->heap[i]->rule) {
		active_swap(active, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void active_pop(struct active *active)
{
	size_t i = 0;

	active->heap[0] = active->heap[--active->n];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < active->n; child++)
			if (active->heap[child]->rule < active->heap[least]->rule)
				least = child;
		if (least == i)
			return;
		active_swap(active, i, least);
		i = least;
	}
}

static int claim_order(const void *a, const void *b)
{
	const struct port_claim *x = a, *y = b;

	return (x->ports.first > y->ports.first) - (x->ports.first < y->ports.first);
}

static void emit(struct port_claim *out, size_t *n, uint32_t first, uint32_t last, uint32_t rule)
{
	struct port_claim *previous = *n ? &out[*n - 1] : NULL;

	if (previous && previous->rule == rule && previous->ports.last + 1u == first) {
		previous->ports.last = (uint16_t)last;
		return;
	}
	out[(*n)++] = (struct port_claim){
		.ports = { .first = (uint16_t)first, .last = (uint16_t)last },
		.rule = rule,
	};
}

int port_claims_resolve(struct port_claim *claims, size_t n, struct port_claim *out, size_t *ret_n)
{
	_cleanup_free_ const struct port_claim **heap = calloc(n ? n : 1, sizeof(*heap));
	struct active active = { .heap = heap };
	uint32_t pos = 0, last;
	size_t next = 0, n_out = 0;

	if (!heap)
		return -ENOMEM;
	if (n > 1)
		qsort(claims, n, sizeof(*claims), claim_order);
	while (active.n > 0 || next < n) {
		if (active.n == 0 && claims[next].ports.first > pos)
			pos = claims[next].ports.first;
		while (next < n && claims[next].ports.first <= pos)
			active_push(&active, &claims[next++]);
		while (active.n > 0 && active.heap[0]->ports.last < pos)
			active_pop(&active);
		if (active.n == 0)
			continue;
		last = active.heap[0]->ports.last;
		if (next < n && claims[next].ports.first <= last)
			last = claims[next].ports.first - 1u;
		emit(out, &n_out, pos, last, active.heap[0]->rule);
		pos = last + 1;
	}
	*ret_n = n_out;
	return 0;
}
