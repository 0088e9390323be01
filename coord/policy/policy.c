#include "coord/policy/policy.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/ports.h"
#include "coord/policy/read.h"
#include "coord/policy/selector.h"

/* In the order in which they are read: what is referred to first. */
static const struct {
	const char *name;
	void (*read)(struct reader *rd, const struct hujson_value *v);
	bool refused; /* ignoring it would let in more than was meant */
} sections[] = {
	{ "groups", read_groups },
	{ "hosts", read_hosts },
	{ "ipsets", read_ipsets },
	{ "tagOwners", read_tag_owners },
	{ "acls", read_acls },
	{ "grants", read_grants },
	{ "ssh", read_ssh },
	{ "autoApprovers", read_auto_approvers },
	{ "tests", read_tests },
	{ "sshTests", read_ssh_tests },
	{ "defaultSrcPosture", NULL, .refused = true },
	{ "postures", NULL },
	{ "nodeAttrs", NULL },
	{ "derpMap", NULL },
	{ "disableIPv4", NULL },
	{ "OneCGNATRoute", NULL },
	{ "randomizeClientPort", NULL },
};
enum {
	ACLS = 4, /* place in the table */
	GRANTS = 5,
};

const char *section_to_string(enum section section)
{
	switch (section) {
	case SECTION_DEFAULT:
		return "default";
	case SECTION_ACLS:
		return "acls";
	case SECTION_GRANTS:
		return "grants";
	case SECTION_SSH:
		return "ssh";
	case SECTION_TESTS:
		return "tests";
	case SECTION_SSH_TESTS:
		return "sshTests";
	}
	return "?";
}

/* Without acls and grants everybody may do everything: the language says so. */
static void add_default_rule(struct reader *rd)
{
	static const struct selector_use use = { .allowed = SEL_MASK(SEL_ANY) };
	struct entry *src = read_alloc(rd, 1, sizeof(*src));
	struct dst_entry *dst = read_alloc(rd, 1, sizeof(*dst));
	struct net_rule rule = { .section = SECTION_DEFAULT, .n_src = 1, .n_dst = 1 };

	if (!src || !dst)
		return;
	src->text = "*";
	src->sel = selector_read(rd, src->text, rule.at, &use);
	dst->entry = *src;
	dst->ports = ports_all();
	rule.src = src;
	rule.dst = dst;
	if (src->sel != SEL_NONE)
		read_add_rule(rd, &rule);
}

static void read_section(struct reader *rd, size_t i, const struct hujson_value *v)
{
	if (!v)
		return;
	if ((i == ACLS || i == GRANTS) && json_is_null(v->json))
		read_error(rd, v->at,
			   "\"%s\" is null; write [] to deny everything, or leave it out",
			   sections[i].name);
	else if (is_absent(v))
		return;
	else if (sections[i].read)
		sections[i].read(rd, v);
	else if (sections[i].refused)
		read_error(rd, v->key_at,
			   "\"%s\" is not supported, and without it the rules would let "
			   "in more; take it out",
			   sections[i].name);
	else
		read_warn(rd, v->key_at, "\"%s\" is not supported and ignored", sections[i].name);
}

static void read_policy(struct reader *rd)
{
	const struct hujson_value *m[ARRAY_SIZE(sections)] = { NULL };
	const struct hujson_value *root = &rd->policy->doc->values[0];
	const char *names[ARRAY_SIZE(sections)];

	if (!read_object(rd, root, "the policy"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		names[i] = sections[i].name;
	read_members(rd, root, names, ARRAY_SIZE(names), m);
	for (size_t i = 0; i < ARRAY_SIZE(sections) && !rd->no_memory; i++)
		read_section(rd, i, m[i]);
	if (m[ACLS] || m[GRANTS])
		return;
	read_warn(rd, root->at,
		  "the policy has neither \"acls\" nor \"grants\": everybody may reach "
		  "everything; write \"acls\": [] to deny it");
	add_default_rule(rd);
}

int policy_parse_mapped(const char *text, size_t len, const struct policy_mapped *mapped,
			struct policy_problems *problems, struct policy **ret_policy)
{
	static const struct policy_mapped none;
	static const struct hujson_limits limits = {
		.max_bytes = POLICY_MAX_BYTES,
		.max_depth = POLICY_MAX_DEPTH,
		.max_values = POLICY_MAX_VALUES,
	};
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));
	struct reader rd = { .policy = policy,
			     .problems = problems,
			     .mapped = mapped ? mapped : &none };
	size_t n_errors = problems->n_errors;
	int r;

	if (!policy)
		return -ENOMEM;
	r = hujson_parse(text, len, &limits, problems, &policy->doc);
	if (r < 0)
		return r;
	read_policy(&rd);
	problems_sort(problems);
	if (rd.no_memory)
		return -ENOMEM;
	if (problems->n_errors > n_errors)
		return -EINVAL;
	*ret_policy = take_ptr(policy);
	return 0;
}

int policy_parse(const char *text, size_t len, struct policy_problems *problems,
		 struct policy **ret_policy)
{
	return policy_parse_mapped(text, len, NULL, problems, ret_policy);
}

struct policy *policy_free(struct policy *policy)
{
	if (!policy)
		return NULL;
	for (size_t i = 0; i < policy->n_ipsets; i++)
		range_set_done(&policy->ipsets[i].ranges);
	free(policy->selectors);
	free(policy->groups);
	free(policy->rules);
	strmap_done(&policy->selector_map);
	strmap_done(&policy->group_map);
	strmap_done(&policy->host_map);
	strmap_done(&policy->ipset_map);
	strmap_done(&policy->tag_map);
	hujson_free(policy->doc);
	arena_done(&policy->arena);
	free(policy);
	return NULL;
}
