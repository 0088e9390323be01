#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/grow.h"

int node_set_add(struct node_set *set, const struct netmap_node *node)
{
	int r;

	r = array_grow(&set->nodes, &set->n_alloc, set->n, sizeof(*set->nodes));
	if (r < 0)
		return r;
	set->nodes[set->n++] = node;
	return 0;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct netmap_node *x = *(const struct netmap_node *const *)a;
	const struct netmap_node *y = *(const struct netmap_node *const *)b;
	int c;

	c = strcmp(netmap_node_owner(x), netmap_node_owner(y));
	if (c == 0)
		c = strcmp(x->name, y->name);
	return c != 0 ? c : strcmp(x->id, y->id);
}

void node_set_sort(struct node_set *set)
{
	size_t n = 0;

	if (set->n > 1)
		qsort(set->nodes, set->n, sizeof(*set->nodes), compare_nodes);
	for (size_t i = 0; i < set->n; i++)
		if (n == 0 || set->nodes[n - 1] != set->nodes[i])
			set->nodes[n++] = set->nodes[i];
	set->n = n;
}

void node_set_done(struct node_set *set)
{
	free(set->nodes);
	*set = (struct node_set){ 0 };
}

/* How many of the set are listed; the rest is counted. */
static size_t listed(const struct node_set *set, size_t max, size_t *omitted)
{
	size_t n = set->n < max ? set->n : max;

	*omitted += set->n - n;
	return n;
}

json_t *node_set_names(const struct node_set *set, size_t max, size_t *omitted)
{
	json_auto_t *array = json_array();
	size_t n = listed(set, max, omitted);

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_string(set->nodes[i]->name)) < 0)
			return NULL;
	return take_ptr(array);
}

json_t *node_set_owners(const struct node_set *set, size_t max, size_t *omitted)
{
	json_auto_t *array = json_array();
	size_t n = listed(set, max, omitted);
	const char *last = NULL;
	json_t *nodes = NULL; /* of the last owner; borrowed */

	for (size_t i = 0; i < n; i++) {
		const char *owner = netmap_node_owner(set->nodes[i]);

		if (!last || strcmp(last, owner) != 0) {
			nodes = json_array();
			if (json_array_append_new(array, json_pack("{s:s, s:o}", "owner", owner,
								   "nodes", nodes)) < 0)
				return NULL;
			last = owner;
		}
		if (json_array_append_new(nodes, json_string(set->nodes[i]->name)) < 0)
			return NULL;
	}
	return take_ptr(array);
}
