#include "coord/registry/state_parts.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/grow.h"
#include "coord/registry/field.h"
#include "coord/registry/policy_key.h"

/* Tables of the state; kinds without an own place (mesh, policy in force, events) are apart. */
static const struct table_kind {
	const struct record_kind *kind;
	size_t table; /* offset in struct state */
	size_t size;  /* of an item */
	int change;   /* enum registry_change_kind; -1: nobody is told */
} table_kinds[] = {
	{ &node_record_kind, offsetof(struct state, nodes), sizeof(struct node_slot),
	  REGISTRY_NODE },
	{ &user_record_kind, offsetof(struct state, users), sizeof(struct user_record),
	  REGISTRY_USER },
	{ &authkey_record_kind, offsetof(struct state, authkeys), sizeof(struct authkey_record),
	  REGISTRY_AUTHKEY },
	{ &apikey_record_kind, offsetof(struct state, apikeys), sizeof(struct apikey_record),
	  REGISTRY_APIKEY },
	{ &pending_record_kind, offsetof(struct state, pending), sizeof(struct pending_record),
	  REGISTRY_PENDING },
	{ &checkgrant_record_kind, offsetof(struct state, checkgrants),
	  sizeof(struct checkgrant_record), REGISTRY_CHECK },
	{ &checkreq_record_kind, offsetof(struct state, checkreqs), sizeof(struct checkreq_record),
	  REGISTRY_CHECK },
	{ &policy_record_kind, offsetof(struct state, policies), sizeof(struct policy_record), -1 },
	{ &address_record_kind, offsetof(struct state, addresses), sizeof(struct address_record),
	  -1 },
	{ &idp_record_kind, offsetof(struct state, idps), sizeof(struct idp_record), -1 },
	{ &websession_record_kind, offsetof(struct state, websessions),
	  sizeof(struct websession_record), -1 },
	{ &pwlink_record_kind, offsetof(struct state, pwlinks), sizeof(struct pwlink_record), -1 },
	{ &renewal_record_kind, offsetof(struct state, renewals), sizeof(struct renewal_record),
	  REGISTRY_RENEWAL },
};

static struct table *table_of(struct state *state, const struct table_kind *kind)
{
	return (struct table *)((char *)state + kind->table);
}

static bool is_node(const struct table_kind *kind)
{
	return kind->kind == &node_record_kind;
}

/* ---- beginning and end ---- */

struct state *state_new(registry_problem_fn problem, void *userdata)
{
	struct state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->loading = true;
	state->problem = problem;
	state->userdata = userdata;
	return state;
}

static void item_free(const struct table_kind *kind, struct record_head *item)
{
	if (!item)
		return;
	kind->kind->done(item);
	free(item);
}

struct state *state_free(struct state *state)
{
	if (!state)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(table_kinds); i++) {
		struct table *table = table_of(state, &table_kinds[i]);

		for (size_t k = 0; k < table->n; k++)
			item_free(&table_kinds[i], table->items[k]);
		free(table->items);
	}
	free(state->slots);
	strmap_done(&state->names);
	strmap_done(&state->machines);
	strmap_done(&state->keys);
	strmap_done(&state->ips);
	if (state->mesh)
		mesh_record_done(state->mesh);
	free(state->mesh);
	if (state->current)
		policy_current_done(state->current);
	free(state->current);
	policy_free(state->policy);
	free(state);
	return NULL;
}

void change_list_done(struct change_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((char *)list->items[i].id);
	free(list->items);
	for (size_t i = 0; i < list->n_gone; i++) {
		node_record_done(&list->gone[i]->rec);
		free(list->gone[i]);
	}
	free(list->gone);
	for (size_t i = 0; i < list->n_events; i++) {
		event_record_done(list->events[i]);
		free(list->events[i]);
	}
	free(list->events);
	*list = (struct change_list){ 0 };
}

int change_list_add(struct change_list *list, int kind, const char *id,
		    struct registry_change **ret_change)
{
	struct registry_change *change;
	char *copy;

