#include "agent/filter/classes.h"

#include <string.h>

#include "agent/filter/comment.h"
#include "agent/filter/ports.h"
#include "agent/grow.h"

struct class
{
	uint32_t list;
	uint32_t id;
	uint64_t hash;
	uint8_t families; /* of its members */
};

struct class_build {
	const struct openings *openings;
	const struct rulelists *lists;
	size_t max_flows;
	struct class *classes; /* one for each list; families 0: nobody's */
	struct filter_table *table;
	size_t n_flows_alloc;
};

/* An opening of one of the class's rules. */
struct claim {
	struct ip_addr dst;
	uint8_t proto;
	struct port_claim port;
};

static int class_order(const void *a, const void *b)
{
	const struct class *const *x = a, *const *y = b;

	if ((*x)->hash != (*y)->hash)
		return (*x)->hash < (*y)->hash ? -1 : 1;
	return ((*x)->list > (*y)->list) - ((*x)->list < (*y)->list);
}

static int claim_order(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = ip_addr_compare(&x->dst, &y->dst);

	return c ? c : (x->proto > y->proto) - (x->proto < y->proto);
}

static void mark_members(struct class_build *build, const struct member *members, size_t n)
{
	for (size_t i = 0; i < n; i++)
		build->classes[members[i].list].families |= openings_family(&members[i].first);
}

static uint64_t class_hash(const struct class_build *build, const struct rulelist *list)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < list->n; i++)
		hash = hash_bytes(hash, &build->openings->rules[list->rules[i]].hash,
				  sizeof(uint64_t));
	return (hash ^ hash >> 32) & 0x7fffffff;
}

/* Number the classes by their hash; those that would share a number are counted up. */
static int number_classes(struct class_build *build)
{
	_cleanup_free_ struct class **order = calloc(build->lists->n, sizeof(*order));
	uint32_t next = 1;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < build->lists->n; i++) {
		build->classes[i].list = (uint32_t)i;
		build->classes[i].hash = class_hash(build, &build->lists->lists[i]);
		order[i] = &build->classes[i];
	}
	qsort(order, build->lists->n, sizeof(*order), class_order);
	for (size_t i = 0; i < build->lists->n; i++) {
		if (order[i]->families == 0)
			continue;
		order[i]->id = order[i]->hash > next ? (uint32_t)order[i]->hash : next;
		next = order[i]->id + 1;
	}
	return 0;
}

static int class_claims(const struct class_build *build, const struct class *class,
			struct claim **ret_claims, size_t *ret_n)
{
	const struct rulelist *list = &build->lists->lists[class->list];
	struct claim *claims;
	size_t max = 0, n = 0;

	for (size_t i = 0; i < list->n; i++)
		max += build->openings->rules[list->rules[i]].n;
	claims = calloc(max + 1, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		const struct rule_openings *rule = &build->openings->rules[list->rules[i]];

		for (size_t j = rule->first; j < rule->first + rule->n; j++) {
			const struct opening *opening = &build->openings->all[j];

			if (!(openings_family(&opening->dst) & class->families))
				continue;
			claims[n++] = (struct claim){
				.dst = opening->dst,
				.proto = opening->proto,
				.port = { opening->ports, list->rules[i] },
			};
		}
	}
	if (n > 1)
		qsort(claims, n, sizeof(*claims), claim_order);
	*ret_claims = claims;
	*ret_n = n;
	return 0;
}

static int add_flow(struct class_build *build, const struct class *class, const struct claim *claim,
		    const struct port_claim *port)
{
	struct filter_table *table = build->table;
	int r;

	if (table->n_flows >= build->max_flows)
		return -E2BIG;
	r = array_grow(&table->flows, &build->n_flows_alloc, table->n_flows, sizeof(*table->flows));
	if (r < 0)
		return r;
	table->flows[table->n_flows++] = (struct filter_flow){
		.class = class->id,
		.dst_first = claim->dst,
		.dst_last = claim->dst,
		.proto = claim->proto,
		.ports = port->ports,
		.rule = port->rule,
	};
	return 0;
}

/* Claims to one address and protocol become disjoint flows. ports: room for 3 * n. */
static int add_flows(struct class_build *build, const struct class *class,
		     const struct claim *claims, size_t n, struct port_claim *ports)
{
	struct port_claim *resolved = ports + n;
	size_t n_resolved;
	int r;

	for (size_t i = 0; i < n; i++)
		ports[i] = claims[i].port;
	r = port_claims_resolve(ports, n, resolved, &n_resolved);
	for (size_t i = 0; i < n_resolved && r == 0; i++)
		r = add_flow(build, class, &claims[0], &resolved[i]);
	return r;
}

static int class_flows(struct class_build *build, const struct class *class)
{
	_cleanup_free_ struct claim *claims = NULL;
	_cleanup_free_ struct port_claim *ports = NULL;
	size_t n, end;
	int r;

	r = class_claims(build, class, &claims, &n);
	if (r < 0)
		return r;
	ports = calloc(3 * n + 1, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i = end) {
		end = i + 1;
		while (end < n && claim_order(&claims[i], &claims[end]) == 0)
			end++;
		r = add_flows(build, class, &claims[i], end - i, ports);
	}
	return r;
}

static int add_sources(const struct class_build *build, const struct member *members, size_t n,
		       struct filter_source **ret_sources, size_t *ret_n)
{
	struct filter_source *sources = calloc(n + 1, sizeof(*sources));

	if (!sources)
		return -ENOMEM;
	*ret_sources = sources;
	for (size_t i = 0; i < n; i++) {
		sources[i] = (struct filter_source){
			.first = members[i].first,
			.last = members[i].last,
			.class = build->classes[members[i].list].id,
			.comment = filter_comment(members[i].peer->name),
		};
		*ret_n = i + 1;
		if (!sources[i].comment)
			return -ENOMEM;
	}
	return 0;
}

int classes_build(const struct members *members, const struct openings *openings,
		  const struct rulelists *lists, size_t max_flows, struct filter_table *table)
{
	_cleanup_free_ struct class *classes = calloc(lists->n, sizeof(*classes));
	struct class_build build = {
		.openings = openings,
		.lists = lists,
		.max_flows = max_flows,
		.classes = classes,
		.table = table,
	};
	int r;

	if (!classes)
		return -ENOMEM;
	mark_members(&build, members->exact, members->n_exact);
	mark_members(&build, members->nets, members->n_nets);
	r = number_classes(&build);
	for (size_t i = 0; i < lists->n && r == 0; i++)
		if (classes[i].families)
			r = class_flows(&build, &classes[i]);
	if (r == 0)
		r = add_sources(&build, members->exact, members->n_exact, &table->exact,
				&table->n_exact);
	if (r == 0)
		r = add_sources(&build, members->nets, members->n_nets, &table->nets,
				&table->n_nets);
	return r;
}
