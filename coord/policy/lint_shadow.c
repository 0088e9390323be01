/* Rules of which every word is said by another rule already. */
#include <netinet/in.h>
#include <string.h>

#include "coord/policy/decide.h"
#include "coord/policy/lint.h"

/* Comparisons of entries; a policy that needs more is not looked at to the end. */
#define MAX_WORK 20000000u

struct compare {
	const struct policy *p;
	size_t work;
};

/* By what the policy says itself. */
static bool lists_user(const struct policy *p, const struct selector *sel, const char *login)
{
	const struct policy_user user = { .login = (char *)login };

	return selector_matches_user(p, sel, &user);
}

static bool group_covers_group(const struct policy *p, const struct selector *a,
			       const struct selector *b)
{
	const struct group *inner = &p->groups[b->group];

	for (size_t i = 0; i < inner->n_members; i++)
		if (!lists_user(p, a, inner->members[i]))
			return false;
	/* Whom else others put into it is not known here. */
	return inner->n_members > 0 && !inner->mapped;
}

static bool ranges_cover(const struct selector *a, const struct selector *b)
{
	for (size_t i = 0; i < b->ranges.n; i++)
		if (!range_set_contains(&a->ranges, &b->ranges.items[i]))
			return false;
	return b->ranges.n > 0;
}

/* Members that are compared. */
static size_t cost(const struct policy *p, const struct selector *a, const struct selector *b)
{
	size_t n = a->kind == SEL_GROUP ? p->groups[a->group].n_members : 1;

	return b->kind == SEL_GROUP ? n * p->groups[b->group].n_members : n;
}

/* Whoever falls under b falls under a. In doubt: no. */
static bool covers(struct compare *c, const struct entry *by, const struct entry *what, bool is_dst)
{
	const struct selector *a = entry_selector(c->p, by), *b = entry_selector(c->p, what);

	c->work += 1 + cost(c->p, a, b);
	if (a == b || a->kind == SEL_DANGER_ALL)
		return true;
	switch (a->kind) {
	case SEL_ANY:
		/* As a source it is the mesh and the routes behind it, whatever addresses say. */
		return is_dst || (b->kind != SEL_RANGES && b->kind != SEL_DANGER_ALL);
	case SEL_MEMBER:
		return b->kind == SEL_USER || b->kind == SEL_GROUP || b->kind == SEL_DOMAIN ||
		       b->kind == SEL_ROLE;
	case SEL_TAGGED:
		return b->kind == SEL_TAG;
	case SEL_GROUP:
	case SEL_DOMAIN:
		if (b->kind == SEL_USER)
			return lists_user(c->p, a, b->text);
		return b->kind == SEL_GROUP && group_covers_group(c->p, a, b);
	case SEL_RANGES:
		return b->kind == SEL_RANGES && ranges_cover(a, b);
	case SEL_USER:
	case SEL_TAG:
	case SEL_ROLE:
	case SEL_SHARED:
	case SEL_SELF:
	case SEL_INTERNET:
	case SEL_DANGER_ALL:
		return false;
	}
	return false;
}

static bool entries_cover(struct compare *c, const struct entry *by, size_t n_by,
			  const struct entry *what, size_t n_what, bool is_dst)
{
	for (size_t i = 0; i < n_what; i++) {
		size_t k = 0;

		while (k < n_by && !covers(c, &by[k], &what[i], is_dst))
			k++;
		if (k == n_by)
			return false;
	}
	return n_what > 0;
}

static bool ports_cover(const struct port_list *by, const struct port_list *what)
{
	for (size_t i = 0; i < what->n; i++) {
		size_t k = 0;

		while (k < by->n && !(by->items[k].first <= what->items[i].first &&
				      what->items[i].last <= by->items[k].last))
			k++;
		if (k == by->n)
			return false;
	}
	return true;
}

static bool dst_covers(struct compare *c, const struct net_rule *by, const struct net_rule *what)
{
	for (size_t i = 0; i < what->n_dst; i++) {
		size_t k = 0;

		while (k < by->n_dst && !(covers(c, &by->dst[k].entry, &what->dst[i].entry, true) &&
					  ports_cover(&by->dst[k].ports, &what->dst[i].ports)))
			k++;
		if (k == by->n_dst)
			return false;
	}
	return what->n_dst > 0;
}

