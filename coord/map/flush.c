/* What was handed in takes effect, all at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/map/engine.h"
#include "coord/map/network.h"
#include "coord/policy/network.h"

/* ---- how a node will be ---- */

static bool will_exist(const struct world_node *node)
{
	return node->pending ? !node->removed : node->exists;
}

static const struct record *coming_record(const struct world_node *node)
{
	return node->pending ? &node->next : &node->record;
}

static bool will_be_expired(const struct world_node *node, uint64_t wall)
{
	return record_is_expired(coming_record(node), wall);
}

static const struct policy_node *
coming_identity(const struct world *w, const struct world_node *node, const void *userdata)
{
	const uint64_t *wall = userdata;

	if (!will_exist(node) || will_be_expired(node, *wall))
		return NULL;
	if (node->pending)
		return &node->identity;
	/* What has expired by the clock stays out until its record changes, however that is set. */
	return node->index == WORLD_NONE ? NULL : policy_engine_node(w->now.engine, node->index);
}

static bool same_identity(const struct policy_node *a, const struct policy_node *b)
{
	if (a->n_tags != b->n_tags || a->n_addresses != b->n_addresses || !a->user != !b->user ||
	    (a->user && strcmp(a->user, b->user) != 0))
		return false;
	for (size_t i = 0; i < a->n_tags; i++)
		if (strcmp(a->tags[i], b->tags[i]) != 0)
			return false;
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!ip_addr_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

static unsigned identity_change(const struct world *w, const struct world_node *node, uint64_t wall)
{
	const struct policy_node *next = coming_identity(w, node, &wall);

	if ((node->index != WORLD_NONE) != (next != NULL))
		return WORLD_IDENTITY | WORLD_TEXT;
	if (!next || same_identity(next, policy_engine_node(w->now.engine, node->index)))
		return 0;
	return WORLD_IDENTITY;
}

static unsigned what_changes(const struct world *w, const struct world_node *node, uint64_t wall)
{
	const struct record *next = coming_record(node);
	unsigned what = identity_change(w, node, wall);

	if (!will_exist(node))
		return what | WORLD_REMOVED;
	if (!node->exists)
		return WORLD_IDENTITY | WORLD_TEXT | WORLD_REACH | WORLD_VIEW | WORLD_SELF;
	if (!record_same_text(&node->record, next))
		what |= WORLD_TEXT;
	if (!record_same_self(&node->record, next) || node->expired != will_be_expired(node, wall))
		what |= WORLD_SELF;
	if (!reach_node_equal(&node->record.reach, &next->reach))
		what |= WORLD_REACH;
	if (!reach_view_equal(&node->record.reach.view, &next->reach.view))
		what |= WORLD_VIEW;
	return what;
}

/* ---- the list of changes ---- */

static void add_change(const struct world *w, struct world_node *node, uint64_t wall,
		       struct world_changes *changes)
{
	node->change = (uint32_t)changes->n;
	changes->items[changes->n++] = (struct world_change){
		.node = node,
		.what = what_changes(w, node, wall),
		.old_view = node->record.reach.view,
	};
}

static bool ends_now(const struct world_node *node, uint64_t wall)
{
	return node && node->exists && !node->pending && !node->expired &&
	       record_is_expired(&node->record, wall);
}

static int collect(const struct world *w, uint64_t wall, struct world_changes *changes)
{
	size_t n_ending = 0;

	for (size_t i = 0; wall >= w->next_expiry && i < w->n_nodes; i++)
		n_ending += ends_now(w->nodes[i], wall);
	changes->items = calloc(w->n_pending + n_ending + 1, sizeof(*changes->items));
	if (!changes->items)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_pending; i++)
		add_change(w, w->nodes[w->pending[i]], wall, changes);
	for (size_t i = 0; n_ending > 0 && i < w->n_nodes; i++)
		if (ends_now(w->nodes[i], wall))
			add_change(w, w->nodes[i], wall, changes);
	return 0;
}

static void forget_changes(struct world_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		changes->items[i].node->change = WORLD_NONE;
		free(changes->items[i].before);
	}
	free(changes->items);
	free(changes->old_index);
	world_engine_done(&changes->old);
	*changes = (struct world_changes){ 0 };
}

/* ---- the engine ---- */

