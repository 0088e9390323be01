#include "coord/map/bodies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/hash.h"

static void body_done(struct body *body)
{
	free(body->entries);
	map_frame_unref(body->frame);
}

void bodies_done(struct bodies *bodies)
{
	for (size_t i = 0; i < bodies->size; i++)
		body_done(&bodies->items[i]);
	free(bodies->items);
	*bodies = (struct bodies){ 0 };
}

bool map_plan_is_shared(const struct map_plan *plan)
{
	return !plan->self && !plan->own_texts;
}

static struct body body_of(const struct map_plan *plan)
{
	struct body body = { .entries = plan->entries,
			     .n = plan->n,
			     .has_filter = plan->filter != NULL,
			     .has_ssh = plan->ssh != NULL,
			     .tokens_follow = plan->tokens_follow };

	_Static_assert(sizeof(struct plan_entry) == 8, "no padding: it is hashed");
	body.hash = plan->n ? hash_bytes(plan->entries, plan->n * sizeof(*plan->entries)) : 0;
	if (plan->filter)
		body.filter = plan->filter->hash;
	if (plan->ssh)
		body.ssh = plan->ssh->hash;
	body.hash ^= hash_bytes(&body.filter, sizeof(body.filter)) ^
		     hash_bytes(&body.ssh, sizeof(body.ssh)) * 3;
	return body;
}

static bool same_body(const struct body *a, const struct body *b)
{
	return a->hash == b->hash && a->n == b->n && a->has_filter == b->has_filter &&
	       a->has_ssh == b->has_ssh && a->tokens_follow == b->tokens_follow &&
	       map_hash_equal(&a->filter, &b->filter) && map_hash_equal(&a->ssh, &b->ssh) &&
	       (a->n == 0 || memcmp(a->entries, b->entries, a->n * sizeof(*a->entries)) == 0);
}

/* The same, or a free one. */
static struct body *find(struct body *items, size_t size, const struct body *body)
{
	size_t i = body->hash & (size - 1);

	while (items[i].frame && !same_body(&items[i], body))
		i = (i + 1) & (size - 1);
	return &items[i];
}

static int grow_table(struct bodies *bodies)
{
	size_t size = bodies->size ? 2 * bodies->size : 64;
	struct body *items;

	if (bodies->n < bodies->size / 2)
		return 0;
	items = calloc(size, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < bodies->size; i++)
		if (bodies->items[i].frame)
			*find(items, size, &bodies->items[i]) = bodies->items[i];
	free(bodies->items);
	bodies->items = items;
	bodies->size = size;
	return 0;
}

static int make_body(struct world *w, const struct world_node *node, const struct map_plan *plan,
		     struct body *body)
{
	struct plan_entry *copy = calloc(plan->n + 1, sizeof(*copy));
	int r;

	if (!copy)
		return -ENOMEM;
	r = map_write_delta(w, node, plan, false, &body->frame);
	if (r < 0) {
		free(copy);
		return r;
	}
	if (plan->n)
		memcpy(copy, plan->entries, plan->n * sizeof(*copy));
	body->entries = copy;
	return 0;
}

int bodies_get(struct bodies *bodies, struct world *w, const struct world_node *node,
	       const struct map_plan *plan, struct map_frame **ret_frame)
{
	struct body body = body_of(plan), *known;
	int r;

	if (grow_table(bodies) < 0)
		return -ENOMEM;
	known = find(bodies->items, bodies->size, &body);
	if (!known->frame) {
		r = make_body(w, node, plan, &body);
		if (r < 0)
			return r;
		*known = body;
		bodies->n++;
		bodies->n_made++;
	}
	*ret_frame = map_frame_ref(known->frame);
	return 0;
}
