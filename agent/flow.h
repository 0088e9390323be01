/*
 * What this host can say of a flow between two addresses: whether it lets it in, by which rule, or
 * what is missing; or that only another host knows, since a map holds the filter of one node.
 * Pure.
 */
#pragma once

#include "agent/filter/explain.h"

/* What an address is to this host. */
enum flow_place {
	FLOW_SELF,	     /* its own mesh address */
	FLOW_PEER,	     /* a peer's own */
	FLOW_ROUTED,	     /* behind a peer */
	FLOW_EXPIRED,	     /* a peer's own, but its key has expired */
	FLOW_ROUTED_EXPIRED, /* behind such a peer, and behind no other */
	FLOW_SELF_ROUTED,    /* in a subnet that this host says it routes */
	FLOW_STRANGE,	     /* in the mesh, but nobody's that this host knows */
	FLOW_OUTSIDE,	     /* not of the mesh */
};

enum flow_verdict {
	FLOW_DENIED,
	FLOW_ALLOWED,
	FLOW_UNKNOWN, /* another host decides, or something else than the mesh */
};

enum flow_reason {
	FLOW_BY_RULE,
	FLOW_BY_OWN_TRAFFIC,
	FLOW_BY_NO_RULE,
	FLOW_BY_FAMILY,
	FLOW_BY_KEY,	     /* of source or destination: expired */
	FLOW_BY_NOT_A_PEER,  /* the source is no peer's, nor behind one */
	FLOW_BY_NO_ROUTE,    /* the destination is nobody's */
	FLOW_BY_FORWARDING,  /* this host would have to forward */
	FLOW_BY_DESTINATION, /* the destination's host decides: node */
	FLOW_BY_OUTSIDE,     /* not the mesh's business */
};

/* An address with what it is. */
struct flow_end {
	struct ip_addr addr;
	enum flow_place place;
	const struct netmap_node *node; /* whose, or behind whom; borrowed; NULL: nobody's */
};

struct flow_answer {
	struct flow_end src, dst;
	enum flow_verdict verdict;
	enum flow_reason reason;
	struct filter_answer rules; /* if it came to that */
};

struct flow_question {
	struct ip_addr src, dst;
	uint8_t proto; /* IPPROTO_ICMP and IPPROTO_ICMPV6: whichever fits the addresses */
	bool any_port;
	uint16_t port;
};

/* Return: 0, -ENOMEM. flow_answer_done() frees. */
int flow_judge(const struct netmap *map, const struct flow_question *question, uint64_t now_usec,
	       struct flow_answer *ret_answer);
void flow_answer_done(struct flow_answer *answer);

const char *flow_verdict_to_string(enum flow_verdict verdict);
const char *flow_reason_to_string(enum flow_reason reason);
/* "why", in one line for people. Return: the caller's to free; NULL when out of memory. */
char *flow_answer_explain(const struct netmap *map, const struct flow_answer *answer);
