/* Which rule decides, and why. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/force_command.h"
#include "common/text.h"
#include "coord/policy/engine.h"
#include "coord/policy/grow.h"
#include "coord/policy/ports.h"
#include "coord/policy/read.h"
#include "coord/policy/selector.h"
#include "coord/policy/subjects.h"

/* Questions about more pairs of nodes are refused: half an answer would be taken for a whole one.
 */
#define MAX_PAIRS 4000000u

struct policy_explanation *policy_explanation_free(struct policy_explanation *explanation)
{
	if (!explanation)
		return NULL;
	for (size_t i = 0; i < explanation->n_findings; i++) {
		struct policy_finding *f = &explanation->findings[i];

		free(f->origin);
		free(f->src_entry);
		free(f->dst_entry);
		free(f->local_user);
		free(f->why);
		free(f->src_name);
		free(f->dst_name);
	}
	free(explanation->findings);
	free(explanation);
	return NULL;
}

/* --- who is asked about */

/* Names of rules first: a node called like a host of the policy is meant by its address. */
static bool find_selector(const struct policy *p, const char *text, struct selector *ret_sel)
{
	uint32_t known = strmap_get(&p->selector_map, text), i;

	if (known != STRMAP_NONE) {
		*ret_sel = p->selectors[known];
		return true;
	}
	*ret_sel = (struct selector){ .text = text };
	i = strmap_get(&p->group_map, text);
	if (i != STRMAP_NONE) {
		ret_sel->kind = SEL_GROUP;
		ret_sel->group = i;
		return true;
	}
	if (strcmp(text, "autogroup:member") == 0)
		ret_sel->kind = SEL_MEMBER;
	else if (strcmp(text, "autogroup:tagged") == 0)
		ret_sel->kind = SEL_TAGGED;
	else if (strncmp(text, "tag:", strlen("tag:")) == 0)
		ret_sel->kind = SEL_TAG;
	else if (strchr(text, '@'))
		ret_sel->kind = SEL_USER;
	else
		return false;
	return true;
}

static int find_address(struct policy_engine *e, const char *text, struct subjects *s)
{
	uint32_t host = strmap_get(&e->policy->host_map, text);
	struct selector sel = { .kind = SEL_RANGES };
	struct range range;

	if (host != STRMAP_NONE)
		range = e->policy->hosts[host].range;
	else if (range_parse(text, &range) != 0)
		return 0;
	sel.ranges = (struct range_set){ .items = &range, .n = 1 };
	return subjects_find(e, &sel, s);
}

static int find_subjects(struct policy_engine *e, const char *text, char **reterr_text,
			 struct subjects *s)
{
	struct selector sel;
	uint32_t node;
	int r;

