#include "agent/filter/table.h"

#include <string.h>

struct filter_table *filter_table_new(void)
{
	return calloc(1, sizeof(struct filter_table));
}

static void sources_free(struct filter_source *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(sources[i].comment);
	free(sources);
}

struct filter_table *filter_table_free(struct filter_table *table)
{
	if (!table)
		return NULL;
	free(table->own);
	sources_free(table->exact, table->n_exact);
	sources_free(table->nets, table->n_nets);
	free(table->flows);
	for (size_t i = 0; i < table->n_counters; i++)
		free(table->counters[i].comment);
	free(table->counters);
	free(table);
	return NULL;
}

static int number_compare(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static bool text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

int filter_source_compare(const struct filter_source *a, const struct filter_source *b)
{
	int c = ip_addr_compare(&a->first, &b->first);

	return c ? c : ip_addr_compare(&a->last, &b->last);
}

bool filter_source_same(const struct filter_source *a, const struct filter_source *b)
{
	return a->class == b->class && text_same(a->comment, b->comment);
}

int filter_flow_compare(const struct filter_flow *a, const struct filter_flow *b)
{
	int c;

	c = number_compare(a->class, b->class);
	if (c == 0)
		c = ip_addr_compare(&a->dst_first, &b->dst_first);
	if (c == 0)
		c = ip_addr_compare(&a->dst_last, &b->dst_last);
	if (c == 0)
		c = number_compare(a->proto, b->proto);
	if (c == 0)
		c = number_compare(a->ports.first, b->ports.first);
	if (c == 0)
		c = number_compare(a->ports.last, b->ports.last);
	return c;
}

bool filter_flow_same(const struct filter_flow *a, const struct filter_flow *b)
{
	return a->rule == b->rule;
}

bool filter_flow_is_exact(const struct filter_flow *flow)
{
	return flow->ports.first == flow->ports.last &&
	       ip_addr_equal(&flow->dst_first, &flow->dst_last);
}

int filter_counter_compare(const struct filter_counter *a, const struct filter_counter *b)
{
	return number_compare(a->rule, b->rule);
}

bool filter_counter_same(const struct filter_counter *a, const struct filter_counter *b)
{
	return text_same(a->comment, b->comment);
}

static int own_order(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

static int source_order(const void *a, const void *b)
{
	return filter_source_compare(a, b);
}

static int flow_order(const void *a, const void *b)
{
	return filter_flow_compare(a, b);
}

static int counter_order(const void *a, const void *b)
{
	return filter_counter_compare(a, b);
}

static void sort(void *array, size_t n, size_t size, int (*order)(const void *, const void *))
{
	if (n > 1)
		qsort(array, n, size, order);
}

void filter_table_sort(struct filter_table *table)
{
	sort(table->own, table->n_own, sizeof(*table->own), own_order);
	sort(table->exact, table->n_exact, sizeof(*table->exact), source_order);
	sort(table->nets, table->n_nets, sizeof(*table->nets), source_order);
	sort(table->flows, table->n_flows, sizeof(*table->flows), flow_order);
	sort(table->counters, table->n_counters, sizeof(*table->counters), counter_order);
}

/* The last source that starts at or before addr, if it reaches that far. */
const struct filter_source *filter_source_find(const struct filter_source *sources, size_t n,
					       const struct ip_addr *addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_addr_compare(&sources[mid].first, addr) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || ip_addr_compare(addr, &sources[low - 1].last) > 0)
		return NULL;
	return &sources[low - 1];
}

/* First flow of the class, by binary search: flows are ordered by class first. */
static size_t flow_find_class(const struct filter_table *table, uint32_t class)
{
	size_t low = 0, high = table->n_flows;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table->flows[mid].class < class)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool flow_matches(const struct filter_flow *flow, const struct ip_addr *dst, uint8_t proto,
			 uint16_t port)
{
	return flow->proto == proto && flow->ports.first <= port && port <= flow->ports.last &&
	       ip_addr_compare(&flow->dst_first, dst) <= 0 &&
	       ip_addr_compare(dst, &flow->dst_last) <= 0;
}

bool filter_table_allows(const struct filter_table *table, const struct ip_addr *src,
			 const struct ip_addr *dst, uint8_t proto, uint16_t port,
			 uint32_t *ret_rule)
{
	const struct filter_source *source;

	source = filter_source_find(table->exact, table->n_exact, src);
	if (!source)
		source = filter_source_find(table->nets, table->n_nets, src);
	if (!source)
		return false;
	for (size_t i = flow_find_class(table, source->class);
	     i < table->n_flows && table->flows[i].class == source->class; i++) {
		if (!flow_matches(&table->flows[i], dst, proto, port))
			continue;
		if (ret_rule)
			*ret_rule = table->flows[i].rule;
		return true;
	}
	return false;
}

struct filter_counter *filter_table_counter(const struct filter_table *table, uint32_t rule)
{
	struct filter_counter key = { .rule = rule };

	if (table->n_counters == 0)
		return NULL;
	return bsearch(&key, table->counters, table->n_counters, sizeof(key), counter_order);
}

bool filter_table_is_own(const struct filter_table *table, const struct ip_addr *addr)
{
	for (size_t i = 0; i < table->n_own; i++)
		if (ip_addr_equal(&table->own[i], addr))
			return true;
	return false;
}
