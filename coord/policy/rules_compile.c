/* What follows from the policy alone: sources, destinations, the texts that are always the same. */
#include <errno.h>
#include <string.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"

static void use(struct policy_engine *e, const struct entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		e->sel_used[entries[i].sel] = true;
}

/* Selectors that only tests or owners name shall not tell nodes apart. */
static int note_used(struct policy_engine *e)
{
	const struct policy *p = e->policy;

	e->sel_used = calloc(p->n_selectors + 1, sizeof(*e->sel_used));
	if (!e->sel_used)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		use(e, p->rules[i].src, p->rules[i].n_src);
		for (size_t k = 0; k < p->rules[i].n_dst; k++)
			use(e, &p->rules[i].dst[k].entry, 1);
	}
	for (size_t i = 0; i < p->n_ssh; i++) {
		use(e, p->ssh[i].src, p->ssh[i].n_src);
		use(e, p->ssh[i].dst, p->ssh[i].n_dst);
		use(e, p->ssh[i].recorders, p->ssh[i].n_recorders);
	}
	return 0;
}

/* Every range of the selector marks what it touches with the selector's mark. */
static int mark_ranges(struct policy_engine *e)
{
	const struct policy *p = e->policy;

	for (uint32_t i = 0; i < p->n_selectors; i++) {
		const struct selector *sel = &p->selectors[i];

		for (size_t k = 0; e->sel_used[i] && sel->kind == SEL_RANGES && k < sel->ranges.n;
		     k++)
			if (stab_add(&e->stab, &sel->ranges.items[k], i) < 0)
				return -ENOMEM;
	}
	return 0;
}

/* --- destinations */

static size_t count_parts(const struct selector *sel)
{
	if (sel->kind == SEL_SELF)
		return 0;
	return sel->kind == SEL_RANGES ? sel->ranges.n : 1;
}

static uint32_t mark_for(const struct policy_engine *e, uint32_t sel)
{
	switch (e->policy->selectors[sel].kind) {
	case SEL_ANY:
		return mark_of(e, MARK_ALL);
	case SEL_INTERNET:
		return mark_of(e, MARK_EXIT);
	default:
		return sel;
	}
}

/* A node is sent those ranges of an ipset that it touches, so each has its own mark. */
static int add_range_dst(struct policy_engine *e, const struct selector *sel, size_t i,
			 struct engine_dst *dst)
{
	dst->range = sel->ranges.items[i];
	dst->exit = range_set_contains(&e->internet, &dst->range);
	if (sel->ranges.n == 1)
		return 0;
	dst->mark = e->n_marks++;
	return stab_add(&e->stab, &dst->range, dst->mark);
}

