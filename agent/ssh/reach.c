#include "agent/ssh/reach.h"

#include <errno.h>
#include <stdlib.h>

#define SSH_PORT 22

struct span {
	struct ip_addr first, last;
};

/* Who gets through to one own address. */
struct door {
	struct ip_addr own;
	struct span *spans; /* of sources: ascending, disjoint */
	size_t n_spans;
};

struct ssh_reach {
	size_t n_doors;
	struct door doors[NETMAP_MAX_ADDRESSES];
};

static bool rule_is_tcp(const struct filter_rule *rule)
{
	for (size_t i = 0; i < rule->n_proto; i++)
		if (rule->proto[i] == IPPROTO_TCP)
			return true;
	return rule->n_proto == 0;
}

static bool rule_opens(const struct filter_rule *rule, const struct ip_addr *own)
{
	if (!rule_is_tcp(rule))
		return false;
	for (size_t i = 0; i < rule->n_dst; i++) {
		const struct filter_dst *dst = &rule->dst[i];

		if (dst->ports.first <= SSH_PORT && dst->ports.last >= SSH_PORT &&
		    ip_prefix_contains(&dst->prefix, own))
			return true;
	}
	return false;
}

static size_t count_sources(const struct netmap *map, const struct ip_addr *own)
{
	size_t n = 0;

	for (size_t i = 0; i < map->n_filter; i++)
		if (rule_opens(&map->filter[i], own))
			n += map->filter[i].n_src;
	return n;
}

static void add_sources(struct door *door, const struct filter_rule *rule)
{
	for (size_t i = 0; i < rule->n_src; i++)
		if (rule->src[i].addr.family == door->own.family)
			door->spans[door->n_spans++] = (struct span){
				ip_prefix_first(&rule->src[i]),
				ip_prefix_last(&rule->src[i]),
			};
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return ip_addr_compare(&x->first, &y->first);
}

/* Spans come from prefixes: two of them are nested or disjoint. */
static void drop_nested(struct door *door)
{
	size_t n = 0;

	qsort(door->spans, door->n_spans, sizeof(*door->spans), compare_spans);
	for (size_t i = 0; i < door->n_spans; i++) {
		struct span *kept = n > 0 ? &door->spans[n - 1] : NULL;

		if (kept && ip_addr_compare(&door->spans[i].first, &kept->last) <= 0) {
			if (ip_addr_compare(&door->spans[i].last, &kept->last) > 0)
				kept->last = door->spans[i].last;
			continue;
		}
		door->spans[n++] = door->spans[i];
	}
	door->n_spans = n;
}

static int open_door(struct door *door, const struct netmap *map, const struct ip_addr *own)
{
	door->own = *own;
	door->spans = calloc(count_sources(map, own) + 1, sizeof(*door->spans));
	if (!door->spans)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_filter; i++)
		if (rule_opens(&map->filter[i], own))
			add_sources(door, &map->filter[i]);
	drop_nested(door);
	return 0;
}

int ssh_reach_new(const struct netmap *map, struct ssh_reach **ret_reach)
{
	_cleanup_(ssh_reach_freep) struct ssh_reach *reach = NULL;
	int r;

	reach = calloc(1, sizeof(*reach));
	if (!reach)
		return -ENOMEM;
	for (size_t i = 0; i < map->self.n_addresses && i < NETMAP_MAX_ADDRESSES; i++) {
		r = open_door(&reach->doors[reach->n_doors++], map, &map->self.addresses[i]);
		if (r < 0)
			return r;
	}
	*ret_reach = take_ptr(reach);
	return 0;
}

struct ssh_reach *ssh_reach_free(struct ssh_reach *reach)
{
	if (!reach)
		return NULL;
	for (size_t i = 0; i < reach->n_doors; i++)
		free(reach->doors[i].spans);
	free(reach);
	return NULL;
}

static int compare_addr_span(const void *key, const void *element)
{
	const struct ip_addr *addr = key;
	const struct span *span = element;

	if (ip_addr_compare(addr, &span->first) < 0)
		return -1;
	return ip_addr_compare(addr, &span->last) > 0;
}

static bool lets_in(const struct door *door, const struct ip_addr *from)
{
	return bsearch(from, door->spans, door->n_spans, sizeof(*door->spans), compare_addr_span);
}

bool ssh_reach_has(const struct ssh_reach *reach, const struct ip_addr *from,
		   const struct ip_addr *to)
{
	for (size_t i = 0; i < reach->n_doors; i++)
		if (ip_addr_equal(&reach->doors[i].own, to))
			return lets_in(&reach->doors[i], from);
	return false;
}

bool ssh_reach_has_any(const struct ssh_reach *reach, const struct ip_addr *from)
{
	for (size_t i = 0; i < reach->n_doors; i++)
		if (lets_in(&reach->doors[i], from))
			return true;
	return false;
}

bool ssh_reach_has_node(const struct ssh_reach *reach, const struct netmap_node *peer)
{
	for (size_t i = 0; i < peer->n_addresses; i++)
		if (ssh_reach_has_any(reach, &peer->addresses[i]))
			return true;
	return false;
}
