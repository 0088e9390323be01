#include "coord/map/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/map/network.h"
#include "coord/policy/grow.h"
#include "coord/policy/network.h"

int world_new(struct world **ret_world)
{
	_cleanup_(world_freep) struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->filters.kind = TEXTS_FILTER;
	w->ssh_rules.kind = TEXTS_SSH;
	w->next_expiry = UINT64_MAX;
	w->removed.from = UINT64_MAX;
	*ret_world = take_ptr(w);
	return 0;
}

static void drop_next(struct world_node *node)
{
	record_done(&node->next);
	policy_node_done(&node->identity);
	node->identity = (struct policy_node){ 0 };
}

static void node_free(struct world_node *node)
{
	if (!node)
		return;
	drop_next(node);
	record_done(&node->record);
	free(node->id);
	free(node);
}

struct world *world_free(struct world *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->n_nodes; i++)
		node_free(w->nodes[i]);
	for (size_t i = 0; i < w->n_users; i++) {
		free(w->users[i].login);
		free(w->users[i].name);
		text_list_done(&w->users[i].groups);
	}
	free(w->nodes);
	free(w->users);
	free(w->pending);
	free(w->free_slots);
	free(w->domain);
	strmap_done(&w->node_map);
	strmap_done(&w->user_map);
	removed_done(&w->removed);
	texts_done(&w->filters);
	texts_done(&w->ssh_rules);
	world_engine_done(&w->now);
	policy_free(w->next_policy);
	free(w);
	return NULL;
}

void world_set_revision(struct world *w, uint64_t revision)
{
	if (revision > w->revision)
		w->revision = revision;
}

/* ---- mesh and policy ---- */

static bool same_mesh(const struct world *w, const char *domain, const struct ip_prefix prefixes[2])
{
	return w->domain && strcmp(w->domain, domain) == 0 &&
	       ip_prefix_compare(&w->prefixes[0], &prefixes[0]) == 0 &&
	       ip_prefix_compare(&w->prefixes[1], &prefixes[1]) == 0;
}

int world_set_mesh(struct world *w, const char *domain, const struct ip_prefix prefixes[2])
{
	char *copy;

	if (same_mesh(w, domain, prefixes))
		return WORLD_SAME;
	copy = strdup(domain);
	if (!copy)
		return -ENOMEM;
	w->rebuild = true;
	w->lost |= w->domain != NULL;
	free(w->domain);
	w->domain = copy;
	memcpy(w->prefixes, prefixes, sizeof(w->prefixes));
	return WORLD_URGENT;
}

int world_set_policy(struct world *w, const char *text, size_t len)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	/* The registry has taken it; who is in a group comes with the users. */
	static const struct policy_mapped mapped = { .others = true };
	struct policy *policy;
	struct map_hash hash;
	int r = network_part_hash(text, len, &hash);

	if (r == 0)
		r = policy_parse_mapped(text, len, &mapped, &problems, &policy);
	if (r < 0)
		return r;
	policy_free(w->next_policy);
	w->next_policy = policy;
	w->next_network = hash;
	w->rebuild = true;
	return WORLD_URGENT;
}

/* ---- users ---- */

static int user_get(struct world *w, const char *login, uint32_t *ret_user)
{
	uint32_t user = strmap_get(&w->user_map, login);
	char *copy;

	if (user == STRMAP_NONE) {
		if (grow(&w->users, w->n_users + 1, &w->size_users) < 0)
			return -ENOMEM;
		copy = strdup(login);
		if (!copy)
			return -ENOMEM;
		user = (uint32_t)w->n_users;
		if (strmap_set(&w->user_map, copy, user) < 0) {
			free(copy);
			return -ENOMEM;
		}
		w->users[w->n_users++] = (struct world_user){ .login = copy };
	}
	*ret_user = user;
	return 0;
}

static bool same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : !a && !b;
}

/* name and what the list holds are the user's now. */
static int update_user(struct world *w, struct world_user *user, bool exists, char *name,
		       unsigned roles, struct text_list *groups, uint64_t revision)
{
	bool shown = user->exists != exists || !same_name(user->name, name);
	bool decides = user->roles != roles || !text_list_equal(&user->groups, groups);

	free(user->name);
	text_list_done(&user->groups);
	user->name = name;
	user->exists = exists;
	user->roles = roles;
	user->groups = *groups;
	*groups = (struct text_list){ 0 };
	if (!shown && !decides)
		return WORLD_SAME;
	if (shown) {
		user->revision = revision;
		if (revision > w->users_rev)
			w->users_rev = revision;
		user->changed = w->users_changed = true;
	}
	if (decides)
		w->rebuild = true;
	return decides ? WORLD_URGENT : WORLD_CHANGED;
}

int world_set_user(struct world *w, const struct user_record *record,
		   const struct text_list *groups)
{
	_cleanup_free_ char *name = record->name ? strdup(record->name) : NULL;
	_cleanup_(text_list_done) struct text_list copy = { 0 };
	uint32_t user;

	if ((record->name && !name) || text_list_copy(groups, &copy) < 0 ||
	    user_get(w, record->head.id, &user) < 0)
		return -ENOMEM;
	return update_user(w, &w->users[user], true, take_ptr(name), record->roles, &copy,
			   record->head.revision);
}

