/* Keys of nodes that are told the same, so that it is worked out once for all of them. */
#include "coord/policy/engine.h"

#define OF_USER ((uint64_t)1 << 62)
#define OF_NODE ((uint64_t)1 << 63)

uint64_t policy_peers_key(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];
	uint64_t key = (uint64_t)node->class << 32;

	for (size_t i = 0; node->user != NONE && i < e->n_rules; i++)
		if (e->rules[i].self)
			return key | (node->user + 1);
	return key;
}

bool policy_sees_alike(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];

	return bit_get(&e->see, node->class, node->class) ||
	       (node->user != NONE && bit_get(&e->self, 0, node->class));
}

/* Is the node itself, by its own addresses, what the rule is about? */
static bool is_by_identity(const struct engine_dst *dst)
{
	return dst->kind != SEL_ANY && dst->kind != SEL_INTERNET && dst->kind != SEL_RANGES;
}

static bool names_node(const struct policy_engine *e, const struct engine_rule *rule,
		       uint32_t class)
{
	for (size_t i = 0; i < rule->n_dst; i++)
		if (is_by_identity(&rule->dst[i]) && dst_hits(e, &rule->dst[i], class))
			return true;
	return false;
}

uint64_t policy_filter_key(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];

	for (size_t i = 0; i < e->n_rules; i++)
		if ((e->rules[i].self && node->user != NONE) ||
		    (bit_get(&e->dst, i, node->class) && names_node(e, &e->rules[i], node->class)))
			return OF_NODE | index;
	return node->class;
}

/* Does the rule speak of the user's nodes, or of this one, beside what it says to its class? */
static bool is_about_own(const struct policy_engine *e, size_t i, const struct engine_node *node)
{
	const struct engine_ssh_rule *rule = &e->ssh[i];

	return !bit_get(&e->ssh_dst, i, node->class) &&
	       ((rule->self && node->user != NONE) ||
		(rule->rule->n_localparts && bit_get(&e->member, rule->set, node->class)));
}

uint64_t policy_ssh_key(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];

	for (size_t i = 0; i < e->n_ssh; i++)
		if (is_about_own(e, i, node))
			return node->user == NONE
				       ? OF_NODE | index
				       : OF_USER | (uint64_t)node->class << 31 | node->user;
	return node->class;
}
