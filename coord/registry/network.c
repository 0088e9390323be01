/* Nodes and users as the policy compiler takes them. */
#include <errno.h>
#include <string.h>

#include "coord/policy/network.h"
#include "coord/registry/internal.h"

static int copy_texts(const struct text_list *from, char ***ret_items, size_t *ret_n)
{
	struct text_list copy;
	int r = text_list_copy(from, &copy);

	if (r < 0)
		return r;
	*ret_items = copy.items;
	*ret_n = copy.n;
	return 0;
}

static int fill_node(const struct registry *registry, const struct node_record *node,
		     struct policy_node *out)
{
	out->name = strdup(node->name);
	out->user = node->user ? strdup(node->user) : NULL;
	out->addresses = calloc(2, sizeof(*out->addresses));
	if (!out->name || (node->user && !out->user) || !out->addresses)
		return -ENOMEM;
	registry_node_addresses(registry, node, out->addresses);
	out->n_addresses = 2;
	return copy_texts(&node->tags, &out->tags, &out->n_tags);
}

int registry_policy_node(const struct registry *registry, const struct node_record *node,
			 struct policy_node *ret_node)
{
	struct policy_node out = { 0 };
	int r = fill_node(registry, node, &out);

	if (r < 0)
		policy_node_done(&out);
	else
		*ret_node = out;
	return r;
}

static int add_users(const struct registry *registry, struct policy_network *network)
{
	size_t n = registry_n_users(registry);

	network->users = calloc(n + 1, sizeof(*network->users));
	if (!network->users)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct user_record *user = registry_user_at(registry, i);
		struct policy_user *out = &network->users[network->n_users++];
		struct text_list groups;

		out->roles = user->roles;
		out->login = strdup(user->head.id);
		if (!out->login || registry_user_groups(registry, user, &groups) < 0)
			return -ENOMEM;
		out->groups = groups.items;
		out->n_groups = groups.n;
	}
	return copy_texts(&registry->mappings.groups, &network->groups, &network->n_groups);
}

static int add_nodes(const struct registry *registry, struct policy_network *network)
{
	size_t n = registry_n_nodes(registry);

	network->nodes = calloc(n + 1, sizeof(*network->nodes));
	if (!network->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct node_record *node = registry_node_at(registry, i);
		int r;

		if (node_is_expired(node, registry->clock()))
			continue;
		r = registry_policy_node(registry, node, &network->nodes[network->n_nodes]);
		if (r < 0)
			return r;
		network->n_nodes++;
	}
	return 0;
}

static int add_prefixes(const struct registry *registry, struct policy_network *network)
{
	network->prefixes = calloc(2, sizeof(*network->prefixes));
	if (!network->prefixes)
		return -ENOMEM;
	if (registry->state->mesh) {
		registry_mesh_prefixes(registry, network->prefixes);
		network->n_prefixes = 2;
	}
	return 0;
}

int registry_network(const struct registry *registry, struct policy_network **ret_network)
{
	_cleanup_(policy_network_freep) struct policy_network *network =
		calloc(1, sizeof(*network));
	int r;

	if (!network)
		return -ENOMEM;
	r = add_prefixes(registry, network);
	if (r == 0)
		r = add_users(registry, network);
	if (r == 0)
		r = add_nodes(registry, network);
	if (r == 0)
		*ret_network = take_ptr(network);
	return r;
}

static int run_tests(const struct registry *registry, const struct policy *policy,
		     struct policy_problems *problems)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	struct policy_test_result result;
	int r = registry_network(registry, &network);

	if (r == 0)
		r = policy_engine_new(policy, network, &engine);
	if (r == 0)
		r = policy_run_tests(engine, problems, &result);
	if (r == 0 && result.n_failed > 0)
		return -EINVAL;
	return r < 0 ? r : policy_lint(engine, problems);
}

int registry_check_policy(const struct registry *registry, const char *text, size_t len,
			  struct policy_problems *problems, struct policy **ret_policy)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int r = registry_parse_policy(registry, text, len, problems, &policy);

	if (r == 0)
		r = run_tests(registry, policy, problems);
	if (r == 0)
		*ret_policy = take_ptr(policy);
	return r;
}
