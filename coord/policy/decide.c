#include "coord/policy/decide.h"

#include <netinet/in.h>
#include <string.h>

#include "coord/policy/ports.h"

uint32_t engine_node_by_addr(const struct policy_engine *e, const struct range *addr)
{
	size_t lo = 0, hi = e->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct addr_slot *slot = &e->addrs[mid];

		if (slot->v6 == addr->v6 && slot->value == addr->first)
			return slot->node;
		if (slot->v6 < addr->v6 || (slot->v6 == addr->v6 && slot->value < addr->first))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NONE;
}

bool rule_has_proto(const struct net_rule *rule, uint8_t proto)
{
	for (size_t i = 0; i < rule->n_protos; i++)
		if (rule->protos[i] == proto)
			return true;
	return !rule->n_protos && (proto == IPPROTO_TCP || proto == IPPROTO_UDP ||
				   proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6);
}

static bool is_approved_subnet(const struct policy_engine *e, const struct range *addr)
{
	for (size_t i = 0; i < e->routers.n; i++) {
		const struct engine_class *class = &e->classes[e->nodes[e->routers.items[i]].class];

		for (size_t k = 0; k < class->n_subnets; k++) {
			struct range range = range_of_prefix(&class->subnets[k]);

			if (range_contains(&range, addr))
				return true;
		}
	}
	return false;
}

static bool is_source(const struct policy_engine *e, uint32_t sel, const struct net_end *end)
{
	const struct selector *s = &e->policy->selectors[sel];

	switch (s->kind) {
	case SEL_ANY:
		return range_set_contains(&e->wild, &end->addr) ||
		       is_approved_subnet(e, &end->addr);
	case SEL_DANGER_ALL:
		return true;
	case SEL_RANGES:
		return range_set_contains(&s->ranges, &end->addr);
	case SEL_USER:
	case SEL_DOMAIN:
	case SEL_GROUP:
	case SEL_TAG:
	case SEL_MEMBER:
	case SEL_TAGGED:
	case SEL_ROLE:
		return end->node != NONE && bit_get(&e->marks, sel, e->nodes[end->node].class);
	case SEL_SHARED:
	case SEL_SELF:
	case SEL_INTERNET:
		return false;
	}
	return false;
}

static bool is_self(const struct policy_engine *e, const struct net_end *src,
		    const struct net_end *dst)
{
	return src->node != NONE && dst->node != NONE && e->nodes[src->node].user != NONE &&
	       e->nodes[src->node].user == e->nodes[dst->node].user;
}

static bool is_destination(const struct policy_engine *e, uint32_t sel,
			   const struct net_question *q)
{
	const struct selector *s = &e->policy->selectors[sel];

	switch (s->kind) {
	case SEL_ANY:
		return true;
	case SEL_INTERNET:
		return range_set_contains(&e->internet, &q->dst->addr);
	case SEL_SELF:
		return !q->no_self && is_self(e, q->src, q->dst);
	case SEL_RANGES:
	case SEL_USER:
	case SEL_DOMAIN:
	case SEL_GROUP:
	case SEL_TAG:
	case SEL_MEMBER:
	case SEL_TAGGED:
	case SEL_ROLE:
		return is_source(e, sel, q->dst);
	case SEL_DANGER_ALL:
	case SEL_SHARED:
		return false;
	}
	return false;
}

const struct entry *rule_find_source(const struct policy_engine *e, const struct net_rule *rule,
				     const struct net_end *end)
{
	for (size_t i = 0; i < rule->n_src; i++)
		if (is_source(e, rule->src[i].sel, end))
			return &rule->src[i];
	return NULL;
}

bool rule_has_destination(const struct policy_engine *e, const struct dst_entry *dst,
			  const struct net_question *q)
{
	return is_destination(e, dst->entry.sel, q);
}

/* Protocols without ports pass by rules for all ports only, as in the filter of a node. */
static bool port_fits(const struct port_list *ports, const struct net_question *q)
{
	if (!protocol_has_ports(q->proto))
		return ports_are_all(ports);
	return !q->port || ports_contain(ports, q->port);
}

bool rule_lets_in(const struct policy_engine *e, const struct engine_rule *rule,
		  const struct net_question *q, struct net_decision *ret_decision)
{
	const struct net_rule *net = rule->rule;
	const struct entry *src;

	if (!rule_has_proto(net, q->proto))
		return false;
	src = rule_find_source(e, net, q->src);
	for (size_t i = 0; src && i < net->n_dst; i++) {
		if (!port_fits(&net->dst[i].ports, q) ||
		    !is_destination(e, net->dst[i].entry.sel, q))
			continue;
		*ret_decision =
			(struct net_decision){ .rule = rule, .src = src, .dst = &net->dst[i] };
		return true;
	}
	return false;
}

