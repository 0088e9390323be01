/*
 * Checks across a whole map. Their sense: an address, a key and a name each mean one node, so that
 * nobody can be given another's identity, and a route can never take over a mesh address (all
 * mesh addresses lie within the mesh prefixes, and no route may touch those).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netmap_read.h"

/* A wider mesh prefix would cut the host off: traffic to it from elsewhere is dropped. */
#define MIN_PREFIX_LEN_V4 8
#define MIN_PREFIX_LEN_V6 16

#define VALUE_STRLEN (NETMAP_MAX_ID + 1)

/* A value that has to be unique, and where it was found. */
struct occurrence {
	const void *value;
	size_t rank; /* of its node: 0 is self, then the peers */
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

/* The chain of places for a member of a node: self.MEMBER[I] or peers[N].MEMBER[I]. */
struct node_at {
	struct json_at root, list, node, member, element;
};

static const struct json_at *node_at_init(struct node_at *at, const struct netmap *map,
					  const struct netmap_node *node, const char *member)
{
	*at = (struct node_at){ 0 };
	if (node == &map->self) {
		at->node = (struct json_at){ .parent = &at->root, .key = "self" };
	} else {
		at->list = (struct json_at){ .parent = &at->root, .key = "peers" };
		at->node = (struct json_at){ .parent = &at->list,
					     .index = (size_t)(node - map->peers) };
	}
	at->member = (struct json_at){ .parent = &at->node, .key = member };
	return &at->member;
}

static const struct json_at *node_at_element(struct node_at *at, const struct netmap *map,
					     const struct netmap_node *node, const char *member,
					     size_t i)
{
	at->element = (struct json_at){ .parent = node_at_init(at, map, node, member), .index = i };
	return &at->element;
}

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

static size_t count_occurrences(const struct netmap *map, const struct unique_value *kind)
{
	size_t n = kind->with_self ? kind->count(&map->self) : 0;

	for (size_t i = 0; i < map->n_peers; i++)
		n += kind->count(&map->peers[i]);
	return n;
}

static void collect(const struct netmap_node *node, size_t rank, const struct unique_value *kind,
		    struct occurrence *all, size_t *n)
{
	for (size_t i = 0; i < kind->count(node); i++)
		all[(*n)++] = (struct occurrence){ kind->get(node, i), rank, i };
}

static int fail_duplicate(const struct netmap *map, const struct unique_value *kind,
			  const struct occurrence *first, const struct occurrence *second,
			  struct json_report *rep)
{
	const struct netmap_node *node = second->rank ? &map->peers[second->rank - 1] : &map->self;
	char value[VALUE_STRLEN], other[32] = "self";
	const struct json_at *where;
	struct node_at at;

	if (first->rank > 0)
		snprintf(other, sizeof(other), "peers[%zu]", first->rank - 1);
	kind->print(second->value, value);
	if (kind->is_array)
		where = node_at_element(&at, map, node, kind->member, second->element);
	else
		where = node_at_init(&at, map, node, kind->member);
	return json_fail(rep, where, "%s is in %s.%s already; expected one owner for each", value,
			 other, kind->member);
}

static int check_unique(const struct netmap *map, const struct unique_value *kind,
			struct json_report *rep)
{
	_cleanup_free_ struct occurrence *all = NULL;
	size_t n = 0;

	all = calloc(count_occurrences(map, kind) + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (kind->with_self)
		collect(&map->self, 0, kind, all, &n);
	for (size_t i = 0; i < map->n_peers; i++)
		collect(&map->peers[i], i + 1, kind, all, &n);
	qsort_r(all, n, sizeof(*all), compare_occurrences, (void *)kind);
	for (size_t i = 1; i < n; i++)
		if (kind->compare(all[i - 1].value, all[i].value) == 0)
			return fail_duplicate(map, kind, &all[i - 1], &all[i], rep);
	return 0;
}

static bool is_special_prefix(const struct ip_prefix *p)
{
	struct ip_addr first = ip_prefix_first(p), last = ip_prefix_last(p);

	return ip_addr_is_special(&first) || ip_addr_is_special(&last);
}

static int check_mesh_prefix(const struct netmap *map, size_t i, const struct json_at *at,
			     struct json_report *rep)
{
	const struct ip_prefix *p = &map->prefixes[i];
	unsigned min = p->addr.family == AF_INET ? MIN_PREFIX_LEN_V4 : MIN_PREFIX_LEN_V6;
	char text[IP_PREFIX_STRLEN];

