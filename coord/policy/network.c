#include "coord/policy/network.h"

#include <errno.h>
#include <string.h>

static void *copy_array(const void *items, size_t n, size_t size, bool *ok)
{
	void *copy = n ? calloc(n, size) : NULL;

	if (copy)
		memcpy(copy, items, n * size);
	*ok &= !n || copy;
	return copy;
}

static char *copy_text(const char *text, bool *ok)
{
	char *copy = text ? strdup(text) : NULL;

	*ok &= !text || copy;
	return copy;
}

/* What could not be copied is NULL, and *ok false. */
static char **copy_texts(char *const *texts, size_t n, bool *ok)
{
	char **copy = n ? calloc(n, sizeof(*copy)) : NULL;

	*ok &= !n || copy;
	for (size_t i = 0; copy && i < n; i++)
		copy[i] = copy_text(texts[i], ok);
	return copy;
}

void policy_texts_done(char ***texts, size_t *n)
{
	for (size_t i = 0; *texts && i < *n; i++)
		free((*texts)[i]);
	free(*texts);
	*texts = NULL;
	*n = 0;
}

int policy_user_copy(const struct policy_user *user, struct policy_user *ret_copy)
{
	struct policy_user copy = { .roles = user->roles, .n_groups = user->n_groups };
	bool ok = true;

	copy.login = copy_text(user->login, &ok);
	copy.groups = copy_texts(user->groups, user->n_groups, &ok);
	*ret_copy = copy;
	return ok ? 0 : -ENOMEM;
}

void policy_user_done(struct policy_user *user)
{
	free(user->login);
	policy_texts_done(&user->groups, &user->n_groups);
	*user = (struct policy_user){ 0 };
}

int policy_node_copy(const struct policy_node *node, struct policy_node *ret_copy)
{
	struct policy_node copy = { 0 };
	bool ok = true;

	copy.name = copy_text(node->name, &ok);
	copy.user = copy_text(node->user, &ok);
	copy.tags = copy_texts(node->tags, node->n_tags, &ok);
	copy.n_tags = node->n_tags;
	copy.addresses =
		copy_array(node->addresses, node->n_addresses, sizeof(*node->addresses), &ok);
	copy.advertised =
		copy_array(node->advertised, node->n_advertised, sizeof(*node->advertised), &ok);
	copy.approved = copy_array(node->approved, node->n_approved, sizeof(*node->approved), &ok);
	copy.primary = copy_array(node->primary, node->n_primary, sizeof(*node->primary), &ok);
	copy.n_addresses = node->n_addresses;
	copy.n_advertised = node->n_advertised;
	copy.n_approved = node->n_approved;
	copy.n_primary = node->n_primary;
	*ret_copy = copy;
	return ok ? 0 : -ENOMEM;
}

void policy_node_done(struct policy_node *node)
{
	free(node->name);
	free(node->user);
	policy_texts_done(&node->tags, &node->n_tags);
	free(node->addresses);
	free(node->advertised);
	free(node->approved);
	free(node->primary);
	*node = (struct policy_node){ 0 };
}

struct policy_network *policy_network_free(struct policy_network *network)
{
	if (!network)
		return NULL;
	for (size_t i = 0; i < network->n_users; i++)
		policy_user_done(&network->users[i]);
	for (size_t i = 0; i < network->n_nodes; i++)
		policy_node_done(&network->nodes[i]);
	policy_texts_done(&network->groups, &network->n_groups);
	free(network->users);
	free(network->nodes);
	free(network->prefixes);
	free(network);
	return NULL;
}
