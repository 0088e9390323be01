/* acls and grants: what lets packets in. */
#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/policy/ports.h"
#include "coord/policy/read.h"
#include "coord/policy/selector.h"

#define SRC_KINDS                                                                     \
	(SEL_MASK_PEOPLE | SEL_MASK_TAGS | SEL_MASK(SEL_ANY) | SEL_MASK(SEL_RANGES) | \
	 SEL_MASK(SEL_DANGER_ALL) | SEL_MASK(SEL_SHARED))
#define DST_KINDS                                                                     \
	(SEL_MASK_PEOPLE | SEL_MASK_TAGS | SEL_MASK(SEL_ANY) | SEL_MASK(SEL_RANGES) | \
	 SEL_MASK(SEL_SELF) | SEL_MASK(SEL_INTERNET))

static const struct selector_use src_use = {
	.what = "a source",
	.allowed = SRC_KINDS,
	.instead = "users, groups, tags, autogroup:member, autogroup:tagged, addresses or *",
};
static const struct selector_use dst_use = {
	.what = "a destination",
	.allowed = DST_KINDS,
	.instead = "users, groups, tags, autogroup:self, autogroup:internet, addresses or *",
};

void read_add_rule(struct reader *rd, const struct net_rule *rule)
{
	struct policy *p = rd->policy;

	if (grow(&p->rules, p->n_rules + 1, &p->size_rules) < 0)
		rd->no_memory = true;
	else
		p->rules[p->n_rules++] = *rule;
}

void read_check_self(struct reader *rd, const struct net_rule *rule, bool allow_any)
{
	const struct entry *self = NULL;
	unsigned fine = SEL_MASK_PEOPLE | (allow_any ? SEL_MASK(SEL_ANY) : 0);

	for (size_t i = 0; i < rule->n_dst && !self; i++)
		if (entry_selector(rd->policy, &rule->dst[i].entry)->kind == SEL_SELF)
			self = &rule->dst[i].entry;
	for (size_t i = 0; self && i < rule->n_src; i++) {
		const struct selector *sel = entry_selector(rd->policy, &rule->src[i]);

		if (!(fine & SEL_MASK(sel->kind)))
			read_error(
				rd, rule->src[i].at,
				"\"%s\" cannot be a source of autogroup:self; use users, groups or "
				"autogroup:member",
				sel->text);
	}
}

/* "0.0.0.0/0" as a destination hardly ever means what it says. */
static bool check_not_everything(struct reader *rd, uint32_t sel, struct place at)
{
	const struct selector *s = &rd->policy->selectors[sel];

	for (size_t i = 0; s->kind == SEL_RANGES && i < s->ranges.n; i++) {
		struct range all = range_all(s->ranges.items[i].v6);

		if (!range_contains(&s->ranges.items[i], &all))
			continue;
		read_error(rd, at, "\"%s\" is every address; write * or autogroup:internet",
			   s->text);
		return false;
	}
	return true;
}

/* "[fd7a::1]" of "[fd7a::1]:22" */
static const char *strip_brackets(struct reader *rd, const char *host, size_t len)
{
	char *copy;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	copy = arena_strndup(&rd->policy->arena, host, len);
	rd->no_memory |= !copy;
	return copy;
}

/* "HOST:PORTS", split at the last colon. */
static bool read_acl_dst(struct reader *rd, const struct hujson_value *v, struct dst_entry *dst)
{
	const char *text = read_string(rd, v, "a destination");
	const char *colon = text ? strrchr(text, ':') : NULL, *host;

	if (!text)
		return false;
	if (!colon) {
		read_error(rd, v->at, "\"%s\" has no port; write \"%s:22\" or \"%s:*\"", text, text,
			   text);
		return false;
	}
	host = strip_brackets(rd, text, (size_t)(colon - text));
	if (!host || !ports_read(rd, colon + 1, text, v->at, &dst->ports))
		return false;
	dst->entry = (struct entry){ .text = text, .at = v->at };
	dst->entry.sel = selector_read(rd, host, v->at, &dst_use);
	return dst->entry.sel != SEL_NONE && check_not_everything(rd, dst->entry.sel, v->at);
}

static void read_acl_dsts(struct reader *rd, const struct hujson_value *v, struct net_rule *rule)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_VALUES, "\"dst\"");
	struct dst_entry *dst = list ? read_alloc(rd, list->n_items, sizeof(*dst)) : NULL;

	rule->dst = dst;
	for (size_t i = 0; dst && i < list->n_items; i++)
		if (read_acl_dst(rd, &list->items[i], &dst[rule->n_dst]))
			rule->n_dst++;
}

