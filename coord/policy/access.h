/* Sets of protocols and ports, and what differs between two. */
#pragma once

#include "coord/policy/model.h"
#include "coord/policy/text.h"

struct access_item {
	uint8_t proto;
	uint16_t first, last; /* 0..65535: all */
};

/* Zero-initialise. Sorted, disjoint and not adjacent after access_normalize(). */
struct access {
	struct access_item *items;
	size_t n, size;
};
void access_done(struct access *a);

/* The rule's protocols on these ports. Protocols without ports count with all ports only. */
int access_add(struct access *a, const struct net_rule *rule, const struct port_list *ports);
void access_normalize(struct access *a);
/* What is in a and not in b, both normalized. */
int access_subtract(const struct access *a, const struct access *b, struct access *ret_rest);
/* "everything", "tcp 22, udp 53", "tcp+udp 80-443, icmp" */
void access_to_text(const struct access *a, struct policy_text *out);
