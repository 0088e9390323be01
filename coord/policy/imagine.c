/* A network made of the names in a policy. */
#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/policy/model.h"
#include "coord/policy/network.h"

/* More than that would be slow to look at, and no more telling. */
#define MAX_IMAGINED 20000u

struct sketch {
	const struct policy *policy;
	struct policy_network *network;
	size_t size_users, size_nodes;
	struct strmap users;
};

static int add_node(struct sketch *s, const char *user, const char *tag)
{
	static const struct ip_addr first4 = { AF_INET, { 100, 64 } };
	static const struct ip_addr first6 = { AF_INET6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } };
	struct policy_network *net = s->network;
	uint32_t number = (uint32_t)net->n_nodes + 1;
	struct policy_node *node;

	if (net->n_nodes >= MAX_IMAGINED)
		return 0;
	if (grow(&net->nodes, net->n_nodes + 1, &s->size_nodes) < 0)
		return -ENOMEM;
	node = &net->nodes[net->n_nodes++];
	*node = (struct policy_node){ .name = strdup(user ? user : tag) };
	node->user = user ? strdup(user) : NULL;
	node->tags = tag ? calloc(1, sizeof(*node->tags)) : NULL;
	node->addresses = calloc(2, sizeof(*node->addresses));
	if (!node->name || (user && !node->user) || (tag && !node->tags) || !node->addresses)
		return -ENOMEM;
	if (tag && !(node->tags[0] = strdup(tag)))
		return -ENOMEM;
	node->n_tags = tag ? 1 : 0;
	node->n_addresses = 2;
	node->addresses[0] = first4;
	node->addresses[1] = first6;
	for (int i = 0; i < 3; i++) {
		node->addresses[0].bytes[3 - i] |= (uint8_t)(number >> (8 * i));
		node->addresses[1].bytes[15 - i] = (uint8_t)(number >> (8 * i));
	}
	return 0;
}

static int append_user(struct sketch *s, const struct policy_user *user)
{
	struct policy_network *net = s->network;

	if (grow(&net->users, net->n_users + 1, &s->size_users) < 0)
		return -ENOMEM;
	if (policy_user_copy(user, &net->users[net->n_users++]) < 0)
		return -ENOMEM;
	return add_node(s, user->login, NULL);
}

static int add_user(struct sketch *s, const char *login)
{
	if (strmap_get(&s->users, login) != STRMAP_NONE)
		return 0;
	if (strmap_set(&s->users, login, 0) < 0)
		return -ENOMEM;
	return append_user(s, &(struct policy_user){ .login = (char *)login });
}

/* Somebody whom others put into the group. */
static int add_member(struct sketch *s, const char *group)
{
	char login[POLICY_MAX_TEXT + 16], *groups[] = { (char *)group };

	snprintf(login, sizeof(login), "somebody of %s", group);
	return append_user(
		s, &(struct policy_user){ .login = login, .groups = groups, .n_groups = 1 });
}

static int add_somebody(struct sketch *s, const char *domain)
{
	char login[POLICY_MAX_TEXT + 16];

	snprintf(login, sizeof(login), "somebody@%s", domain);
	return add_user(s, login);
}

static int add_all(struct sketch *s)
{
	const struct policy *p = s->policy;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n_selectors; i++) {
		if (p->selectors[i].kind == SEL_USER)
			r = add_user(s, p->selectors[i].text);
		else if (p->selectors[i].kind == SEL_DOMAIN)
			r = add_somebody(s, p->selectors[i].domain);
	}
	for (size_t i = 0; r == 0 && i < p->n_groups; i++) {
		for (size_t k = 0; r == 0 && k < p->groups[i].n_members; k++)
			r = add_user(s, p->groups[i].members[k]);
		if (r == 0 && p->groups[i].mapped)
			r = add_member(s, p->groups[i].name);
	}
	/* Everybody with a role, and people of no group. */
	if (r == 0)
		r = add_somebody(s, "else.example");
	for (size_t i = 0; i < s->network->n_users && r == 0; i++)
		s->network->users[i].roles =
			strncmp(s->network->users[i].login, "somebody@", strlen("somebody@")) == 0
				? ~0u
				: 0;
	for (size_t i = 0; r == 0 && i < p->n_tags; i++)
		r = add_node(s, NULL, p->tags[i]);
	return r;
}

int policy_network_imagine(const struct policy *policy, struct policy_network **ret_network)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	struct sketch s = { .policy = policy };
	int r;

	network = calloc(1, sizeof(*network));
	if (!network)
		return -ENOMEM;
	s.network = network;
	network->prefixes = calloc(2, sizeof(*network->prefixes));
	if (!network->prefixes)
		return -ENOMEM;
	network->n_prefixes = 2;
	r = ip_prefix_parse("100.64.0.0/10", &network->prefixes[0]);
	if (r == 0)
		r = ip_prefix_parse("fd7a:115c:a1e0::/48", &network->prefixes[1]);
	if (r == 0)
		r = add_all(&s);
	strmap_done(&s.users);
	if (r < 0)
		return r;
	*ret_network = take_ptr(network);
	return 0;
}
