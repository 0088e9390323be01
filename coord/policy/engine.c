#include "coord/policy/engine.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/policy/network.h"

/* Addresses that Tailscale leaves out of "*": they are those of ChromeOS' virtual machines. */
static const char *const not_wild[] = { "100.115.92.0/23" };
static const char *const internet[] = { "0.0.0.0/0", "2000::/3" };
static const char *const not_internet[] = { "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16",
					    "172.16.0.0/12", "192.168.0.0/16" };

static int add_texts(struct range_set *set, const char *const *texts, size_t n,
		     int (*apply)(struct range_set *set, const struct range *r))
{
	struct range range;

	for (size_t i = 0; i < n; i++)
		if (range_parse(texts[i], &range) < 0 || apply(set, &range) < 0)
			return -ENOMEM;
	return 0;
}

static int make_ranges(struct policy_engine *e, const struct policy_network *network)
{
	for (size_t i = 0; i < network->n_prefixes; i++) {
		struct range range = range_of_prefix(&network->prefixes[i]);

		if (range_set_add(&e->wild, &range) < 0)
			return -ENOMEM;
	}
	if (add_texts(&e->wild, not_wild, ARRAY_SIZE(not_wild), range_set_remove) < 0 ||
	    add_texts(&e->internet, internet, ARRAY_SIZE(internet), range_set_add) < 0)
		return -ENOMEM;
	return add_texts(&e->internet, not_internet, ARRAY_SIZE(not_internet), range_set_remove);
}

/* --- addresses in order */

