/* Which packets pass by one policy and not by the other. */
#include <errno.h>
#include <string.h>

#include "coord/policy/diff.h"
#include "coord/policy/grow.h"

/* A question for each family that both ends have. */
static size_t questions(const struct diff_end *src, const struct diff_end *dst, bool new,
			struct net_question q[2])
{
	const struct net_end *from = new ? src->new_addrs : src->addrs;
	const struct net_end *to = new ? dst->new_addrs : dst->addrs;
	size_t n = 0;

	for (size_t i = 0; i < src->n_addrs; i++)
		for (size_t k = 0; k < dst->n_addrs; k++)
			if (from[i].addr.v6 == to[k].addr.v6)
				q[n++] = (struct net_question){ .src = &from[i],
								.dst = &to[k],
								.no_self = true };
	return n;
}

/* All that the policy lets pass from one end to the other. */
static int find_access(const struct policy_engine *e, const struct diff_end *src,
		       const struct diff_end *dst, bool new, struct access *ret_access)
{
	struct net_question q[4];
	size_t n = questions(src, dst, new, q);

	for (size_t i = 0; i < e->n_rules; i++)
		for (size_t k = 0; k < n; k++) {
			const struct net_rule *rule = e->rules[i].rule;

			if (!rule_find_source(e, rule, q[k].src))
				continue;
			for (size_t d = 0; d < rule->n_dst; d++)
				if (rule_has_destination(e, &rule->dst[d], &q[k]) &&
				    access_add(ret_access, rule, &rule->dst[d].ports) < 0)
					return -ENOMEM;
		}
	access_normalize(ret_access);
	return 0;
}

/* The line of the first rule that gives some of it. */
static unsigned find_line(const struct policy_engine *e, const struct diff_end *src,
			  const struct diff_end *dst, bool new, const struct access *given)
{
	struct net_question q[4];
	size_t n = questions(src, dst, new, q);
	struct net_decision d;

	for (size_t i = 0; i < e->n_rules; i++)
		for (size_t k = 0; k < n; k++)
			for (size_t a = 0; a < given->n; a++) {
				q[k].proto = given->items[a].proto;
				q[k].port = given->items[a].first ? given->items[a].first : 1;
				if (rule_lets_in(e, &e->rules[i], &q[k], &d))
					return e->rules[i].rule->at.line;
			}
	return 0;
}

static int note_rest(struct diff_run *run, bool gained, uint32_t src, uint32_t dst,
		     const struct access *rest, unsigned line)
{
	_cleanup_(policy_text_done) struct policy_text what = { 0 };

	access_to_text(rest, &what);
	if (what.failed || !what.data)
		return -ENOMEM;
	return diff_note(run, false, gained, src, dst, what.data, line);
}

static int compare_pair(struct diff_run *run, uint32_t src, uint32_t dst)
{
	const struct diff_end *from = &run->ends[src], *to = &run->ends[dst];
	struct access before = { 0 }, after = { 0 }, gained = { 0 }, lost = { 0 };
	int r = find_access(run->old, from, to, false, &before);

	if (r == 0)
		r = find_access(run->new, from, to, true, &after);
	if (r == 0)
		r = access_subtract(&after, &before, &gained);
	if (r == 0)
		r = access_subtract(&before, &after, &lost);
	if (r == 0 && gained.n)
		r = note_rest(run, true, src, dst, &gained,
			      find_line(run->new, from, to, true, &gained));
	if (r == 0 && lost.n)
		r = note_rest(run, false, src, dst, &lost,
			      find_line(run->old, from, to, false, &lost));
	access_done(&before);
	access_done(&after);
	access_done(&gained);
	access_done(&lost);
	return r;
}

/* --- which pairs to look at: those that a rule means which the other policy has not */

static bool same_entry(const struct policy_engine *e, const struct entry *a,
		       const struct policy_engine *f, const struct entry *b)
{
	const struct selector *x = entry_selector(e->policy, a), *y = entry_selector(f->policy, b);

	if (x->kind != y->kind || strcmp(x->text, y->text) != 0)
		return false;
	if (x->kind == SEL_RANGES)
		return x->ranges.n == y->ranges.n &&
		       (!x->ranges.n || memcmp(x->ranges.items, y->ranges.items,
					       x->ranges.n * sizeof(*x->ranges.items)) == 0);
	if (x->kind == SEL_GROUP) {
		const struct group *g = &e->policy->groups[x->group];
		const struct group *h = &f->policy->groups[y->group];

		for (size_t i = 0; g->n_members == h->n_members && i < g->n_members; i++)
			if (strcmp(g->members[i], h->members[i]) != 0)
				return false;
		return g->n_members == h->n_members;
	}
	return true;
}

static bool same_ports(const struct port_list *a, const struct port_list *b)
{
	return a->n == b->n && memcmp(a->items, b->items, a->n * sizeof(*a->items)) == 0;
}

