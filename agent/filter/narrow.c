#include "agent/filter/narrow.h"

#include <errno.h>
#include <string.h>

static int copy_own(const struct filter_table *from, const struct filter_table *to,
		    struct filter_table *table)
{
	table->own = calloc(from->n_own + to->n_own + 1, sizeof(*table->own));
	if (!table->own)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_own; i++)
		table->own[table->n_own++] = from->own[i];
	for (size_t i = 0; i < to->n_own; i++)
		if (!filter_table_is_own(from, &to->own[i]))
			table->own[table->n_own++] = to->own[i];
	return 0;
}

/* Sources that are in both, with the same class. Comments as they were. */
static int common_sources(const struct filter_source *from, size_t n_from,
			  const struct filter_source *to, size_t n_to,
			  struct filter_source **ret_sources, size_t *ret_n)
{
	struct filter_source *sources = calloc(n_from + 1, sizeof(*sources));
	size_t n = 0;

	if (!sources)
		return -ENOMEM;
	*ret_sources = sources;
	for (size_t i = 0, j = 0; i < n_from; i++) {
		while (j < n_to && filter_source_compare(&to[j], &from[i]) < 0)
			j++;
		if (j == n_to)
			break;
		if (filter_source_compare(&to[j], &from[i]) != 0 || to[j].class != from[i].class)
			continue;
		sources[n] = from[i];
		if (from[i].comment) {
			sources[n].comment = strdup(from[i].comment);
			if (!sources[n].comment)
				return -ENOMEM;
		}
		*ret_n = ++n;
	}
	return 0;
}

/* Flows that are in both; the rule that counts them stays the old one. */
static int common_flows(const struct filter_table *from, const struct filter_table *to,
			struct filter_table *table)
{
	table->flows = calloc(from->n_flows + 1, sizeof(*table->flows));
	if (!table->flows)
		return -ENOMEM;
	for (size_t i = 0, j = 0; i < from->n_flows; i++) {
		while (j < to->n_flows && filter_flow_compare(&to->flows[j], &from->flows[i]) < 0)
			j++;
		if (j < to->n_flows && filter_flow_compare(&to->flows[j], &from->flows[i]) == 0)
			table->flows[table->n_flows++] = from->flows[i];
	}
	return 0;
}

static int copy_counters(const struct filter_table *from, struct filter_table *table)
{
	table->counters = calloc(from->n_counters + 1, sizeof(*table->counters));
	if (!table->counters)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_counters; i++) {
		table->counters[i].rule = from->counters[i].rule;
		table->counters[i].comment = strdup(from->counters[i].comment);
		table->n_counters = i + 1;
		if (!table->counters[i].comment)
			return -ENOMEM;
	}
	return 0;
}

int filter_narrow(const struct filter_table *from, const struct filter_table *to,
		  struct filter_table **ret_table)
{
	static const struct filter_table empty;
	_cleanup_(filter_table_freep) struct filter_table *table = filter_table_new();
	int r;

	if (!from)
		from = &empty;
	if (!table)
		return -ENOMEM;
	r = copy_own(from, to, table);
	if (r == 0)
		r = common_sources(from->exact, from->n_exact, to->exact, to->n_exact,
				   &table->exact, &table->n_exact);
	if (r == 0)
		r = common_sources(from->nets, from->n_nets, to->nets, to->n_nets, &table->nets,
				   &table->n_nets);
	if (r == 0)
		r = common_flows(from, to, table);
	if (r == 0)
		r = copy_counters(from, table);
	if (r < 0)
		return r;
	filter_table_sort(table);
	*ret_table = take_ptr(table);
	return 0;
}