static int compare_slots(const void *a, const void *b)
{
	const struct addr_slot *x = a, *y = b;

	if (x->v6 != y->v6)
		return x->v6 ? 1 : -1;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

static size_t find_slot(const struct policy_engine *e, const struct addr_slot *slot)
{
	size_t lo = 0, hi = e->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_slots(&e->addrs[mid], slot) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct addr_slot slot_of(const struct ip_addr *addr, uint32_t node)
{
	struct range range = range_of_addr(addr);

	return (struct addr_slot){ .value = range.first, .v6 = range.v6, .node = node };
}

/* Room was made before. */
static void add_addresses(struct policy_engine *e, uint32_t node)
{
	const struct policy_node *data = &e->nodes[node].data;

	for (size_t i = 0; i < data->n_addresses; i++) {
		struct addr_slot slot = slot_of(&data->addresses[i], node);
		size_t at = e->loading ? e->n_addrs : find_slot(e, &slot);

		memmove(e->addrs + at + 1, e->addrs + at, (e->n_addrs - at) * sizeof(slot));
		e->addrs[at] = slot;
		e->n_addrs++;
	}
}

static void remove_addresses(struct policy_engine *e, uint32_t node)
{
	const struct policy_node *data = &e->nodes[node].data;

	for (size_t i = 0; i < data->n_addresses; i++) {
		struct addr_slot slot = slot_of(&data->addresses[i], node);
		size_t at = find_slot(e, &slot);

		if (at == e->n_addrs || compare_slots(&e->addrs[at], &slot) != 0)
			continue;
		memmove(e->addrs + at, e->addrs + at + 1, (e->n_addrs - at - 1) * sizeof(slot));
		e->n_addrs--;
	}
}

/* --- nodes */

/* Tell all texts in which the node occurs that it came, goes or changed. */
static void touch_node(struct policy_engine *e, uint32_t index)
{
	struct engine_node *node = &e->nodes[index];

	if (e->loading)
		return;
	sources_touch(e, node->class, e->classes[node->class].n_subnets > 0);
	node->serial = e->serial;
	if (node->user != NONE)
		e->users[node->user].serial = e->serial;
}

static void unlink_node(struct policy_engine *e, uint32_t index)
{
	struct engine_node *node = &e->nodes[index];

	touch_node(e, index);
	remove_addresses(e, index);
	id_list_remove(&e->classes[node->class].nodes, index);
	id_list_remove(&e->routers, index);
	if (node->user != NONE)
		id_list_remove(&e->users[node->user].nodes, index);
}

/* Whatever linking may need, so that it cannot fail half way. */
static int reserve(struct policy_engine *e, uint32_t class, uint32_t user, size_t n_addresses)
{
	struct id_list *members = &e->classes[class].nodes;
	struct id_list *owned = user != NONE ? &e->users[user].nodes : NULL;

	if (grow(&members->items, members->n + 1, &members->size) < 0 ||
	    grow(&e->routers.items, e->routers.n + 1, &e->routers.size) < 0 ||
	    grow(&e->addrs, e->n_addrs + n_addresses, &e->size_addrs) < 0)
		return -ENOMEM;
	return owned ? grow(&owned->items, owned->n + 1, &owned->size) : 0;
}

static void link_node(struct policy_engine *e, uint32_t index)
{
	struct engine_node *node = &e->nodes[index];
	struct engine_class *class = &e->classes[node->class];

	class->nodes.items[class->nodes.n++] = index;
	if (class->n_subnets)
		e->routers.items[e->routers.n++] = index;
	if (node->user != NONE) {
		struct id_list *owned = &e->users[node->user].nodes;

		owned->items[owned->n++] = index;
	}
	add_addresses(e, index);
	touch_node(e, index);
}

static int new_index(struct policy_engine *e, const char *name, uint32_t *ret_index)
{
	uint32_t index =
		e->free_nodes.n ? e->free_nodes.items[e->free_nodes.n - 1] : (uint32_t)e->n_nodes;

	if (grow(&e->nodes, e->n_nodes + 1, &e->size_nodes) < 0 ||
	    grow(&e->free_nodes.items, e->n_nodes + 1, &e->free_nodes.size) < 0 ||
	    strmap_set(&e->node_map, name, index) < 0)
		return -ENOMEM;
	if (e->free_nodes.n)
		e->free_nodes.n--;
	else
		e->n_nodes++;
	e->nodes[index] = (struct engine_node){ 0 };
	e->n_used_nodes++;
	*ret_index = index;
	return 0;
}

int policy_engine_set_node(struct policy_engine *e, const struct policy_node *node,
			   uint32_t *ret_index)
{
	uint32_t index = strmap_get(&e->node_map, node->name), user = NONE, class, old = NONE;
	struct policy_node copy = { 0 };

	if (!node->n_tags && node->user &&
	    engine_user_get(e, &(struct policy_user){ .login = node->user }, &user) < 0)
		return -ENOMEM;
	if (engine_class_get(e, node, user, &class) < 0)
		return -ENOMEM;
	if (reserve(e, class, user, node->n_addresses) < 0 || policy_node_copy(node, &copy) < 0 ||
	    (index == STRMAP_NONE && new_index(e, copy.name, &index) < 0)) {
		policy_node_done(&copy);
		engine_class_put(e, class);
		return -ENOMEM;
	}
	if (e->nodes[index].data.name) {
		old = e->nodes[index].class;
		unlink_node(e, index);
		strmap_remove(&e->node_map, e->nodes[index].data.name);
		strmap_set(&e->node_map, copy.name, index);
		policy_node_done(&e->nodes[index].data);
	}
	e->nodes[index] = (struct engine_node){ .data = copy, .class = class, .user = user };
	link_node(e, index);
	if (old != NONE)
		engine_class_put(e, old);
	*ret_index = index;
	return 0;
}

int policy_engine_remove_node(struct policy_engine *e, const char *name)
{
	uint32_t index = strmap_get(&e->node_map, name);
	struct engine_node *node;

	if (index == STRMAP_NONE)
		return -ENOENT;
	node = &e->nodes[index];
	unlink_node(e, index);
	strmap_remove(&e->node_map, name);
	engine_class_put(e, node->class);
	policy_node_done(&node->data);
	e->free_nodes.items[e->free_nodes.n++] = index;
	e->n_used_nodes--;
	return 0;
}

/* --- all of it */

static int load(struct policy_engine *e, const struct policy_network *network)
{
	uint32_t ignored;

	for (size_t i = 0; i < network->n_users; i++)
		if (engine_user_get(e, &network->users[i], &ignored) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < network->n_nodes; i++) {
		const struct policy_user owner = { .login = network->nodes[i].user };

		if (!network->nodes[i].n_tags && owner.login &&
		    engine_user_get(e, &owner, &ignored) < 0)
			return -ENOMEM;
	}
	if (engine_mark_users(e) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < network->n_nodes; i++)
		if (policy_engine_set_node(e, &network->nodes[i], &ignored) < 0)
			return -ENOMEM;
	if (e->n_addrs)
		qsort(e->addrs, e->n_addrs, sizeof(*e->addrs), compare_slots);
	return engine_fill_all(e);
}

int policy_engine_new(const struct policy *policy, const struct policy_network *network,
		      struct policy_engine **ret_engine)
{
	_cleanup_(policy_engine_freep) struct policy_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->policy = policy;
	e->serial = 1;
	e->loading = true;
	if (make_ranges(e, network) < 0 || engine_compile_rules(e) < 0 || engine_make_room(e) < 0 ||
	    load(e, network) < 0)
		return -ENOMEM;
	e->loading = false;
	*ret_engine = take_ptr(e);
	return 0;
}

struct policy_engine *policy_engine_free(struct policy_engine *e)
{
	if (!e)
		return NULL;
	for (size_t i = 0; i < e->n_nodes; i++)
		policy_node_done(&e->nodes[i].data);
	free(e->nodes);
	free(e->addrs);
	free(e->free_nodes.items);
	free(e->routers.items);
	strmap_done(&e->node_map);
	engine_classes_done(e);
	engine_users_done(e);
	engine_rules_done(e);
	range_set_done(&e->wild);
	range_set_done(&e->internet);
	free(e);
	return NULL;
}

uint32_t policy_engine_n_indexes(const struct policy_engine *e)
{
	return (uint32_t)e->n_nodes;
}

const struct policy_node *policy_engine_node(const struct policy_engine *e, uint32_t index)
{
	return index < e->n_nodes && e->nodes[index].data.name ? &e->nodes[index].data : NULL;
}

int policy_engine_find(const struct policy_engine *e, const char *name, uint32_t *ret_index)
{
	uint32_t index = strmap_get(&e->node_map, name);

	if (index == STRMAP_NONE)
		return -ENOENT;
	*ret_index = index;
	return 0;
}

void policy_engine_stats(const struct policy_engine *e, struct policy_stats *ret_stats)
{
	*ret_stats = (struct policy_stats){
		.n_nodes = e->n_used_nodes,
		.n_classes = e->n_classes - e->free_classes.n,
		.n_rules = e->n_rules,
		.n_ssh_rules = e->n_ssh,
	};
}
