#include "coord/policy/diff.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/grow.h"

/* Differences between single ends, before they are put together. */
#define MAX_ENTRIES 200000u

struct policy_diff *policy_diff_free(struct policy_diff *diff)
{
	if (!diff)
		return NULL;
	for (size_t i = 0; i < diff->n_items; i++) {
		free(diff->items[i].src);
		free(diff->items[i].dst);
		free(diff->items[i].what);
		free(diff->items[i].text);
	}
	free(diff->items);
	free(diff);
	return NULL;
}

static int add_entry(struct diff_run *run, const char *key, const struct diff_entry *entry,
		     uint32_t *ret_index)
{
	struct diff_entry *new;

	if (grow(&run->entries, run->n_entries + 1, &run->size_entries) < 0)
		return -ENOMEM;
	new = &run->entries[run->n_entries];
	*new = *entry;
	new->what = strdup(entry->what);
	key = arena_strndup(&run->arena, key, strlen(key));
	if (!new->what || !key || strmap_set(&run->map, key, (uint32_t)run->n_entries) < 0) {
		free(new->what);
		return -ENOMEM;
	}
	*ret_index = (uint32_t)run->n_entries++;
	return 0;
}

int diff_note(struct diff_run *run, bool ssh, bool gained, uint32_t src, uint32_t dst,
	      const char *what, unsigned line)
{
	_cleanup_(policy_text_done) struct policy_text key = { 0 };
	struct diff_entry entry = { .gained = gained, .ssh = ssh, .line = line };
	uint32_t index;

	policy_text_printf(&key, "%d %d %u %u %s", ssh, gained, line, dst, what);
	if (key.failed)
		return -ENOMEM;
	index = strmap_get(&run->map, key.data);
	if (index == STRMAP_NONE) {
		if (run->n_entries >= MAX_ENTRIES) {
			run->truncated = true;
			return 0;
		}
		entry.what = (char *)what;
		if (add_entry(run, key.data, &entry, &index) < 0 ||
		    id_list_add(&run->entries[index].dst, dst) < 0)
			return -ENOMEM;
	}
	return id_list_add(&run->entries[index].src, src);
}

static void run_done(struct diff_run *run)
{
	for (size_t i = 0; i < run->n_ends; i++)
		free(run->ends[i].nodes.items);
	for (size_t i = 0; i < run->n_entries; i++) {
		free(run->entries[i].what);
		free(run->entries[i].src.items);
		free(run->entries[i].dst.items);
	}
	free(run->ends);
	free(run->entries);
	strmap_done(&run->map);
	arena_done(&run->arena);
}

static bool same_network(const struct policy_engine *a, const struct policy_engine *b)
{
	if (a->n_used_nodes != b->n_used_nodes)
		return false;
	for (uint32_t i = 0; i < a->n_nodes; i++)
		if (a->nodes[i].data.name &&
		    strmap_get(&b->node_map, a->nodes[i].data.name) == STRMAP_NONE)
			return false;
	return true;
}

int policy_diff(struct policy_engine *old_engine, struct policy_engine *new_engine,
		struct policy_diff **ret_diff)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = calloc(1, sizeof(*diff));
	struct diff_run run = { .old = old_engine, .new = new_engine };
	int r;

	if (!diff)
		return -ENOMEM;
	if (!same_network(old_engine, new_engine))
		return -EINVAL;
	r = diff_find_ends(&run);
	if (r == 0)
		r = diff_net(&run);
	if (r == 0)
		r = diff_ssh(&run);
	if (r == 0)
		r = diff_to_items(&run, diff);
	diff->truncated |= run.truncated;
	run_done(&run);
	if (r < 0)
		return r;
	*ret_diff = take_ptr(diff);
	return 0;
}
