#include "agent/filter/diff.h"

#include <errno.h>

/* One sorted array in both tables. */
struct sorted {
	const void *from, *to;
	size_t n_from, n_to, size;
	int (*compare)(const void *a, const void *b);
	bool (*same)(const void *a, const void *b);
};

static int compare_addr(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

static bool same_addr(const void *a, const void *b)
{
	return true;
}

static int compare_source(const void *a, const void *b)
{
	return filter_source_compare(a, b);
}

static bool same_source(const void *a, const void *b)
{
	return filter_source_same(a, b);
}

static int compare_flow(const void *a, const void *b)
{
	return filter_flow_compare(a, b);
}

static bool same_flow(const void *a, const void *b)
{
	return filter_flow_same(a, b);
}

static int compare_counter(const void *a, const void *b)
{
	return filter_counter_compare(a, b);
}

static bool same_counter(const void *a, const void *b)
{
	return filter_counter_same(a, b);
}

static const void *element(const void *array, size_t n, size_t i, size_t size)
{
	return i < n ? (const char *)array + i * size : NULL;
}

static int list_build(const struct sorted *arrays, struct diff_list *list)
{
	size_t i = 0, j = 0;

	list->gone = calloc(arrays->n_from + 1, sizeof(*list->gone));
	list->fresh = calloc(arrays->n_to + 1, sizeof(*list->fresh));
	if (!list->gone || !list->fresh)
		return -ENOMEM;
	while (i < arrays->n_from || j < arrays->n_to) {
		const void *a = element(arrays->from, arrays->n_from, i, arrays->size);
		const void *b = element(arrays->to, arrays->n_to, j, arrays->size);
		int order = !a ? 1 : !b ? -1 : arrays->compare(a, b);

		i += order <= 0;
		j += order >= 0;
		if (order == 0 && arrays->same(a, b))
			continue;
		if (order <= 0)
			list->gone[list->n_gone++] = a;
		if (order >= 0)
			list->fresh[list->n_fresh++] = b;
	}
	return 0;
}

#define SORTED(field, kind)                 \
	(&(const struct sorted){            \
		.from = from->field,        \
		.to = to->field,            \
		.n_from = from->n_##field,  \
		.n_to = to->n_##field,      \
		.size = sizeof(*to->field), \
		.compare = compare_##kind,  \
		.same = same_##kind,        \
	})

static int lists_build(const struct filter_table *from, const struct filter_table *to,
		       struct filter_diff *diff)
{
	int r;

	r = list_build(SORTED(own, addr), &diff->own);
	if (r == 0)
		r = list_build(SORTED(exact, source), &diff->exact);
	if (r == 0)
		r = list_build(SORTED(nets, source), &diff->nets);
	if (r == 0)
		r = list_build(SORTED(flows, flow), &diff->flows);
	if (r == 0)
		r = list_build(SORTED(counters, counter), &diff->counters);
	return r;
}

int filter_diff_build(const struct filter_table *from, const struct filter_table *to,
		      struct filter_diff *ret_diff)
{
	struct filter_diff diff = { 0 };
	int r;

	r = lists_build(from, to, &diff);
	if (r < 0) {
		filter_diff_done(&diff);
		return r;
	}
	*ret_diff = diff;
	return 0;
}

static void list_done(struct diff_list *list)
{
	free(list->gone);
	free(list->fresh);
	*list = (struct diff_list){ 0 };
}

void filter_diff_done(struct filter_diff *diff)
{
	list_done(&diff->own);
	list_done(&diff->exact);
	list_done(&diff->nets);
	list_done(&diff->flows);
	list_done(&diff->counters);
}

unsigned filter_diff_gone(const struct filter_diff *diff)
{
	return (unsigned)(diff->own.n_gone + diff->exact.n_gone + diff->nets.n_gone +
			  diff->flows.n_gone);
}

unsigned filter_diff_fresh(const struct filter_diff *diff)
{
	return (unsigned)(diff->own.n_fresh + diff->exact.n_fresh + diff->nets.n_fresh +
			  diff->flows.n_fresh);
}

bool filter_diff_empty(const struct filter_diff *diff)
{
	return filter_diff_gone(diff) + filter_diff_fresh(diff) + diff->counters.n_gone +
		       diff->counters.n_fresh ==
	       0;
}