static void check_ports_fit(struct reader *rd, const struct net_rule *rule)
{
	for (size_t i = 0; rule->n_protos && i < rule->n_dst; i++)
		if (!protocol_has_ports(rule->protos[0]) && !ports_are_all(&rule->dst[i].ports))
			read_error(rd, rule->dst[i].entry.at,
				   "\"%s\": this protocol has no ports; write * as the port",
				   rule->dst[i].entry.text);
}

static void read_action(struct reader *rd, const struct hujson_value *rule,
			const struct hujson_value *v)
{
	const char *action;

	if (is_absent(v)) {
		read_error(rd, rule->at,
			   "the rule has no \"action\"; write \"action\": \"accept\"");
		return;
	}
	action = read_string(rd, v, "\"action\"");
	if (action && strcmp(action, "accept") != 0)
		read_error(rd, v->at,
			   "action \"%.60s\" is not supported; write \"accept\": what no "
			   "rule accepts is denied",
			   action);
}

static void read_proto(struct reader *rd, const struct hujson_value *v, struct net_rule *rule)
{
	const char *text = is_absent(v) ? NULL : read_string(rd, v, "\"proto\"");
	uint8_t *proto;

	if (!text || !*text)
		return;
	proto = read_alloc(rd, 1, sizeof(*proto));
	if (proto && protocol_read(rd, text, v->at, proto)) {
		rule->protos = proto;
		rule->n_protos = 1;
	}
}

/* Conditions that narrow a rule: a rule without them would let in more than was meant. */
static void refuse_conditions(struct reader *rd, const struct hujson_value *posture,
			      const struct hujson_value *via)
{
	if (!is_absent(posture) && posture->n_items)
		read_error(rd, posture->key_at,
			   "device posture is not supported, and without it the "
			   "rule would let in more; take the rule out");
	if (!is_absent(via) && via->n_items)
		read_error(rd, via->key_at,
			   "\"via\" is not supported, and without it the rule would "
			   "let in more; take the rule out");
}

/* The old names of src and dst. */
static const struct hujson_value *either(struct reader *rd, const struct hujson_value *now,
					 const struct hujson_value *old)
{
	if (now && old)
		read_error(rd, old->key_at,
			   "\"%s\" is an old name of \"%s\", which is there as well; "
			   "keep one",
			   old->key, now->key);
	return now ? now : old;
}

static void read_acl(struct reader *rd, const struct hujson_value *v, uint32_t index)
{
	enum { ACTION, SRC, DST, PROTO, POSTURE, USERS, PORTS, N };
	static const char *const names[N] = { "action",	    "src",   "dst",  "proto",
					      "srcPosture", "users", "ports" };
	const struct hujson_value *m[N] = { NULL };
	struct net_rule rule = { .section = SECTION_ACLS, .index = index, .at = v->at };

	if (!read_object(rd, v, "a rule"))
		return;
	read_members(rd, v, names, N, m);
	read_action(rd, v, m[ACTION]);
	refuse_conditions(rd, m[POSTURE], NULL);
	selectors_read(rd, either(rd, m[SRC], m[USERS]), &src_use, &rule.src, &rule.n_src);
	read_acl_dsts(rd, either(rd, m[DST], m[PORTS]), &rule);
	read_proto(rd, m[PROTO], &rule);
	check_ports_fit(rd, &rule);
	read_check_self(rd, &rule, true);
	read_add_rule(rd, &rule);
}

void read_acls(struct reader *rd, const struct hujson_value *v)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"acls\"");

	for (size_t i = 0; list && i < list->n_items; i++)
		read_acl(rd, &list->items[i], (uint32_t)i);
}

/* An entry of "ip": its protocol (0: the default four) and its ports. */
struct service {
	uint8_t proto;
	bool done;
	struct port_list ports;
};

static bool read_service(struct reader *rd, const struct hujson_value *v, struct service *service)
{
	const char *text = read_string(rd, v, "an entry of \"ip\"");
	const char *colon = text ? strrchr(text, ':') : NULL, *name;

	if (!text)
		return false;
	if (!colon) {
		if (policy_protocol_parse(text, &service->proto) == 0 &&
		    !strchr("123456789", *text)) {
			read_error(rd, v->at, "\"%s\" has no port; write \"%s:*\"", text, text);
			return false;
		}
		service->proto = 0;
		return ports_read(rd, text, text, v->at, &service->ports);
	}
	name = arena_strndup(&rd->policy->arena, text, (size_t)(colon - text));
	if (!name) {
		rd->no_memory = true;
		return false;
	}
	if (!protocol_read(rd, name, v->at, &service->proto) ||
	    !ports_read(rd, colon + 1, text, v->at, &service->ports))
		return false;
	if (protocol_has_ports(service->proto) || ports_are_all(&service->ports))
		return true;
	read_error(rd, v->at, "\"%s\": this protocol has no ports; write \"%s:*\"", text, name);
	return false;
}

