#include "coord/policy/selector.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"

static const struct {
	const char *name;
	enum selector_kind kind;
	unsigned role;
} autogroups[] = {
	{ "autogroup:member", SEL_MEMBER, 0 },
	{ "autogroup:members", SEL_MEMBER, 0 },
	{ "autogroup:tagged", SEL_TAGGED, 0 },
	{ "autogroup:self", SEL_SELF, 0 },
	{ "autogroup:internet", SEL_INTERNET, 0 },
	{ "autogroup:danger-all", SEL_DANGER_ALL, 0 },
	{ "autogroup:shared", SEL_SHARED, 0 },
	{ "autogroup:owner", SEL_ROLE, POLICY_ROLE_OWNER },
	{ "autogroup:admin", SEL_ROLE, POLICY_ROLE_ADMIN },
	{ "autogroup:network-admin", SEL_ROLE, POLICY_ROLE_NETWORK_ADMIN },
	{ "autogroup:it-admin", SEL_ROLE, POLICY_ROLE_IT_ADMIN },
	{ "autogroup:billing-admin", SEL_ROLE, POLICY_ROLE_BILLING_ADMIN },
	{ "autogroup:auditor", SEL_ROLE, POLICY_ROLE_AUDITOR },
};

const struct selector *entry_selector(const struct policy *policy, const struct entry *entry)
{
	return &policy->selectors[entry->sel];
}

bool login_has_domain(const char *login, const char *domain)
{
	const char *at = strrchr(login, '@');

	return at && strcmp(at + 1, domain) == 0;
}

static bool group_has(const struct group *group, const struct policy_user *user)
{
	for (size_t i = 0; i < group->n_members; i++)
		if (strcmp(group->members[i], user->login) == 0)
			return true;
	for (size_t i = 0; i < user->n_groups; i++)
		if (strcmp(user->groups[i], group->name) == 0)
			return true;
	return false;
}

bool selector_matches_user(const struct policy *policy, const struct selector *sel,
			   const struct policy_user *user)
{
	switch (sel->kind) {
	case SEL_USER:
		return strcmp(sel->text, user->login) == 0;
	case SEL_DOMAIN:
		return login_has_domain(user->login, sel->domain);
	case SEL_GROUP:
		return group_has(&policy->groups[sel->group], user);
	case SEL_ROLE:
		return (user->roles & sel->role) != 0;
	case SEL_MEMBER:
		return true;
	case SEL_ANY:
	case SEL_DANGER_ALL:
	case SEL_TAG:
	case SEL_TAGGED:
	case SEL_SHARED:
	case SEL_SELF:
	case SEL_INTERNET:
	case SEL_RANGES:
		return false;
	}
	return false;
}

bool selector_matches_tag(const struct selector *sel, const char *tag)
{
	return sel->kind == SEL_TAGGED || (sel->kind == SEL_TAG && strcmp(sel->text, tag) == 0);
}

/* Each of these fills *sel; false: reported. */

static bool read_autogroup(struct reader *rd, struct place at, struct selector *sel)
{
	const char *names[ARRAY_SIZE(autogroups)];

	for (size_t i = 0; i < ARRAY_SIZE(autogroups); i++) {
		names[i] = autogroups[i].name;
		if (strcmp(autogroups[i].name, sel->text) != 0)
			continue;
		sel->kind = autogroups[i].kind;
		sel->role = autogroups[i].role;
		return true;
	}
	if (strcmp(sel->text, "autogroup:nonroot") == 0)
		read_error(rd, at,
			   "autogroup:nonroot is for \"users\" of SSH rules only; here name "
			   "users, groups or tags");
	else
		read_error(rd, at, "there is no \"%s\"%s", sel->text,
			   read_suggestion(rd, sel->text, names, ARRAY_SIZE(names)));
	return false;
}

static bool read_group(struct reader *rd, struct place at, struct selector *sel)
{
	sel->kind = SEL_GROUP;
	sel->group = read_group_name(rd, sel->text, at);
	return sel->group != STRMAP_NONE;
}

static bool read_tag(struct reader *rd, struct place at, struct selector *sel)
{
	sel->kind = SEL_TAG;
	if (strmap_get(&rd->policy->tag_map, sel->text) != STRMAP_NONE)
		return true;
	if (strchr(sel->text + strlen("tag:"), ':'))
		read_error(rd, at,
			   "\"%s\" is no tag; leave out what is behind the second colon: ports "
			   "do not belong here",
			   sel->text);
	else
		read_error(rd, at, "\"%s\" has no owner; add it to \"tagOwners\"", sel->text);
	return false;
}

static bool copy_ranges(struct reader *rd, struct selector *sel, const struct range *items,
			size_t n)
{
	sel->ranges.items = read_alloc(rd, n, sizeof(*items));
	if (!sel->ranges.items)
		return false;
	if (n)
		memcpy(sel->ranges.items, items, n * sizeof(*items));
	sel->ranges.n = n;
	sel->kind = SEL_RANGES;
	return true;
}

static bool read_ipset(struct reader *rd, struct place at, struct selector *sel)
{
	uint32_t i = strmap_get(&rd->policy->ipset_map, sel->text);

	if (i == STRMAP_NONE) {
		read_error(rd, at, "\"%s\" is not defined; add it to \"ipsets\"", sel->text);
		return false;
	}
	sel->from_name = sel->is_prefix = true;
	return copy_ranges(rd, sel, rd->policy->ipsets[i].ranges.items,
			   rd->policy->ipsets[i].ranges.n);
}

