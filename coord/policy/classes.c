/* Which nodes no rule tells apart. */
#include <errno.h>
#include <string.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"

/* What is known of a node while its class is looked for. */
struct description {
	struct policy_engine *e;
	struct id_list marks;
	struct ip_prefix *subnets;
	size_t n_subnets;
	struct policy_text key;
};

static void description_done(struct description *d)
{
	free(d->marks.items);
	free(d->subnets);
	policy_text_done(&d->key);
}

bool prefix_is_exit(const struct ip_prefix *prefix)
{
	return prefix->len == 0;
}

static int add_mark(uint32_t mark, void *userdata)
{
	struct description *d = userdata;

	return id_list_add(&d->marks, mark);
}

static int mark_owner(struct description *d, const struct policy_node *node, uint32_t user)
{
	struct policy_engine *e = d->e;
	uint32_t all = strmap_get(&e->policy->selector_map, "autogroup:tagged");

	if (user != NONE) {
		const struct id_list *marks = &e->users[user].marks;

		for (size_t i = 0; i < marks->n; i++)
			if (id_list_add(&d->marks, marks->items[i]) < 0)
				return -ENOMEM;
		return 0;
	}
	if (id_list_add(&d->marks, mark_of(e, MARK_TAGGED)) < 0 ||
	    (all != STRMAP_NONE && e->sel_used[all] && id_list_add(&d->marks, all) < 0))
		return -ENOMEM;
	for (size_t i = 0; i < node->n_tags; i++) {
		uint32_t tag = strmap_get(&e->policy->selector_map, node->tags[i]);

		if (tag != STRMAP_NONE && e->sel_used[tag] && id_list_add(&d->marks, tag) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int mark_range(struct description *d, const struct range *range, bool is_route)
{
	bool wild = is_route || range_set_overlaps(&d->e->wild, range);

	if (wild && id_list_add(&d->marks, mark_of(d->e, MARK_WILD)) < 0)
		return -ENOMEM;
	return stab_query(&d->e->stab, range, add_mark, d);
}

static int compare_prefixes(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static int mark_routes(struct description *d, const struct policy_node *node)
{
	if (!node->n_approved)
		return 0;
	d->subnets = calloc(node->n_approved, sizeof(*d->subnets));
	if (!d->subnets)
		return -ENOMEM;
	for (size_t i = 0; i < node->n_approved; i++) {
		struct range range = range_of_prefix(&node->approved[i]);
		bool exit = prefix_is_exit(&node->approved[i]);

		if (!exit)
			d->subnets[d->n_subnets++] = node->approved[i];
		if (exit ? id_list_add(&d->marks, mark_of(d->e, MARK_EXIT)) < 0
			 : mark_range(d, &range, true) < 0)
			return -ENOMEM;
	}
	qsort(d->subnets, d->n_subnets, sizeof(*d->subnets), compare_prefixes);
	return 0;
}

/* Six bits a character, so that the key is a string. */
static void key_add(struct policy_text *key, uint32_t number)
{
	char chars[6];

	for (size_t i = 0; i < sizeof(chars); i++)
		chars[i] = (char)('0' + (number >> (6 * i) & 63));
	policy_text_append(key, chars, sizeof(chars));
}

static void make_key(struct description *d)
{
	for (size_t i = 0; i < d->marks.n; i++)
		key_add(&d->key, d->marks.items[i]);
	for (size_t i = 0; i < d->n_subnets; i++) {
		char buf[IP_PREFIX_STRLEN];

		policy_text_append(&d->key, " ", 1);
		policy_text_puts(&d->key, ip_prefix_to_string(&d->subnets[i], buf));
	}
	policy_text_append(&d->key, "", 0);
}

static int describe(struct description *d, const struct policy_node *node, uint32_t user)
{
	if (id_list_add(&d->marks, mark_of(d->e, MARK_ALL)) < 0 || mark_owner(d, node, user) < 0 ||
	    mark_routes(d, node) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < node->n_addresses; i++) {
		struct range range = range_of_addr(&node->addresses[i]);

		if (mark_range(d, &range, false) < 0)
			return -ENOMEM;
	}
	id_list_sort_unique(&d->marks);
	make_key(d);
	return policy_text_result(&d->key);
}

int engine_make_room(struct policy_engine *e)
{
	size_t need = e->n_classes + 1, stride = e->see.stride;

	if (e->free_classes.n)
		return 0;
	if (grow(&e->classes, need, &e->size_classes) < 0)
		return -ENOMEM;
	if (need <= stride * 64)
		return 0;
	stride = stride ? stride * 2 : 1;
	if (bit_matrix_resize(&e->marks, e->n_marks, stride) < 0 ||
	    bit_matrix_resize(&e->touch, e->n_sets, stride) < 0 ||
	    bit_matrix_resize(&e->member, e->n_sets, stride) < 0 ||
	    bit_matrix_resize(&e->dst, e->n_rules, stride) < 0 ||
	    bit_matrix_resize(&e->ssh_dst, e->n_ssh, stride) < 0 ||
	    bit_matrix_resize(&e->self, 1, stride) < 0 ||
	    bit_matrix_resize(&e->see, stride * 64, stride) < 0)
		return -ENOMEM;
	return 0;
}

static int class_new(struct description *d, uint32_t *ret_class)
{
	struct policy_engine *e = d->e;
	struct engine_class *class;
	uint32_t id;

	if (engine_make_room(e) < 0)
		return -ENOMEM;
	id = e->free_classes.n ? e->free_classes.items[e->free_classes.n - 1]
			       : (uint32_t)e->n_classes;
	if (strmap_set(&e->class_map, d->key.data, id) < 0)
		return -ENOMEM;
	if (e->free_classes.n)
		e->free_classes.n--;
	else
		e->n_classes++;
	class = &e->classes[id];
	*class = (struct engine_class){ .marks = d->marks,
					.subnets = take_ptr(d->subnets),
					.n_subnets = d->n_subnets };
	d->marks = (struct id_list){ 0 };
	class->key = take_ptr(d->key.data);
	if (!e->loading)
		engine_fill_class(e, id);
	*ret_class = id;
	return 0;
}

int engine_class_get(struct policy_engine *e, const struct policy_node *node, uint32_t user,
		     uint32_t *ret_class)
{
	struct description d = { .e = e };
	int r = describe(&d, node, user);
	uint32_t class;

	if (r == 0) {
		class = strmap_get(&e->class_map, d.key.data);
		if (class == STRMAP_NONE)
			r = class_new(&d, &class);
		if (r == 0)
			*ret_class = class;
	}
	description_done(&d);
	return r;
}

static void class_done(struct engine_class *class)
{
	free(class->key);
	free(class->marks.items);
	free(class->subnets);
	free(class->nodes.items);
	*class = (struct engine_class){ 0 };
}

void engine_class_put(struct policy_engine *e, uint32_t class)
{
	/* Without room to note the number it stays, empty: that harms nobody. */
	if (e->classes[class].nodes.n || id_list_add(&e->free_classes, class) < 0)
		return;
	engine_empty_class(e, class);
	strmap_remove(&e->class_map, e->classes[class].key);
	class_done(&e->classes[class]);
}

void engine_classes_done(struct policy_engine *e)
{
	for (size_t i = 0; i < e->n_classes; i++)
		class_done(&e->classes[i]);
	free(e->classes);
	free(e->free_classes.items);
	strmap_done(&e->class_map);
	bit_matrix_done(&e->marks);
	bit_matrix_done(&e->touch);
	bit_matrix_done(&e->member);
	bit_matrix_done(&e->dst);
	bit_matrix_done(&e->ssh_dst);
	bit_matrix_done(&e->self);
	bit_matrix_done(&e->see);
}
