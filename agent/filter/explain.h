/*
 * Which rules of a map let a flow into this node, or come near it: what filter_compile() makes of
 * them, for one flow, by the map itself. Pure.
 */
#pragma once

#include <stdbool.h>

#include "agent/filter/ports.h"
#include "agent/netmap/netmap.h"

/* Ranges of an answer to "which ports?"; more are cut off. */
#define FILTER_EXPLAIN_MAX_RANGES 64u

struct filter_flow_question {
	struct ip_addr src, dst; /* of one family; dst: an own address of the node */
	uint8_t proto;
	/* One port, or all that are open; of no meaning to protocols without ports. */
	bool any_port;
	uint16_t port;
};

/* How a rule fails to fit that is nearest to it. */
enum filter_miss {
	FILTER_MISS_NONE,   /* there is no such rule */
	FILTER_MISS_PORT,   /* source, destination and protocol fit */
	FILTER_MISS_PROTO,  /* source and destination fit */
	FILTER_MISS_SOURCE, /* all but the source fits */
};

struct filter_answer {
	/* The ports asked for that are open, ascending, each with the rule that counts it. */
	struct port_claim *open; /* the caller's */
	size_t n_open;
	bool cut; /* there are more */
	/* If none is. */
	enum filter_miss miss;
	uint32_t near; /* rule */
};

/*
 * Whether packets with this source may exist at all (is it a live peer's?) is for the caller to
 * say. Return: 0, -ENOMEM.
 */
int filter_explain(const struct netmap *map, const struct filter_flow_question *question,
		   struct filter_answer *ret_answer);
void filter_answer_done(struct filter_answer *answer);
