/* What each rule of the packet filter opens on this node. */
#pragma once

#include "agent/netmap/netmap.h"

enum {
	OPENS_IPV4 = 1 << 0,
	OPENS_IPV6 = 1 << 1,
};

struct opening {
	struct ip_addr dst; /* an own address */
	uint8_t proto;
	struct port_range ports; /* whole range for protocols without ports */
};

struct rule_openings {
	size_t first, n; /* slice of openings->all */
	uint8_t families;
	uint64_t hash; /* of the contents, and of how many rules before have the same */
};

struct openings {
	struct opening *all;
	size_t n, n_alloc;
	struct rule_openings *rules; /* one for each rule of the filter */
};

/* own: each address once. Return: 0, -ENOMEM, -E2BIG (more than max openings). */
int openings_build(const struct filter_rule *rules, size_t n_rules, const struct ip_addr *own,
		   size_t n_own, size_t max, struct openings *ret_openings);
void openings_done(struct openings *openings);

uint8_t openings_family(const struct ip_addr *addr);
/* Ports mean something to this protocol; rules open others whole. */
bool openings_proto_has_ports(uint8_t proto);
/* Does a rule about this protocol, or about none by name, mean it for this address? */
bool openings_rule_has_proto(const struct filter_rule *rule, uint8_t proto,
			     const struct ip_addr *own);
uint64_t hash_bytes(uint64_t hash, const void *data, size_t len);
#define HASH_START 0xcbf29ce484222325u
