/* Differences in plain words. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/diff.h"
#include "coord/policy/grow.h"

/* Names listed before "and N more". */
#define MAX_NAMED 4u

/* --- entries with the same sources become one, with all their destinations */

static int join_entry(struct diff_run *run, struct strmap *map, size_t i, size_t *n)
{
	_cleanup_(policy_text_done) struct policy_text key = { 0 };
	struct diff_entry *entry = &run->entries[i];
	uint32_t other;
	char *kept;

	id_list_sort_unique(&entry->src);
	policy_text_printf(&key, "%d %d %u %d %s", entry->ssh, entry->gained, entry->line,
			   entry->dst.items[0] == END_OWN, entry->what);
	for (size_t k = 0; k < entry->src.n; k++)
		policy_text_printf(&key, " %u", entry->src.items[k]);
	if (key.failed)
		return -ENOMEM;
	other = strmap_get(map, key.data);
	if (other != STRMAP_NONE) {
		int r = id_list_add(&run->entries[other].dst, entry->dst.items[0]);

		free(entry->what);
		free(entry->src.items);
		free(entry->dst.items);
		*entry = (struct diff_entry){ 0 };
		return r;
	}
	kept = arena_strndup(&run->arena, key.data, key.len);
	if (!kept || strmap_set(map, kept, (uint32_t)*n) < 0)
		return -ENOMEM;
	if (*n != i) {
		run->entries[*n] = *entry;
		*entry = (struct diff_entry){ 0 };
	}
	++*n;
	return 0;
}

static int join_entries(struct diff_run *run)
{
	struct strmap map = { 0 };
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < run->n_entries; i++)
		r = join_entry(run, &map, i, &n);
	strmap_done(&map);
	if (r == 0)
		run->n_entries = n;
	return r;
}

/* --- names */

struct names {
	const char **items;
	size_t n, size;
	struct strmap seen;
	struct arena arena;
	struct range_set ranges;
	size_t n_nodes;
};

static void names_done(struct names *names)
{
	free(names->items);
	range_set_done(&names->ranges);
	strmap_done(&names->seen);
	arena_done(&names->arena);
}

static int add_name(struct names *names, const char *name)
{
	if (strmap_get(&names->seen, name) != STRMAP_NONE)
		return 0;
	name = arena_strndup(&names->arena, name, strlen(name));
	if (!name || grow(&names->items, names->n + 1, &names->size) < 0 ||
	    strmap_set(&names->seen, name, 0) < 0)
		return -ENOMEM;
	names->items[names->n++] = name;
	return 0;
}

/* A node is called by its user, or by its tags. */
static int add_node_name(struct names *names, const struct policy_node *node)
{
	_cleanup_(policy_text_done) struct policy_text tags = { 0 };

	names->n_nodes++;
	if (!node->n_tags)
		return add_name(names, node->user ? node->user : node->name);
	for (size_t i = 0; i < node->n_tags; i++)
		policy_text_printf(&tags, "%s%s", i ? "+" : "", node->tags[i]);
	return tags.failed ? -ENOMEM : add_name(names, tags.data);
}

static int add_end_names(const struct diff_run *run, uint32_t end, struct names *names)
{
	int r = 0;

	if (end == END_OWN)
		return add_name(names, "their own nodes");
	if (run->ends[end].old_class == NONE)
		return range_set_append(&names->ranges, &run->ends[end].range);
	for (size_t i = 0; r == 0 && i < run->ends[end].nodes.n; i++)
		r = add_node_name(names, &run->old->nodes[run->ends[end].nodes.items[i]].data);
	return r;
}

static bool holds_internet(const struct diff_run *run, const struct range_set *ranges)
{
	for (size_t i = 0; i < run->old->internet.n; i++)
		if (!range_set_contains(ranges, &run->old->internet.items[i]))
			return false;
	return true;
}

/* Ranges that were only cut for the comparison are one again. */
static int add_range_names(const struct diff_run *run, struct names *names)
{
	char buf[RANGE_STRLEN];
	int r = 0;

	range_set_normalize(&names->ranges);
	if (holds_internet(run, &names->ranges)) {
		r = add_name(names, "the internet");
		for (size_t i = 0; r == 0 && i < run->old->internet.n; i++)
			r = range_set_remove(&names->ranges, &run->old->internet.items[i]);
	}
	for (size_t i = 0; r == 0 && i < names->ranges.n; i++)
		r = add_name(names, range_to_string(&names->ranges.items[i], buf));
	return r;
}

static char *name_ends(const struct diff_run *run, const struct id_list *ends, size_t *ret_n_nodes)
{
	struct policy_text text = { 0 };
	struct names names = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ends->n; i++)
		r = add_end_names(run, ends->items[i], &names);
	if (r == 0)
		r = add_range_names(run, &names);
	for (size_t i = 0; r == 0 && i < names.n && i < MAX_NAMED; i++)
		policy_text_printf(&text, "%s%s", i ? ", " : "", names.items[i]);
	if (r == 0 && names.n > MAX_NAMED)
		policy_text_printf(&text, " and %zu more", names.n - MAX_NAMED);
	*ret_n_nodes = names.n_nodes;
	names_done(&names);
	if (r < 0)
		text.failed = true;
	return policy_text_take(&text);
}

/* --- items */

static char *sentence(const struct policy_diff_item *item)
{
	if (!item->ssh)
		return text_printf("%s %s reach %s: %s", item->src,
				   item->gained ? "can now" : "can no longer", item->dst,
				   item->what);
	return text_printf("%s %s log in on %s as %s", item->src,
			   item->gained ? "may now" : "may no longer", item->dst, item->what);
}

static int add_item(const struct diff_run *run, const struct diff_entry *entry,
		    struct policy_diff *diff)
{
	struct policy_diff_item *item = &diff->items[diff->n_items++];
	char *raw = NULL;

	*item = (struct policy_diff_item){ .gained = entry->gained,
					   .ssh = entry->ssh,
					   .line = entry->line };
	item->src = name_ends(run, &entry->src, &item->n_src);
	item->dst = name_ends(run, &entry->dst, &item->n_dst);
	item->what = text_sanitize(entry->what, POLICY_MAX_TEXT);
	if (item->src && item->dst && item->what)
		raw = sentence(item);
	item->text = raw ? text_sanitize(raw, 4 * POLICY_MAX_TEXT) : NULL;
	free(raw);
	return item->text ? 0 : -ENOMEM;
}

/* Packets before SSH, gains before losses, then by line. */
static int compare_entries(const void *a, const void *b)
{
	const struct diff_entry *x = a, *y = b;

	if (x->ssh != y->ssh)
		return x->ssh ? 1 : -1;
	if (x->gained != y->gained)
		return x->gained ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->src.items[0] != y->src.items[0])
		return x->src.items[0] < y->src.items[0] ? -1 : 1;
	if (x->dst.items[0] != y->dst.items[0])
		return x->dst.items[0] < y->dst.items[0] ? -1 : 1;
	return strcmp(x->what, y->what);
}

int diff_to_items(struct diff_run *run, struct policy_diff *diff)
{
	size_t n;

	if (join_entries(run) < 0)
		return -ENOMEM;
	n = run->n_entries < POLICY_MAX_DIFF ? run->n_entries : POLICY_MAX_DIFF;
	diff->truncated |= run->n_entries > n;
	if (run->n_entries)
		qsort(run->entries, run->n_entries, sizeof(*run->entries), compare_entries);
	diff->items = calloc(n + 1, sizeof(*diff->items));
	if (!diff->items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (add_item(run, &run->entries[i], diff) < 0)
			return -ENOMEM;
	return 0;
}
