#include "coord/ctl/names.h"

#include <errno.h>
#include <string.h>

#include "common/ip.h"
#include "common/text.h"

struct slot {
	struct ip_addr addr;
	uint32_t node;
};

/* A node that was met in the list at hand. */
struct met {
	uint32_t node;
	uint32_t n; /* addresses of it */
	struct ip_addr first;
};

struct ctl_names {
	const struct policy_engine *engine;
	struct slot *slots; /* sorted */
	size_t n_slots;
	json_t *mesh; /* addresses of "*" */

	/* Of the list at hand. */
	struct met *met;
	size_t n_met;
	uint32_t *place; /* of each node in met, from 1; 0: not there */
};

struct ctl_names *ctl_names_free(struct ctl_names *names)
{
	if (!names)
		return NULL;
	free(names->slots);
	free(names->met);
	free(names->place);
	json_decref(names->mesh);
	free(names);
	return NULL;
}

static int compare_slots(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;
	int r = ip_addr_compare(&x->addr, &y->addr);

	return r ? r : (x->node > y->node) - (x->node < y->node);
}

static int add_slots(struct ctl_names *names)
{
	uint32_t n_nodes = policy_engine_n_indexes(names->engine);
	const struct policy_node *node;
	size_t n = 0;

	for (uint32_t i = 0; i < n_nodes; i++) {
		node = policy_engine_node(names->engine, i);
		n += node ? node->n_addresses : 0;
	}
	names->slots = calloc(n + 1, sizeof(*names->slots));
	names->met = calloc((size_t)n_nodes + 1, sizeof(*names->met));
	names->place = calloc((size_t)n_nodes + 1, sizeof(*names->place));
	if (!names->slots || !names->met || !names->place)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_nodes; i++) {
		node = policy_engine_node(names->engine, i);
		for (size_t k = 0; node && k < node->n_addresses; k++)
			names->slots[names->n_slots++] = (struct slot){ node->addresses[k], i };
	}
	qsort(names->slots, names->n_slots, sizeof(*names->slots), compare_slots);
	return 0;
}

int ctl_names_new(const struct policy_engine *engine, struct ctl_names **ret_names)
{
	_cleanup_(ctl_names_freep) struct ctl_names *names = calloc(1, sizeof(*names));
	_cleanup_(policy_text_done) struct policy_text mesh = { 0 };

	if (!names)
		return -ENOMEM;
	names->engine = engine;
	if (add_slots(names) < 0 || policy_mesh_json(engine, &mesh) < 0)
		return -ENOMEM;
	names->mesh = json_loadb(mesh.data, mesh.len, 0, NULL);
	if (!names->mesh)
		return -ENOMEM;
	*ret_names = take_ptr(names);
	return 0;
}

/* ---- a list ---- */

/* "100.64.0.1", "10.0.0.0/8" or "100.64.0.1-100.64.0.9" */
static int parse_range(const char *text, struct ip_addr *ret_first, struct ip_addr *ret_last)
{
	const char *dash = strchr(text, '-');
	char first[IP_ADDR_STRLEN];
	struct ip_prefix prefix;

	if (!dash) {
		if (ip_prefix_parse(text, &prefix) < 0)
			return -EINVAL;
		*ret_first = ip_prefix_first(&prefix);
		*ret_last = ip_prefix_last(&prefix);
		return 0;
	}
	if (dash - text >= (ptrdiff_t)sizeof(first))
		return -EINVAL;
	snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
	if (ip_addr_parse(first, ret_first) < 0 || ip_addr_parse(dash + 1, ret_last) < 0)
		return -EINVAL;
	return 0;
}

