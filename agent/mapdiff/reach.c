/* Who may reach what on this node: class by class, since sources of one class have the same rights.
 */
#include <errno.h>
#include <string.h>

#include "agent/mapdiff/parts.h"
#include "agent/mapdiff/rights.h"
#include "common/text.h"

/* A source in both maps: what is asked about it. */
struct pair {
	uint64_t from, to; /* classes; RIGHTS_NONE */
	int family;
	size_t index; /* of the address or range */
};

struct reach {
	struct rights_map from, to;
	struct diff_groups groups;
};

/* A range behind a subnet router. */
struct range {
	struct ip_addr first, last;
	const char *router;
	size_t group;
};

static uint64_t class_of(const struct filter_source *source)
{
	return source ? source->class : RIGHTS_NONE;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

/* Find the group of each pair, comparing each two classes once, and hand it to set(). */
static int group_pairs(struct reach *reach, struct pair *pairs, size_t n,
		       void (*set)(void *items, size_t index, size_t group), void *items)
{
	size_t group = 0;

	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || compare_pairs(&pairs[i - 1], &pairs[i]) != 0) {
			json_t *change = NULL;
			int r = rights_diff(&reach->from, pairs[i].from, &reach->to, pairs[i].to,
					    pairs[i].family, &change);

			if (r == 0)
				r = diff_group_of(&reach->groups, change, &group);
			if (r < 0)
				return r;
		}
		set(items, pairs[i].index, group);
	}
	return 0;
}

/* ---- peers' own addresses ---- */

static void set_address_group(void *items, size_t index, size_t group)
{
	((struct diff_address *)items)[index].group = group;
}

static int diff_exact(struct reach *reach, const struct netmap *from, const struct netmap *to)
{
	const struct filter_table *old = reach->from.table, *new = reach->to.table;
	_cleanup_free_ struct diff_address *addresses = NULL;
	_cleanup_free_ struct pair *pairs = NULL;
	size_t n;
	int r;

	r = diff_addresses(from, to, &addresses, &n);
	if (r < 0)
		return r;
	pairs = calloc(n + 1, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct ip_addr *addr = &addresses[i].addr;

		pairs[i] = (struct pair){
			.from = class_of(filter_source_find(old->exact, old->n_exact, addr)),
			.to = class_of(filter_source_find(new->exact, new->n_exact, addr)),
			.family = addr->family,
			.index = i,
		};
	}
	r = group_pairs(reach, pairs, n, set_address_group, addresses);
	return r < 0 ? r : diff_groups_name(&reach->groups, addresses, n);
}

/* ---- networks behind them ---- */

static bool step_address(struct ip_addr *addr, bool up)
{
	for (size_t i = ip_addr_len(addr); i-- > 0;) {
		addr->bytes[i] = (uint8_t)(addr->bytes[i] + (up ? 1 : -1));
		if (addr->bytes[i] != (up ? 0 : UINT8_MAX))
			return true;
	}
	return false; /* from one end of the addresses to the other */
}

