#include "agent/netmap.h"

#include <errno.h>
#include <string.h>

#include "agent/netmap_index.h"
#include "agent/netmap_read.h"
#include "agent/ssh_reach.h"
#include "common/text.h"

struct index_entry {
	struct ip_addr addr;
	size_t peer;
};

struct netmap_index {
	size_t n_entries;
	struct index_entry entries[]; /* sorted by address */
};

static int compare_entries(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;

	return ip_addr_compare(&x->addr, &y->addr);
}

static int compare_peers(const void *a, const void *b)
{
	const struct netmap_node *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static int compare_users(const void *a, const void *b)
{
	const struct netmap_user *x = a, *y = b;

	return strcmp(x->login, y->login);
}

static int compare_addresses(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

static void sort_lists(struct netmap *map)
{
	if (map->n_peers > 0)
		qsort(map->peers, map->n_peers, sizeof(*map->peers), compare_peers);
	if (map->n_users > 0)
		qsort(map->users, map->n_users, sizeof(*map->users), compare_users);
	for (size_t i = 0; i < map->n_ssh_rules; i++) {
		struct ssh_rule *rule = &map->ssh_rules[i];

		if (rule->n_principals > 0)
			qsort(rule->principals, rule->n_principals, sizeof(*rule->principals),
			      compare_addresses);
	}
}

int netmap_build_index(struct netmap *map)
{
	struct netmap_index *index;
	size_t n = 0;

	sort_lists(map);
	for (size_t i = 0; i < map->n_peers; i++)
		n += map->peers[i].n_addresses;
	index = calloc(1, sizeof(*index) + n * sizeof(index->entries[0]));
	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_peers; i++)
		for (size_t k = 0; k < map->peers[i].n_addresses; k++)
			index->entries[index->n_entries++] =
				(struct index_entry){ map->peers[i].addresses[k], i };
	qsort(index->entries, n, sizeof(index->entries[0]), compare_entries);
	map->index = index;
	return 0;
}

static void free_strings(char **strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

static void node_done(struct netmap_node *node)
{
	free(node->id);
	free(node->name);
	free(node->addresses);
	free(node->user);
	free_strings(node->tags, node->n_tags);
	free(node->routes);
	free(node->endpoints);
	free_strings(node->ssh_host_keys, node->n_ssh_host_keys);
}

struct netmap *netmap_free(struct netmap *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->n_users; i++) {
		free(map->users[i].login);
		free(map->users[i].name);
	}
	for (size_t i = 0; i < map->n_peers; i++)
		node_done(&map->peers[i]);
	for (size_t i = 0; i < map->n_filter; i++)
		filter_rule_done(&map->filter[i]);
	for (size_t i = 0; i < map->n_ssh_rules; i++)
		ssh_rule_done(&map->ssh_rules[i]);
	node_done(&map->self);
	free(map->for_node);
	free(map->domain);
	free(map->prefixes);
	free(map->users);
	free(map->peers);
	free(map->filter);
	free(map->ssh_rules);
	free(map->index);
	ssh_reach_free(map->ssh_reach);
	free(map);
	return NULL;
}

const struct netmap_node *netmap_peer_by_address(const struct netmap *map,
						 const struct ip_addr *addr)
{
	const struct index_entry wanted = { .addr = *addr }, *found;

	found = bsearch(&wanted, map->index->entries, map->index->n_entries, sizeof(wanted),
			compare_entries);
	return found ? &map->peers[found->peer] : NULL;
}

const struct netmap_node *netmap_peer_by_id(const struct netmap *map, const char *id)
{
	const struct netmap_node wanted = { .id = (char *)id };

	if (map->n_peers == 0)
		return NULL;
	return bsearch(&wanted, map->peers, map->n_peers, sizeof(wanted), compare_peers);
}

const struct netmap_user *netmap_user_by_login(const struct netmap *map, const char *login)
{
	const struct netmap_user wanted = { .login = (char *)login };

	if (map->n_users == 0)
		return NULL;
	return bsearch(&wanted, map->users, map->n_users, sizeof(wanted), compare_users);
}

bool ssh_rule_names(const struct ssh_rule *rule, const struct ip_addr *addr)
{
	if (rule->any)
		return true;
	return rule->n_principals > 0 && bsearch(addr, rule->principals, rule->n_principals,
						 sizeof(*addr), compare_addresses);
}

const char *netmap_node_owner(const struct netmap_node *node)
{
	if (node->user)
		return node->user;
	return node->n_tags > 0 ? node->tags[0] : node->name;
}

bool netmap_is_own_address(const struct netmap *map, const struct ip_addr *addr)
{
	for (size_t i = 0; i < map->self.n_addresses; i++)
		if (ip_addr_equal(&map->self.addresses[i], addr))
			return true;
	return false;
}

bool netmap_node_expired(const struct netmap_node *node, uint64_t now_usec)
{
	return node->key_expiry <= now_usec;
}

int netmap_check_own_key(const struct netmap *map, const struct wg_key *own_key, const char *source,
			 char **reterr_text)
{
	for (size_t i = 0; i < map->n_peers; i++) {
		if (!wg_key_equal(&map->peers[i].key, own_key))
			continue;
		*reterr_text = text_printf("%s: peer %s has this node's own key; expected a key of "
					   "its own",
					   source, map->peers[i].name);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	return 0;
}
