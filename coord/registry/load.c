/* From the store's list, and then its watch, to the state in memory. */
#include <errno.h>
#include <string.h>

#include "coord/registry/address.h"
#include "coord/registry/op.h"

#define PAGE	   1000u
#define RETRY_USEC 1000000u

static void fail(struct registry *registry, int error, const char *text)
{
	registry->next = state_free(registry->next);
	registry_complain(registry, "The state cannot be loaded: %s", text);
	if (!registry->is_ready && registry->ready)
		take_ptr(registry->ready)(error, text, registry->userdata);
	else
		registry_due(registry, registry->clock() + RETRY_USEC);
}

/* What is not in the store, from the state before. */
static void keep_presence(const struct state *old, struct state *new)
{
	for (size_t i = 0; i < new->nodes.n; i++) {
		struct node_slot *slot = (struct node_slot *)new->nodes.items[i];
		const struct node_slot *before = state_slot(old, slot->rec.head.id);

		if (before) {
			slot->online = before->online;
			slot->last_seen = before->last_seen;
		}
	}
}

/* Behind the highest address in use. */
static uint32_t first_cursor(const struct state *state)
{
	uint32_t highest = 0;

	for (size_t i = 0; i < state->addresses.n; i++) {
		struct ip_addr address;
		uint32_t number;

		if (ip_addr_parse(state->addresses.items[i]->id, &address) < 0)
			continue;
		number = address_to_number(&address);
		if (number > highest)
			highest = number;
	}
	return address_next(highest);
}

static void finish(struct registry *registry)
{
	const struct registry_change reset = { .kind = REGISTRY_RESET };
	struct state *old = registry->state, *new = take_ptr(registry->next);
	int r = state_loaded(new);

	if (r == 0 && new->nodes.n > 0 && !new->mesh)
		r = -EINVAL;
	if (r < 0) {
		state_free(new);
		fail(registry, r,
		     r == -EINVAL ? "there are nodes, but meta/mesh is missing"
				  : "there is no memory for it");
		return;
	}
	keep_presence(old, new);
	registry->state = new;
	registry->address_cursor = first_cursor(new);
	registry->is_watched = true;
	if (!registry->is_ready) {
		registry->is_ready = true;
		registry->loaded_at = registry->clock();
	}
	if (registry->ready)
		take_ptr(registry->ready)(0, NULL, registry->userdata);
	registry_tell(registry, new->revision, &reset, 1);
	state_free(old);
	ops_wake(registry);
	registry_due(registry, 0);
}

static void load_again(struct registry *registry)
{
	registry->is_watched = false;
	registry->next = state_free(registry->next);
	registry_due(registry, registry->clock() + RETRY_USEC);
}

static void on_lost(void *userdata)
{
	struct registry *registry = userdata;

	registry_complain(registry,
			  "The store has forgotten what the registry has not heard of yet; "
			  "loading anew");
	load_again(registry);
}

static void apply(struct registry *registry, uint64_t revision, const struct store_entry *changes,
		  size_t n)
{
	struct change_list list = { 0 };
	int r = state_apply(registry->state, revision, changes, n, &list);

	if (r < 0) {
		registry_complain(registry, "There is no memory for a change; loading anew");
		load_again(registry);
	} else {
		registry_tell(registry, revision, list.items, list.n);
		registry_due(registry, 0);
	}
	change_list_done(&list);
	if (r == 0)
		ops_wake(registry);
}

static void on_changes(uint64_t revision, const struct store_entry *changes, size_t n,
		       void *userdata)
{
	struct registry *registry = userdata;
	int r;

	if (!registry->next) {
		if (registry->is_watched)
			apply(registry, revision, changes, n);
		return;
	}
	r = state_apply(registry->next, revision, changes, n, NULL);
	if (r < 0)
		fail(registry, r, "there is no memory for it");
	else if (registry->next->revision >= registry->list_last)
		finish(registry);
}

static void begin_watch(struct registry *registry)
{
	int r;

	registry->next->revision = registry->list_first;
	r = store_watch(registry->store, "", registry->list_first, on_changes, on_lost, registry,
			&registry->watch);
	if (r < 0)
		fail(registry, r, "there is no memory for it");
	else if (registry->next && registry->list_first == registry->list_last)
		finish(registry);
}

static int list_more(struct registry *registry);

static int load_page(struct registry *registry, const struct store_answer *page, char **reterr_text)
{
	if (!registry->list_after)
		registry->list_first = page->revision;
	registry->list_last = page->revision;
	for (size_t i = 0; i < page->n_entries; i++) {
		int r = state_load(registry->next, &page->entries[i], reterr_text);

		if (r < 0)
			return r;
	}
	if (!page->more)
		return 0;
	free(registry->list_after);
	registry->list_after = strdup(page->entries[page->n_entries - 1].key);
	return registry->list_after ? 0 : -ENOMEM;
}

static void on_page(const struct store_answer *page, void *userdata)
{
	struct registry *registry = userdata;
	_cleanup_free_ char *error = NULL;
	int r = page->status;

	if (r < 0) {
		fail(registry, r, page->text ? page->text : strerror(-r));
		return;
	}
	r = load_page(registry, page, &error);
	if (r == 0 && page->more)
		r = list_more(registry);
	else if (r == 0)
		begin_watch(registry);
	if (r < 0)
		fail(registry, r, error ? error : strerror(-r));
}

static int list_more(struct registry *registry)
{
	return store_list(registry->store, "", registry->list_after, PAGE, on_page, registry);
}

int registry_load(struct registry *registry)
{
	registry->watch = store_watch_free(registry->watch);
	free(take_ptr(registry->list_after));
	state_free(registry->next);
	registry->next = state_new(registry->problem, registry->userdata);
	if (!registry->next)
		return -ENOMEM;
	registry->next->mapped = &registry->mappings.groups;
	return list_more(registry);
}