static bool protos_cover(const struct net_rule *by, const struct net_rule *what)
{
	static const uint8_t defaults[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
					    IPPROTO_ICMPV6 };
	const uint8_t *protos = what->n_protos ? what->protos : defaults;
	size_t n = what->n_protos ? what->n_protos : ARRAY_SIZE(defaults);

	for (size_t i = 0; i < n; i++)
		if (!rule_has_proto(by, protos[i]))
			return false;
	return true;
}

static bool net_rule_covers(struct compare *c, const struct net_rule *by,
			    const struct net_rule *what)
{
	return protos_cover(by, what) &&
	       entries_cover(c, by->src, by->n_src, what->src, what->n_src, false) &&
	       dst_covers(c, by, what);
}

/* Also: parts of one grant. */
static bool is_same_rule(const struct net_rule *a, const struct net_rule *b)
{
	return a->section == b->section && a->index == b->index;
}

/* A rule that covers rules[i], of another place in the file; NULL: none. */
static const struct net_rule *find_cover(struct compare *c, size_t i)
{
	const struct policy *p = c->p;

	for (size_t k = 0; k < p->n_rules && c->work < MAX_WORK; k++) {
		const struct net_rule *by = &p->rules[k];

		if (is_same_rule(&p->rules[i], by) || !net_rule_covers(c, by, &p->rules[i]))
			continue;
		/* Of two that say the same, the later one is the one too many. */
		if (k < i || !net_rule_covers(c, &p->rules[i], by))
			return by;
	}
	return NULL;
}

static void check_net(struct lint *lint, struct compare *c)
{
	const struct policy *p = c->p;
	size_t end;

	for (size_t i = 0; i < p->n_rules && c->work < MAX_WORK; i = end) {
		const struct net_rule *by = find_cover(c, i);

		/* All parts of a grant have to be covered. */
		for (end = i + 1; end < p->n_rules && is_same_rule(&p->rules[i], &p->rules[end]);
		     end++)
			by = by && find_cover(c, end) ? by : NULL;
		if (by)
			lint_warn(lint, p->rules[i].at,
				  "the rule adds nothing: %s[%u] in line %u lets in all of it; "
				  "take one "
				  "of them out",
				  section_to_string(by->section), by->index, by->at.line);
	}
}

/* --- SSH: the first rule decides */

static bool maps_login(const struct ssh_rule_model *rule, const char *login)
{
	for (size_t i = 0; i < rule->n_logins; i++)
		if (strcmp(rule->logins[i].name, login) == 0)
			return true;
	return rule->nonroot && strcmp(login, "root") != 0;
}

static bool logins_cover(const struct ssh_rule_model *by, const struct ssh_rule_model *what)
{
	if (what->nonroot && !by->nonroot)
		return false;
	for (size_t i = 0; i < what->n_logins; i++)
		if (!maps_login(by, what->logins[i].name))
			return false;
	for (size_t i = 0; i < what->n_localparts && !by->nonroot; i++) {
		size_t k = 0;

		while (k < by->n_localparts &&
		       strcmp(by->localparts[k].name, what->localparts[i].name) != 0)
			k++;
		if (k == by->n_localparts)
			return false;
	}
	/* The own nodes that localpart: brings along have to be covered, too. */
	return !what->n_localparts || by->n_localparts;
}

static bool ssh_rule_covers(struct compare *c, const struct ssh_rule_model *by,
			    const struct ssh_rule_model *what)
{
	return logins_cover(by, what) &&
	       entries_cover(c, by->src, by->n_src, what->src, what->n_src, false) &&
	       entries_cover(c, by->dst, by->n_dst, what->dst, what->n_dst, true);
}

static void check_ssh(struct lint *lint, struct compare *c)
{
	const struct policy_engine *e = lint->e;

	for (size_t i = 0; i < e->n_ssh && c->work < MAX_WORK; i++)
		for (size_t k = 0; k < i && c->work < MAX_WORK; k++) {
			const struct ssh_rule_model *by = e->ssh[k].rule, *what = e->ssh[i].rule;

			if (!ssh_rule_covers(c, by, what))
				continue;
			lint_warn(lint, what->at,
				  "the rule never decides: ssh[%u] in line %u comes "
				  "first%s and covers it; take one of them out, or "
				  "narrow that one",
				  by->index, by->at.line,
				  by->index > what->index ? ", as all that check do," : "");
			break;
		}
}

void lint_shadowed(struct lint *lint)
{
	struct compare c = { .p = lint->e->policy };

	check_net(lint, &c);
	c.work = 0;
	check_ssh(lint, &c);
}
