#include "coord/map/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "coord/map/network.h"
#include "coord/policy/grow.h"

void map_plan_clear(struct map_plan *plan)
{
	*plan = (struct map_plan){ .entries = plan->entries, .size = plan->size };
}

void map_plan_done(struct map_plan *plan)
{
	free(plan->entries);
	*plan = (struct map_plan){ 0 };
}

bool map_plan_is_empty(const struct map_plan *plan)
{
	return plan->n == 0 && !plan->self && !plan->filter && !plan->ssh;
}

static int add(struct map_plan *plan, enum plan_kind kind, uint8_t tail, uint32_t number)
{
	if (grow(&plan->entries, plan->n + 1, &plan->size) < 0)
		return -ENOMEM;
	plan->entries[plan->n++] =
		(struct plan_entry){ .kind = (uint8_t)kind, .tail = tail, .number = number };
	return 0;
}

/* ---- peers ---- */

static int add_peer(struct world *w, const struct world_node *viewer, struct world_node *peer,
		    enum plan_kind kind, struct map_plan *plan)
{
	uint8_t tail;

	peer->mark = w->mark;
	if (record_tail(&peer->record, &viewer->record.reach.view, &tail) < 0)
		return -ENOMEM;
	return add(plan, kind, tail, peer->slot);
}

static int add_removed(struct world *w, struct world_node *peer, struct map_plan *plan)
{
	peer->mark = w->mark;
	return add(plan, PLAN_REMOVED, 0, peer->slot);
}

/* One that was a peer, and is. */
static int add_change(struct world *w, const struct world_node *viewer,
		      const struct world_change *change, struct map_plan *plan)
{
	if (change->what & WORLD_TEXT)
		return add_peer(w, viewer, change->node, PLAN_CHANGED, plan);
	if (change->what & WORLD_REACH)
		return add_peer(w, viewer, change->node, PLAN_PATCHED, plan);
	return 0;
}

static int add_view(struct world *w, const struct world_node *viewer, struct world_node *peer,
		    const struct reach_view *old_view, struct map_plan *plan)
{
	uint8_t before, now;

	if (record_tail(&peer->record, old_view, &before) < 0 ||
	    record_tail(&peer->record, &viewer->record.reach.view, &now) < 0)
		return -ENOMEM;
	return before == now ? 0 : add_peer(w, viewer, peer, PLAN_PATCHED, plan);
}

/* The node reaches others in another way than before: those that the plan has nothing of yet. */
static int add_views(struct world *w, const struct world_node *viewer,
		     const struct reach_view *old_view, struct map_plan *plan)
{
	_cleanup_free_ uint32_t *peers = NULL;
	size_t n;
	int r = policy_peers(w->now.engine, viewer->index, &peers, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct world_node *peer = w->nodes[w->now.slots[peers[i]]];

		if (peer->mark != w->mark)
			r = add_view(w, viewer, peer, old_view, plan);
	}
	return r;
}

/* ---- users ---- */

static int add_user(struct world *w, uint32_t user, struct map_plan *plan)
{
	if (w->users[user].mark == w->mark)
		return 0;
	w->users[user].mark = w->mark;
	return add(plan, PLAN_USER, 0, user);
}

static bool is_told_of(const struct world *w, const struct world_node *viewer,
		       const struct world_node *node)
{
	return node == viewer || world_sees(w, viewer, node);
}

/* ---- texts and tokens ---- */

static int add_text(struct world *w, struct texts *texts, const struct world_node *node,
		    const struct map_hash *told, const struct shared_text **ret_text,
		    struct map_hash *ret_hash, struct map_plan *plan)
{
	const struct shared_text *text;
	int r = texts_get(texts, w->now.engine, node->index, &text);

	if (r < 0)
		return r;
	*ret_hash = text->hash;
	if (map_hash_equal(&text->hash, told))
		return 0;
	*ret_text = text;
	plan->own_texts |= text == &texts->own;
	return 0;
}

/* What the node was told is looked at again only if the engine may say something else. */
static int add_texts(struct world *w, const struct map_viewer *viewer, struct map_plan *plan)
{
	const struct world_node *node = viewer->node;
	int r = 0;

	plan->filter_serial = texts_serial(&w->filters, w->now.engine, node->index);
	plan->ssh_serial = texts_serial(&w->ssh_rules, w->now.engine, node->index);
	if (plan->filter_serial != viewer->filter_serial)
		r = add_text(w, &w->filters, node, &viewer->told.filter, &plan->filter,
			     &plan->tokens.filter, plan);
	if (r == 0 && plan->ssh_serial != viewer->ssh_serial)
		r = add_text(w, &w->ssh_rules, node, &viewer->told.ssh, &plan->ssh,
			     &plan->tokens.ssh, plan);
	return r;
}

static void begin(struct world *w, const struct map_viewer *viewer, struct map_plan *plan)
{
	w->mark++;
	plan->tokens = viewer->told;
	plan->tokens.view = viewer->node->record.reach.view;
	plan->filter_serial = viewer->filter_serial;
	plan->ssh_serial = viewer->ssh_serial;
}

