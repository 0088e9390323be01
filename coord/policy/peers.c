/* Who sees whom, and which routes of each other they are told of. */
#include <errno.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"

/* Nodes of one user, one of which autogroup:self lets in to the other. */
static bool sees_by_self(const struct policy_engine *e, const struct engine_node *a,
			 const struct engine_node *b)
{
	return a->user != NONE && a->user == b->user &&
	       (bit_get(&e->self, 0, a->class) || bit_get(&e->self, 0, b->class));
}

bool policy_sees(const struct policy_engine *e, uint32_t a, uint32_t b)
{
	const struct engine_node *x = &e->nodes[a], *y = &e->nodes[b];

	return a != b && (bit_get(&e->see, x->class, y->class) || sees_by_self(e, x, y));
}

static int add_members(const struct policy_engine *e, uint32_t class, uint32_t self,
		       struct id_list *peers)
{
	const struct id_list *nodes = &e->classes[class].nodes;

	for (size_t i = 0; i < nodes->n; i++)
		if (nodes->items[i] != self && id_list_add(peers, nodes->items[i]) < 0)
			return -ENOMEM;
	return 0;
}

int policy_peers(const struct policy_engine *e, uint32_t index, uint32_t **ret_peers,
		 size_t *ret_n_peers)
{
	const struct engine_node *node = &e->nodes[index];
	const struct id_list *own = node->user == NONE ? NULL : &e->users[node->user].nodes;
	struct id_list peers = { 0 };
	int r = 0;

	for (uint32_t class = 0; r == 0 && class < e->n_classes; class ++)
		if (bit_get(&e->see, node->class, class))
			r = add_members(e, class, index, &peers);
	for (size_t i = 0; r == 0 && own && i < own->n; i++)
		if (own->items[i] != index && sees_by_self(e, node, &e->nodes[own->items[i]]))
			r = id_list_add(&peers, own->items[i]);
	if (r < 0) {
		free(peers.items);
		return r;
	}
	id_list_sort_unique(&peers);
	*ret_peers = peers.items;
	*ret_n_peers = peers.n;
	return 0;
}

/* The viewer may reach some of the range behind the peer. */
static bool may_reach(const struct policy_engine *e, uint32_t viewer, uint32_t peer,
		      const struct range *range)
{
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];

		if (!bit_get(&e->dst, i, peer) || !bit_get(&e->touch, rule->set, viewer))
			continue;
		for (size_t k = 0; k < rule->n_dst; k++)
			if (rule->dst[k].kind == SEL_ANY ||
			    (rule->dst[k].kind == SEL_RANGES &&
			     range_overlaps(&rule->dst[k].range, range)))
				return true;
	}
	return false;
}

/* Something of the range may reach the viewer. */
static bool is_reached_by(const struct policy_engine *e, uint32_t viewer, const struct range *range)
{
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct source_set *set = &e->sets[e->rules[i].set];

		if (bit_get(&e->dst, i, viewer) &&
		    (set->any || set->danger_all || range_set_overlaps(&set->literals, range)))
			return true;
	}
	return false;
}

static bool may_use_exit(const struct policy_engine *e, uint32_t viewer, uint32_t peer)
{
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];

		if (!bit_get(&e->dst, i, peer) || !bit_get(&e->touch, rule->set, viewer))
			continue;
		for (size_t k = 0; k < rule->n_dst; k++)
			if (rule->dst[k].kind == SEL_ANY || rule->dst[k].kind == SEL_INTERNET)
				return true;
	}
	return false;
}

static bool has_prefix(const struct ip_prefix *list, size_t n, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_compare(&list[i], prefix) == 0)
			return true;
	return false;
}

static bool is_told(const struct policy_engine *e, uint32_t viewer, uint32_t peer,
		    const struct ip_prefix *route)
{
	const struct engine_node *from = &e->nodes[viewer], *to = &e->nodes[peer];
	struct range range = range_of_prefix(route);

	if (prefix_is_exit(route))
		return may_use_exit(e, from->class, to->class);
	if (!has_prefix(to->data.primary, to->data.n_primary, route))
		return false;
	return may_reach(e, from->class, to->class, &range) ||
	       is_reached_by(e, from->class, &range) ||
	       (has_prefix(from->data.approved, from->data.n_approved, route) &&
		policy_sees(e, viewer, peer));
}

static int compare_routes(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

int policy_peer_routes(const struct policy_engine *e, uint32_t viewer, uint32_t peer,
		       struct ip_prefix **ret_routes, size_t *ret_n_routes)
{
	const struct policy_node *to = &e->nodes[peer].data;
	struct ip_prefix *routes = calloc(to->n_approved + 1, sizeof(*routes));
	size_t n = 0;

	if (!routes)
		return -ENOMEM;
	for (size_t i = 0; i < to->n_approved; i++)
		if (is_told(e, viewer, peer, &to->approved[i]))
			routes[n++] = to->approved[i];
	qsort(routes, n, sizeof(*routes), compare_routes);
	*ret_routes = routes;
	*ret_n_routes = n;
	return 0;
}

static bool approves(const struct policy_engine *e, const struct entry *approvers, size_t n,
		     const struct policy_node *node)
{
	const struct policy_user unknown = { .login = node->user };
	uint32_t user =
		node->n_tags || !node->user ? STRMAP_NONE : strmap_get(&e->user_map, node->user);
	const struct policy_user *owner = user == STRMAP_NONE ? &unknown : &e->users[user].data;

	for (size_t i = 0; i < n; i++) {
		const struct selector *sel = entry_selector(e->policy, &approvers[i]);

		for (size_t k = 0; k < node->n_tags; k++)
			if (selector_matches_tag(sel, node->tags[k]))
				return true;
		if (!node->n_tags && node->user && selector_matches_user(e->policy, sel, owner))
			return true;
	}
	return false;
}

static bool is_auto_approved(const struct policy_engine *e, const struct policy_node *node,
			     const struct ip_prefix *route)
{
	const struct policy *p = e->policy;
	struct range range = range_of_prefix(route);

	if (prefix_is_exit(route))
		return approves(e, p->exit_approvers, p->n_exit_approvers, node);
	for (size_t i = 0; i < p->n_route_approvers; i++) {
		const struct route_approver *a = &p->route_approvers[i];

		if (range_contains(&a->range, &range) &&
		    approves(e, a->approvers, a->n_approvers, node))
			return true;
	}
	return false;
}

int policy_auto_approved(const struct policy_engine *e, const struct policy_node *node,
			 struct ip_prefix **ret_routes, size_t *ret_n_routes)
{
	struct ip_prefix *routes = calloc(node->n_advertised + 1, sizeof(*routes));
	size_t n = 0;

	if (!routes)
		return -ENOMEM;
	for (size_t i = 0; i < node->n_advertised; i++)
		if (is_auto_approved(e, node, &node->advertised[i]))
			routes[n++] = node->advertised[i];
	qsort(routes, n, sizeof(*routes), compare_routes);
	*ret_routes = routes;
	*ret_n_routes = n;
	return 0;
}
