#include "agent/filter/segments.h"

#include <stdlib.h>
#include <string.h>

#include "agent/grow.h"

/* The spans over the sweep's position, outermost first: they are nested, so this is a stack. */
struct sweep {
	const struct span **stack;
	size_t depth;
	uint32_t *rules; /* scratch */
};

/* The address behind a (or before, with step -1). Return: false past the end of its family. */
static bool addr_step(struct ip_addr *a, int step)
{
	uint8_t wrap = step > 0 ? 0 : 0xff;

	for (size_t i = ip_addr_len(a); i-- > 0;) {
		a->bytes[i] = (uint8_t)(a->bytes[i] + step);
		if (a->bytes[i] != wrap)
			return true;
	}
	return false;
}

static int span_order(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int c = ip_addr_compare(&x->first, &y->first);

	return c ? c : ip_addr_compare(&y->last, &x->last);
}

static int addr_order(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

static int number_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Every address at which something starts, or has just ended. */
static size_t cuts_collect(const struct span *spans, size_t n, struct ip_addr *cuts)
{
	size_t n_cuts = 0, n_unique = 0;

	for (size_t i = 0; i < n; i++) {
		cuts[n_cuts++] = spans[i].first;
		cuts[n_cuts] = spans[i].last;
		if (addr_step(&cuts[n_cuts], 1))
			n_cuts++;
	}
	if (n_cuts > 1)
		qsort(cuts, n_cuts, sizeof(*cuts), addr_order);
	for (size_t i = 0; i < n_cuts; i++)
		if (n_unique == 0 || !ip_addr_equal(&cuts[n_unique - 1], &cuts[i]))
			cuts[n_unique++] = cuts[i];
	return n_unique;
}

/* Rules of the spans on the stack, ascending, each once. */
static size_t sweep_rules(struct sweep *sweep)
{
	size_t n = 0, n_unique = 0;

	for (size_t i = 0; i < sweep->depth; i++)
		if (!sweep->stack[i]->router)
			sweep->rules[n++] = sweep->stack[i]->rule;
	if (n > 1)
		qsort(sweep->rules, n, sizeof(*sweep->rules), number_order);
	for (size_t i = 0; i < n; i++)
		if (n_unique == 0 || sweep->rules[n_unique - 1] != sweep->rules[i])
			sweep->rules[n_unique++] = sweep->rules[i];
	return n_unique;
}

static const struct netmap_node *sweep_router(const struct sweep *sweep)
{
	for (size_t i = sweep->depth; i-- > 0;)
		if (sweep->stack[i]->router)
			return sweep->stack[i]->router;
	return NULL;
}

static int segment_add(struct segments *segments, struct sweep *sweep, struct rulelists *lists,
		       const struct ip_addr *first, const struct ip_addr *next_cut)
{
	struct segment segment = { .first = *first, .router = sweep_router(sweep) };
	int r;

	if (next_cut && next_cut->family == first->family) {
		segment.last = *next_cut;
		addr_step(&segment.last, -1);
	} else {
		segment.last = sweep->stack[sweep->depth - 1]->last;
	}
	r = rulelists_intern(lists, sweep->rules, sweep_rules(sweep), &segment.list);
	if (r < 0)
		return r;
	r = array_grow(&segments->segments, &segments->n_alloc, segments->n, sizeof(segment));
	if (r < 0)
		return r;
	segments->segments[segments->n++] = segment;
	return 0;
}

static int segments_sweep(const struct span *spans, size_t n, const struct ip_addr *cuts,
			  size_t n_cuts, struct sweep *sweep, struct rulelists *lists,
			  size_t *budget, struct segments *segments)
{
	size_t next = 0;
	int r;

	for (size_t i = 0; i < n_cuts; i++) {
		while (sweep->depth > 0 &&
		       ip_addr_compare(&sweep->stack[sweep->depth - 1]->last, &cuts[i]) < 0)
			sweep->depth--;
		while (next < n && ip_addr_equal(&spans[next].first, &cuts[i]))
			sweep->stack[sweep->depth++] = &spans[next++];
		if (sweep->depth == 0)
			continue;
		if (*budget < sweep->depth)
			return -E2BIG;
		*budget -= sweep->depth;
		r = segment_add(segments, sweep, lists, &cuts[i],
				i + 1 < n_cuts ? &cuts[i + 1] : NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

int segments_build(struct span *spans, size_t n, struct rulelists *lists, size_t *budget,
		   struct segments *ret_segments)
{
	_cleanup_free_ struct ip_addr *cuts = calloc(2 * n + 1, sizeof(*cuts));
	_cleanup_free_ const struct span **stack = calloc(n + 1, sizeof(*stack));
	_cleanup_free_ uint32_t *rules = calloc(n + 1, sizeof(*rules));
	struct sweep sweep = { .stack = stack, .rules = rules };
	struct segments segments = { 0 };
	size_t n_cuts;
	int r;

	if (!cuts || !stack || !rules)
		return -ENOMEM;
	if (n > 1)
		qsort(spans, n, sizeof(*spans), span_order);
	n_cuts = cuts_collect(spans, n, cuts);
	r = segments_sweep(spans, n, cuts, n_cuts, &sweep, lists, budget, &segments);
	if (r < 0) {
		segments_done(&segments);
		return r;
	}
	*ret_segments = segments;
	return 0;
}

void segments_done(struct segments *segments)
{
	free(segments->segments);
	*segments = (struct segments){ 0 };
}

const struct segment *segments_find(const struct segments *segments, const struct ip_addr *addr)
{
	size_t low = 0, high = segments->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_addr_compare(&segments->segments[mid].first, addr) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || ip_addr_compare(addr, &segments->segments[low - 1].last) > 0)
		return NULL;
	return &segments->segments[low - 1];
}