	ip_prefix_to_string(p, text);
	if (p->len < min)
		return json_fail(rep, at, "%s is too wide; expected /%u or longer", text, min);
	if (is_special_prefix(p))
		return json_fail(rep, at,
				 "%s is reserved for other purposes; expected a prefix of ordinary "
				 "addresses",
				 text);
	for (size_t k = 0; k < i; k++)
		if (ip_prefix_overlaps(p, &map->prefixes[k]))
			return json_fail(rep, at,
					 "%s overlaps mesh.prefixes[%zu]; expected prefixes apart "
					 "from one another",
					 text, k);
	return 0;
}

static int check_mesh(const struct netmap *map, struct json_report *rep)
{
	const struct json_at root = { 0 };
	const struct json_at mesh = { .parent = &root, .key = "mesh" };
	const struct json_at prefixes = { .parent = &mesh, .key = "prefixes" };

	if (map->n_prefixes == 0)
		return json_fail(rep, &prefixes, "is empty; expected at least one prefix");
	for (size_t i = 0; i < map->n_prefixes; i++) {
		const struct json_at at = { .parent = &prefixes, .index = i };
		int r = check_mesh_prefix(map, i, &at, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool in_mesh(const struct netmap *map, const struct ip_addr *addr)
{
	for (size_t i = 0; i < map->n_prefixes; i++)
		if (ip_prefix_contains(&map->prefixes[i], addr))
			return true;
	return false;
}

static int check_addresses(const struct netmap *map, const struct netmap_node *node,
			   struct json_report *rep)
{
	char text[IP_ADDR_STRLEN];
	struct node_at at;

	for (size_t i = 0; i < node->n_addresses; i++) {
		const struct ip_addr *addr = &node->addresses[i];

		if (in_mesh(map, addr) && !ip_addr_is_special(addr))
			continue;
		return json_fail(rep, node_at_element(&at, map, node, "addresses", i),
				 "%s is no address of the mesh; expected one within mesh.prefixes",
				 ip_addr_to_string(addr, text));
	}
	return 0;
}

static int check_route(const struct netmap *map, const struct ip_prefix *route,
		       const struct json_at *at, struct json_report *rep)
{
	char text[IP_PREFIX_STRLEN];

	ip_prefix_to_string(route, text);
	for (size_t i = 0; i < map->n_prefixes; i++)
		if (ip_prefix_overlaps(route, &map->prefixes[i]))
			return json_fail(
				rep, at,
				"%s overlaps mesh.prefixes[%zu]; expected a subnet outside "
				"of the mesh",
				text, i);
	if (is_special_prefix(route))
		return json_fail(rep, at,
				 "%s is reserved for other purposes; expected a subnet of ordinary "
				 "addresses",
				 text);
	return 0;
}

static int check_node(const struct netmap *map, const struct netmap_node *node,
		      struct json_report *rep)
{
	struct node_at at;
	int r = check_addresses(map, node, rep);

	for (size_t i = 0; r == 0 && i < node->n_routes; i++)
		r = check_route(map, &node->routes[i], node_at_element(&at, map, node, "routes", i),
				rep);
	return r;
}

static int check_for(const struct netmap *map, struct json_report *rep)
{
	const struct json_at root = { 0 };
	const struct json_at at = { .parent = &root, .key = "for" };

	if (strcmp(map->for_node, map->self.id) == 0)
		return 0;
	return json_fail(rep, &at, "the map is for node \"%s\", but self.id is \"%s\"",
			 map->for_node, map->self.id);
}

int netmap_check(const struct netmap *map, struct json_report *rep)
{
	int r = check_for(map, rep);

	if (r == 0)
		r = check_mesh(map, rep);
	if (r == 0)
		r = check_node(map, &map->self, rep);
	for (size_t i = 0; r == 0 && i < map->n_peers; i++)
		r = check_node(map, &map->peers[i], rep);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(unique_values); i++)
		r = check_unique(map, &unique_values[i], rep);
	return r;
}