static int note_peers(const struct world *w, struct world_changes *changes)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < changes->n; i++) {
		struct world_change *change = &changes->items[i];

		if ((change->what & WORLD_IDENTITY) && change->node->index != WORLD_NONE)
			r = world_row(&w->now, change->node->index, changes->n_slots,
				      &change->before);
	}
	return r;
}

static int follow(struct world *w, struct world_node *node, uint64_t wall)
{
	const struct policy_node *next = coming_identity(w, node, &wall);
	int r;

	if (!next) {
		if (node->index != WORLD_NONE)
			policy_engine_remove_node(w->now.engine, node->id);
		node->index = WORLD_NONE;
		return 0;
	}
	if (world_engine_reserve(&w->now) < 0)
		return -ENOMEM;
	r = policy_engine_set_node(w->now.engine, next, &node->index);
	if (r == 0)
		w->now.slots[node->index] = node->slot;
	return r;
}

/* If it fails half-way, nobody can be told any more what differs. */
static int follow_all(struct world *w, uint64_t wall, struct world_changes *changes)
{
	int r = note_peers(w, changes);

	if (r < 0)
		return r;
	for (size_t i = 0; i < changes->n; i++) {
		if (!(changes->items[i].what & WORLD_IDENTITY))
			continue;
		changes->engine = true;
		if (follow(w, changes->items[i].node, wall) < 0) {
			w->lost = w->rebuild = true;
			return -ENOMEM;
		}
	}
	return 0;
}

static void number_nodes(struct world *w, uint32_t *old_index)
{
	uint32_t n = policy_engine_n_indexes(w->now.engine);

	for (size_t i = 0; i < w->n_nodes; i++) {
		old_index[i] = w->nodes[i] ? w->nodes[i]->index : WORLD_NONE;
		if (w->nodes[i])
			w->nodes[i]->index = WORLD_NONE;
	}
	for (uint32_t i = 0; i < n; i++)
		w->nodes[w->now.slots[i]]->index = i;
}

/* The policy goes along with the engine that is in force. */
static void exchange(struct world *w, struct world_engine *engine, struct world_changes *changes)
{
	changes->old = w->now;
	engine->policy = w->next_policy;
	if (!engine->policy)
		engine->policy = take_ptr(changes->old.policy);
	else
		w->network = w->next_network;
	w->next_policy = NULL;
	w->now = *engine;
	number_nodes(w, changes->old_index);
	texts_clear(&w->filters);
	texts_clear(&w->ssh_rules);
	w->rebuild = false;
	changes->engine = true;
}

static int rebuild(struct world *w, uint64_t wall, struct world_changes *changes)
{
	const struct policy *policy = w->next_policy ? w->next_policy : w->now.policy;
	struct world_engine engine;
	struct map_hash base;
	int r;

	if (!policy)
		return -EAGAIN;
	changes->old_index = calloc(w->n_nodes + 1, sizeof(*changes->old_index));
	if (!changes->old_index)
		return -ENOMEM;
	r = network_base_hash(w, w->next_policy ? &w->next_network : &w->network, &base);
	if (r == 0)
		r = world_engine_make(w, policy, coming_identity, &wall, &engine);
	if (r < 0)
		return r;
	w->base = base;
	exchange(w, &engine, changes);
	return 0;
}

/* ---- the nodes ---- */

static bool is_ended_by_clock(const struct world_node *node)
{
	return node->exists && node->expired && !node->record.ended;
}

static void unlist(struct world *w, struct world_node *node)
{
	if (node->newer)
		node->newer->older = node->older;
	else if (w->newest == node)
		w->newest = node->older;
	if (node->older)
		node->older->newer = node->newer;
	node->newer = node->older = NULL;
}

/* Nearly always in front. */
static void list(struct world *w, struct world_node *node)
{
	struct world_node *newer = NULL, *older = w->newest;

	for (; older && older->record.revision > node->record.revision; older = older->older)
		newer = older;
	node->newer = newer;
	node->older = older;
	if (newer)
		newer->older = node;
	else
		w->newest = node;
	if (older)
		older->newer = node;
}

/* What ends by the clock has no revision of its own: the generation has to do. */
static uint64_t revision_of(const struct world *w, const struct world_node *node)
{
	return node->pending ? node->next.revision : w->revision;
}

