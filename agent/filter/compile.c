#include "agent/filter/compile.h"

#include <errno.h>
#include <string.h>

#include "agent/filter/classes.h"
#include "agent/filter/comment.h"
#include "common/text.h"

/* Steps spent on combining rules with sources: ends what a hostile map could make endless. */
#define COMPILE_BUDGET (64u << 20)

static int copy_own(const struct netmap_node *self, struct filter_table *table)
{
	table->own = calloc(self->n_addresses + 1, sizeof(*table->own));
	if (!table->own)
		return -ENOMEM;
	for (size_t i = 0; i < self->n_addresses; i++)
		if (!filter_table_is_own(table, &self->addresses[i]))
			table->own[table->n_own++] = self->addresses[i];
	return 0;
}

static int add_counter(struct filter_table *table, const struct netmap *map, uint32_t rule)
{
	const char *origin = map->filter[rule].origin;
	_cleanup_free_ char *text = NULL;
	char *comment;

	text = text_printf("acl:%u%s%s", rule, origin ? " " : "", origin ? origin : "");
	comment = text ? filter_comment(text) : NULL;
	if (!comment)
		return -ENOMEM;
	table->counters[table->n_counters++] =
		(struct filter_counter){ .rule = rule, .comment = comment };
	return 0;
}

/* One counter for each rule that some flow needs. */
static int add_counters(struct filter_table *table, const struct netmap *map)
{
	_cleanup_free_ bool *used = calloc(map->n_filter + 1, sizeof(*used));
	int r;

	table->counters = calloc(map->n_filter + 1, sizeof(*table->counters));
	if (!used || !table->counters)
		return -ENOMEM;
	for (size_t i = 0; i < table->n_flows; i++)
		used[table->flows[i].rule] = true;
	for (size_t i = 0; i < map->n_filter; i++) {
		if (!used[i])
			continue;
		r = add_counter(table, map, (uint32_t)i);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compile_classes(const struct netmap *map, uint64_t now_usec,
			   const struct openings *openings, struct filter_table *table)
{
	struct members members = { 0 };
	struct rulelists lists;
	size_t budget = COMPILE_BUDGET;
	int r;

	r = rulelists_init(&lists);
	if (r == 0)
		r = members_build(map, now_usec, openings, &lists, &budget, &members);
	if (r == 0)
		r = classes_build(&members, openings, &lists, FILTER_MAX_FLOWS, table);
	members_done(&members);
	rulelists_done(&lists);
	return r;
}

static int compile_map(const struct netmap *map, uint64_t now_usec, struct filter_table *table)
{
	struct openings openings = { 0 };
	int r;

	r = copy_own(&map->self, table);
	if (r == 0)
		r = openings_build(map->filter, map->n_filter, table->own, table->n_own,
				   FILTER_MAX_FLOWS, &openings);
	if (r == 0)
		r = compile_classes(map, now_usec, &openings, table);
	if (r == 0)
		r = add_counters(table, map);
	openings_done(&openings);
	filter_table_sort(table);
	return r;
}

int filter_compile(const struct netmap *map, uint64_t now_usec, struct filter_table **ret_table,
		   char **reterr_text)
{
	_cleanup_(filter_table_freep) struct filter_table *table = filter_table_new();
	int r;

	if (!table)
		return -ENOMEM;
	r = map ? compile_map(map, now_usec, table) : 0;
	if (r == -E2BIG)
		*reterr_text = text_printf("packet filter is too large: it needs more than %u "
					   "flows on this node; name fewer ports or sources",
					   FILTER_MAX_FLOWS);
	if (r < 0)
		return r;
	*ret_table = take_ptr(table);
	return 0;
}