static size_t find_slot(const struct ctl_names *names, const struct ip_addr *addr)
{
	size_t lo = 0, hi = names->n_slots;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ip_addr_compare(&names->slots[mid].addr, addr) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* b is a, or the next address. */
static bool follows(const struct ip_addr *a, const struct ip_addr *b)
{
	struct ip_addr next = *a;

	for (size_t i = ip_addr_len(a); i-- > 0 && ++next.bytes[i] == 0;)
		;
	return ip_addr_equal(a, b) || ip_addr_equal(&next, b);
}

/* The slots of a range in which every address is a node's. false: there are others. */
static bool find_slots(const struct ctl_names *names, const char *text, size_t *ret_from,
		       size_t *ret_to)
{
	struct ip_addr first, last;
	size_t from, to;

	if (parse_range(text, &first, &last) < 0)
		return false;
	from = to = find_slot(names, &first);
	if (from == names->n_slots || !ip_addr_equal(&names->slots[from].addr, &first))
		return false;
	while (to + 1 < names->n_slots && ip_addr_compare(&names->slots[to + 1].addr, &last) <= 0 &&
	       follows(&names->slots[to].addr, &names->slots[to + 1].addr))
		to++;
	*ret_from = from;
	*ret_to = to + 1;
	return ip_addr_equal(&names->slots[to].addr, &last);
}

static void meet(struct ctl_names *names, const struct slot *slot)
{
	if (!names->place[slot->node]) {
		names->met[names->n_met++] =
			(struct met){ .node = slot->node, .first = slot->addr };
		names->place[slot->node] = (uint32_t)names->n_met;
	}
	names->met[names->place[slot->node] - 1].n++;
}

static bool has_text(const json_t *texts, const char *text)
{
	for (size_t i = 0; i < json_array_size(texts); i++)
		if (strcmp(json_string_value(json_array_get(texts, i)), text) == 0)
			return true;
	return false;
}

static bool has_mesh(const struct ctl_names *names, const json_t *others)
{
	for (size_t i = 0; i < json_array_size(names->mesh); i++)
		if (!has_text(others, json_string_value(json_array_get(names->mesh, i))))
			return false;
	return json_array_size(names->mesh) > 0;
}

/* In a map "*" is every address, while in a policy it is the mesh. */
static json_t *other_name(json_t *address)
{
	return strcmp(json_string_value(address), "*") == 0 ? json_string("any address")
							    : json_incref(address);
}

/* Sort the addresses: nodes to met, what is no node's to others. */
static int meet_all(struct ctl_names *names, const json_t *addresses, json_t *others)
{
	size_t from, to;

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		json_t *value = json_array_get(addresses, i);
		const char *text = json_string_value(value);

		if (!text)
			continue;
		if (!find_slots(names, text, &from, &to)) {
			if (json_array_append(others, value) < 0)
				return -ENOMEM;
			continue;
		}
		for (size_t k = from; k < to; k++)
			meet(names, &names->slots[k]);
	}
	return 0;
}

static json_t *name_of(const struct ctl_names *names, const struct met *met)
{
	const struct policy_node *node = policy_engine_node(names->engine, met->node);
	char buf[IP_ADDR_STRLEN];

	if (met->n >= node->n_addresses)
		return json_string(node->name);
	if (met->n == 1)
		return json_sprintf("%s (%s)", ip_addr_to_string(&met->first, buf), node->name);
	return json_sprintf("%s (%u of its addresses)", node->name, met->n);
}

static int name_all(const struct ctl_names *names, const json_t *others, json_t *list)
{
	bool mesh = has_mesh(names, others);

	if (mesh && json_array_append_new(list, json_string("the mesh")) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < names->n_met; i++)
		if (json_array_append_new(list, name_of(names, &names->met[i])) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < json_array_size(others); i++) {
		json_t *other = json_array_get(others, i);

		if (mesh && has_text(names->mesh, json_string_value(other)))
			continue;
		if (json_array_append_new(list, other_name(other)) < 0)
			return -ENOMEM;
	}
	return 0;
}

json_t *ctl_names_of(struct ctl_names *names, const json_t *addresses)
{
	json_auto_t *others = json_array(), *list = json_array();
	int r;

	r = others && list ? meet_all(names, addresses, others) : -ENOMEM;
	if (r == 0)
		r = name_all(names, others, list);
	for (size_t i = 0; i < names->n_met; i++)
		names->place[names->met[i].node] = 0;
	names->n_met = 0;
	return r < 0 ? NULL : take_ptr(list);
}
