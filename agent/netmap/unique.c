/*
 * Values that only one node may have. Those that a delta brings are held against each other and
 * against the peers that were there before, which have been held against one another already: so
 * that little is to be done for one peer of many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netmap/check.h"

#define VALUE_STRLEN (NETMAP_MAX_ID + 1)

/* A value that has to be unique, and where it was found. */
struct occurrence {
	const void *value;
	const struct netmap_node *node;
	size_t rank; /* of the node: 0 is self, then the peers */
	size_t element;
};

struct unique_value {
	const char *member;
	bool is_array;
	bool with_self; /* self's value counts as well */
	size_t (*count)(const struct netmap_node *node);
	const void *(*get)(const struct netmap_node *node, size_t i);
	int (*compare)(const void *a, const void *b);
	void (*print)(const void *value, char *buf);
};

static size_t count_one(const struct netmap_node *node)
{
	return 1;
}

static size_t count_addresses(const struct netmap_node *node)
{
	return node->n_addresses;
}

static size_t count_routes(const struct netmap_node *node)
{
	return node->n_routes;
}

static const void *get_id(const struct netmap_node *node, size_t i)
{
	return node->id;
}

static const void *get_name(const struct netmap_node *node, size_t i)
{
	return node->name;
}

static const void *get_key(const struct netmap_node *node, size_t i)
{
	return &node->key;
}

static const void *get_address(const struct netmap_node *node, size_t i)
{
	return &node->addresses[i];
}

static const void *get_route(const struct netmap_node *node, size_t i)
{
	return &node->routes[i];
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct wg_key));
}

static int compare_address(const void *a, const void *b)
{
	return ip_addr_compare(a, b);
}

static int compare_route(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static void print_text(const void *value, char *buf)
{
	snprintf(buf, VALUE_STRLEN, "%s", (const char *)value);
}

static void print_key(const void *value, char *buf)
{
	wg_key_to_string(value, buf);
}

static void print_address(const void *value, char *buf)
{
	ip_addr_to_string(value, buf);
}

static void print_route(const void *value, char *buf)
{
	ip_prefix_to_string(value, buf);
}

/*
 * Routes: identical ones on two peers are ambiguous; one within another is not, since the longer
 * prefix wins in the kernel's routes as in WireGuard. Self's own routes may be a peer's too (two
 * routers of one subnet).
 */
static const struct unique_value unique_values[] = {
	{ "id", false, true, count_one, get_id, compare_text, print_text },
	{ "name", false, true, count_one, get_name, compare_text, print_text },
	{ "node_key", false, false, count_one, get_key, compare_key, print_key },
	{ "addresses", true, true, count_addresses, get_address, compare_address, print_address },
	{ "routes", true, false, count_routes, get_route, compare_route, print_route },
};

/* Equal values in the document's order: the later one is the one complained about. */
static int compare_occurrences(const void *a, const void *b, void *userdata)
{
	const struct occurrence *x = a, *y = b;
	const struct unique_value *kind = userdata;
	int r = kind->compare(x->value, y->value);

	if (r == 0)
		r = (x->rank > y->rank) - (x->rank < y->rank);
	if (r == 0)
		r = (x->element > y->element) - (x->element < y->element);
	return r;
}

struct occurrences {
	struct occurrence *items; /* sorted */
	size_t n;
};

static void collect(const struct netmap_node *node, size_t rank, const struct unique_value *kind,
		    struct occurrences *all)
{
	for (size_t i = 0; i < kind->count(node); i++)
		all->items[all->n++] = (struct occurrence){ kind->get(node, i), node, rank, i };
}

/* Of self, and of the peers from the first on. */
static int collect_from(const struct netmap *map, size_t first, const struct unique_value *kind,
			struct occurrences *ret_all)
{
	struct occurrences all = { 0 };
	size_t n = kind->with_self ? kind->count(&map->self) : 0;

	for (size_t i = first; i < map->n_peers; i++)
		n += kind->count(&map->peers[i]);
	all.items = calloc(n + 1, sizeof(*all.items));
	if (!all.items)
		return -ENOMEM;
	if (kind->with_self)
		collect(&map->self, 0, kind, &all);
	for (size_t i = first; i < map->n_peers; i++)
		collect(&map->peers[i], i + 1, kind, &all);
	qsort_r(all.items, all.n, sizeof(*all.items), compare_occurrences, (void *)kind);
	*ret_all = all;
	return 0;
}

static int fail_duplicate(const struct netmap_checking *check, const struct unique_value *kind,
			  const struct netmap_node *owner, const struct occurrence *other)
{
	char value[VALUE_STRLEN], name[NETMAP_NODE_STRLEN];
	const struct json_at *where;
	struct node_at at;

	kind->print(other->value, value);
	if (kind->is_array)
		where = node_at_element(&at, check, other->node, kind->member, other->element);
	else
		where = node_at_init(&at, check, other->node, kind->member);
	return json_fail(check->rep, where, "%s is in %s.%s already; expected one owner for each",
			 value, node_place_name(check, owner, name), kind->member);
}

static int check_among(const struct netmap_checking *check, const struct unique_value *kind,
		       const struct occurrences *all)
{
	for (size_t i = 1; i < all->n; i++)
		if (kind->compare(all->items[i - 1].value, all->items[i].value) == 0)
			return fail_duplicate(check, kind, all->items[i - 1].node, &all->items[i]);
	return 0;
}

/* NULL: none has this value. */
static const struct occurrence *find(const struct unique_value *kind, const struct occurrences *all,
				     const void *value)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = kind->compare(value, all->items[mid].value);

		if (order == 0)
			return &all->items[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Do the first n peers, which were there before, have what is new? */
static int check_against(const struct netmap_checking *check, const struct unique_value *kind,
			 const struct occurrences *all, size_t n)
{
	for (size_t i = 0; all->n > 0 && i < n; i++) {
		const struct netmap_node *peer = &check->map->peers[i];

		for (size_t k = 0; k < kind->count(peer); k++) {
			const struct occurrence *other = find(kind, all, kind->get(peer, k));

			if (other)
				return fail_duplicate(check, kind, peer, other);
		}
	}
	return 0;
}

static int check_kind(const struct netmap_checking *check, const struct unique_value *kind)
{
	size_t n_kept = check->places ? check->places->n_kept : 0;
	struct occurrences all = { 0 };
	int r;

	r = collect_from(check->map, n_kept, kind, &all);
	if (r == 0)
		r = check_among(check, kind, &all);
	if (r == 0)
		r = check_against(check, kind, &all, n_kept);
	free(all.items);
	return r;
}

int netmap_check_unique(const struct netmap_checking *check)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(unique_values); i++)
		r = check_kind(check, &unique_values[i]);
	return r;
}
