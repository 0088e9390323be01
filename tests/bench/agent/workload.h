/* Maps for the agent's benchmark: of any size, always the same for the same size. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"
#include "common/cleanup.h"

/*
 * n_peers peers in classes of equal rights, as a policy by groups makes them: a rule is for four
 * classes and one to three ports of this node, TCP and UDP; a third port is a range of ten.
 */
struct workload {
	unsigned n_peers, n_rules;
};

#define WORKLOAD_SELF	 "100.64.0.1"
#define WORKLOAD_PREFIX	 "100.64.0.0/10"
#define WORKLOAD_NOW	 1795564800000000u
#define WORKLOAD_CLASSES 4u /* of a rule */

/* Run fn for each of the sizes that are compared, each in a process of its own. */
void workload_each(void (*fn)(const struct workload *w));

unsigned workload_classes(const struct workload *w);
/* Address of a peer in host order. */
uint32_t workload_address(unsigned peer);
/* A port that the peer may send to, by UDP. */
uint16_t workload_port(const struct workload *w, unsigned peer);
/* The k-th of the classes that a rule is for. */
unsigned workload_rule_class(const struct workload *w, unsigned rule, unsigned k);
/* First port that the rule names; the others are twenty apart. Returns how many there are. */
unsigned workload_rule_ports(unsigned rule, uint16_t *ret_first);
/* The k-th port of a rule is the first of a range: to the last one there are so many more. */
unsigned workload_span(unsigned k);

/*
 * The map; extra_rule: with one rule more than n_rules, for one class. Return: text of *ret_len
 * bytes, the caller's. Exits the program without memory, as benchmarks do.
 */
char *workload_text(const struct workload *w, bool extra_rule, size_t *ret_len);
struct netmap *workload_map(const struct workload *w, bool extra_rule);
