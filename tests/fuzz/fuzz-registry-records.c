/*
 * Entries of the coordinator's store, as a restored backup may have them: lines "KEY VALUE", and
 * after an empty line those that change ("KEY" alone: is deleted). What is read can be written, and
 * read again as the same; and in the fold of it all, names, keys and addresses mean one node each.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/address.h"
#include "coord/registry/field.h"
#include "coord/registry/state.h"

#define MAX_ENTRIES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static const struct record_kind *const kinds[] = {
	&node_record_kind,    &address_record_kind,    &user_record_kind,
	&authkey_record_kind, &apikey_record_kind,     &pending_record_kind,
	&policy_record_kind,  &policy_current_kind,    &mesh_record_kind,
	&event_record_kind,   &checkgrant_record_kind, &checkreq_record_kind,
	&idp_record_kind,     &websession_record_kind, &pwlink_record_kind,
	&renewal_record_kind,
};

/* Everything in it fits into a line of a log. */
static void check_error(char *error)
{
	require(error && *error && text_is_utf8(error) && !text_has_control(error));
	free(error);
}

static void check_record(const struct record_kind *kind, const struct store_entry *entry)
{
	_cleanup_free_ struct record_head *record = calloc(1, kind->size),
					  *copy = calloc(1, kind->size);
	_cleanup_free_ char *first = NULL, *second = NULL;
	char *error = NULL;
	size_t len, again;

	require(record && copy);
	if (record_read(kind, entry->key, entry->value, entry->len, &error, record) < 0) {
		check_error(error);
		return;
	}
	first = record_write(kind, record, &len);
	require(first && record_copy(kind, record, copy) == 0);
	second = record_write(kind, copy, &again);
	require(second && len == again && memcmp(first, second, len) == 0);
	kind->done(record);
	kind->done(copy);
}

/* "KEY VALUE"; what is no key of a store is left out. Return: whether it is an entry. */
static bool take_line(char *line, uint64_t revision, struct store_entry *ret_entry)
{
	char *value = strchr(line, ' ');

	if (value)
		*value++ = '\0';
	if (!*line || strlen(line) > STORE_MAX_KEY)
		return false;
	for (const char *p = line; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	*ret_entry = (struct store_entry){
		.key = line,
		.value = value,
		.len = value ? strlen(value) : 0,
		.revision = revision,
	};
	return true;
}

static void check_node(const struct state *state, const struct node_slot *slot)
{
	require(slot->is_indexed && state->slots[slot->number] == slot);
	require(state_node_by(state, &state->names, slot->rec.name) == slot);
	require(state_node_by(state, &state->machines, slot->machine) == slot);
	require(state_node_by(state, &state->keys, slot->key) == slot);
	require(state_node_by(state, &state->ips, slot->ipv4) == slot);
	require(address_may_be_given(&slot->rec.ipv4));
	require(!slot->rec.user != !slot->rec.tags.n);
}

static void check_state(const struct state *state)
{
	size_t suspended = 0;

	for (size_t i = 0; i < state->nodes.n; i++) {
		require(i == 0 ||
			strcmp(state->nodes.items[i - 1]->id, state->nodes.items[i]->id) < 0);
		check_node(state, (const struct node_slot *)state->nodes.items[i]);
	}
	require(state->names.n == state->nodes.n && state->keys.n == state->nodes.n);
	require(state->machines.n == state->nodes.n && state->ips.n == state->nodes.n);
	require(!state->current == !state->policy);
	for (size_t i = 0; i < state->users.n; i++)
		suspended += ((const struct user_record *)state->users.items[i])->suspended != 0;
	require(suspended == state->n_suspended);
}

static void apply(struct state *state, const struct store_entry *entries, size_t n)
{
	struct change_list list = { 0 };

	require(state_apply(state, 2, entries, n, &list) == 0);
	check_state(state);
	for (size_t i = 0; i < list.n; i++)
		if (list.items[i].kind == REGISTRY_NODE && list.items[i].new_node)
			require(list.items[i].new_node ==
				&state_slot(state, list.items[i].id)->rec);
	change_list_done(&list);
}

static void fold(const struct store_entry *entries, size_t n_loaded, size_t n)
{
	_cleanup_(state_freep) struct state *state = state_new(NULL, NULL);

	require(state);
	for (size_t i = 0; i < n_loaded; i++) {
		char *error = NULL;

		if (entries[i].value && state_load(state, &entries[i], &error) < 0) {
			check_error(error);
			return;
		}
	}
	require(state_loaded(state) == 0);
	check_state(state);
	apply(state, entries + n_loaded, n - n_loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct store_entry entries[MAX_ENTRIES];
	size_t n = 0, n_loaded = SIZE_MAX;
	char *rest = text, *line;

	require(text);
	while ((line = strsep(&rest, "\n")) && n < MAX_ENTRIES) {
		if (!*line && n_loaded == SIZE_MAX)
			n_loaded = n;
		else if (take_line(line, n_loaded == SIZE_MAX ? 1 : 2, &entries[n]))
			n++;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			if (entries[i].value && strncmp(entries[i].key, kinds[k]->prefix,
							strlen(kinds[k]->prefix)) == 0)
				check_record(kinds[k], &entries[i]);
	fold(entries, n_loaded < n ? n_loaded : n, n);
	return 0;
}
