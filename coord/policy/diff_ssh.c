/* Which logins one policy lets in and the other does not, or not in the same way. */
#include <errno.h>
#include <string.h>

#include "coord/policy/diff.h"
#include "coord/policy/grow.h"

/* Logins to compare: those that are named, and one for all others. */
struct logins {
	const char **items;
	size_t n, size;
	struct strmap seen;
};

static const char any_other[] = "any account but root";

static int add_login(struct logins *logins, const char *login)
{
	if (strmap_get(&logins->seen, login) != STRMAP_NONE)
		return 0;
	if (grow(&logins->items, logins->n + 1, &logins->size) < 0 ||
	    strmap_set(&logins->seen, login, 0) < 0)
		return -ENOMEM;
	logins->items[logins->n++] = login;
	return 0;
}

static int add_logins(struct logins *logins, const struct policy *p)
{
	for (size_t i = 0; i < p->n_ssh; i++)
		for (size_t k = 0; k < p->ssh[i].n_logins; k++)
			if (add_login(logins, p->ssh[i].logins[k].name) < 0)
				return -ENOMEM;
	return 0;
}

struct verdict {
	enum policy_verdict verdict;
	unsigned line;
};

/* login NULL: the local part of the source's own login. */
static struct verdict decide(const struct policy_engine *e, uint32_t node, uint32_t from,
			     uint32_t to, bool own, const char *login)
{
	char local[POLICY_MAX_TEXT + 1];
	const char *user = e->nodes[node].data.n_tags ? NULL : e->nodes[node].data.user;
	struct ssh_decision d;

	if (!login) {
		if (!user || !strrchr(user, '@'))
			return (struct verdict){ 0 };
		snprintf(local, sizeof(local), "%.*s", (int)(strrchr(user, '@') - user), user);
		login = local;
	}
	for (size_t i = 0; i < e->n_ssh; i++) {
		const struct ssh_rule_model *rule = e->ssh[i].rule;

		if (ssh_rule_reaches_class(e, i, from, to, own) == SSH_NO_REACH ||
		    !ssh_rule_maps(e, i, node, login, &d))
			continue;
		return (struct verdict){ rule->action == POLICY_SSH_CHECK ? POLICY_CHECK
									  : POLICY_ALLOWED,
					 rule->at.line };
	}
	return (struct verdict){ 0 };
}

static int note(struct diff_run *run, uint32_t src, uint32_t dst, const char *login,
		struct verdict before, struct verdict after)
{
	_cleanup_(policy_text_done) struct policy_text what = { 0 };
	/* A check in place of none is less access. */
	bool gained = before.verdict == POLICY_DENIED ||
		      (before.verdict == POLICY_CHECK && after.verdict == POLICY_ALLOWED);
	struct verdict given = gained ? after : before;

	policy_text_puts(&what, login ? login : "the account of their own name");
	if (before.verdict != POLICY_DENIED && after.verdict != POLICY_DENIED)
		policy_text_puts(&what, " without a check");
	else if (given.verdict == POLICY_CHECK)
		policy_text_puts(&what, " after a check");
	if (what.failed)
		return -ENOMEM;
	return diff_note(run, true, gained, src, dst, what.data, given.line);
}

struct verdicts {
	struct verdict before, after;
};

static struct verdicts decide_both(const struct diff_run *run, uint32_t src, uint32_t dst,
				   const char *login)
{
	const struct diff_end *from = &run->ends[src];
	const struct diff_end *to = dst == END_OWN ? from : &run->ends[dst];
	bool own = dst == END_OWN;

	return (struct verdicts){
		decide(run->old, from->old_node, from->old_class, to->old_class, own, login),
		decide(run->new, from->new_node, from->new_class, to->new_class, own, login),
	};
}

static bool same_verdicts(const struct verdicts *a, const struct verdicts *b)
{
	return a->before.verdict == b->before.verdict && a->after.verdict == b->after.verdict;
}

/* A login that fares like all others is not worth a word of its own. */
static int compare_login(struct diff_run *run, uint32_t src, uint32_t dst, const char *login,
			 const struct verdicts *others)
{
	struct verdicts v = decide_both(run, src, dst, login);

	if (v.before.verdict == v.after.verdict || (others && same_verdicts(&v, others)))
		return 0;
	return note(run, src, dst, login, v.before, v.after);
}

static int compare_logins(struct diff_run *run, uint32_t src, uint32_t dst,
			  const struct logins *logins)
{
	struct verdicts others = decide_both(run, src, dst, any_other);
	int r = compare_login(run, src, dst, any_other, NULL);

	if (r == 0)
		r = compare_login(run, src, dst, NULL, &others);
	for (size_t i = 0; r == 0 && i < logins->n; i++)
		r = compare_login(run, src, dst, logins->items[i], &others);
	return r;
}

/* Destination class x source class: some rule goes there, own nodes apart. */
static int find_reach(const struct policy_engine *e, struct bit_matrix *reach)
{
	if (bit_matrix_resize(reach, e->n_classes, e->see.stride) < 0)
		return -ENOMEM;
	for (uint32_t to = 0; to < e->n_classes; to++)
		for (size_t i = 0; i < e->n_ssh; i++)
			if (bit_get(&e->ssh_dst, i, to))
				bits_or(bit_row(reach, to), bit_row(&e->member, e->ssh[i].set),
					e->see.stride);
	return 0;
}

static int compare_groups(struct diff_run *run, const struct logins *logins,
			  const struct bit_matrix *old_reach, const struct bit_matrix *new_reach)
{
	const struct diff_end *ends = run->ends;
	int r = 0;

	for (uint32_t src = 0; r == 0 && src < run->n_groups; src++) {
		for (uint32_t dst = 0; r == 0 && dst < run->n_groups; dst++)
			if (bit_get(old_reach, ends[dst].old_class, ends[src].old_class) ||
			    bit_get(new_reach, ends[dst].new_class, ends[src].new_class))
				r = compare_logins(run, src, dst, logins);
		if (r == 0)
			r = compare_logins(run, src, END_OWN, logins);
	}
	return r;
}

int diff_ssh(struct diff_run *run)
{
	struct bit_matrix old_reach = { 0 }, new_reach = { 0 };
	struct logins logins = { 0 };
	int r = add_login(&logins, "root");

	if (r == 0)
		r = add_logins(&logins, run->old->policy);
	if (r == 0)
		r = add_logins(&logins, run->new->policy);
	if (r == 0)
		r = find_reach(run->old, &old_reach);
	if (r == 0)
		r = find_reach(run->new, &new_reach);
	if (r == 0)
		r = compare_groups(run, &logins, &old_reach, &new_reach);
	bit_matrix_done(&old_reach);
	bit_matrix_done(&new_reach);
	free(logins.items);
	strmap_done(&logins.seen);
	return r;
}
