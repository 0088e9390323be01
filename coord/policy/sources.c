/* Sources of rules: interned lists of selectors, and their addresses as text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"

/* Bytes of texts that are kept. */
#define MAX_CACHED (64u << 20)

static int set_add_selector(struct policy_engine *e, struct source_set *set, uint32_t id,
			    uint32_t *touch, uint32_t *member)
{
	const struct selector *sel = &e->policy->selectors[id];

	switch (sel->kind) {
	case SEL_ANY:
		set->any = true;
		touch[set->n_touch_marks++] = mark_of(e, MARK_WILD);
		return 0;
	case SEL_DANGER_ALL:
		set->danger_all = true;
		touch[set->n_touch_marks++] = mark_of(e, MARK_ALL);
		return 0;
	case SEL_RANGES:
		touch[set->n_touch_marks++] = id;
		return range_set_add_set(&set->literals, &sel->ranges);
	case SEL_USER:
	case SEL_DOMAIN:
	case SEL_GROUP:
	case SEL_TAG:
	case SEL_MEMBER:
	case SEL_TAGGED:
	case SEL_ROLE:
		touch[set->n_touch_marks++] = id;
		member[set->n_member_marks++] = id;
		return 0;
	case SEL_SHARED:
	case SEL_SELF:
	case SEL_INTERNET:
		return 0;
	}
	return 0;
}

static int set_new(struct policy_engine *e, const struct id_list *sels, const char *key,
		   uint32_t *ret_set)
{
	struct source_set set = { .key = key, .serial = 1 };
	uint32_t *touch = arena_alloc(&e->arena, sels->n, sizeof(*touch));
	uint32_t *member = arena_alloc(&e->arena, sels->n, sizeof(*member));
	int r = touch && member && key ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sels->n; i++)
		r = set_add_selector(e, &set, sels->items[i], touch, member);
	set.touch_marks = touch;
	set.member_marks = member;
	if (r < 0 || grow(&e->sets, e->n_sets + 1, &e->size_sets) < 0 ||
	    strmap_set(&e->set_map, key, (uint32_t)e->n_sets) < 0) {
		range_set_done(&set.literals);
		return -ENOMEM;
	}
	e->sets[e->n_sets] = set;
	*ret_set = (uint32_t)e->n_sets++;
	return 0;
}

static int set_find(struct policy_engine *e, const struct id_list *sels, uint32_t *ret_set)
{
	_cleanup_(policy_text_done) struct policy_text key = { 0 };
	uint32_t set;

	for (size_t i = 0; i < sels->n; i++)
		policy_text_printf(&key, "%u ", sels->items[i]);
	policy_text_append(&key, "", 0);
	if (key.failed)
		return -ENOMEM;
	set = strmap_get(&e->set_map, key.data);
	if (set == STRMAP_NONE)
		return set_new(e, sels, arena_strndup(&e->arena, key.data, key.len), ret_set);
	*ret_set = set;
	return 0;
}

int source_set_get(struct policy_engine *e, const struct entry *entries, size_t n,
		   uint32_t *ret_set)
{
	struct id_list sels = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = id_list_add(&sels, entries[i].sel);
	id_list_sort_unique(&sels);
	if (r == 0)
		r = set_find(e, &sels, ret_set);
	free(sels.items);
	return r;
}

void source_sets_done(struct policy_engine *e)
{
	for (size_t i = 0; i < e->n_sets; i++) {
		range_set_done(&e->sets[i].literals);
		policy_text_done(&e->sets[i].filter);
		policy_text_done(&e->sets[i].principals);
	}
	free(e->sets);
	strmap_done(&e->set_map);
}

/* The filters, or SSH rules, of the classes in a row changed. */
static void touch_classes(struct policy_engine *e, const struct bit_matrix *dst, size_t rule,
			  bool ssh)
{
	const uint64_t *row = bit_row(dst, rule);

	for (size_t i = 0; i < dst->stride; i++)
		for (uint64_t word = row[i]; word; word &= word - 1) {
			size_t class = i * 64 + (size_t)__builtin_ctzll(word);

			if (ssh)
				e->classes[class].ssh_serial = e->serial;
			else
				e->classes[class].filter_serial = e->serial;
		}
}

