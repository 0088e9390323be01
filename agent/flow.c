#include "agent/flow.h"

#include <netinet/in.h>

#include "agent/netmap/names.h"
#include "common/text.h"

/* ---- where an address is ---- */

static bool in_prefixes(const struct ip_prefix *prefixes, size_t n, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&prefixes[i], addr))
			return true;
	return false;
}

static struct flow_end place(const struct netmap *map, const struct ip_addr *addr,
			     uint64_t now_usec)
{
	struct flow_end end = { .addr = *addr, .node = &map->self };

	if (netmap_is_own_address(map, addr)) {
		end.place = FLOW_SELF;
		return end;
	}
	end.node = netmap_peer_by_address(map, addr);
	if (end.node) {
		end.place = netmap_node_expired(end.node, now_usec) ? FLOW_EXPIRED : FLOW_PEER;
		return end;
	}
	end.place = FLOW_ROUTED;
	end.node = netmap_router_of(map, addr, now_usec, false);
	if (!end.node) {
		end.place = FLOW_ROUTED_EXPIRED;
		end.node = netmap_router_of(map, addr, now_usec, true);
	}
	if (end.node)
		return end;
	end.place = FLOW_OUTSIDE;
	if (in_prefixes(map->self.routes, map->self.n_routes, addr)) {
		end.place = FLOW_SELF_ROUTED;
		end.node = &map->self;
	} else if (in_prefixes(map->prefixes, map->n_prefixes, addr)) {
		end.place = FLOW_STRANGE;
	}
	return end;
}

static bool is_expired(const struct flow_end *end)
{
	return end->place == FLOW_EXPIRED || end->place == FLOW_ROUTED_EXPIRED;
}

/* ---- the verdict ---- */

static void answer(struct flow_answer *a, enum flow_verdict verdict, enum flow_reason reason)
{
	a->verdict = verdict;
	a->reason = reason;
}

static int ask_filter(const struct netmap *map, const struct flow_question *q,
		      struct flow_answer *a)
{
	bool is_icmp = q->proto == IPPROTO_ICMP || q->proto == IPPROTO_ICMPV6;
	const struct filter_flow_question question = {
		.src = q->src,
		.dst = q->dst,
		.proto = !is_icmp		    ? q->proto
			 : q->dst.family == AF_INET ? IPPROTO_ICMP
						    : IPPROTO_ICMPV6,
		.any_port = q->any_port,
		.port = q->port,
	};
	int r;

	r = filter_explain(map, &question, &a->rules);
	if (r < 0)
		return r;
	if (a->rules.n_open > 0)
		answer(a, FLOW_ALLOWED, FLOW_BY_RULE);
	else
		answer(a, FLOW_DENIED, FLOW_BY_NO_RULE);
	return 0;
}

/* To this host: only peers, and what is behind them, can be let in. */
static int judge_incoming(const struct netmap *map, const struct flow_question *q,
			  struct flow_answer *a)
{
	switch (a->src.place) {
	case FLOW_SELF:
		answer(a, FLOW_ALLOWED, FLOW_BY_OWN_TRAFFIC);
		return 0;
	case FLOW_PEER:
	case FLOW_ROUTED:
		return ask_filter(map, q, a);
	case FLOW_EXPIRED:
	case FLOW_ROUTED_EXPIRED:
		answer(a, FLOW_DENIED, FLOW_BY_KEY);
		return 0;
	case FLOW_SELF_ROUTED:
	case FLOW_STRANGE:
	case FLOW_OUTSIDE:
		answer(a, FLOW_DENIED, FLOW_BY_NOT_A_PEER);
		return 0;
	}
	return 0;
}

/* To somewhere else: this host only knows whether there is somebody. */
static void judge_elsewhere(struct flow_answer *a)
{
	bool from_mesh = a->src.place == FLOW_PEER || a->src.place == FLOW_ROUTED;

	if (a->src.place == FLOW_SELF_ROUTED || a->dst.place == FLOW_SELF_ROUTED ||
	    (a->dst.place == FLOW_OUTSIDE && from_mesh))
		answer(a, FLOW_DENIED, FLOW_BY_FORWARDING);
	else if (a->dst.place == FLOW_PEER || a->dst.place == FLOW_ROUTED)
		answer(a, FLOW_UNKNOWN, FLOW_BY_DESTINATION);
	else if (a->dst.place == FLOW_STRANGE && a->src.place == FLOW_SELF)
		answer(a, FLOW_DENIED, FLOW_BY_NO_ROUTE);
	else
		answer(a, FLOW_UNKNOWN, FLOW_BY_OUTSIDE);
}

int flow_judge(const struct netmap *map, const struct flow_question *question, uint64_t now_usec,
	       struct flow_answer *ret_answer)
{
	struct flow_answer a = {
		.src = place(map, &question->src, now_usec),
		.dst = place(map, &question->dst, now_usec),
	};
	int r = 0;