static int policy_hash(const struct world *w, const struct world_node *node,
		       struct map_hash *ret_hash)
{
	return network_node_hash(w, policy_engine_node(w->now.engine, node->index), ret_hash);
}

/* ---- what a flush changed ---- */

static int list_renamed(struct world *w, struct plan_live *live)
{
	if (!live->changes->users)
		return 0;
	live->renamed = calloc(w->n_nodes + 1, sizeof(struct world_node *));
	if (!live->renamed)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_nodes; i++) {
		struct world_node *node = w->nodes[i];

		if (node && node->exists && node->user != WORLD_NONE &&
		    w->users[node->user].changed)
			live->renamed[live->n_renamed++] = node;
	}
	return 0;
}

int plan_live_begin(struct world *w, const struct world_changes *changes,
		    struct plan_live *ret_live)
{
	*ret_live = (struct plan_live){
		.world = w,
		.changes = changes,
		.old_rows = { .engine = &changes->old, .n_slots = changes->n_slots },
		.new_rows = { .engine = &w->now, .n_slots = changes->n_slots },
	};
	return list_renamed(w, ret_live);
}

void plan_live_done(struct plan_live *live)
{
	peer_rows_done(&live->old_rows);
	peer_rows_done(&live->new_rows);
	free(live->renamed);
	*live = (struct plan_live){ 0 };
}

/* The node itself is the same for the policy: its peers changed, or came, or went. */
static int add_changes(const struct plan_live *live, const struct world_node *viewer,
		       struct map_plan *plan)
{
	struct world *w = live->world;
	int r = 0;

	for (size_t i = 0; r == 0 && i < live->changes->n; i++) {
		const struct world_change *change = &live->changes->items[i];
		bool now = world_sees(w, viewer, change->node), before = now;

		if (change->what & WORLD_IDENTITY)
			before = change->before && slot_get(change->before, viewer->slot);
		if (before && !now)
			r = add_removed(w, change->node, plan);
		else if (now && !before)
			r = add_peer(w, viewer, change->node, PLAN_CHANGED, plan);
		else if (now)
			r = add_change(w, viewer, change, plan);
	}
	return r;
}

static int add_word(struct world *w, const struct world_node *viewer, size_t first, uint64_t before,
		    uint64_t after, struct map_plan *plan)
{
	int r = 0;

	for (uint64_t bits = before ^ after; r == 0 && bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(bits);
		struct world_node *peer = w->nodes[first + bit];

		if (peer == viewer)
			continue;
		r = after >> bit & 1 ? add_peer(w, viewer, peer, PLAN_CHANGED, plan)
				     : add_removed(w, peer, plan);
	}
	return r;
}

/* Its peers are others: by whole rows. before NULL: it had none. */
static int add_rows(const struct plan_live *live, const struct world_node *viewer,
		    const uint64_t *before, const uint64_t *after, struct map_plan *plan)
{
	const struct world_changes *changes = live->changes;
	struct world *w = live->world;
	int r = 0;

	for (size_t i = 0; r == 0 && i < SLOT_WORDS(changes->n_slots); i++)
		r = add_word(w, viewer, i * 64, before ? before[i] : 0, after[i], plan);
	for (size_t i = 0; r == 0 && i < changes->n; i++) {
		const struct world_change *change = &changes->items[i];
		uint32_t slot = change->node->slot;

		if (change->node != viewer && before && slot_get(before, slot) &&
		    slot_get(after, slot))
			r = add_change(w, viewer, change, plan);
	}
	return r;
}

static int add_own_rows(const struct plan_live *live, const struct world_node *viewer,
			const struct world_change *own, struct map_plan *plan)
{
	_cleanup_free_ uint64_t *after = NULL;
	int r = world_row(&live->world->now, viewer->index, live->changes->n_slots, &after);

	return r < 0 ? r : add_rows(live, viewer, own->before, after, plan);
}

static int add_engine_rows(struct plan_live *live, const struct world_node *viewer,
			   struct map_plan *plan)
{
	uint32_t old_index = live->changes->old_index[viewer->slot];
	const uint64_t *before = NULL, *after;
	int r = peer_rows_get(&live->new_rows, viewer->index, &after);

	if (r == 0 && old_index != WORLD_NONE)
		r = peer_rows_get(&live->old_rows, old_index, &before);
	return r < 0 ? r : add_rows(live, viewer, before, after, plan);
}

static int add_peers(struct plan_live *live, const struct world_node *viewer,
		     const struct world_change *own, struct map_plan *plan)
{
	if (live->changes->old.engine)
		return add_engine_rows(live, viewer, plan);
	if (own && (own->what & WORLD_IDENTITY))
		return add_own_rows(live, viewer, own, plan);
	return add_changes(live, viewer, plan);
}

static int add_own(struct plan_live *live, const struct map_viewer *viewer,
		   const struct world_change *own, struct map_plan *plan)
{
	int r = 0;

	if (live->changes->old.engine || (own && (own->what & WORLD_IDENTITY)))
		r = policy_hash(live->world, viewer->node, &plan->tokens.policy);
	plan->self = own && (own->what & WORLD_SELF);
	if (r == 0 && own && (own->what & WORLD_VIEW))
		r = add_views(live->world, viewer->node, &own->old_view, plan);
	return r;
}