static int compare_addresses(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

/* Where a range begins in either table, and where one has just ended. */
static size_t collect_edges(const struct filter_table *table, struct ip_addr *edges, size_t n)
{
	for (size_t i = 0; i < table->n_nets; i++) {
		edges[n++] = table->nets[i].first;
		edges[n] = table->nets[i].last;
		n += step_address(&edges[n], true);
	}
	return n;
}

/* The last address before the next edge; without one of the family, the family's last. */
static struct ip_addr before_edge(const struct ip_addr *edges, size_t n, size_t i)
{
	struct ip_addr last = { .family = edges[i].family };

	if (i + 1 < n && edges[i + 1].family == edges[i].family) {
		last = edges[i + 1];
		step_address(&last, false);
	} else {
		memset(last.bytes, UINT8_MAX, ip_addr_len(&last));
	}
	return last;
}

/* "10.1.0.0/16 behind router", "10.1.0.0-10.1.2.255 behind router" */
static char *range_text(const struct range *range)
{
	char first[IP_ADDR_STRLEN], last[IP_ADDR_STRLEN];

	for (unsigned len = 0; len <= ip_addr_bits(&range->first); len++) {
		const struct ip_prefix prefix = { range->first, (uint8_t)len };
		struct ip_addr begin = ip_prefix_first(&prefix), end = ip_prefix_last(&prefix);
		char text[IP_PREFIX_STRLEN];

		if (ip_addr_equal(&begin, &range->first) && ip_addr_equal(&end, &range->last))
			return text_printf("%s behind %s", ip_prefix_to_string(&prefix, text),
					   range->router);
	}
	return text_printf("%s-%s behind %s", ip_addr_to_string(&range->first, first),
			   ip_addr_to_string(&range->last, last), range->router);
}

static void set_range_group(void *items, size_t index, size_t group)
{
	((struct range *)items)[index].group = group;
}

static bool adjoins(const struct range *range, const struct range *next)
{
	struct ip_addr behind = range->last;

	return range->group == next->group && strcmp(range->router, next->router) == 0 &&
	       step_address(&behind, true) && ip_addr_equal(&behind, &next->first);
}

static int name_ranges(struct reach *reach, struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *who = NULL;
		int r;

		if (i + 1 < n && adjoins(&ranges[i], &ranges[i + 1])) {
			ranges[i + 1].first = ranges[i].first;
			continue;
		}
		if (ranges[i].group == 0)
			continue;
		who = range_text(&ranges[i]);
		if (!who)
			return -ENOMEM;
		r = diff_group_add(&reach->groups, ranges[i].group, who);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diff_nets(struct reach *reach)
{
	const struct filter_table *old = reach->from.table, *new = reach->to.table;
	size_t max = 2 * (old->n_nets + new->n_nets), n_edges, n = 0;
	_cleanup_free_ struct ip_addr *edges = calloc(max + 1, sizeof(*edges));
	_cleanup_free_ struct range *ranges = calloc(max + 1, sizeof(*ranges));
	_cleanup_free_ struct pair *pairs = calloc(max + 1, sizeof(*pairs));
	int r;

	if (!edges || !ranges || !pairs)
		return -ENOMEM;
	n_edges = collect_edges(new, edges, collect_edges(old, edges, 0));
	qsort(edges, n_edges, sizeof(*edges), compare_addresses);
	for (size_t i = 0; i < n_edges; i++) {
		const struct filter_source *a =
			filter_source_find(old->nets, old->n_nets, &edges[i]);
		const struct filter_source *b =
			filter_source_find(new->nets, new->n_nets, &edges[i]);

		if (!a && !b)
			continue;
		ranges[n].first = edges[i];
		ranges[n].router = b ? b->comment : a->comment;
		pairs[n] = (struct pair){ class_of(a), class_of(b), edges[i].family, n };
		while (i + 1 < n_edges && ip_addr_equal(&edges[i], &edges[i + 1]))
			i++;
		ranges[n].last = before_edge(edges, n_edges, i);
		n++;
	}
	r = group_pairs(reach, pairs, n, set_range_group, ranges);
	return r < 0 ? r : name_ranges(reach, ranges, n);
}

int diff_reach(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
	       char **reterr_text, json_t **ret_reach)
{
	struct reach reach = { 0 };
	int r;

	r = rights_map_init(&reach.from, from, now_usec, reterr_text);
	if (r == 0)
		r = rights_map_init(&reach.to, to, now_usec, reterr_text);
	if (r == 0)
		r = diff_exact(&reach, from, to);
	if (r == 0)
		r = diff_nets(&reach);
	if (r == 0) {
		*ret_reach = diff_groups_json(&reach.groups);
		r = *ret_reach ? 0 : -ENOMEM;
	}
	diff_groups_done(&reach.groups);
	rights_map_done(&reach.from);
	rights_map_done(&reach.to);
	return r;
}
