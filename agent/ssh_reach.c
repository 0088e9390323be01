#include "agent/ssh_reach.h"

#include <errno.h>
#include <stdlib.h>

#define SSH_PORT 22

struct span {
	struct ip_addr first, last;
};

struct ssh_reach {
	struct span *spans; /* of sources: ascending, disjoint */
	size_t n_spans;
};

static bool rule_is_tcp(const struct filter_rule *rule)
{
	for (size_t i = 0; i < rule->n_proto; i++)
		if (rule->proto[i] == IPPROTO_TCP)
			return true;
	return rule->n_proto == 0;
}

/* Does the rule open tcp/22 of an own address of this family? */
static bool rule_opens_ssh(const struct netmap *map, const struct filter_rule *rule,
			   sa_family_t family)
{
	for (size_t i = 0; i < rule->n_dst; i++) {
		const struct filter_dst *dst = &rule->dst[i];

		if (dst->ports.first > SSH_PORT || dst->ports.last < SSH_PORT)
			continue;
		for (size_t k = 0; k < map->self.n_addresses; k++)
			if (map->self.addresses[k].family == family &&
			    ip_prefix_contains(&dst->prefix, &map->self.addresses[k]))
				return true;
	}
	return false;
}

static void add_sources(struct ssh_reach *reach, const struct filter_rule *rule, sa_family_t family)
{
	for (size_t i = 0; i < rule->n_src; i++)
		if (rule->src[i].addr.family == family)
			reach->spans[reach->n_spans++] = (struct span){
				ip_prefix_first(&rule->src[i]),
				ip_prefix_last(&rule->src[i]),
			};
}

static void collect(struct ssh_reach *reach, const struct netmap *map)
{
	static const sa_family_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < map->n_filter; i++) {
		const struct filter_rule *rule = &map->filter[i];

		if (!rule_is_tcp(rule))
			continue;
		for (size_t f = 0; f < ARRAY_SIZE(families); f++)
			if (rule_opens_ssh(map, rule, families[f]))
				add_sources(reach, rule, families[f]);
	}
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return ip_addr_compare(&x->first, &y->first);
}

/* Spans come from prefixes: two of them are nested or disjoint. */
static void drop_nested(struct ssh_reach *reach)
{
	size_t n = 0;

	qsort(reach->spans, reach->n_spans, sizeof(*reach->spans), compare_spans);
	for (size_t i = 0; i < reach->n_spans; i++) {
		struct span *kept = n > 0 ? &reach->spans[n - 1] : NULL;

		if (kept && ip_addr_compare(&reach->spans[i].first, &kept->last) <= 0) {
			if (ip_addr_compare(&reach->spans[i].last, &kept->last) > 0)
				kept->last = reach->spans[i].last;
			continue;
		}
		reach->spans[n++] = reach->spans[i];
	}
	reach->n_spans = n;
}

int ssh_reach_new(const struct netmap *map, struct ssh_reach **ret_reach)
{
	_cleanup_(ssh_reach_freep) struct ssh_reach *reach = NULL;
	size_t n = 0;

	for (size_t i = 0; i < map->n_filter; i++)
		n += map->filter[i].n_src;
	reach = calloc(1, sizeof(*reach));
	if (!reach)
		return -ENOMEM;
	reach->spans = calloc(n ? n : 1, sizeof(*reach->spans));
	if (!reach->spans)
		return -ENOMEM;
	collect(reach, map);
	drop_nested(reach);
	*ret_reach = take_ptr(reach);
	return 0;
}

struct ssh_reach *ssh_reach_free(struct ssh_reach *reach)
{
	if (!reach)
		return NULL;
	free(reach->spans);
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

bool ssh_reach_has(const struct ssh_reach *reach, const struct ip_addr *addr)
{
	return bsearch(addr, reach->spans, reach->n_spans, sizeof(*reach->spans),
		       compare_addr_span);
}

bool ssh_reach_has_node(const struct ssh_reach *reach, const struct netmap_node *peer)
{
	for (size_t i = 0; i < peer->n_addresses; i++)
		if (ssh_reach_has(reach, &peer->addresses[i]))
			return true;
	return false;
}