static struct service *read_services(struct reader *rd, const struct hujson_value *v, size_t *ret_n)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"ip\"");
	struct service *services = list ? read_alloc(rd, list->n_items, sizeof(*services)) : NULL;

	for (size_t i = 0; services && i < list->n_items; i++)
		if (read_service(rd, &list->items[i], &services[*ret_n]))
			++*ret_n;
	return services;
}

/* The ports of all services of one protocol, as one list. */
static struct port_list join_ports(struct reader *rd, struct service *services, size_t n,
				   uint8_t proto)
{
	struct ports *items;
	size_t n_items = 0;

	for (size_t i = 0; i < n; i++)
		n_items += services[i].proto == proto ? services[i].ports.n : 0;
	items = read_alloc(rd, n_items, sizeof(*items));
	n_items = 0;
	for (size_t i = 0; items && i < n; i++) {
		if (services[i].proto != proto)
			continue;
		services[i].done = true;
		memcpy(items + n_items, services[i].ports.items,
		       services[i].ports.n * sizeof(*items));
		n_items += services[i].ports.n;
	}
	return (struct port_list){ .items = items, .n = n_items };
}

static void add_grant_rules(struct reader *rd, const struct net_rule *grant,
			    const struct entry *dst, struct service *services, size_t n)
{
	for (size_t i = 0; i < n && !rd->no_memory; i++) {
		struct net_rule rule = *grant;
		struct dst_entry *targets;
		struct port_list ports;
		uint8_t *proto;

		if (services[i].done)
			continue;
		proto = read_alloc(rd, 1, sizeof(*proto));
		targets = read_alloc(rd, grant->n_dst, sizeof(*targets));
		ports = join_ports(rd, services, n, services[i].proto);
		if (rd->no_memory)
			return;
		*proto = services[i].proto;
		rule.protos = *proto ? proto : NULL;
		rule.n_protos = *proto ? 1 : 0;
		for (size_t k = 0; k < grant->n_dst; k++)
			targets[k] = (struct dst_entry){ .entry = dst[k], .ports = ports };
		rule.dst = targets;
		read_add_rule(rd, &rule);
	}
}

/* The rule without ports, so that a grant whose "ip" is wrong is checked as well. */
static void check_grant(struct reader *rd, const struct net_rule *grant, const struct entry *dst)
{
	struct dst_entry *targets = read_alloc(rd, grant->n_dst, sizeof(*targets));
	struct net_rule rule = *grant;

	for (size_t k = 0; targets && k < grant->n_dst; k++) {
		targets[k].entry = dst[k];
		check_not_everything(rd, dst[k].sel, dst[k].at);
	}
	rule.dst = targets;
	if (targets)
		read_check_self(rd, &rule, false);
}

static void read_grant(struct reader *rd, const struct hujson_value *v, uint32_t index)
{
	enum { SRC, DST, IP, APP, POSTURE, VIA, N };
	static const char *const names[N] = { "src", "dst", "ip", "app", "srcPosture", "via" };
	const struct hujson_value *m[N] = { NULL };
	struct net_rule grant = { .section = SECTION_GRANTS, .index = index, .at = v->at };
	const struct entry *dst = NULL;
	struct service *services;
	size_t n_services = 0;

	if (!read_object(rd, v, "a grant"))
		return;
	read_members(rd, v, names, N, m);
	refuse_conditions(rd, m[POSTURE], m[VIA]);
	if ((is_absent(m[IP]) || !m[IP]->n_items) && (is_absent(m[APP]) || !m[APP]->n_items))
		read_error(rd, v->at,
			   "the grant gives nothing; write \"ip\": [\"*\"] or, say, "
			   "[\"tcp:22\"]");
	if (!is_absent(m[APP]))
		read_warn(rd, m[APP]->key_at,
			  "capabilities of applications (\"app\") are not "
			  "supported; the grant lets in only what its \"ip\" says");
	selectors_read(rd, m[SRC], &src_use, &grant.src, &grant.n_src);
	selectors_read(rd, m[DST], &dst_use, &dst, &grant.n_dst);
	services = read_services(rd, m[IP], &n_services);
	check_grant(rd, &grant, dst);
	add_grant_rules(rd, &grant, dst, services, n_services);
}

void read_grants(struct reader *rd, const struct hujson_value *v)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_RULES, "\"grants\"");

	for (size_t i = 0; list && i < list->n_items; i++)
		read_grant(rd, &list->items[i], (uint32_t)i);
}