static bool read_domain(struct reader *rd, struct place at, struct selector *sel)
{
	sel->kind = SEL_DOMAIN;
	sel->domain = sel->text + strlen("user:*@");
	if (*sel->domain && !strpbrk(sel->domain, "@* "))
		return true;
	read_error(rd, at, "\"%s\" names no domain; write user:*@example.com", sel->text);
	return false;
}

static bool read_user(struct reader *rd, struct place at, struct selector *sel)
{
	const char *sign = strchr(sel->text, '@');

	sel->kind = SEL_USER;
	if (sign != sel->text && !strchr(sign + 1, '@') && !strpbrk(sel->text, "*/ \t"))
		return true;
	read_error(rd, at, "\"%s\" is no login; write alice@example.com", sel->text);
	return false;
}

static bool read_address(struct reader *rd, struct place at, struct selector *sel, bool *ret_found)
{
	char buf[RANGE_STRLEN];
	struct range range;
	int r = range_parse(sel->text, &range);

	*ret_found = r >= 0;
	if (r < 0)
		return false;
	if (r == RANGE_HOST_BITS) {
		read_error(rd, at, "\"%s\" has bits set behind its length; write %s", sel->text,
			   range_to_string(&range, buf));
		return false;
	}
	sel->is_prefix = strpbrk(sel->text, "/-") != NULL;
	return copy_ranges(rd, sel, &range, 1);
}

static bool read_host(struct reader *rd, struct place at, struct selector *sel)
{
	uint32_t i = strmap_get(&rd->policy->host_map, sel->text);
	const struct host *host;

	if (i == STRMAP_NONE) {
		read_error(rd, at,
			   "\"%s\" is not known; write a user with @, group:, tag:, autogroup:, an "
			   "address, or add the name to \"hosts\"",
			   sel->text);
		return false;
	}
	host = &rd->policy->hosts[i];
	sel->from_name = true;
	sel->is_prefix = host->is_prefix;
	return copy_ranges(rd, sel, &host->range, 1);
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool parse_selector(struct reader *rd, struct place at, struct selector *sel)
{
	bool found, ok;

	if (strcmp(sel->text, "*") == 0) {
		sel->kind = SEL_ANY;
		return true;
	}
	if (has_prefix(sel->text, "autogroup:"))
		return read_autogroup(rd, at, sel);
	if (has_prefix(sel->text, "group:"))
		return read_group(rd, at, sel);
	if (has_prefix(sel->text, "tag:"))
		return read_tag(rd, at, sel);
	if (has_prefix(sel->text, "ipset:"))
		return read_ipset(rd, at, sel);
	if (has_prefix(sel->text, "user:*@"))
		return read_domain(rd, at, sel);
	if (has_prefix(sel->text, "svc:")) {
		read_error(rd, at, "services (svc:) are not supported; name the nodes by a tag");
		return false;
	}
	if (strchr(sel->text, '@'))
		return read_user(rd, at, sel);
	ok = read_address(rd, at, sel, &found);
	return found ? ok : read_host(rd, at, sel);
}

static uint32_t add_selector(struct reader *rd, const struct selector *sel)
{
	struct policy *p = rd->policy;

	if (grow(&p->selectors, p->n_selectors + 1, &p->size_selectors) < 0 ||
	    strmap_set(&p->selector_map, sel->text, (uint32_t)p->n_selectors) < 0) {
		rd->no_memory = true;
		return SEL_NONE;
	}
	p->selectors[p->n_selectors] = *sel;
	return (uint32_t)p->n_selectors++;
}

static bool check_use(struct reader *rd, const struct selector *sel, struct place at,
		      const struct selector_use *use)
{
	if (use->allowed & SEL_MASK(sel->kind))
		return true;
	read_error(rd, at, "\"%s\" cannot be %s; use %s", sel->text, use->what, use->instead);
	return false;
}

uint32_t selector_read(struct reader *rd, const char *text, struct place at,
		       const struct selector_use *use)
{
	uint32_t known = strmap_get(&rd->policy->selector_map, text);
	struct selector sel = { .text = text };

	if (known == STRMAP_NONE) {
		if (!*text) {
			read_error(rd, at, "an empty text cannot be %s; use %s", use->what,
				   use->instead);
			return SEL_NONE;
		}
		if (!parse_selector(rd, at, &sel))
			return SEL_NONE;
		known = add_selector(rd, &sel);
		if (known == SEL_NONE)
			return SEL_NONE;
	}
	return check_use(rd, &rd->policy->selectors[known], at, use) ? known : SEL_NONE;
}

void selectors_read(struct reader *rd, const struct hujson_value *v, const struct selector_use *use,
		    const struct entry **ret_entries, size_t *ret_n_entries)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_VALUES, "the list");
	struct entry *entries;
	size_t n = 0;

	entries = list ? read_alloc(rd, list->n_items, sizeof(*entries)) : NULL;
	if (!entries)
		return;
	for (size_t i = 0; i < list->n_items; i++) {
		const struct hujson_value *item = &list->items[i];
		const char *text = read_string(rd, item, use->what);
		uint32_t sel = text ? selector_read(rd, text, item->at, use) : SEL_NONE;

		if (sel != SEL_NONE)
			entries[n++] = (struct entry){ .sel = sel, .text = text, .at = item->at };
	}
	*ret_entries = entries;
	*ret_n_entries = n;
}