static bool same_rule(const struct policy_engine *e, const struct net_rule *a,
		      const struct policy_engine *f, const struct net_rule *b)
{
	if (a->n_src != b->n_src || a->n_dst != b->n_dst || a->n_protos != b->n_protos ||
	    (a->n_protos && memcmp(a->protos, b->protos, a->n_protos) != 0))
		return false;
	for (size_t i = 0; i < a->n_src; i++)
		if (!same_entry(e, &a->src[i], f, &b->src[i]))
			return false;
	for (size_t i = 0; i < a->n_dst; i++)
		if (!same_entry(e, &a->dst[i].entry, f, &b->dst[i].entry) ||
		    !same_ports(&a->dst[i].ports, &b->dst[i].ports))
			return false;
	return true;
}

static bool has_rule(const struct policy_engine *f, const struct policy_engine *e,
		     const struct net_rule *rule)
{
	for (size_t i = 0; i < f->n_rules; i++)
		if (same_rule(e, rule, f, f->rules[i].rule))
			return true;
	return false;
}

static bool is_source(const struct policy_engine *e, const struct net_rule *rule,
		      const struct diff_end *end, bool new)
{
	const struct net_end *addrs = new ? end->new_addrs : end->addrs;

	for (size_t i = 0; i < end->n_addrs; i++)
		if (rule_find_source(e, rule, &addrs[i]))
			return true;
	return false;
}

static bool is_destination(const struct policy_engine *e, const struct net_rule *rule,
			   const struct diff_end *end, bool new)
{
	const struct net_end *addrs = new ? end->new_addrs : end->addrs;

	for (size_t i = 0; i < end->n_addrs; i++) {
		struct net_question q = { .src = &addrs[i], .dst = &addrs[i], .no_self = true };

		for (size_t k = 0; k < rule->n_dst; k++)
			if (rule_has_destination(e, &rule->dst[k], &q))
				return true;
	}
	return false;
}

/* Source ends x destination ends. */
static int add_candidates(struct diff_run *run, const struct policy_engine *e,
			  const struct policy_engine *other, struct bit_matrix *pairs)
{
	uint64_t *dst = calloc(pairs->stride + 1, sizeof(*dst));

	if (!dst)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct net_rule *rule = e->rules[i].rule;

		if (has_rule(other, e, rule))
			continue;
		memset(dst, 0, pairs->stride * sizeof(*dst));
		for (size_t k = 0; k < run->n_ends; k++)
			if (is_destination(e, rule, &run->ends[k], e == run->new))
				dst[k / 64] |= (uint64_t)1 << (k % 64);
		for (size_t k = 0; k < run->n_ends; k++)
			if (is_source(e, rule, &run->ends[k], e == run->new))
				bits_or(bit_row(pairs, k), dst, pairs->stride);
	}
	free(dst);
	return 0;
}

/* --- autogroup:self */

static int find_own_access(const struct policy_engine *e, uint32_t class, struct access *ret_access,
			   unsigned *ret_line)
{
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];

		if (!rule->self || !set_has_self(e, rule->set, class))
			continue;
		if (access_add(ret_access, rule->rule, &rule->self->ports) < 0)
			return -ENOMEM;
		if (!*ret_line)
			*ret_line = rule->rule->at.line;
	}
	access_normalize(ret_access);
	return 0;
}

static int compare_own(struct diff_run *run, uint32_t group)
{
	const struct diff_end *end = &run->ends[group];
	struct access before = { 0 }, after = { 0 }, gained = { 0 }, lost = { 0 };
	unsigned old_line = 0, new_line = 0;
	int r = find_own_access(run->old, end->old_class, &before, &old_line);

	if (r == 0)
		r = find_own_access(run->new, end->new_class, &after, &new_line);
	if (r == 0)
		r = access_subtract(&after, &before, &gained);
	if (r == 0)
		r = access_subtract(&before, &after, &lost);
	if (r == 0 && gained.n)
		r = note_rest(run, true, group, END_OWN, &gained, new_line);
	if (r == 0 && lost.n)
		r = note_rest(run, false, group, END_OWN, &lost, old_line);
	access_done(&before);
	access_done(&after);
	access_done(&gained);
	access_done(&lost);
	return r;
}

int diff_net(struct diff_run *run)
{
	struct bit_matrix pairs = { 0 };
	int r = bit_matrix_resize(&pairs, run->n_ends, run->n_ends / 64 + 1);

	if (r == 0)
		r = add_candidates(run, run->old, run->new, &pairs);
	if (r == 0)
		r = add_candidates(run, run->new, run->old, &pairs);
	for (uint32_t src = 0; r == 0 && src < run->n_ends; src++)
		for (uint32_t dst = 0; r == 0 && dst < run->n_ends; dst++)
			if (bit_get(&pairs, src, dst))
				r = compare_pair(run, src, dst);
	for (uint32_t i = 0; r == 0 && i < run->n_groups; i++)
		r = compare_own(run, i);
	bit_matrix_done(&pairs);
	return r;
}