	if (grow(&list->items, list->n + 1, &list->size) < 0)
		return -ENOMEM;
	copy = strdup(id);
	if (!copy)
		return -ENOMEM;
	change = &list->items[list->n++];
	*change = (struct registry_change){ .kind = (enum registry_change_kind)kind, .id = copy };
	*ret_change = change;
	return 0;
}

void state_complain(const struct state *state, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (text && state->problem)
		state->problem(text, state->userdata);
}

/* ---- events ---- */

static int apply_event(struct state *state, const struct store_entry *entry,
		       struct change_list *list)
{
	_cleanup_free_ struct event_record *event = NULL;
	_cleanup_free_ char *error = NULL;
	struct registry_change *change;
	bool by_machine = event_is_by_machine(entry->key + strlen("events/"));
	int r;

	if (!entry->value) {
		state->n_events -= state->n_events > 0;
		state->n_machine_events -= by_machine && state->n_machine_events > 0;
		return 0;
	}
	state->n_events++;
	state->n_machine_events += by_machine;
	if (!list)
		return 0;
	event = calloc(1, sizeof(*event));
	if (!event || grow(&list->events, list->n_events + 1, &list->size_events) < 0)
		return -ENOMEM;
	r = event_record_read(entry->key, entry->value, entry->len, &error, event);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	event->head.revision = entry->revision;
	r = change_list_add(list, REGISTRY_EVENT, event->head.id, &change);
	if (r < 0) {
		event_record_done(event);
		return r;
	}
	change->event = event;
	list->events[list->n_events++] = take_ptr(event);
	return 0;
}

/* ---- entries ---- */

/* Return: 0 and *ret_item, NULL: it was set aside; -ENOMEM. */
static int read_item(struct state *state, const struct table_kind *kind,
		     const struct store_entry *entry, struct record_head **ret_item)
{
	_cleanup_free_ struct record_head *item = calloc(1, kind->size);
	_cleanup_free_ char *error = NULL;
	int r;

	if (!item)
		return -ENOMEM;
	r = record_read(kind->kind, entry->key, entry->value, entry->len, &error, item);
	if (r == -EINVAL) {
		state_complain(state, "%s; the entry is set aside", error);
		*ret_item = NULL;
		return 0;
	}
	if (r < 0)
		return r;
	item->revision = entry->revision;
	*ret_item = take_ptr(item);
	return 0;
}

static void finish_slot(struct node_slot *slot)
{
	ed25519_public_to_string(ED25519_MACHINE, &slot->rec.machine, slot->machine);
	wg_key_to_string(&slot->rec.key, slot->key);
	ip_addr_to_string(&slot->rec.ipv4, slot->ipv4);
}

/* Old nodes live as long as the list; everything else ends here. Return: 0, -ENOMEM. */
static int bury(struct state *state, const struct table_kind *kind, struct record_head *old,
		struct change_list *list)
{
	if (!old)
		return 0;
	if (is_node(kind))
		state_unindex(state, (struct node_slot *)old);
	if (!is_node(kind) || !list) {
		item_free(kind, old);
		return 0;
	}
	if (grow(&list->gone, list->n_gone + 1, &list->size_gone) < 0) {
		item_free(kind, old);
		return -ENOMEM;
	}
	list->gone[list->n_gone++] = (struct node_slot *)old;
	return 0;
}

static void inherit(struct node_slot *slot, const struct node_slot *old)
{
	slot->online = old->online;
	slot->last_seen = old->last_seen;
	slot->number = old->number;
}

static int note_change(const struct table_kind *kind, const struct record_head *old,
		       const struct record_head *new, struct change_list *list)
{
	struct registry_change *change;
	int r;

	if (!list || kind->change < 0 || (!old && !new))
		return 0;
	r = change_list_add(list, kind->change, new ? new->id : old->id, &change);
	if (r == 0 && is_node(kind)) {
		change->old_node = (const struct node_record *)old;
		change->new_node = (const struct node_record *)new;
	}
	return r;
}

static size_t suspended(const struct table_kind *kind, const struct record_head *item)
{
	return item && kind->kind == &user_record_kind &&
	       ((const struct user_record *)item)->suspended;
}

