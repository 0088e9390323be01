/* The packet filter of one node, as JSON. */
#include <errno.h>
#include <stdlib.h>

#include "coord/policy/engine.h"

static void add_ports(struct policy_text *out, const char *ip, const struct port_list *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		text_add_comma(out);
		policy_text_printf(out, "{\"ip\":\"%s\",\"ports\":[%u,%u]}", ip,
				   ports->items[i].first, ports->items[i].last);
	}
}

static void add_own(struct policy_text *out, const struct policy_node *node,
		    const struct port_list *ports)
{
	char buf[IP_ADDR_STRLEN];

	for (size_t i = 0; i < node->n_addresses; i++)
		add_ports(out, ip_addr_to_string(&node->addresses[i], buf), ports);
}

static void add_internet(const struct policy_engine *e, struct policy_text *out,
			 const struct port_list *ports)
{
	char buf[RANGE_STRLEN];

	for (size_t i = 0; i < e->internet.n; i++)
		add_ports(out, range_to_string(&e->internet.items[i], buf), ports);
}

static void add_dst(const struct policy_engine *e, struct policy_text *out,
		    const struct engine_dst *dst, const struct policy_node *node)
{
	const struct port_list *ports = &dst->entry->ports;
	char buf[RANGE_STRLEN];

	switch (dst->kind) {
	case SEL_ANY:
		add_ports(out, "*", ports);
		break;
	case SEL_INTERNET:
		add_internet(e, out, ports);
		break;
	case SEL_RANGES:
		add_ports(out, range_to_string(&dst->range, buf), ports);
		break;
	case SEL_USER:
	case SEL_DOMAIN:
	case SEL_GROUP:
	case SEL_TAG:
	case SEL_MEMBER:
	case SEL_TAGGED:
	case SEL_ROLE:
		add_own(out, node, ports);
		break;
	case SEL_DANGER_ALL:
	case SEL_SHARED:
	case SEL_SELF:
		break;
	}
}

static void begin_rule(struct policy_text *out, const struct policy_text *src)
{
	text_add_comma(out);
	policy_text_puts(out, "{\"src\":[");
	policy_text_append(out, src->data, src->len);
	policy_text_puts(out, "],\"dst\":[");
}

static void end_rule(struct policy_text *out, const struct engine_rule *rule)
{
	policy_text_puts(out, "],\"proto\":[");
	for (size_t i = 0; i < rule->rule->n_protos; i++)
		policy_text_printf(out, "%s%u", i ? "," : "", rule->rule->protos[i]);
	policy_text_printf(out, "],\"origin\":\"%s\"}", rule->origin);
}

static int add_rule(struct policy_engine *e, const struct engine_rule *rule,
		    const struct engine_node *node, struct policy_text *out)
{
	const struct policy_text *src = source_filter_text(e, rule->set);

	if (!src)
		return -ENOMEM;
	if (!src->len)
		return 0;
	begin_rule(out, src);
	for (size_t i = 0; i < rule->n_dst; i++)
		if (dst_hits(e, &rule->dst[i], node->class))
			add_dst(e, out, &rule->dst[i], &node->data);
	end_rule(out, rule);
	return 0;
}

/* autogroup:self: from the nodes of the same user that are among the sources. */
static int add_self_rule(struct policy_engine *e, const struct engine_rule *rule,
			 const struct engine_node *node, struct policy_text *out)
{
	_cleanup_(policy_text_done) struct policy_text src = { 0 };
	const struct engine_user *user = &e->users[node->user];
	struct id_list nodes = { 0 };

	for (size_t i = 0; i < user->nodes.n; i++) {
		uint32_t id = user->nodes.items[i];

		if (set_has_self(e, rule->set, e->nodes[id].class) && id_list_add(&nodes, id) < 0)
			src.failed = true;
	}
	text_add_nodes(e, &src, &nodes);
	free(nodes.items);
	if (src.failed)
		return -ENOMEM;
	if (!src.len)
		return 0;
	begin_rule(out, &src);
	add_own(out, &node->data, &rule->self->ports);
	end_rule(out, rule);
	return 0;
}

int policy_filter_json(struct policy_engine *e, uint32_t index, struct policy_text *out)
{
	const struct engine_node *node = &e->nodes[index];
	int r = 0;

	policy_text_puts(out, "[");
	for (size_t i = 0; r == 0 && i < e->n_rules; i++) {
		if (bit_get(&e->dst, i, node->class))
			r = add_rule(e, &e->rules[i], node, out);
		if (r == 0 && e->rules[i].self && node->user != NONE)
			r = add_self_rule(e, &e->rules[i], node, out);
	}
	policy_text_puts(out, "]");
	return r < 0 ? r : policy_text_result(out);
}

static bool has_self_rule(const struct policy_engine *e)
{
	for (size_t i = 0; i < e->n_rules; i++)
		if (e->rules[i].self)
			return true;
	return false;
}

int policy_mesh_json(const struct policy_engine *e, struct policy_text *out)
{
	char buf[RANGE_STRLEN];

	policy_text_puts(out, "[");
	for (size_t i = 0; i < e->wild.n; i++) {
		text_add_comma(out);
		policy_text_printf(out, "\"%s\"", range_to_string(&e->wild.items[i], buf));
	}
	policy_text_puts(out, "]");
	return policy_text_result(out);
}

uint64_t policy_filter_serial(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];
	uint64_t serial = node->serial, class = e->classes[node->class].filter_serial;

	if (class > serial)
		serial = class;
	if (node->user != NONE && e->users[node->user].serial > serial && has_self_rule(e))
		serial = e->users[node->user].serial;
	return serial;
}
