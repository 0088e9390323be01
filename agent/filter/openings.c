#include "agent/filter/openings.h"

#include <netinet/in.h>
#include <string.h>

#include "agent/grow.h"
#include "common/cleanup.h"

/* A rule that names no protocol opens these: what people expect, ping included. */
static const uint8_t default_protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };

uint8_t openings_family(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? OPENS_IPV4 : OPENS_IPV6;
}

/* FNV-1a */
uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

bool openings_proto_has_ports(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		return true;
	}
	return false;
}

static bool proto_fits_family(uint8_t proto, const struct ip_addr *addr)
{
	if (proto == IPPROTO_ICMP)
		return addr->family == AF_INET;
	if (proto == IPPROTO_ICMPV6)
		return addr->family == AF_INET6;
	return true;
}

static const uint8_t *rule_protos(const struct filter_rule *rule, size_t *ret_n)
{
	*ret_n = rule->n_proto ? rule->n_proto : sizeof(default_protos);
	return rule->n_proto ? rule->proto : default_protos;
}

bool openings_rule_has_proto(const struct filter_rule *rule, uint8_t proto,
			     const struct ip_addr *own)
{
	const uint8_t *protos;
	size_t n;

	protos = rule_protos(rule, &n);
	return memchr(protos, proto, n) && proto_fits_family(proto, own);
}

static uint64_t opening_hash(uint64_t hash, const struct opening *opening)
{
	hash = hash_bytes(hash, opening->dst.bytes, ip_addr_len(&opening->dst));
	hash = hash_bytes(hash, &opening->proto, sizeof(opening->proto));
	return hash_bytes(hash, &opening->ports, sizeof(opening->ports));
}

static int opening_add(struct openings *openings, struct rule_openings *rule, size_t max,
		       const struct opening *opening)
{
	int r;

	if (openings->n >= max)
		return -E2BIG;
	r = array_grow(&openings->all, &openings->n_alloc, openings->n, sizeof(*openings->all));
	if (r < 0)
		return r;
	openings->all[openings->n++] = *opening;
	rule->n++;
	rule->families |= openings_family(&opening->dst);
	rule->hash = opening_hash(rule->hash, opening);
	return 0;
}

static int dst_open(struct openings *openings, struct rule_openings *ret, size_t max,
		    const struct filter_rule *rule, const struct filter_dst *dst,
		    const struct ip_addr *own)
{
	const uint8_t *protos;
	size_t n_protos;
	int r;

	protos = rule_protos(rule, &n_protos);
	for (size_t i = 0; i < n_protos; i++) {
		struct opening opening = {
			.dst = *own,
			.proto = protos[i],
			.ports = { 0, UINT16_MAX },
		};

		if (!proto_fits_family(protos[i], own))
			continue;
		if (openings_proto_has_ports(protos[i]))
			opening.ports = dst->ports;
		r = opening_add(openings, ret, max, &opening);
		if (r < 0)
			return r;
	}
	return 0;
}

static int rule_open(struct openings *openings, struct rule_openings *ret, size_t max,
		     const struct filter_rule *rule, const struct ip_addr *own, size_t n_own)
{
	int r;

	*ret = (struct rule_openings){ .first = openings->n, .hash = HASH_START };
	for (size_t i = 0; i < rule->n_dst; i++)
		for (size_t j = 0; j < n_own; j++) {
			if (!ip_prefix_contains(&rule->dst[i].prefix, &own[j]))
				continue;
			r = dst_open(openings, ret, max, rule, &rule->dst[i], &own[j]);
			if (r < 0)
				return r;
		}
	return 0;
}

static int hash_order(const void *a, const void *b)
{
	const struct rule_openings *const *x = a, *const *y = b;

	if ((*x)->hash != (*y)->hash)
		return (*x)->hash < (*y)->hash ? -1 : 1;
	return (*x > *y) - (*x < *y);
}

/*
 * Tell rules apart that open the same things to different sources: without their number, which
 * changes whenever a rule is put in before them.
 */
static int number_twins(struct rule_openings *rules, size_t n)
{
	_cleanup_free_ struct rule_openings **order = calloc(n + 1, sizeof(*order));
	uint64_t previous = 0;
	uint32_t twin = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = &rules[i];
	if (n > 1)
		qsort(order, n, sizeof(struct rule_openings *), hash_order);
	for (size_t i = 0; i < n; i++) {
		twin = i > 0 && order[i]->hash == previous ? twin + 1 : 0;
		previous = order[i]->hash;
		order[i]->hash = hash_bytes(previous, &twin, sizeof(twin));
	}
	return 0;
}

int openings_build(const struct filter_rule *rules, size_t n_rules, const struct ip_addr *own,
		   size_t n_own, size_t max, struct openings *ret_openings)
{
	struct openings openings = { 0 };
	int r = 0;

	openings.rules = calloc(n_rules ? n_rules : 1, sizeof(*openings.rules));
	if (!openings.rules)
		return -ENOMEM;
	for (size_t i = 0; i < n_rules && r == 0; i++)
		r = rule_open(&openings, &openings.rules[i], max, &rules[i], own, n_own);
	if (r == 0)
		r = number_twins(openings.rules, n_rules);
	if (r < 0) {
		openings_done(&openings);
		return r;
	}
	*ret_openings = openings;
	return 0;
}

void openings_done(struct openings *openings)
{
	free(openings->all);
	free(openings->rules);
	*openings = (struct openings){ 0 };
}