bool net_decide(const struct policy_engine *e, const struct net_question *q,
		struct net_decision *ret_decision)
{
	for (size_t i = 0; i < e->n_rules; i++)
		if (rule_lets_in(e, &e->rules[i], q, ret_decision))
			return true;
	return false;
}

enum ssh_reach ssh_rule_reaches_class(const struct policy_engine *e, size_t i, uint32_t from,
				      uint32_t to, bool own)
{
	const struct engine_ssh_rule *rule = &e->ssh[i];

	if (!bit_get(&e->member, rule->set, from))
		return SSH_NO_REACH;
	if (bit_get(&e->ssh_dst, i, to) || (rule->self && own && !class_is_tagged(e, from)))
		return SSH_REACH;
	if (rule->rule->n_localparts && own && bit_get(&e->member, rule->set, to))
		return SSH_REACH_ODD;
	return SSH_NO_REACH;
}

enum ssh_reach ssh_rule_reaches(const struct policy_engine *e, size_t i, uint32_t src, uint32_t dst)
{
	const struct engine_node *from = &e->nodes[src], *to = &e->nodes[dst];
	bool own = from->user == NONE ? src == dst : from->user == to->user;

	return ssh_rule_reaches_class(e, i, from->class, to->class, own);
}

static bool is_local_part(const struct ssh_rule_model *rule, const char *owner, const char *login)
{
	size_t len = strlen(login);

	if (strncmp(owner, login, len) != 0 || owner[len] != '@')
		return false;
	for (size_t i = 0; i < rule->n_localparts; i++)
		if (login_has_domain(owner, rule->localparts[i].name))
			return true;
	return false;
}

static bool maps_literally(const struct ssh_rule_model *rule, const char *login)
{
	for (size_t i = 0; i < rule->n_logins; i++)
		if (strcmp(rule->logins[i].name, login) == 0)
			return true;
	return false;
}

bool ssh_rule_maps(const struct policy_engine *e, size_t i, uint32_t src, const char *login,
		   struct ssh_decision *ret_decision)
{
	const struct ssh_rule_model *rule = e->ssh[i].rule;
	struct ssh_decision d = { .rule = &e->ssh[i] };
	uint32_t user = e->nodes[src].user;

	if (!maps_literally(rule, login)) {
		d.same_name = rule->nonroot && strcmp(login, "root") != 0;
		d.local_part = !d.same_name && user != NONE &&
			       is_local_part(rule, e->users[user].data.login, login);
		if (!d.same_name && !d.local_part)
			return false;
	}
	*ret_decision = d;
	return true;
}

bool ssh_decide(const struct policy_engine *e, uint32_t src, uint32_t dst, const char *login,
		struct ssh_decision *ret_decision)
{
	for (size_t i = 0; i < e->n_ssh; i++)
		if (ssh_rule_reaches(e, i, src, dst) != SSH_NO_REACH &&
		    ssh_rule_maps(e, i, src, login, ret_decision))
			return true;
	return false;
}

/* The stricter of two rules, whoever logs in: see policy_decide_login(). */
static void merge(const struct ssh_rule_model *rule, struct policy_login *login)
{
	uint64_t period = rule->check_period_usec;

	if (rule->action == POLICY_SSH_ACCEPT) {
		if (login->verdict == POLICY_DENIED)
			login->verdict = POLICY_ALLOWED;
		return;
	}
	if (login->verdict != POLICY_CHECK || login->check_period_usec == 0 ||
	    (period > 0 && period < login->check_period_usec))
		login->check_period_usec = period;
	login->verdict = POLICY_CHECK;
}

void policy_decide_login(const struct policy_engine *e, uint32_t src, uint32_t dst,
			 const char *ssh_user, struct policy_login *ret_login)
{
	struct policy_login login = { .verdict = POLICY_DENIED };
	struct ssh_decision d;

	if (ssh_user) {
		if (ssh_decide(e, src, dst, ssh_user, &d))
			merge(d.rule->rule, &login);
	} else {
		for (size_t i = 0; i < e->n_ssh; i++)
			if (ssh_rule_reaches(e, i, src, dst) != SSH_NO_REACH)
				merge(e->ssh[i].rule, &login);
	}
	*ret_login = login;
}