static int add_dst(struct policy_engine *e, struct engine_rule *rule, const struct dst_entry *entry)
{
	const struct selector *sel = entry_selector(e->policy, &entry->entry);

	if (sel->kind == SEL_SELF)
		rule->self = entry;
	for (size_t i = 0; i < count_parts(sel); i++) {
		struct engine_dst *dst = &rule->dst[rule->n_dst++];

		dst->entry = entry;
		dst->kind = sel->kind;
		dst->mark = mark_for(e, entry->entry.sel);
		if (sel->kind == SEL_RANGES && add_range_dst(e, sel, i, dst) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *make_origin(struct policy_engine *e, enum section section, uint32_t index,
			       struct place at)
{
	char buf[64];

	if (section == SECTION_DEFAULT)
		return "no acls, no grants";
	snprintf(buf, sizeof(buf), "%s[%u] line %u", section_to_string(section), index, at.line);
	return arena_strndup(&e->arena, buf, strlen(buf));
}

static int compile_rule(struct policy_engine *e, const struct net_rule *rule,
			struct engine_rule *ret_rule)
{
	struct engine_rule r = { .rule = rule };
	size_t n = 0;

	for (size_t i = 0; i < rule->n_dst; i++)
		n += count_parts(entry_selector(e->policy, &rule->dst[i].entry));
	r.dst = arena_alloc(&e->arena, n, sizeof(*r.dst));
	r.origin = make_origin(e, rule->section, rule->index, rule->at);
	if (!r.dst || !r.origin || source_set_get(e, rule->src, rule->n_src, &r.set) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < rule->n_dst; i++)
		if (add_dst(e, &r, &rule->dst[i]) < 0)
			return -ENOMEM;
	*ret_rule = r;
	return 0;
}

/* --- SSH */

static void add_user(struct policy_text *out, const char *asked, const char *local)
{
	text_add_comma(out);
	policy_text_string(out, asked);
	policy_text_puts(out, ":");
	policy_text_string(out, local);
}

static bool is_first_of_its_name(const struct ssh_rule_model *rule, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(rule->logins[k].name, rule->logins[i].name) == 0)
			return false;
	return true;
}

/* {"*":"=","root":"","alice":"alice"}: root is always there. */
static void write_users(struct policy_text *out, const struct ssh_rule_model *rule)
{
	policy_text_puts(out, "{");
	if (rule->nonroot)
		add_user(out, "*", "=");
	add_user(out, "root", rule->root ? "root" : "");
	for (size_t i = 0; i < rule->n_logins; i++)
		if (strcmp(rule->logins[i].name, "root") != 0 && is_first_of_its_name(rule, i))
			add_user(out, rule->logins[i].name, rule->logins[i].name);
	policy_text_puts(out, "}");
}

static void write_optional(struct policy_text *out, const char *key, const char *value)
{
	policy_text_printf(out, ",\"%s\":", key);
	if (value)
		policy_text_string(out, value);
	else
		policy_text_puts(out, "null");
}

static void write_seconds(struct policy_text *out, const char *key, uint64_t usec)
{
	if (usec)
		policy_text_printf(out, ",\"%s\":%llu", key, (unsigned long long)(usec / 1000000));
	else
		policy_text_printf(out, ",\"%s\":null", key);
}

static const char *bool_text(bool value)
{
	return value ? "true" : "false";
}

static void write_tail(struct policy_text *out, const struct engine_ssh_rule *ssh)
{
	const struct ssh_rule_model *rule = ssh->rule;

	policy_text_printf(out, ",\"action\":\"%s\",\"accept_env\":[",
			   rule->action == POLICY_SSH_CHECK ? "check" : "accept");
	for (size_t i = 0; i < rule->n_accept_env; i++) {
		text_add_comma(out);
		policy_text_string(out, rule->accept_env[i]);
	}
	policy_text_puts(out, "]");
	write_optional(out, "origin", ssh->origin);
	policy_text_puts(out, ",\"rule_expires\":null");
	write_optional(out, "check_period", rule->check_period);
	policy_text_printf(out, ",\"forwarding\":{\"agent\":%s,\"local\":%s,\"remote\":%s}",
			   bool_text(rule->forward_agent), bool_text(rule->forward_local),
			   bool_text(rule->forward_remote));
	write_optional(out, "force_command", rule->force_command);
	write_seconds(out, "idle_timeout", rule->idle_timeout_usec);
	write_seconds(out, "max_duration", rule->max_duration_usec);
	write_optional(out, "message", rule->message);
	policy_text_printf(out, ",\"enforce_recorder\":%s", bool_text(rule->enforce_recorder));
}

static const char *keep_text(struct policy_engine *e, struct policy_text *text)
{
	const char *kept = text->failed ? NULL : arena_strndup(&e->arena, text->data, text->len);

	policy_text_done(text);
	return kept;
}

static int compile_ssh_rule(struct policy_engine *e, const struct ssh_rule_model *rule,
			    struct engine_ssh_rule *ret_rule)
{
	struct engine_ssh_rule r = { .rule = rule, .recorder_set = NONE };
	struct policy_text users = { 0 }, tail = { 0 };

	r.origin = make_origin(e, SECTION_SSH, rule->index, rule->at);
	if (!r.origin || source_set_get(e, rule->src, rule->n_src, &r.set) < 0 ||
	    (rule->n_recorders &&
	     source_set_get(e, rule->recorders, rule->n_recorders, &r.recorder_set) < 0))
		return -ENOMEM;
	for (size_t i = 0; i < rule->n_dst; i++)
		r.self |= entry_selector(e->policy, &rule->dst[i])->kind == SEL_SELF;
	write_users(&users, rule);
	write_tail(&tail, &r);
	r.users = keep_text(e, &users);
	r.tail = keep_text(e, &tail);
	if (!r.users || !r.tail)
		return -ENOMEM;
	*ret_rule = r;
	return 0;
}

/* All rules that check come before all that accept. */
static int compile_ssh(struct policy_engine *e)
{
	const struct policy *p = e->policy;

	for (int action = POLICY_SSH_CHECK; action >= POLICY_SSH_ACCEPT; action--)
		for (size_t i = 0; i < p->n_ssh; i++) {
			if ((int)p->ssh[i].action != action)
				continue;
			if (compile_ssh_rule(e, &p->ssh[i], &e->ssh[e->n_ssh]) < 0)
				return -ENOMEM;
			e->n_ssh++;
		}
	return 0;
}

int engine_compile_rules(struct policy_engine *e)
{
	const struct policy *p = e->policy;

	e->n_marks = (uint32_t)p->n_selectors + N_EXTRA_MARKS;
	e->rules = arena_alloc(&e->arena, p->n_rules, sizeof(*e->rules));
	e->ssh = arena_alloc(&e->arena, p->n_ssh, sizeof(*e->ssh));
	if (!e->rules || !e->ssh || note_used(e) < 0 || mark_ranges(e) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		if (compile_rule(e, &p->rules[i], &e->rules[i]) < 0)
			return -ENOMEM;
		e->n_rules++;
	}
	if (compile_ssh(e) < 0)
		return -ENOMEM;
	stab_finish(&e->stab);
	return 0;
}

void engine_rules_done(struct policy_engine *e)
{
	source_sets_done(e);
	stab_done(&e->stab);
	free(e->sel_used);
	arena_done(&e->arena);
}