static bool is_touched(const struct policy_engine *e, uint32_t set)
{
	return set != NONE && e->sets[set].serial == e->serial;
}

void sources_touch(struct policy_engine *e, uint32_t class, bool routes)
{
	e->serial++;
	for (size_t i = 0; i < e->n_sets; i++)
		if (bit_get(&e->member, i, class) || (routes && e->sets[i].any))
			e->sets[i].serial = e->serial;
	for (size_t i = 0; i < e->n_rules; i++)
		if (is_touched(e, e->rules[i].set))
			touch_classes(e, &e->dst, i, false);
	for (size_t i = 0; i < e->n_ssh; i++) {
		if (is_touched(e, e->ssh[i].set))
			touch_classes(e, &e->ssh_dst, i, true);
		/* Recorders also stand in rules for own nodes, which have no row. */
		for (size_t k = 0; k < e->n_classes && is_touched(e, e->ssh[i].recorder_set); k++)
			e->classes[k].ssh_serial = e->serial;
	}
}

int source_ranges(const struct policy_engine *e, const struct source_set *set,
		  struct range_set *ranges)
{
	if (range_set_add_set(ranges, &set->literals) < 0)
		return -ENOMEM;
	if (!set->any)
		return 0;
	if (range_set_add_set(ranges, &e->wild) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < e->routers.n; i++) {
		const struct engine_class *class = &e->classes[e->nodes[e->routers.items[i]].class];

		for (size_t k = 0; k < class->n_subnets; k++) {
			struct range range = range_of_prefix(&class->subnets[k]);

			if (range_set_append(ranges, &range) < 0)
				return -ENOMEM;
		}
	}
	range_set_normalize(ranges);
	return 0;
}

/* Addresses of the members, in order; neighbours become one range. */
static int member_ranges(const struct policy_engine *e, uint32_t set, struct range_set *ranges)
{
	const uint64_t *row = bit_row(&e->member, set);

	if (!e->sets[set].n_member_marks)
		return 0;
	for (size_t i = 0; i < e->n_addrs; i++) {
		const struct addr_slot *slot = &e->addrs[i];
		uint32_t class = e->nodes[slot->node].class;
		struct range range = { slot->value, slot->value, slot->v6 };
		struct range *last = ranges->n ? &ranges->items[ranges->n - 1] : NULL;

		if (!(row[class / 64] >> (class % 64) & 1))
			continue;
		if (last && last->v6 == slot->v6 && slot->value - last->last <= 1)
			last->last = slot->value;
		else if (range_set_append(ranges, &range) < 0)
			return -ENOMEM;
	}
	return 0;
}

static char *put_number(char *p, unsigned n)
{
	if (n >= 100)
		*p++ = (char)('0' + n / 100);
	if (n >= 10)
		*p++ = (char)('0' + n / 10 % 10);
	*p++ = (char)('0' + n % 10);
	return p;
}

/* Most of the text of a large filter are single IPv4 addresses. */
static void add_v4(struct policy_text *out, uint32_t v)
{
	char buf[24], *p = buf;

	*p++ = '"';
	for (int shift = 24; shift >= 0; shift -= 8) {
		p = put_number(p, v >> shift & 255);
		*p++ = shift ? '.' : '"';
	}
	policy_text_append(out, buf, (size_t)(p - buf));
}

static void add_range(struct policy_text *out, const struct range *range)
{
	char buf[RANGE_STRLEN];

	text_add_comma(out);
	if (!range->v6 && range_is_single(range)) {
		add_v4(out, (uint32_t)range->first);
		return;
	}
	policy_text_append(out, "\"", 1);
	policy_text_puts(out, range_to_string(range, buf));
	policy_text_append(out, "\"", 1);
}

