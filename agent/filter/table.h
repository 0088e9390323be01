/*
 * The packet filter as the kernel holds it: contents of the nftables sets and maps, as plain data.
 * Compiled from a map, or read back from the kernel; every array is sorted by its key, so that two
 * tables are compared in one pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"
#include "common/cleanup.h"
#include "common/ip.h"

/* Longest comment that nft(8) reads back, without the final NUL. */
#define FILTER_MAX_COMMENT 127u

/* Addresses (first == last: one) whose packets have the rights of a class. */
struct filter_source {
	struct ip_addr first, last;
	uint32_t class;
	char *comment; /* peer name; may be NULL */
};

/* A right of a class. Flows of one class never overlap. */
struct filter_flow {
	uint32_t class;
	struct ip_addr dst_first, dst_last;
	uint8_t proto;
	struct port_range ports; /* 0..65535 for protocols without ports */
	uint32_t rule;		 /* index in the map's packet filter: counted in chain acl_N */
};

struct filter_counter {
	uint32_t rule;
	char *comment; /* "acl:N ORIGIN" */
};

struct filter_table {
	struct ip_addr *own; /* the node's mesh addresses */
	size_t n_own;
	struct filter_source *exact; /* single addresses: hash maps */
	size_t n_exact;
	struct filter_source *nets; /* ranges behind subnet routers, disjoint: interval maps */
	size_t n_nets;
	struct filter_flow *flows;
	size_t n_flows;
	struct filter_counter *counters;
	size_t n_counters;
};

/* An empty table: denies all. NULL: no memory. */
struct filter_table *filter_table_new(void);
struct filter_table *filter_table_free(struct filter_table *table);
DEFINE_CLEANUP(struct filter_table *, filter_table_free);

/* Bring the arrays into key order (after reading them from the kernel). */
void filter_table_sort(struct filter_table *table);

/* Order by key: what makes two elements the same element of a set. */
int filter_source_compare(const struct filter_source *a, const struct filter_source *b);
int filter_flow_compare(const struct filter_flow *a, const struct filter_flow *b);
int filter_counter_compare(const struct filter_counter *a, const struct filter_counter *b);

/* Same key given: does the rest (class, rule, comment) agree as well? */
bool filter_source_same(const struct filter_source *a, const struct filter_source *b);
bool filter_flow_same(const struct filter_flow *a, const struct filter_flow *b);
bool filter_counter_same(const struct filter_counter *a, const struct filter_counter *b);

/* To one port of one address: found by its hash, however many there are. */
bool filter_flow_is_exact(const struct filter_flow *flow);

/* Of a table's exact or nets; borrowed, NULL: none holds the address. */
const struct filter_source *filter_source_find(const struct filter_source *sources, size_t n,
					       const struct ip_addr *addr);

/* The decision that the kernel takes for the first packet of a flow. ret_rule may be NULL. */
bool filter_table_allows(const struct filter_table *table, const struct ip_addr *src,
			 const struct ip_addr *dst, uint8_t proto, uint16_t port,
			 uint32_t *ret_rule);
/* Borrowed; NULL: nothing is counted for the rule. */
struct filter_counter *filter_table_counter(const struct filter_table *table, uint32_t rule);
bool filter_table_is_own(const struct filter_table *table, const struct ip_addr *addr);