static int add_renamed(const struct plan_live *live, const struct world_node *viewer,
		       struct map_plan *plan)
{
	struct world *w = live->world;
	int r = 0;

	for (size_t i = 0; r == 0 && i < live->n_renamed; i++)
		if (w->users[live->renamed[i]->user].mark != w->mark &&
		    is_told_of(w, viewer, live->renamed[i]))
			r = add_user(w, live->renamed[i]->user, plan);
	return r;
}

int map_plan_live(struct plan_live *live, const struct map_viewer *viewer, struct map_plan *plan)
{
	const struct world_change *own = world_change_of(live->changes, viewer->node);
	struct map_viewer fresh = *viewer;
	int r;

	begin(live->world, viewer, plan);
	r = add_peers(live, viewer->node, own, plan);
	if (r == 0)
		r = add_own(live, viewer, own, plan);
	if (r == 0)
		r = add_renamed(live, viewer->node, plan);
	/* Serials are the engine's own. */
	if (live->changes->old.engine)
		fresh.filter_serial = fresh.ssh_serial = 0;
	if (r == 0 && live->changes->engine)
		r = add_texts(live->world, &fresh, plan);
	return r;
}

/* ---- what has changed since ---- */

static int add_since(struct world *w, const struct world_node *viewer, struct world_node *peer,
		     uint64_t generation, struct map_plan *plan)
{
	if (peer == viewer)
		return 0;
	if (!world_sees(w, viewer, peer))
		return peer->identity_rev > generation ? add_removed(w, peer, plan) : 0;
	if (peer->text_rev > generation)
		return add_peer(w, viewer, peer, PLAN_CHANGED, plan);
	if (peer->reach_rev > generation)
		return add_peer(w, viewer, peer, PLAN_PATCHED, plan);
	return 0;
}

static int add_newest(struct world *w, const struct world_node *viewer, uint64_t generation,
		      struct map_plan *plan)
{
	int r = 0;

	for (struct world_node *peer = w->newest;
	     r == 0 && peer && peer->record.revision > generation; peer = peer->older)
		r = add_since(w, viewer, peer, generation, plan);
	return r;
}

/* Keys that ended by the clock did so at no revision: the node may have been told, or not. */
static int add_clock_expired(struct world *w, struct map_plan *plan)
{
	int r = 0;

	for (size_t i = 0; w->n_clock_expired > 0 && r == 0 && i < w->n_nodes; i++) {
		struct world_node *node = w->nodes[i];

		if (node && node->exists && node->expired && !node->record.ended &&
		    node->mark != w->mark)
			r = add_removed(w, node, plan);
	}
	return r;
}

static int add_gone(const struct world *w, uint64_t generation, struct map_plan *plan)
{
	int r = 0;

	for (size_t i = removed_after(&w->removed, generation); r == 0 && i < w->removed.n; i++)
		if (!world_find(w, w->removed.items[i].id))
			r = add(plan, PLAN_GONE, 0, (uint32_t)i);
	return r;
}

static int add_renamed_since(struct world *w, const struct world_node *viewer, uint64_t generation,
			     struct map_plan *plan)
{
	int r = 0;

	for (size_t i = 0; w->users_rev > generation && r == 0 && i < w->n_nodes; i++) {
		const struct world_node *node = w->nodes[i];

		if (node && node->exists && node->user != WORLD_NONE &&
		    w->users[node->user].revision > generation && is_told_of(w, viewer, node))
			r = add_user(w, node->user, plan);
	}
	return r;
}

static int add_all_since(struct world *w, const struct map_viewer *viewer, uint64_t generation,
			 struct map_plan *plan)
{
	const struct world_node *node = viewer->node;
	int r = add_newest(w, node, generation, plan);

	if (r == 0)
		r = add_clock_expired(w, plan);
	if (r == 0)
		r = add_gone(w, generation, plan);
	if (r == 0 && !reach_view_equal(&viewer->told.view, &node->record.reach.view))
		r = add_views(w, node, &viewer->told.view, plan);
	if (r == 0)
		r = add_renamed_since(w, node, generation, plan);
	plan->self = node->self_rev > generation;
	return r < 0 ? r : add_texts(w, viewer, plan);
}

int map_plan_since(struct world *w, const struct map_viewer *viewer, uint64_t generation,
		   struct map_plan *plan)
{
	int r;

	if (viewer->node->index == WORLD_NONE || generation < w->removed.from ||
	    generation > w->generation)
		return MAP_PLAN_FULL;
	begin(w, viewer, plan);
	r = policy_hash(w, viewer->node, &plan->tokens.policy);
	if (r < 0)
		return r;
	if (!map_hash_equal(&plan->tokens.policy, &viewer->told.policy))
		return MAP_PLAN_FULL;
	return add_all_since(w, viewer, generation, plan);
}