static int make_filter_text(const struct policy_engine *e, uint32_t id, struct policy_text *out)
{
	const struct source_set *set = &e->sets[id];
	struct range_set ranges = { 0 }, others = { 0 };
	int r = 0;

	if (set->danger_all) {
		policy_text_puts(out, "\"*\"");
		return policy_text_result(out);
	}
	if (member_ranges(e, id, &ranges) < 0 || source_ranges(e, set, &others) < 0)
		r = -ENOMEM;
	if (r == 0 && others.n)
		r = range_set_add_set(&ranges, &others);
	for (size_t i = 0; r == 0 && i < ranges.n; i++)
		add_range(out, &ranges.items[i]);
	policy_text_append(out, "", 0);
	range_set_done(&ranges);
	range_set_done(&others);
	return r < 0 ? r : policy_text_result(out);
}

static int make_principals_text(const struct policy_engine *e, uint32_t id, struct policy_text *out)
{
	for (size_t i = 0; i < e->n_addrs; i++) {
		struct range range = { e->addrs[i].value, e->addrs[i].value, e->addrs[i].v6 };

		if (bit_get(&e->member, id, e->nodes[e->addrs[i].node].class))
			add_range(out, &range);
	}
	policy_text_append(out, "", 0);
	return policy_text_result(out);
}

static void drop_texts(struct policy_engine *e, struct source_set *set)
{
	e->cached -= set->filter.len + set->principals.len;
	policy_text_done(&set->filter);
	policy_text_done(&set->principals);
	set->filter_serial = set->principals_serial = 0;
}

/* One after the other: rules are asked for in no order that would be worth to be known. */
static void make_space(struct policy_engine *e)
{
	while (e->cached > MAX_CACHED) {
		drop_texts(e, &e->sets[e->next_out]);
		e->next_out = (e->next_out + 1) % (uint32_t)e->n_sets;
	}
}

static const struct policy_text *
cached(struct policy_engine *e, uint32_t set, struct policy_text *text, uint64_t *text_serial,
       int (*make)(const struct policy_engine *e, uint32_t id, struct policy_text *out))
{
	uint64_t serial = e->sets[set].serial;

	if (*text_serial == serial)
		return text;
	e->cached -= text->len;
	policy_text_done(text);
	*text_serial = 0;
	make_space(e);
	if (make(e, set, text) < 0) {
		policy_text_done(text);
		return NULL;
	}
	e->cached += text->len;
	*text_serial = serial;
	return text;
}

const struct policy_text *source_filter_text(struct policy_engine *e, uint32_t set)
{
	return cached(e, set, &e->sets[set].filter, &e->sets[set].filter_serial, make_filter_text);
}

const struct policy_text *source_principals_text(struct policy_engine *e, uint32_t set)
{
	return cached(e, set, &e->sets[set].principals, &e->sets[set].principals_serial,
		      make_principals_text);
}

void text_add_comma(struct policy_text *out)
{
	if (out->len && !strchr("[{", out->data[out->len - 1]))
		policy_text_append(out, ",", 1);
}

void text_add_addresses(struct policy_text *out, const struct policy_node *node)
{
	char buf[IP_ADDR_STRLEN];

	for (size_t i = 0; i < node->n_addresses; i++) {
		text_add_comma(out);
		policy_text_append(out, "\"", 1);
		policy_text_puts(out, ip_addr_to_string(&node->addresses[i], buf));
		policy_text_append(out, "\"", 1);
	}
}

static int compare_by_address(const void *a, const void *b, void *engine)
{
	const struct policy_engine *e = engine;
	const uint32_t *x = a, *y = b;
	const struct policy_node *p = &e->nodes[*x].data, *q = &e->nodes[*y].data;

	if (!p->n_addresses || !q->n_addresses)
		return (p->n_addresses > q->n_addresses) - (p->n_addresses < q->n_addresses);
	return ip_addr_compare(&p->addresses[0], &q->addresses[0]);
}

void text_add_nodes(const struct policy_engine *e, struct policy_text *out, struct id_list *nodes)
{
	if (nodes->n > 1)
		qsort_r(nodes->items, nodes->n, sizeof(*nodes->items), compare_by_address,
			(void *)e);
	for (size_t i = 0; i < nodes->n; i++)
		text_add_addresses(out, &e->nodes[nodes->items[i]].data);
}
