/* "tests" and "sshTests": what the author wants to hold, for each pair of nodes that is meant. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "coord/policy/engine.h"
#include "coord/policy/subjects.h"

struct test_run {
	struct policy_engine *e;
	struct policy_problems *problems;
	struct policy_test_result result;
	uint8_t *memo; /* answers of source classes, for one class of destinations and one family */
};

enum {
	MEMO_UNKNOWN,
	MEMO_NO,
	MEMO_YES,
};

/* A test that says nothing of a protocol means TCP or UDP. */
static bool may_pass(const struct policy_engine *e, struct net_question q, uint8_t proto,
		     struct net_decision *ret_decision)
{
	q.proto = proto ? proto : IPPROTO_TCP;
	if (net_decide(e, &q, ret_decision))
		return true;
	q.proto = IPPROTO_UDP;
	return !proto && net_decide(e, &q, ret_decision);
}

/* Nodes of one class get the same answer, as long as none has two addresses of a family. */
static bool may_pass_by_class(struct test_run *run, const struct net_question *q, uint8_t proto,
			      struct net_decision *ret_decision)
{
	const struct engine_node *src = q->src->node == NONE ? NULL : &run->e->nodes[q->src->node];
	struct net_question plain = *q;
	uint8_t *memo;
	bool yes;

	plain.no_self = true;
	if (!src || src->data.n_addresses > 2)
		return may_pass(run->e, plain, proto, ret_decision);
	memo = &run->memo[src->class];
	if (*memo == MEMO_NO)
		return false;
	/* A yes is asked again: its decision is wanted only if it is the wrong answer. */
	yes = *memo == MEMO_YES || may_pass(run->e, plain, proto, ret_decision);
	*memo = yes ? MEMO_YES : MEMO_NO;
	return yes;
}

static bool same_user(const struct policy_engine *e, const struct net_question *q)
{
	return q->src->node != NONE && q->dst->node != NONE &&
	       e->nodes[q->src->node].user != NONE &&
	       e->nodes[q->src->node].user == e->nodes[q->dst->node].user;
}

static bool ask(struct test_run *run, const struct net_question *q, uint8_t proto,
		struct net_decision *ret_decision)
{
	return may_pass_by_class(run, q, proto, ret_decision) ||
	       (same_user(run->e, q) && may_pass(run->e, *q, proto, ret_decision));
}

/* The answers for one destination hold for the next if that is of the same class and family. */
static void start_destination(struct test_run *run, const struct net_end *dst,
			      const struct net_end *before)
{
	const struct engine_node *nodes = run->e->nodes;

	if (before && before->node != NONE && dst->node != NONE &&
	    nodes[before->node].class == nodes[dst->node].class &&
	    before->addr.v6 == dst->addr.v6 && nodes[dst->node].data.n_addresses <= 2)
		return;
	memset(run->memo, MEMO_UNKNOWN, run->e->n_classes);
}

static const char *end_name(const struct policy_engine *e, const struct net_end *end, char *buf)
{
	return end->node != NONE ? e->nodes[end->node].data.name : range_to_string(&end->addr, buf);
}

static int report_net(struct test_run *run, const struct net_test *test,
		      const struct net_target *target, const struct net_question *q,
		      const struct net_decision *decision)
{
	char src_name[RANGE_STRLEN], dst_name[RANGE_STRLEN];
	const char *from = end_name(run->e, q->src, src_name);
	const char *to = end_name(run->e, q->dst, dst_name);
	int r;

	run->result.n_failed++;
	if (target->deny)
		r = problem_error(
			run->problems, target->entry.at,
			"tests[%u] failed: \"%s\" (%s) can reach \"%s\" (%s): %s lets it in; "
			"narrow that rule, or the test",
			test->index, test->src.text, from, target->entry.text, to,
			decision->rule->origin);
	else
		r = problem_error(
			run->problems, target->entry.at,
			"tests[%u] failed: \"%s\" (%s) cannot reach \"%s\" (%s): no rule lets it "
			"in; add one, or change the test",
			test->index, test->src.text, from, target->entry.text, to);
	return r == -ENOMEM ? r : 0;
}

