#include "agent/netmap/netmap.h"

#include <errno.h>
#include <string.h>

#include "agent/netmap/index.h"
#include "agent/netmap/read.h"
#include "agent/refs.h"
#include "agent/ssh/reach.h"
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

void netmap_sort_users(struct netmap *map)
{
	if (map->n_users > 0)
		qsort(map->users, map->n_users, sizeof(*map->users), compare_users);
}

void ssh_rule_sort(struct ssh_rule *rule)
{
	if (rule->n_principals > 0)
		qsort(rule->principals, rule->n_principals, sizeof(*rule->principals),
		      compare_addresses);
}

static int build_index(struct netmap *map)
{
	struct netmap_index *index;
	size_t n = 0;

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

/* The first n_sorted are in order. */
static int sort_peers(struct netmap *map, size_t n_sorted)
{
	struct netmap_node *peers = map->peers;
	size_t n = map->n_peers, n_more = n - n_sorted;
	_cleanup_free_ struct netmap_node *more = NULL;

	if (n_more == 0)
		return 0;
	qsort(peers + n_sorted, n_more, sizeof(*peers), compare_peers);
	more = reallocarray(NULL, n_more, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more, peers + n_sorted, n_more * sizeof(*more));
	while (n_more > 0) {
		if (n_sorted > 0 && compare_peers(&peers[n_sorted - 1], &more[n_more - 1]) > 0)
			peers[--n] = peers[--n_sorted];
		else
			peers[--n] = more[--n_more];
	}
	return 0;
}

int netmap_finish(struct netmap *map, size_t n_sorted)
{
	int r;

	r = sort_peers(map, n_sorted);
	if (r == 0)
		r = build_index(map);
	return r < 0 ? r : ssh_reach_new(map, &map->ssh_reach);
}

int netmap_new(struct netmap **ret_map)
{
	_cleanup_(netmap_freep) struct netmap *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	map->users_refs = refs_new();
	map->filter_refs = refs_new();
	map->ssh_rules_refs = refs_new();
	if (!map->users_refs || !map->filter_refs || !map->ssh_rules_refs)
		return -ENOMEM;
	*ret_map = take_ptr(map);
	return 0;
}

static void free_users(struct netmap *map)
{
	if (!refs_drop(map->users_refs))
		return;
	for (size_t i = 0; i < map->n_users; i++) {
		free(map->users[i].login);
		free(map->users[i].name);
	}
	free(map->users);
}

static void free_rules(struct netmap *map)
{
	if (refs_drop(map->filter_refs)) {
		for (size_t i = 0; i < map->n_filter; i++)
			filter_rule_done(&map->filter[i]);
		free(map->filter);
	}
	if (refs_drop(map->ssh_rules_refs)) {
		for (size_t i = 0; i < map->n_ssh_rules; i++)
			ssh_rule_done(&map->ssh_rules[i]);
		free(map->ssh_rules);
	}
}

void netmap_tokens_done(struct netmap_tokens *tokens)
{
	free(tokens->policy);
	free(tokens->filter);
	free(tokens->ssh);
	*tokens = (struct netmap_tokens){ 0 };
}

struct netmap *netmap_free(struct netmap *map)
{
	if (!map)
		return NULL;
	free_users(map);
	free_rules(map);
	for (size_t i = 0; i < map->n_peers; i++)
		netmap_node_done(&map->peers[i]);
	free(map->peers);
	netmap_node_done(&map->self);
	netmap_tokens_done(&map->tokens);
	free(map->for_node);
	free(map->domain);
	free(map->prefixes);
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