static void note_revisions(const struct world *w, struct world_node *node, unsigned what)
{
	uint64_t revision = revision_of(w, node);

	if (what & WORLD_IDENTITY)
		node->identity_rev = revision;
	if (what & WORLD_TEXT)
		node->text_rev = revision;
	if (what & WORLD_REACH)
		node->reach_rev = revision;
	if (what & WORLD_SELF)
		node->self_rev = revision;
}

static void take_next(struct world *w, struct world_node *node)
{
	unlist(w, node);
	record_done(&node->record);
	policy_node_done(&node->identity);
	node->identity = (struct policy_node){ 0 };
	node->record = node->next;
	node->next = (struct record){ 0 };
	node->user = node->next_user;
	node->exists = true;
	list(w, node);
}

static void commit_node(struct world *w, struct world_change *change, uint64_t wall)
{
	struct world_node *node = change->node;
	bool expired = !(change->what & WORLD_REMOVED) && will_be_expired(node, wall);

	w->n_clock_expired -= is_ended_by_clock(node);
	if (change->what & WORLD_REMOVED) {
		/* One that was never shown here may have been by the process before this one. */
		removed_add(&w->removed, node->removed_rev, node->id);
		unlist(w, node);
		node->exists = false;
	} else {
		note_revisions(w, node, change->what);
		if (node->pending)
			take_next(w, node);
		node->expired = expired;
	}
	node->pending = false;
	w->n_clock_expired += is_ended_by_clock(node);
}

static int compare_changes(const void *a, const void *b)
{
	const struct world_node *x = ((const struct world_change *)a)->node;
	const struct world_node *y = ((const struct world_change *)b)->node;
	uint64_t p = coming_record(x)->revision, q = coming_record(y)->revision;

	return (p > q) - (p < q);
}

static void commit(struct world *w, uint64_t wall, struct world_changes *changes)
{
	/* By revision, so that each finds its place in front of the one before. */
	qsort(changes->items, changes->n, sizeof(*changes->items), compare_changes);
	for (size_t i = 0; i < changes->n; i++) {
		changes->items[i].node->change = (uint32_t)i;
		commit_node(w, &changes->items[i], wall);
	}
	w->n_pending = 0;
	if (wall < w->next_expiry)
		return;
	w->next_expiry = UINT64_MAX;
	for (size_t i = 0; i < w->n_nodes; i++)
		if (w->nodes[i] && w->nodes[i]->exists && !w->nodes[i]->expired &&
		    w->nodes[i]->record.key_expiry < w->next_expiry)
			w->next_expiry = w->nodes[i]->record.key_expiry;
}

/* ---- all of it ---- */

bool world_is_pending(const struct world *w, uint64_t wall)
{
	return w->n_pending > 0 || w->rebuild || w->lost || w->users_changed ||
	       wall >= w->next_expiry;
}

int world_flush(struct world *w, uint64_t wall, struct world_changes *ret_changes)
{
	struct world_changes changes = { .from = w->generation, .n_slots = w->n_nodes };
	int r;

	if (!w->domain || (!w->now.engine && !w->next_policy))
		return -EAGAIN;
	r = collect(w, wall, &changes);
	if (r == 0)
		r = w->rebuild ? rebuild(w, wall, &changes) : follow_all(w, wall, &changes);
	if (r < 0) {
		forget_changes(&changes);
		return r;
	}
	commit(w, wall, &changes);
	changes.everybody = w->lost;
	changes.users = w->users_changed;
	changes.to = w->generation = w->revision;
	w->lost = w->users_changed = false;
	*ret_changes = changes;
	return 0;
}

void world_changes_done(struct world *w, struct world_changes *changes)
{
	if (changes->users)
		for (size_t i = 0; i < w->n_users; i++)
			w->users[i].changed = false;
	for (size_t i = 0; i < changes->n; i++)
		changes->items[i].node->change = WORLD_NONE;
	for (size_t i = 0; i < changes->n; i++) {
		free(changes->items[i].before);
		changes->items[i].before = NULL;
		if (changes->items[i].what & WORLD_REMOVED)
			world_drop_node(w, changes->items[i].node);
	}
	changes->n = 0;
	forget_changes(changes);
}

struct world_change *world_change_of(const struct world_changes *changes,
				     const struct world_node *node)
{
	return node->change == WORLD_NONE ? NULL : &changes->items[node->change];
}
