/* The ends between which access is compared. */
#include <errno.h>
#include <string.h>

#include "coord/policy/diff.h"
#include "coord/policy/grow.h"

static const char *domain_of(const struct policy_node *node)
{
	const char *sign = node->n_tags || !node->user ? NULL : strrchr(node->user, '@');

	return sign ? sign + 1 : "";
}

/* The first address of each family. */
static void take_addresses(struct diff_end *end, const struct policy_node *node)
{
	bool have[2] = { false, false };

	for (size_t i = 0; i < node->n_addresses; i++) {
		struct range range = range_of_addr(&node->addresses[i]);

		if (have[range.v6])
			continue;
		have[range.v6] = true;
		end->addrs[end->n_addrs] = (struct net_end){ range, end->old_node };
		end->new_addrs[end->n_addrs++] = (struct net_end){ range, end->new_node };
	}
}

static int group_node(struct diff_run *run, struct strmap *groups, uint32_t node)
{
	const struct engine_node *here = &run->old->nodes[node];
	uint32_t there = strmap_get(&run->new->node_map, here->data.name), index;
	_cleanup_(policy_text_done) struct policy_text key = { 0 };
	struct diff_end end = { .old_class = here->class, .old_node = node, .new_node = there };
	char *kept;

	end.new_class = run->new->nodes[there].class;
	policy_text_printf(&key, "%u %u %s", end.old_class, end.new_class, domain_of(&here->data));
	if (key.failed)
		return -ENOMEM;
	index = strmap_get(groups, key.data);
	if (index == STRMAP_NONE) {
		index = (uint32_t)run->n_ends;
		take_addresses(&end, &here->data);
		kept = arena_strndup(&run->arena, key.data, key.len);
		if (!kept || grow(&run->ends, run->n_ends + 1, &run->size_ends) < 0 ||
		    strmap_set(groups, kept, index) < 0)
			return -ENOMEM;
		run->ends[run->n_ends++] = end;
	}
	return id_list_add(&run->ends[index].nodes, node);
}

static int find_groups(struct diff_run *run)
{
	struct strmap groups = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < run->old->n_nodes; i++)
		if (run->old->nodes[i].data.name)
			r = group_node(run, &groups, i);
	run->n_groups = run->n_ends;
	strmap_done(&groups);
	return r;
}

/* --- ranges outside of the mesh */

static int add_ranges(struct range_set *all, const struct range_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (range_set_append(all, &set->items[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int collect(const struct policy_engine *e, struct range_set *all)
{
	bool exit = false;

	for (size_t i = 0; i < e->policy->n_selectors; i++)
		if (e->sel_used[i] && add_ranges(all, &e->policy->selectors[i].ranges) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < e->n_classes; i++) {
		const struct engine_class *class = &e->classes[i];

		for (size_t k = 0; k < class->n_subnets; k++) {
			struct range range = range_of_prefix(&class->subnets[k]);

			if (range_set_append(all, &range) < 0)
				return -ENOMEM;
		}
		exit |= class->key && bit_get(&e->marks, mark_of(e, MARK_EXIT), i);
	}
	return exit ? add_ranges(all, &e->internet) : 0;
}

/* Where something begins or has just ended. */
struct cut {
	unsigned __int128 at;
	bool v6;
};

static int compare_cuts(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	if (x->v6 != y->v6)
		return x->v6 ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

static struct cut *make_cuts(const struct range_set *all, size_t *ret_n)
{
	struct cut *cuts = calloc(2 * all->n + 1, sizeof(*cuts));
	size_t n = 0;

	for (size_t i = 0; cuts && i < all->n; i++) {
		const struct range *r = &all->items[i];
		struct range whole = range_all(r->v6);

		cuts[n++] = (struct cut){ r->first, r->v6 };
		if (r->last != whole.last)
			cuts[n++] = (struct cut){ r->last + 1, r->v6 };
	}
	if (cuts)
		qsort(cuts, n, sizeof(*cuts), compare_cuts);
	*ret_n = n;
	return cuts;
}

static int add_range_end(struct diff_run *run, const struct range *range)
{
	struct range first = { range->first, range->first, range->v6 };
	struct diff_end end = { .range = *range,
				.old_class = NONE,
				.new_class = NONE,
				.n_addrs = 1,
				.old_node = NONE,
				.new_node = NONE };

	end.addrs[0] = end.new_addrs[0] = (struct net_end){ first, NONE };
	if (grow(&run->ends, run->n_ends + 1, &run->size_ends) < 0)
		return -ENOMEM;
	run->ends[run->n_ends++] = end;
	return 0;
}

/* Between two cuts both policies say the same of every address. */
static int add_atoms(struct diff_run *run, const struct range_set *all,
		     const struct range_set *covered)
{
	size_t n = 0;
	struct cut *cuts = make_cuts(all, &n);
	int r = cuts ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct range atom = { .first = cuts[i].at, .v6 = cuts[i].v6 };
		struct range whole = range_all(atom.v6);

		if (i + 1 < n && compare_cuts(&cuts[i], &cuts[i + 1]) == 0)
			continue;
		atom.last =
			i + 1 < n && cuts[i + 1].v6 == atom.v6 ? cuts[i + 1].at - 1 : whole.last;
		/* In the mesh there is nobody but nodes. */
		if (range_set_contains(covered, &atom) &&
		    !range_set_overlaps(&run->old->wild, &atom))
			r = add_range_end(run, &atom);
	}
	free(cuts);
	return r;
}

int diff_find_ends(struct diff_run *run)
{
	struct range_set all = { 0 }, covered = { 0 };
	int r = find_groups(run);

	if (r == 0)
		r = add_ranges(&all, &run->old->wild);
	if (r == 0)
		r = collect(run->old, &all);
	if (r == 0)
		r = collect(run->new, &all);
	if (r == 0)
		r = range_set_add_set(&covered, &all);
	if (r == 0)
		r = add_atoms(run, &all, &covered);
	range_set_done(&all);
	range_set_done(&covered);
	return r;
}
