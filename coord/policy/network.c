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

int policy_node_copy(const struct policy_node *node, struct policy_node *ret_copy)
{
	struct policy_node copy = { 0 };
	bool ok = true;

	copy.name = copy_text(node->name, &ok);
	copy.user = copy_text(node->user, &ok);
	copy.tags = node->n_tags ? calloc(node->n_tags, sizeof(*copy.tags)) : NULL;
	ok &= !node->n_tags || copy.tags;
	for (size_t i = 0; copy.tags && i < node->n_tags; i++)
		copy.tags[copy.n_tags++] = copy_text(node->tags[i], &ok);
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
	for (size_t i = 0; i < node->n_tags; i++)
		free(node->tags[i]);
	free(node->tags);
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
		free(network->users[i].login);
	for (size_t i = 0; i < network->n_nodes; i++)
		policy_node_done(&network->nodes[i]);
	free(network->users);
	free(network->nodes);
	free(network->prefixes);
	free(network);
	return NULL;
}