int world_remove_user(struct world *w, const char *login, uint64_t revision)
{
	uint32_t user = strmap_get(&w->user_map, login);
	struct text_list none = { 0 };

	/* Its number stays: nodes may refer to it. */
	return user == STRMAP_NONE
		       ? WORLD_SAME
		       : update_user(w, &w->users[user], false, NULL, 0, &none, revision);
}

/* ---- nodes ---- */

struct world_node *world_find(const struct world *w, const char *id)
{
	uint32_t slot = strmap_get(&w->node_map, id);

	return slot == STRMAP_NONE ? NULL : w->nodes[slot];
}

/* Room for one more node, and for it to be pending. */
static int reserve(struct world *w)
{
	if (grow(&w->nodes, w->n_nodes + 1, &w->size_nodes) < 0 ||
	    grow(&w->free_slots, w->n_nodes + 1, &w->size_free) < 0)
		return -ENOMEM;
	return grow(&w->pending, w->n_nodes + 1, &w->size_pending);
}

static int node_new(struct world *w, const char *id, struct world_node **ret_node)
{
	struct world_node *node;

	if (reserve(w) < 0)
		return -ENOMEM;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->id = strdup(id);
	node->index = node->user = node->next_user = node->change = WORLD_NONE;
	node->slot = w->n_free ? w->free_slots[w->n_free - 1] : (uint32_t)w->n_nodes;
	if (!node->id || strmap_set(&w->node_map, node->id, node->slot) < 0) {
		node_free(node);
		return -ENOMEM;
	}
	if (w->n_free)
		w->n_free--;
	else
		w->n_nodes++;
	w->nodes[node->slot] = node;
	*ret_node = node;
	return 0;
}

void world_drop_node(struct world *w, struct world_node *node)
{
	strmap_remove(&w->node_map, node->id);
	w->nodes[node->slot] = NULL;
	w->free_slots[w->n_free++] = node->slot;
	node_free(node);
}

/* Each is in the list once: there is room for all. */
static void set_pending(struct world *w, struct world_node *node)
{
	if (node->pending)
		w->n_superseded++;
	else
		w->pending[w->n_pending++] = node->slot;
	node->pending = true;
}

/* What the policy asks of a node. It goes by the id, which stays. */
static int make_identity(const struct node_record *node, const struct ip_addr addresses[2],
			 struct policy_node *ret_identity)
{
	struct ip_addr both[2] = { addresses[0], addresses[1] };
	const struct policy_node identity = { .name = node->head.id,
					      .user = node->user,
					      .tags = node->tags.items,
					      .n_tags = node->tags.n,
					      .addresses = both,
					      .n_addresses = 2 };
	int r = policy_node_copy(&identity, ret_identity);

	if (r < 0)
		policy_node_done(ret_identity);
	return r;
}

/* A node as it will be, before it is known whether there is memory for all of it. */
struct coming {
	struct record record;
	struct policy_node identity;
	uint32_t user;
};

static void coming_done(struct coming *coming)
{
	record_done(&coming->record);
	policy_node_done(&coming->identity);
}

static int coming_make(struct world *w, const struct node_record *record,
		       const struct ip_addr addresses[2], struct coming *coming)
{
	int r = record_make(record, addresses, w->prefixes, 2, &coming->record);

	if (r == 0)
		r = make_identity(record, addresses, &coming->identity);
	if (r == 0 && record->user)
		r = user_get(w, record->user, &coming->user);
	return r;
}

/* Against what is shown. */
static int how_urgent(const struct world_node *node, const struct record *next)
{
	if (!node->exists)
		return WORLD_CHANGED;
	if (!record_same_text(&node->record, next) || node->record.ended != next->ended)
		return WORLD_URGENT;
	if (node->record.ssh != next->ssh || node->record.key_expiry != next->key_expiry ||
	    !reach_node_equal(&node->record.reach, &next->reach))
		return WORLD_CHANGED;
	return WORLD_SAME;
}

static void take_coming(struct world *w, struct world_node *node, struct coming *coming)
{
	set_pending(w, node);
	drop_next(node);
	node->next = coming->record;
	node->identity = coming->identity;
	node->next_user = coming->user;
	node->removed = false;
	*coming = (struct coming){ 0 };
	if (node->next.key_expiry < w->next_expiry)
		w->next_expiry = node->next.key_expiry;
}

static int set_node(struct world *w, const struct node_record *record, struct coming *coming)
{
	struct world_node *node = world_find(w, record->head.id);
	int urgency;

	if (!node && node_new(w, record->head.id, &node) < 0)
		return -ENOMEM;
	urgency = how_urgent(node, &coming->record);
	world_set_revision(w, record->head.revision);
	if (urgency == WORLD_SAME && !node->pending)
		return WORLD_SAME;
	take_coming(w, node, coming);
	return urgency == WORLD_SAME ? WORLD_CHANGED : urgency;
}

int world_set_node(struct world *w, const struct node_record *record,
		   const struct ip_addr addresses[2])
{
	struct coming coming = { .user = WORLD_NONE };
	int r = coming_make(w, record, addresses, &coming);

	if (r == 0)
		r = set_node(w, record, &coming);
	coming_done(&coming);
	return r;
}

int world_remove_node(struct world *w, const char *id, uint64_t revision)
{
	struct world_node *node = world_find(w, id);

	world_set_revision(w, revision);
	if (!node)
		return WORLD_SAME;
	set_pending(w, node);
	drop_next(node);
	node->removed = true;
	node->removed_rev = revision;
	return WORLD_URGENT;
}
