/*
 * The SSH rules of one node, as JSON.
 *
 * localpart:*@domain makes one rule many: for each owner of sources, in the order of the users, a
 * rule with the other logins and, if he is of the domain, one with his local part; sources with
 * tags come last. By an oddity of the language that is followed here, such a rule also goes to its
 * own sources: each lets in the sources of the same user (a tagged one: itself).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/engine.h"

/* What is being written: principals that nobody has yet are gathered in a text. */
struct writer {
	struct policy_engine *e;
	const struct engine_ssh_rule *rule;
	const struct engine_node *node;
	struct policy_text recorders;
	struct policy_text *out;
};

static void write_rule(const struct writer *w, const struct policy_text *principals,
		       const char *users)
{
	if (!principals->len)
		return;
	text_add_comma(w->out);
	policy_text_puts(w->out, "{\"principals\":[");
	policy_text_append(w->out, principals->data, principals->len);
	policy_text_puts(w->out, "],\"users\":");
	policy_text_puts(w->out, users);
	policy_text_puts(w->out, w->rule->tail);
	policy_text_puts(w->out, ",\"recorders\":[");
	if (w->recorders.len)
		policy_text_append(w->out, w->recorders.data, w->recorders.len);
	policy_text_puts(w->out, "]}");
}

static bool is_source(const struct writer *w, const struct engine_node *node)
{
	return bit_get(&w->e->member, w->rule->set, node->class);
}

static bool has_local_part(const struct ssh_rule_model *rule, const char *login)
{
	for (size_t i = 0; i < rule->n_localparts; i++)
		if (login_has_domain(login, rule->localparts[i].name))
			return true;
	return false;
}

/* The login's part before the @ leads to the account of that name. */
static void write_local_part(struct policy_text *users, const char *login)
{
	_cleanup_free_ char *local = strndup(login, (size_t)(strrchr(login, '@') - login));

	if (!local) {
		users->failed = true;
		return;
	}
	policy_text_puts(users, "{");
	policy_text_string(users, local);
	policy_text_puts(users, ":");
	policy_text_string(users, local);
	policy_text_puts(users, "}");
}

/* Those of the nodes that are sources, as principals. */
static void add_sources(const struct writer *w, const struct id_list *nodes,
			struct policy_text *principals)
{
	struct id_list sources = { 0 };

	for (size_t i = 0; i < nodes->n; i++)
		if (is_source(w, &w->e->nodes[nodes->items[i]]) &&
		    id_list_add(&sources, nodes->items[i]) < 0)
			principals->failed = true;
	text_add_nodes(w->e, principals, &sources);
	free(sources.items);
}

/* The two rules for the nodes of one owner. */
static void write_owner(const struct writer *w, const struct engine_user *user)
{
	_cleanup_(policy_text_done) struct policy_text principals = { 0 }, users = { 0 };

	add_sources(w, &user->nodes, &principals);
	w->out->failed |= principals.failed;
	if (!principals.len)
		return;
	write_rule(w, &principals, w->rule->users);
	if (!has_local_part(w->rule->rule, user->data.login))
		return;
	write_local_part(&users, user->data.login);
	if (users.failed)
		w->out->failed = true;
	else
		write_rule(w, &principals, users.data);
}

static void write_tagged(const struct writer *w)
{
	_cleanup_(policy_text_done) struct policy_text principals = { 0 };
	const uint64_t *row = bit_row(&w->e->member, w->rule->set);
	struct id_list nodes = { 0 };

	for (size_t i = 0; i < w->e->n_classes; i++) {
		const struct engine_class *class = &w->e->classes[i];

		if (!(row[i / 64] >> (i % 64) & 1) || !class_is_tagged(w->e, (uint32_t)i))
			continue;
		for (size_t k = 0; k < class->nodes.n; k++)
			if (id_list_add(&nodes, class->nodes.items[k]) < 0)
				principals.failed = true;
	}
	text_add_nodes(w->e, &principals, &nodes);
	free(nodes.items);
	w->out->failed |= principals.failed;
	write_rule(w, &principals, w->rule->users);
}

static int write_all(const struct writer *w)
{
	const struct policy_text *principals;

	if (!w->rule->rule->n_localparts) {
		principals = source_principals_text(w->e, w->rule->set);
		if (!principals)
			return -ENOMEM;
		write_rule(w, principals, w->rule->users);
		return 0;
	}
	for (size_t i = 0; i < w->e->n_users; i++)
		write_owner(w, &w->e->users[i]);
	write_tagged(w);
	return 0;
}

/* For sources of the node's own user; for a tagged node, itself. */
static void write_own(const struct writer *w)
{
	_cleanup_(policy_text_done) struct policy_text principals = { 0 };
	const struct engine_user *user = w->node->user == NONE ? NULL : &w->e->users[w->node->user];

	if (user && w->rule->rule->n_localparts) {
		write_owner(w, user);
		return;
	}
	if (!user)
		text_add_addresses(&principals, &w->node->data);
	else
		add_sources(w, &user->nodes, &principals);
	w->out->failed |= principals.failed;
	write_rule(w, &principals, w->rule->users);
}

static int write_for_node(struct writer *w, size_t i)
{
	const struct ssh_rule_model *rule = w->rule->rule;
	const struct policy_text *recorders;
	bool is_dst = bit_get(&w->e->ssh_dst, i, w->node->class);

	if (w->rule->recorder_set != NONE) {
		recorders = source_principals_text(w->e, w->rule->recorder_set);
		if (!recorders)
			return -ENOMEM;
		policy_text_append(&w->recorders, recorders->data, recorders->len);
		if (w->recorders.failed)
			return -ENOMEM;
	}
	if (is_dst)
		return write_all(w);
	if ((w->rule->self && w->node->user != NONE) ||
	    (rule->n_localparts && is_source(w, w->node)))
		write_own(w);
	return 0;
}

int policy_ssh_json(struct policy_engine *e, uint32_t index, struct policy_text *out)
{
	int r = 0;

	policy_text_puts(out, "[");
	for (size_t i = 0; r == 0 && i < e->n_ssh; i++) {
		struct writer w = {
			.e = e, .rule = &e->ssh[i], .node = &e->nodes[index], .out = out
		};

		r = write_for_node(&w, i);
		policy_text_done(&w.recorders);
	}
	policy_text_puts(out, "]");
	return r < 0 ? r : policy_text_result(out);
}

/* Rules that mean nodes of the same user: by autogroup:self, or by localpart: */
static bool has_own_rule(const struct policy_engine *e)
{
	for (size_t i = 0; i < e->n_ssh; i++)
		if (e->ssh[i].self || e->ssh[i].rule->n_localparts)
			return true;
	return false;
}

uint64_t policy_ssh_serial(const struct policy_engine *e, uint32_t index)
{
	const struct engine_node *node = &e->nodes[index];
	uint64_t serial = node->serial, class = e->classes[node->class].ssh_serial;

	if (class > serial)
		serial = class;
	if (node->user != NONE && e->users[node->user].serial > serial && has_own_rule(e))
		serial = e->users[node->user].serial;
	return serial;
}