/* Sources in the outer order of destinations of one family, so that answers can be kept. */
static int run_family(struct test_run *run, const struct net_test *test,
		      const struct net_target *target, const struct subjects *src,
		      const struct subjects *dst, bool v6, bool *ret_any)
{
	const struct net_end *before = NULL;

	for (size_t i = 0; i < dst->n; i++) {
		if (dst->ends[i].addr.v6 != v6)
			continue;
		start_destination(run, &dst->ends[i], before);
		before = &dst->ends[i];
		for (size_t k = 0; k < src->n; k++) {
			struct net_question q = { .src = &src->ends[k],
						  .dst = before,
						  .port = target->port };
			struct net_decision decision = { 0 };

			if (src->ends[k].addr.v6 != v6)
				continue;
			*ret_any = true;
			if (ask(run, &q, test->proto, &decision) == target->deny) {
				if (target->deny && !decision.rule)
					may_pass(run->e, q, test->proto, &decision);
				return report_net(run, test, target, &q, &decision) < 0 ? -ENOMEM
											: 1;
			}
		}
	}
	return 0;
}

static int fail_empty(struct test_run *run, const struct entry *entry)
{
	run->result.n_failed++;
	return problem_error(
		       run->problems, entry->at,
		       "the test says nothing: \"%s\" means no node or address; name somebody who "
		       "exists",
		       entry->text) == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

static int fail_families(struct test_run *run, const struct net_test *test,
			 const struct net_target *target)
{
	run->result.n_failed++;
	return problem_error(
		       run->problems, target->entry.at,
		       "the test says nothing: \"%s\" and \"%s\" have no addresses of the same "
		       "family; use one",
		       test->src.text, target->entry.text) == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

static int run_target(struct test_run *run, const struct net_test *test,
		      const struct net_target *target, const struct subjects *src)
{
	struct subjects dst = { 0 };
	bool any = false;
	int r = subjects_find(run->e, entry_selector(run->e->policy, &target->entry), &dst);

	run->result.n_tests++;
	if (r == 0)
		r = run_family(run, test, target, src, &dst, false, &any);
	if (r == 0)
		r = run_family(run, test, target, src, &dst, true, &any);
	if (r == 0 && src->n && dst.n && !any)
		r = fail_families(run, test, target);
	else if (r == 0 && !any)
		r = fail_empty(run, dst.n ? &test->src : &target->entry);
	subjects_done(&dst);
	return r < 0 ? r : 0;
}

/* People have to exist, with or without nodes. */
static bool is_known(struct test_run *run, const struct entry *entry)
{
	const struct selector *sel = entry_selector(run->e->policy, entry);

	return sel->kind != SEL_USER || strmap_get(&run->e->user_map, sel->text) != STRMAP_NONE;
}

static int check_known(struct test_run *run, const struct entry *entry, bool *ok)
{
	if (is_known(run, entry))
		return 0;
	*ok = false;
	run->result.n_tests++;
	run->result.n_failed++;
	return problem_error(run->problems, entry->at,
			     "\"%s\": there is no such user; name one who exists",
			     entry->text) == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

static int run_net_test(struct test_run *run, const struct net_test *test)
{
	const struct policy *p = run->e->policy;
	struct imagined imagined = { 0 };
	struct subjects src = { 0 };
	bool ok = true;
	int r = check_known(run, &test->src, &ok);

	for (size_t i = 0; r == 0 && i < test->n_targets; i++)
		r = check_known(run, &test->targets[i].entry, &ok);
	if (r < 0 || !ok)
		return r;
	r = imagined_add(run->e, entry_selector(p, &test->src), &imagined);
	for (size_t i = 0; r == 0 && i < test->n_targets; i++)
		r = imagined_add(run->e, entry_selector(p, &test->targets[i].entry), &imagined);
	free(run->memo);
	run->memo = calloc(run->e->n_classes + 1, 1);
	if (!run->memo)
		r = -ENOMEM;
	if (r == 0)
		r = subjects_find(run->e, entry_selector(p, &test->src), &src);
	for (size_t i = 0; r == 0 && i < test->n_targets; i++)
		r = run_target(run, test, &test->targets[i], &src);
	subjects_done(&src);
	imagined_remove(run->e, &imagined);
	return r;
}

/* --- SSH */

static enum ssh_expectation outcome(const struct policy_engine *e, uint32_t src, uint32_t dst,
				    const char *login, struct ssh_decision *ret_decision)
{
	if (!ssh_decide(e, src, dst, login, ret_decision))
		return EXPECT_DENY;
	return ret_decision->rule->rule->action == POLICY_SSH_CHECK ? EXPECT_CHECK : EXPECT_ACCEPT;
}

static int report_ssh(struct test_run *run, const struct ssh_test *test,
		      const struct ssh_assertion *assertion, uint32_t src, uint32_t dst,
		      enum ssh_expectation got, const struct ssh_decision *d)
{
	static const char *const wanted[] = { "accepts", "checks", "denies" };
	const char *from = run->e->nodes[src].data.name, *to = run->e->nodes[dst].data.name;
	int r;

	run->result.n_failed++;
	if (got == EXPECT_DENY)
		r = problem_error(
			run->problems, assertion->at,
			"sshTests[%u] failed: no rule lets \"%s\" (%s) log in on %s as \"%s\"; "
			"add one, or change the test",
			test->index, test->src.text, from, to, assertion->login);
	else
		r = problem_error(
			run->problems, assertion->at,
			"sshTests[%u] failed: %s %s \"%s\" (%s) on %s as \"%s\", while the test "
			"%s; change that rule, or the test",
			test->index, d->rule->origin, wanted[got], test->src.text, from, to,
			assertion->login, wanted[assertion->expect]);
	return r == -ENOMEM ? r : 0;
}

static int run_assertion(struct test_run *run, const struct ssh_test *test,
			 const struct ssh_assertion *assertion, const struct id_list *src,
			 const struct id_list *dst)
{
	run->result.n_tests++;
	for (size_t i = 0; i < src->n; i++)
		for (size_t k = 0; k < dst->n; k++) {
			struct ssh_decision d = { 0 };
			uint32_t from = src->items[i], to = dst->items[k];
			enum ssh_expectation got = outcome(run->e, from, to, assertion->login, &d);

			if (got != assertion->expect)
				return report_ssh(run, test, assertion, from, to, got, &d);
		}
	return 0;
}

static int run_assertions(struct test_run *run, const struct ssh_test *test,
			  const struct entry *entry, const struct subjects *src)
{
	struct subjects dst = { 0 };
	int r = subjects_find(run->e, entry_selector(run->e->policy, entry), &dst);

	if (r == 0 && (!src->nodes.n || !dst.nodes.n)) {
		run->result.n_tests++;
		r = fail_empty(run, src->nodes.n ? entry : &test->src);
	} else {
		for (size_t i = 0; r == 0 && i < test->n_assertions; i++)
			r = run_assertion(run, test, &test->assertions[i], &src->nodes, &dst.nodes);
	}
	subjects_done(&dst);
	return r;
}

static int run_ssh_test(struct test_run *run, const struct ssh_test *test)
{
	const struct policy *p = run->e->policy;
	struct imagined imagined = { 0 };
	struct subjects src = { 0 };
	bool ok = true;
	int r = check_known(run, &test->src, &ok);

	for (size_t i = 0; r == 0 && i < test->n_dst; i++)
		r = check_known(run, &test->dst[i], &ok);
	if (r < 0 || !ok)
		return r;
	r = imagined_add(run->e, entry_selector(p, &test->src), &imagined);
	for (size_t i = 0; r == 0 && i < test->n_dst; i++)
		r = imagined_add(run->e, entry_selector(p, &test->dst[i]), &imagined);
	if (r == 0)
		r = subjects_find(run->e, entry_selector(p, &test->src), &src);
	for (size_t i = 0; r == 0 && i < test->n_dst; i++)
		r = run_assertions(run, test, &test->dst[i], &src);
	subjects_done(&src);
	imagined_remove(run->e, &imagined);
	return r;
}

int policy_run_tests(struct policy_engine *e, struct policy_problems *problems,
		     struct policy_test_result *ret_result)
{
	struct test_run run = { .e = e, .problems = problems };
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->policy->n_tests; i++)
		r = run_net_test(&run, &e->policy->tests[i]);
	for (size_t i = 0; r == 0 && i < e->policy->n_ssh_tests; i++)
		r = run_ssh_test(&run, &e->policy->ssh_tests[i]);
	free(run.memo);
	problems_sort(problems);
	if (r < 0)
		return r;
	*ret_result = run.result;
	return 0;
}
