#include "agent/filter/explain.h"

#include <errno.h>

#include "agent/filter/openings.h"
#include "agent/grow.h"

struct explanation {
	const struct filter_flow_question *question;
	bool has_ports;
	struct port_claim *claims;
	size_t n_claims, n_claims_alloc;
	enum filter_miss miss;
	uint32_t near;
};

static bool names_source(const struct filter_rule *rule, const struct ip_addr *src)
{
	for (size_t i = 0; i < rule->n_src; i++)
		if (ip_prefix_contains(&rule->src[i], src))
			return true;
	return false;
}

static bool wants_port(const struct explanation *x, const struct port_range *ports)
{
	const struct filter_flow_question *q = x->question;

	return !x->has_ports || q->any_port || (ports->first <= q->port && q->port <= ports->last);
}

/* The first rule that comes as near as this. */
static void note_miss(struct explanation *x, enum filter_miss miss, uint32_t rule)
{
	if (x->miss != FILTER_MISS_NONE && x->miss <= miss)
		return;
	x->miss = miss;
	x->near = rule;
}

static int add_claim(struct explanation *x, const struct filter_dst *dst, uint32_t rule)
{
	int r = array_grow(&x->claims, &x->n_claims_alloc, x->n_claims, sizeof(*x->claims));

	if (r < 0)
		return r;
	x->claims[x->n_claims++] = (struct port_claim){
		.ports = x->has_ports ? dst->ports : (struct port_range){ 0, UINT16_MAX },
		.rule = rule,
	};
	return 0;
}

/* A rule being looked at. The source is looked for once, and only if it matters: there can be many.
 */
struct candidate {
	const struct filter_rule *rule;
	uint32_t number;
	enum { NOT_LOOKED, NAMED, NOT_NAMED } source;
};

static bool candidate_names_source(struct candidate *c, const struct ip_addr *src)
{
	if (c->source == NOT_LOOKED)
		c->source = names_source(c->rule, src) ? NAMED : NOT_NAMED;
	return c->source == NAMED;
}

static int look_at(struct explanation *x, struct candidate *c, const struct filter_dst *dst)
{
	const struct filter_flow_question *q = x->question;
	bool proto, port;

	if (!ip_prefix_contains(&dst->prefix, &q->dst))
		return 0;
	proto = openings_rule_has_proto(c->rule, q->proto, &q->dst);
	port = wants_port(x, &dst->ports);
	if (!candidate_names_source(c, &q->src)) {
		if (proto && port)
			note_miss(x, FILTER_MISS_SOURCE, c->number);
		return 0;
	}
	if (proto && port)
		return add_claim(x, dst, c->number);
	note_miss(x, proto ? FILTER_MISS_PORT : FILTER_MISS_PROTO, c->number);
	return 0;
}

/* A single port is counted by the first rule that opens it. */
static int open_one(struct explanation *x, struct filter_answer *ret_answer)
{
	const struct filter_flow_question *q = x->question;

	ret_answer->open = calloc(1, sizeof(*ret_answer->open));
	if (!ret_answer->open)
		return -ENOMEM;
	ret_answer->open[0] = x->claims[0];
	if (x->has_ports)
		ret_answer->open[0].ports = (struct port_range){ q->port, q->port };
	ret_answer->n_open = 1;
	return 0;
}

static int open_all(struct explanation *x, struct filter_answer *ret_answer)
{
	size_t n = 0;
	int r;

	ret_answer->open = calloc(2 * x->n_claims, sizeof(*ret_answer->open));
	if (!ret_answer->open)
		return -ENOMEM;
	r = port_claims_resolve(x->claims, x->n_claims, ret_answer->open, &n);
	if (r < 0)
		return r;
	ret_answer->cut = n > FILTER_EXPLAIN_MAX_RANGES;
	ret_answer->n_open = ret_answer->cut ? FILTER_EXPLAIN_MAX_RANGES : n;
	return 0;
}

static int look_at_rules(struct explanation *x, const struct netmap *map)
{
	int r = 0;

	for (size_t i = 0; i < map->n_filter && r == 0; i++) {
		struct candidate c = { .rule = &map->filter[i], .number = (uint32_t)i };

		for (size_t k = 0; k < c.rule->n_dst && r == 0; k++)
			r = look_at(x, &c, &c.rule->dst[k]);
	}
	return r;
}

int filter_explain(const struct netmap *map, const struct filter_flow_question *question,
		   struct filter_answer *ret_answer)
{
	struct explanation x = {
		.question = question,
		.has_ports = openings_proto_has_ports(question->proto),
	};
	struct filter_answer answer = { 0 };
	int r;

	r = look_at_rules(&x, map);
	if (r == 0 && x.n_claims > 0)
		r = x.has_ports && question->any_port ? open_all(&x, &answer)
						      : open_one(&x, &answer);
	free(x.claims);
	if (r < 0) {
		filter_answer_done(&answer);
		return r;
	}
	if (x.n_claims == 0) {
		answer.miss = x.miss;
		answer.near = x.near;
	}
	*ret_answer = answer;
	return 0;
}

void filter_answer_done(struct filter_answer *answer)
{
	free(answer->open);
	*answer = (struct filter_answer){ 0 };
}
