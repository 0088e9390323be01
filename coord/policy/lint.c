#include "coord/policy/lint.h"

#include <errno.h>
#include <stdarg.h>

#include "common/text.h"

void lint_warn(struct lint *lint, struct place at, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text || problem_warn(lint->problems, at, "%s", text) == -ENOMEM)
		lint->no_memory = true;
}

/* It means nobody, whatever nodes there are or come. */
static bool is_void(const struct policy *p, const struct entry *entry)
{
	const struct selector *sel = entry_selector(p, entry);

	return sel->kind == SEL_SHARED || (sel->kind == SEL_RANGES && !sel->ranges.n) ||
	       (sel->kind == SEL_GROUP && !p->groups[sel->group].n_members &&
		!p->groups[sel->group].mapped);
}

static void check_entry(struct lint *lint, const struct entry *entry)
{
	const struct selector *sel = entry_selector(lint->e->policy, entry);

	if (sel->kind == SEL_SHARED)
		lint_warn(lint, entry->at,
			  "\"%s\" means nobody: nodes are not shared between meshes; "
			  "leave it out",
			  entry->text);
	else if (is_void(lint->e->policy, entry))
		lint_warn(lint, entry->at,
			  "\"%s\" is empty: the entry means nobody; fill it, or leave "
			  "it out",
			  entry->text);
	else if (sel->kind == SEL_USER && strmap_get(&lint->e->user_map, sel->text) == STRMAP_NONE)
		lint_warn(lint, entry->at,
			  "there is no user \"%s\" (yet): the entry means nobody; check "
			  "the spelling",
			  sel->text);
}

static void check_entries(struct lint *lint, struct place at, const char *what,
			  const struct entry *entries, size_t n)
{
	size_t n_void = 0;

	for (size_t i = 0; i < n; i++) {
		n_void += is_void(lint->e->policy, &entries[i]);
		check_entry(lint, &entries[i]);
	}
	if (n_void == n)
		lint_warn(lint, at,
			  "the rule never applies: it has no %s; name some, or take the rule "
			  "out",
			  what);
}

/* Families that literal addresses restrict a side to: 1 IPv4, 2 IPv6. */
static unsigned families(const struct policy *p, const struct entry *entry)
{
	const struct selector *sel = entry_selector(p, entry);
	unsigned mask = 0;

	if (sel->kind != SEL_RANGES)
		return 3;
	for (size_t i = 0; i < sel->ranges.n; i++)
		mask |= sel->ranges.items[i].v6 ? 2 : 1;
	return mask;
}

static void check_net_rule(struct lint *lint, const struct net_rule *rule)
{
	const struct policy *p = lint->e->policy;
	unsigned from = 0, to = 0;
	size_t n_void = 0;

	check_entries(lint, rule->at, "source", rule->src, rule->n_src);
	for (size_t i = 0; i < rule->n_dst; i++) {
		check_entry(lint, &rule->dst[i].entry);
		n_void += is_void(p, &rule->dst[i].entry);
		to |= families(p, &rule->dst[i].entry);
	}
	if (n_void == rule->n_dst)
		lint_warn(lint, rule->at,
			  "the rule never applies: it has no destination; name some, or "
			  "take the rule out");
	for (size_t i = 0; i < rule->n_src; i++)
		from |= families(p, &rule->src[i]);
	if (from && to && !(from & to))
		lint_warn(lint, rule->at,
			  "the rule never applies: its sources are IPv%s addresses, its "
			  "destinations IPv%s; use one family",
			  from == 1 ? "4" : "6", to == 1 ? "4" : "6");
}

/* A grant with several protocols is several rules: one of them is enough to look at. */
static bool is_first_part(const struct policy *p, size_t i)
{
	return i == 0 || p->rules[i - 1].section != p->rules[i].section ||
	       p->rules[i - 1].index != p->rules[i].index;
}

int policy_lint(struct policy_engine *e, struct policy_problems *problems)
{
	struct lint lint = { .e = e, .problems = problems };
	const struct policy *p = e->policy;

	for (size_t i = 0; i < p->n_rules; i++)
		if (is_first_part(p, i) && p->rules[i].section != SECTION_DEFAULT)
			check_net_rule(&lint, &p->rules[i]);
	for (size_t i = 0; i < p->n_ssh; i++) {
		check_entries(&lint, p->ssh[i].at, "source", p->ssh[i].src, p->ssh[i].n_src);
		check_entries(&lint, p->ssh[i].at, "destination", p->ssh[i].dst, p->ssh[i].n_dst);
	}
	lint_ssh_rules(&lint);
	lint_port_22(&lint);
	lint_shadowed(&lint);
	problems_sort(problems);
	return lint.no_memory ? -ENOMEM : 0;
}
