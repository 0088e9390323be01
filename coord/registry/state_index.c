/* Who is who: what means a node besides its id. */
#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/registry/state_parts.h"

const struct node_slot *state_node_by(const struct state *state, const struct strmap *map,
				      const char *key)
{
	uint32_t number = strmap_get(map, key);

	return number == STRMAP_NONE ? NULL : state->slots[number];
}

struct node_slot *state_slot(const struct state *state, const char *id)
{
	return (struct node_slot *)table_find(&state->nodes, id);
}

static const char *clash(const struct state *state, const struct node_slot *slot)
{
	if (state_node_by(state, &state->names, slot->rec.name))
		return "name";
	if (state_node_by(state, &state->machines, slot->machine))
		return "machine key";
	if (state_node_by(state, &state->keys, slot->key))
		return "node key";
	if (state_node_by(state, &state->ips, slot->ipv4))
		return "address";
	return NULL;
}

static int take_number(struct state *state, struct node_slot *slot)
{
	for (size_t i = 0; i < state->n_slots && state->n_free > 0; i++) {
		size_t number = (slot->number + i) % state->n_slots;

		if (!state->slots[number]) {
			slot->number = (uint32_t)number;
			state->slots[number] = slot;
			state->n_free--;
			return 0;
		}
	}
	if (grow(&state->slots, state->n_slots + 1, &state->size_slots) < 0)
		return -ENOMEM;
	slot->number = (uint32_t)state->n_slots;
	state->slots[state->n_slots++] = slot;
	return 0;
}

void state_unindex(struct state *state, struct node_slot *slot)
{
	if (!slot->is_indexed)
		return;
	strmap_remove(&state->names, slot->rec.name);
	strmap_remove(&state->machines, slot->machine);
	strmap_remove(&state->keys, slot->key);
	strmap_remove(&state->ips, slot->ipv4);
	state->slots[slot->number] = NULL;
	state->n_free++;
	slot->is_indexed = false;
}

static int index_slot(struct state *state, struct node_slot *slot)
{
	int r = take_number(state, slot);

	if (r < 0)
		return r;
	slot->is_indexed = true;
	r = strmap_set(&state->names, slot->rec.name, slot->number);
	if (r == 0)
		r = strmap_set(&state->machines, slot->machine, slot->number);
	if (r == 0)
		r = strmap_set(&state->keys, slot->key, slot->number);
	if (r == 0)
		r = strmap_set(&state->ips, slot->ipv4, slot->number);
	return r;
}

int state_admit(struct state *state, struct node_slot *slot)
{
	const char *what = clash(state, slot);

	if (!what)
		return index_slot(state, slot);
	state_complain(state, "nodes/%s: has the %s of another node; it is set aside",
		       slot->rec.head.id, what);
	return -EEXIST;
}