/* new NULL: it is removed, or was set aside. new is owned from here on. */
static int replace(struct state *state, const struct table_kind *kind, const char *id,
		   struct record_head *new, struct change_list *list)
{
	struct table *table = table_of(state, kind);
	struct record_head *old = NULL;
	int r = 0;

	if (!new)
		old = table_take(table, id);
	else if (is_node(kind))
		finish_slot((struct node_slot *)new);
	else if (kind->kind == &policy_record_kind)
		free(take_ptr(((struct policy_record *)new)->text));
	if (new)
		r = table_put(table, new, &old);
	if (r < 0) {
		item_free(kind, new);
		return r;
	}
	state->n_suspended += suspended(kind, new) - suspended(kind, old);
	if (is_node(kind) && old && new)
		inherit((struct node_slot *)new, (struct node_slot *)old);
	r = note_change(kind, old, new, list);
	return bury(state, kind, old, list) < 0 ? -ENOMEM : r;
}

static int apply_item(struct state *state, const struct table_kind *kind,
		      const struct store_entry *entry, struct change_list *list)
{
	const char *id = entry->key + strlen(kind->kind->prefix);
	const struct record_head *known = table_find(table_of(state, kind), id);
	struct record_head *item = NULL;
	int r = 0;

	if (known && known->revision >= entry->revision)
		return 0;
	if (entry->value)
		r = read_item(state, kind, entry, &item);
	return r < 0 ? r : replace(state, kind, id, item, list);
}

/* ---- whole lists and transactions ---- */

static const struct table_kind *kind_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(table_kinds); i++)
		if (strncmp(key, table_kinds[i].kind->prefix,
			    strlen(table_kinds[i].kind->prefix)) == 0)
			return &table_kinds[i];
	return NULL;
}

static bool is_single(const char *key)
{
	return strcmp(key, POLICY_CURRENT_KEY) == 0 || strcmp(key, "meta/mesh") == 0;
}

static bool is_event(const char *key)
{
	return strncmp(key, "events/", strlen("events/")) == 0;
}

int state_load(struct state *state, const struct store_entry *entry, char **reterr_text)
{
	const struct table_kind *kind = kind_of(entry->key);

	if (is_single(entry->key))
		return state_apply_single(state, entry, reterr_text);
	if (is_event(entry->key))
		return apply_event(state, entry, NULL);
	return kind ? apply_item(state, kind, entry, NULL) : 0;
}

int state_loaded(struct state *state)
{
	state->loading = false;
	for (size_t i = 0; i < state->nodes.n;) {
		struct node_slot *slot = (struct node_slot *)state->nodes.items[i];
		int r = state_admit(state, slot);

		if (r == -EEXIST)
			r = replace(state, &table_kinds[0], slot->rec.head.id, NULL, NULL);
		else
			i++;
		if (r < 0)
			return r;
	}
	return 0;
}

static int change_entry(struct state *state, const struct store_entry *entry,
			struct change_list *list)
{
	const struct table_kind *kind = kind_of(entry->key);

	if (is_single(entry->key))
		return state_change_single(state, entry, list);
	if (is_event(entry->key))
		return apply_event(state, entry, list);
	return kind ? apply_item(state, kind, entry, list) : 0;
}

/* Only now, since what one node gives up another may take in the same transaction. */
static int admit_changed(struct state *state, struct change_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct registry_change *change = &list->items[i];
		struct node_slot *slot;
		int r;

		if (change->kind != REGISTRY_NODE || !change->new_node)
			continue;
		slot = state_slot(state, change->id);
		r = slot && &slot->rec == change->new_node ? state_admit(state, slot) : 0;
		if (r == -EEXIST) {
			change->new_node = NULL;
			r = replace(state, &table_kinds[0], change->id, NULL, NULL);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int state_apply(struct state *state, uint64_t revision, const struct store_entry *entries, size_t n,
		struct change_list *list)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = change_entry(state, &entries[i], list);
	if (r == 0 && !state->loading)
		r = admit_changed(state, list);
	if (revision > state->revision)
		state->revision = revision;
	return r;
}