	if (policy_engine_find(e, text, &node) == 0)
		r = subjects_add_node(e, node, s);
	else if (find_selector(e->policy, text, &sel))
		r = subjects_find(e, &sel, s);
	else
		r = find_address(e, text, s);
	if (r < 0 || s->n)
		return r;
	*reterr_text =
		text_printf("\"%.200s\" means no node and is no single address; name a node, a "
			    "user, a tag, a group, a host or an address",
			    text);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* --- findings */

struct answer {
	enum policy_verdict verdict;
	const char *origin; /* the same pointer for the same rule; NULL: none */
	struct place at;
	const char *src_entry, *dst_entry, *local_user;
	const char *src_name, *dst_name;
};

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* All that no rule lets in is one finding: the first pair has to do as an example. */
static bool says_the_same(const struct policy_finding *f, const struct answer *a)
{
	return f->verdict == a->verdict && f->line == a->at.line && f->column == a->at.column &&
	       same_text(f->origin, a->origin) && same_text(f->src_entry, a->src_entry) &&
	       same_text(f->dst_entry, a->dst_entry) && same_text(f->local_user, a->local_user);
}

static char *copy(const char *text, bool *ok)
{
	char *c = text ? text_sanitize(text, POLICY_MAX_TEXT) : NULL;

	*ok &= !text || c;
	return c;
}

static int add_finding(struct policy_explanation *x, const struct answer *a, size_t *size)
{
	bool ok = true;

	if (grow(&x->findings, x->n_findings + 1, size) < 0)
		return -ENOMEM;
	x->findings[x->n_findings++] = (struct policy_finding){
		.verdict = a->verdict,
		.origin = copy(a->origin, &ok),
		.line = a->at.line,
		.column = a->at.column,
		.src_entry = copy(a->src_entry, &ok),
		.dst_entry = copy(a->dst_entry, &ok),
		.local_user = copy(a->local_user, &ok),
		.src_name = copy(a->src_name, &ok),
		.dst_name = copy(a->dst_name, &ok),
	};
	return ok ? 0 : -ENOMEM;
}

/* The number of the finding that says this; it is added if need be, without pairs. */
static int find_finding(struct policy_explanation *x, const struct answer *a, size_t *size,
			size_t *ret_index)
{
	size_t i = 0;

	while (i < x->n_findings && !says_the_same(&x->findings[i], a))
		i++;
	*ret_index = i;
	return i < x->n_findings ? 0 : add_finding(x, a, size);
}

static int compare_findings(const void *a, const void *b)
{
	const struct policy_finding *x = a, *y = b;

	if (!x->origin != !y->origin)
		return x->origin ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static void sort_findings(struct policy_explanation *x)
{
	if (x->n_findings)
		qsort(x->findings, x->n_findings, sizeof(*x->findings), compare_findings);
}

/* --- packets */

/* Why nothing lets it in: the rule that comes nearest. */
static char *explain_denial(const struct policy_engine *e, const struct net_question *q)
{
	struct net_question any = *q;
	struct net_decision d;
	const char *proto = protocol_to_string(q->proto);

	any.port = 0;
	for (size_t i = 0; q->port && i < e->n_rules; i++)
		if (rule_lets_in(e, &e->rules[i], &any, &d))
			return text_printf("no rule lets it in; %s fits but for the port",
					   d.rule->origin);
	for (any.proto = 1; any.proto != 0; any.proto++)
		for (size_t i = 0; i < e->n_rules; i++)
			if (rule_lets_in(e, &e->rules[i], &any, &d))
				return text_printf(
					"no rule lets it in; %s fits but for the protocol",
					d.rule->origin);
	return text_printf("no rule lets %s in from there", proto ? proto : "this protocol");
}

static char *explain_pass(const struct net_decision *d)
{
	if (!d->rule->rule->at.line)
		return strdup(
			"the policy has neither acls nor grants: everybody may reach everything");
	return text_printf("%s lets it in: source \"%s\", destination \"%s\"", d->rule->origin,
			   d->src->text, d->dst->entry.text);
}

struct net_query {
	struct policy_engine *e;
	uint16_t port;
	uint8_t proto;
	struct policy_explanation *x;
	size_t size;
};

static const char *end_name(const struct policy_engine *e, const struct net_end *end, char *buf)
{
	return end->node != NONE ? e->nodes[end->node].data.name : range_to_string(&end->addr, buf);
}

static int explain_addresses(struct net_query *query, const struct net_end *src,
			     const struct net_end *dst, size_t *ret_finding)
{
	char src_name[RANGE_STRLEN], dst_name[RANGE_STRLEN];
	struct net_question q = {
		.src = src, .dst = dst, .proto = query->proto, .port = query->port
	};
	struct net_decision d;
	struct answer a = { .src_name = end_name(query->e, src, src_name),
			    .dst_name = end_name(query->e, dst, dst_name) };
	bool pass = net_decide(query->e, &q, &d);
	struct policy_finding *f;

	if (pass) {
		a.verdict = POLICY_ALLOWED;
		a.origin = d.rule->origin;
		a.at = d.rule->rule->at;
		a.src_entry = d.src->text;
		a.dst_entry = d.dst->entry.text;
	}
	if (find_finding(query->x, &a, &query->size, ret_finding) < 0)
		return -ENOMEM;
	f = &query->x->findings[*ret_finding];
	if (!f->why)
		f->why = pass ? explain_pass(&d) : explain_denial(query->e, &q);
	return f->why ? 0 : -ENOMEM;
}

/* Behind the addresses of one node that begin at i. */
static size_t group_end(const struct subjects *s, size_t i)
{
	size_t end = i + 1;

	while (s->ends[i].node != NONE && end < s->n && s->ends[end].node == s->ends[i].node)
		end++;
	return end;
}

/* Two nodes: their addresses of one family, all of them; each finding counts the pair once. */
static int explain_pair(struct net_query *query, const struct subjects *src, size_t i,
			const struct subjects *dst, size_t k, bool *ret_any)
{
	size_t seen[2] = { SIZE_MAX, SIZE_MAX }, end_i = group_end(src, i),
	       end_k = group_end(dst, k);

	for (size_t a = i; a < end_i; a++)
		for (size_t b = k; b < end_k; b++) {
			size_t finding;

			if (src->ends[a].addr.v6 != dst->ends[b].addr.v6)
				continue;
			*ret_any = true;
			if (explain_addresses(query, &src->ends[a], &dst->ends[b], &finding) < 0)
				return -ENOMEM;
			if (finding != seen[0] && finding != seen[1])
				query->x->findings[finding].n_pairs++;
			seen[src->ends[a].addr.v6] = finding;
		}
	return 0;
}

/* Return: 0, -EINVAL with text, -ENOMEM. */
static int check_number(size_t n_src, size_t n_dst, char **reterr_text)
{
	if (n_dst == 0 || n_src <= MAX_PAIRS / n_dst)
		return 0;
	*reterr_text = text_printf("that is %zu times %zu pairs of nodes; ask about fewer than %u: "
				   "a node, or a smaller group",
				   n_src, n_dst, MAX_PAIRS);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

static size_t count_groups(const struct subjects *subjects)
{
	size_t n = 0;

	for (size_t i = 0; i < subjects->n; i = group_end(subjects, i))
		n++;
	return n;
}

static int explain_pairs(struct net_query *query, const struct subjects *src,
			 const struct subjects *dst)
{
	bool any = false;

	for (size_t i = 0; i < src->n; i = group_end(src, i))
		for (size_t k = 0; k < dst->n; k = group_end(dst, k))
			if (explain_pair(query, src, i, dst, k, &any) < 0)
				return -ENOMEM;
	return any ? 0 : -EINVAL;
}

int policy_explain_network(struct policy_engine *e, const char *src, const char *dst, uint16_t port,
			   uint8_t proto, char **reterr_text,
			   struct policy_explanation **ret_explanation)
{
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = calloc(1, sizeof(*x));
	struct net_query query = {
		.e = e, .port = port, .proto = proto ? proto : IPPROTO_TCP, .x = x
	};
	struct subjects from = { 0 }, to = { 0 };
	int r = x ? find_subjects(e, src, reterr_text, &from) : -ENOMEM;

	if (r == 0)
		r = find_subjects(e, dst, reterr_text, &to);
	if (r == 0)
		r = check_number(count_groups(&from), count_groups(&to), reterr_text);
	if (r == 0) {
		r = explain_pairs(&query, &from, &to);
		if (r == -EINVAL)
			*reterr_text =
				text_printf("\"%.200s\" and \"%.200s\" have no addresses of the "
					    "same family",
					    src, dst);
	}
	subjects_done(&from);
	subjects_done(&to);
	if (r < 0)
		return r;
	sort_findings(x);
	*ret_explanation = take_ptr(x);
	return 0;
}

/* --- SSH */

static const char *ssh_entry(const struct policy_engine *e, const struct entry *entries, size_t n,
			     const struct engine_node *node)
{
	for (size_t i = 0; i < n; i++)
		if (bit_get(&e->marks, entries[i].sel, node->class))
			return entries[i].text;
	for (size_t i = 0; i < n; i++)
		if (entry_selector(e->policy, &entries[i])->kind == SEL_SELF)
			return entries[i].text;
	return NULL;
}

static char *explain_ssh_pass(const struct ssh_decision *d, const char *login, bool odd)
{
	const char *how = d->local_part	 ? "by localpart:"
			  : d->same_name ? "by autogroup:nonroot"
					 : "by name";
	const char *what = d->rule->rule->action == POLICY_SSH_CHECK ? "checks" : "accepts";
	bool sftp = force_command_is_sftp(d->rule->rule->force_command);

	return text_printf("%s %s \"%s\" %s%s%s", d->rule->origin, what, login, how,
			   sftp ? ", for sftp only" : "",
			   odd ? " (such rules also go to their sources' own nodes)" : "");
}

/* The rule that comes nearest: it goes there, but not as this login. */
static char *explain_ssh_denial(const struct policy_engine *e, uint32_t src, uint32_t dst,
				const char *login)
{
	for (size_t i = 0; i < e->n_ssh; i++)
		if (ssh_rule_reaches(e, i, src, dst) != SSH_NO_REACH)
			return text_printf("no rule lets it in; %s goes there, but not as \"%s\"",
					   e->ssh[i].origin, login);
	return strdup("no SSH rule goes from there to this node");
}

static int explain_login(struct policy_engine *e, uint32_t src, uint32_t dst, const char *login,
			 struct policy_explanation *x, size_t *size)
{
	struct answer a = { .src_name = e->nodes[src].data.name,
			    .dst_name = e->nodes[dst].data.name };
	struct ssh_decision d;
	bool pass = ssh_decide(e, src, dst, login, &d), odd = false;
	struct policy_finding *f;
	size_t i;

	if (pass) {
		const struct ssh_rule_model *rule = d.rule->rule;

		a.verdict = rule->action == POLICY_SSH_CHECK ? POLICY_CHECK : POLICY_ALLOWED;
		a.origin = d.rule->origin;
		a.at = rule->at;
		a.src_entry = ssh_entry(e, rule->src, rule->n_src, &e->nodes[src]);
		a.dst_entry = ssh_entry(e, rule->dst, rule->n_dst, &e->nodes[dst]);
		a.local_user = login;
		odd = ssh_rule_reaches(e, (size_t)(d.rule - e->ssh), src, dst) == SSH_REACH_ODD;
	}
	if (find_finding(x, &a, size, &i) < 0)
		return -ENOMEM;
	f = &x->findings[i];
	f->n_pairs++;
	if (!f->why)
		f->why = pass ? explain_ssh_pass(&d, login, odd)
			      : explain_ssh_denial(e, src, dst, login);
	return f->why ? 0 : -ENOMEM;
}

int policy_explain_ssh(struct policy_engine *e, const char *src, const char *login, const char *dst,
		       char **reterr_text, struct policy_explanation **ret_explanation)
{
	_cleanup_(policy_explanation_freep) struct policy_explanation *x = calloc(1, sizeof(*x));
	struct subjects from = { 0 }, to = { 0 };
	size_t size = 0;
	int r = x ? find_subjects(e, src, reterr_text, &from) : -ENOMEM;

	if (r == 0)
		r = find_subjects(e, dst, reterr_text, &to);
	if (r == 0 && (!from.nodes.n || !to.nodes.n)) {
		*reterr_text = text_printf("\"%.200s\" is no node; SSH rules are about nodes",
					   from.nodes.n ? dst : src);
		r = *reterr_text ? -EINVAL : -ENOMEM;
	}
	if (r == 0)
		r = check_number(from.nodes.n, to.nodes.n, reterr_text);
	for (size_t i = 0; r == 0 && i < from.nodes.n; i++)
		for (size_t k = 0; r == 0 && k < to.nodes.n; k++)
			r = explain_login(e, from.nodes.items[i], to.nodes.items[k], login, x,
					  &size);
	subjects_done(&from);
	subjects_done(&to);
	if (r < 0)
		return r;
	sort_findings(x);
	*ret_explanation = take_ptr(x);
	return 0;
}
