#include "coord/registry/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/internal.h"

static int compare(const void *a, const void *b)
{
	const struct registry_mapping *x = a, *y = b;
	int r = strcmp(x->group, y->group);

	if (r == 0)
		r = strcmp(x->issuer, y->issuer);
	return r == 0 ? strcmp(x->value, y->value) : r;
}

/* Sorted as the mappings are, each group comes in one piece. Borrowed strings. */
static int list_groups(const struct mappings *m, struct text_list *ret_groups)
{
	_cleanup_free_ char **items = calloc(m->n + 1, sizeof(*items));
	struct text_list borrowed = { .items = items };

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		if (i == 0 || strcmp(m->items[i - 1].group, m->items[i].group) != 0)
			items[borrowed.n++] = m->items[i].group;
	return text_list_copy(&borrowed, ret_groups);
}

int mappings_copy(const struct registry_mapping *items, size_t n, struct mappings *ret_mappings)
{
	struct mappings m = { .items = calloc(n + 1, sizeof(*m.items)) };
	int r = m.items ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct registry_mapping *copy = &m.items[m.n++];

		copy->issuer = strdup(items[i].issuer);
		copy->value = strdup(items[i].value);
		copy->group = strdup(items[i].group);
		if (!copy->issuer || !copy->value || !copy->group)
			r = -ENOMEM;
	}
	if (r == 0) {
		qsort(m.items, m.n, sizeof(*m.items), compare);
		r = list_groups(&m, &m.groups);
	}
	if (r < 0)
		mappings_done(&m);
	else
		*ret_mappings = m;
	return r;
}

void mappings_done(struct mappings *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->items[i].issuer);
		free(m->items[i].value);
		free(m->items[i].group);
	}
	free(m->items);
	text_list_done(&m->groups);
	*m = (struct mappings){ 0 };
}

/* ---- reading ---- */

const struct text_list *registry_mapped_groups(const struct registry *registry)
{
	return &registry->mappings.groups;
}

size_t registry_n_mappings(const struct registry *registry)
{
	return registry->mappings.n;
}

const struct registry_mapping *registry_mapping_at(const struct registry *registry, size_t i)
{
	return &registry->mappings.items[i];
}

/* Only the provider that the mapping is of has a say. */
static bool applies(const struct registry_mapping *mapping, const struct user_record *user)
{
	for (size_t i = 0; i < user->identities.n; i++)
		if (strcmp(user->identities.items[i].issuer, mapping->issuer) == 0 &&
		    text_list_has(&user->identities.items[i].groups, mapping->value))
			return true;
	return false;
}

int registry_user_groups(const struct registry *registry, const struct user_record *user,
			 struct text_list *ret_groups)
{
	const struct mappings *m = &registry->mappings;
	_cleanup_free_ char **items = NULL;
	struct text_list groups = { 0 };

	*ret_groups = (struct text_list){ 0 };
	if (m->n == 0 || user->identities.n == 0)
		return 0;
	groups.items = items = calloc(m->groups.n, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		if (!(groups.n > 0 && strcmp(groups.items[groups.n - 1], m->items[i].group) == 0) &&
		    applies(&m->items[i], user))
			groups.items[groups.n++] = m->items[i].group;
	return text_list_copy(&groups, ret_groups);
}

int registry_parse_policy(const struct registry *registry, const char *text, size_t len,
			  struct policy_problems *problems, struct policy **ret_policy)
{
	const struct text_list *groups = &registry->mappings.groups;
	const struct policy_mapped mapped = { .groups = groups->items, .n_groups = groups->n };

	return policy_parse_mapped(text, len, &mapped, problems, ret_policy);
}