	if (question->src.family != question->dst.family)
		answer(&a, FLOW_DENIED, FLOW_BY_FAMILY);
	else if (a.dst.place == FLOW_SELF)
		r = judge_incoming(map, question, &a);
	else if (is_expired(&a.src) || is_expired(&a.dst))
		answer(&a, FLOW_DENIED, FLOW_BY_KEY);
	else
		judge_elsewhere(&a);
	if (r == 0)
		*ret_answer = a;
	return r;
}

void flow_answer_done(struct flow_answer *answer)
{
	filter_answer_done(&answer->rules);
}

/* ---- words ---- */

const char *flow_verdict_to_string(enum flow_verdict verdict)
{
	switch (verdict) {
	case FLOW_DENIED:
		return "denied";
	case FLOW_ALLOWED:
		return "allowed";
	case FLOW_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *flow_reason_to_string(enum flow_reason reason)
{
	switch (reason) {
	case FLOW_BY_RULE:
		return "rule";
	case FLOW_BY_OWN_TRAFFIC:
		return "own-traffic";
	case FLOW_BY_NO_RULE:
		return "no-rule";
	case FLOW_BY_FAMILY:
		return "family";
	case FLOW_BY_KEY:
		return "key-expired";
	case FLOW_BY_NOT_A_PEER:
		return "not-a-peer";
	case FLOW_BY_NO_ROUTE:
		return "no-route";
	case FLOW_BY_FORWARDING:
		return "forwarding";
	case FLOW_BY_DESTINATION:
		return "destination";
	case FLOW_BY_OUTSIDE:
		return "outside";
	}
	return "unknown";
}

/* "acls[0] line 14"; a map without origins has its own places. */
static char *rule_name(const struct netmap *map, uint32_t rule)
{
	const char *origin = map->filter[rule].origin;

	return origin ? text_printf("%s", origin) : text_printf("packet_filter[%u]", rule);
}

static const char *miss_words(enum filter_miss miss)
{
	switch (miss) {
	case FILTER_MISS_NONE:
		break;
	case FILTER_MISS_PORT:
		return " fits but for the port";
	case FILTER_MISS_PROTO:
		return " fits but for the protocol";
	case FILTER_MISS_SOURCE:
		return " fits, but is for other sources";
	}
	return "";
}

static char *explain_rules(const struct netmap *map, const struct filter_answer *rules)
{
	_cleanup_free_ char *first = NULL;

	if (rules->n_open == 0 && rules->miss == FILTER_MISS_NONE)
		return text_printf("no rule lets it in");
	first = rule_name(map, rules->n_open > 0 ? rules->open[0].rule : rules->near);
	if (!first)
		return NULL;
	if (rules->n_open > 0)
		return text_printf("%s lets it in", first);
	return text_printf("no rule lets it in; %s%s", first, miss_words(rules->miss));
}

static char *explain_destination(const struct flow_answer *a)
{
	if (a->dst.place == FLOW_ROUTED)
		return text_printf("it lies behind %s: only the agent there knows whether it is "
				   "passed on",
				   a->dst.node->name);
	return text_printf("%s decides what it lets in, and only its own agent knows",
			   a->dst.node->name);
}

static char *explain_outside(const struct flow_answer *a)
{
	if (a->dst.place == FLOW_STRANGE)
		return text_printf("this host knows nobody with the destination's address");
	return text_printf("the destination is not of the mesh, which has no say there");
}

static char *explain_source(const struct netmap *map, const struct flow_answer *a)
{
	if (a->src.place == FLOW_STRANGE)
		return text_printf("the source is no peer of %s", map->self.name);
	return text_printf("the source is not of the mesh, and mesh addresses take packets from "
			   "the mesh only");
}

char *flow_answer_explain(const struct netmap *map, const struct flow_answer *a)
{
	switch (a->reason) {
	case FLOW_BY_RULE:
	case FLOW_BY_NO_RULE:
		return explain_rules(map, &a->rules);
	case FLOW_BY_OWN_TRAFFIC:
		return text_printf("the packet filter leaves a host's traffic with itself alone");
	case FLOW_BY_FAMILY:
		return text_printf("one has an IPv4 address and the other an IPv6 address");
	case FLOW_BY_KEY:
		return text_printf("the key of %s has expired: it is treated as if it were not "
				   "there",
				   is_expired(&a->src) ? a->src.node->name : a->dst.node->name);
	case FLOW_BY_NOT_A_PEER:
		return explain_source(map, a);
	case FLOW_BY_NO_ROUTE:
		return text_printf("no peer of %s has the destination's address", map->self.name);
	case FLOW_BY_FORWARDING:
		return text_printf("%s forwards nothing between the mesh and other networks",
				   map->self.name);
	case FLOW_BY_DESTINATION:
		return explain_destination(a);
	case FLOW_BY_OUTSIDE:
		return explain_outside(a);
	}
	return NULL;
}
