/* The policy applied to the nodes: made anew, its rows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/map/engine.h"
#include "coord/policy/grow.h"

void world_engine_done(struct world_engine *engine)
{
	policy_engine_free(engine->engine);
	policy_free(engine->policy);
	free(engine->slots);
	*engine = (struct world_engine){ 0 };
}

int world_row(const struct world_engine *engine, uint32_t index, size_t n_slots, uint64_t **ret_row)
{
	_cleanup_free_ uint64_t *row = calloc(SLOT_WORDS(n_slots) + 1, sizeof(*row));
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n;

	if (!row || policy_peers(engine->engine, index, &peers, &n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		slot_set(row, engine->slots[peers[i]]);
	*ret_row = take_ptr(row);
	return 0;
}

static int compare_users(const void *a, const void *b)
{
	return strcmp(((const struct policy_user *)a)->login,
		      ((const struct policy_user *)b)->login);
}

/* What the strings point to stays the world's. */
static int list_users(const struct world *w, struct policy_network *network)
{
	network->users = calloc(w->n_users + 1, sizeof(*network->users));
	if (!network->users)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_users; i++)
		if (w->users[i].exists)
			network->users[network->n_users++] =
				(struct policy_user){ .login = w->users[i].login,
						      .roles = w->users[i].roles,
						      .groups = w->users[i].groups.items,
						      .n_groups = w->users[i].groups.n };
	qsort(network->users, network->n_users, sizeof(*network->users), compare_users);
	return 0;
}

static int list_nodes(const struct world *w, engine_identity_fn identity, const void *userdata,
		      struct policy_network *network, uint32_t *slots)
{
	network->nodes = calloc(w->n_nodes + 1, sizeof(*network->nodes));
	if (!network->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct policy_node *node =
			w->nodes[i] ? identity(w, w->nodes[i], userdata) : NULL;

		if (!node)
			continue;
		slots[network->n_nodes] = (uint32_t)i;
		network->nodes[network->n_nodes++] = *node;
	}
	return 0;
}

int world_engine_make(const struct world *w, const struct policy *policy,
		      engine_identity_fn identity, const void *userdata,
		      struct world_engine *ret_engine)
{
	struct world_engine engine = { .size = w->n_nodes + 1 };
	struct policy_network network = { .prefixes = (struct ip_prefix *)w->prefixes,
					  .n_prefixes = ARRAY_SIZE(w->prefixes) };
	int r;

	engine.slots = calloc(engine.size, sizeof(*engine.slots));
	r = engine.slots ? list_users(w, &network) : -ENOMEM;
	if (r == 0)
		r = list_nodes(w, identity, userdata, &network, engine.slots);
	/* A fresh engine numbers the nodes in the order that it gets them in. */
	if (r == 0)
		r = policy_engine_new(policy, &network, &engine.engine);
	free(network.users);
	free(network.nodes);
	if (r < 0)
		free(engine.slots);
	else
		*ret_engine = engine;
	return r;
}

int world_engine_reserve(struct world_engine *engine)
{
	return grow(&engine->slots, policy_engine_n_indexes(engine->engine) + 1, &engine->size);
}
