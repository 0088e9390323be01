/* Entries that there is one of: the policy in force, and the mesh. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/policy_key.h"
#include "coord/registry/state_parts.h"

static int read_mesh(struct state *state, const struct store_entry *entry, char **reterr_text)
{
	_cleanup_free_ struct mesh_record *mesh = calloc(1, sizeof(*mesh));
	int r;

	if (!mesh)
		return -ENOMEM;
	r = mesh_record_read(entry->key, entry->value, entry->len, reterr_text, mesh);
	if (r < 0)
		return r;
	mesh->head.revision = entry->revision;
	if (state->mesh)
		mesh_record_done(state->mesh);
	free(state->mesh);
	state->mesh = take_ptr(mesh);
	return 0;
}

/* "policy/current: line 3 column 7: ..." */
static int refuse_policy(const struct policy_problems *problems, char **reterr_text)
{
	_cleanup_free_ char *first = policy_problem_format(&problems->items[0]);
	char *text = first ? text_printf("%s: %s", POLICY_CURRENT_KEY, first) : NULL;

	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return -EINVAL;
}

static void set_current(struct state *state, struct policy_current *current, struct policy *policy)
{
	if (state->current)
		policy_current_done(state->current);
	free(state->current);
	policy_free(state->policy);
	state->current = current;
	state->policy = policy;
}

/*
 * It was taken in with what was mapped then. A group that is not any more has no members: that the
 * rest of the policy goes on to count is what harms least.
 */
static int parse_policy(const struct state *state, const char *text, struct policy **ret_policy,
			char **reterr_text)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	const struct policy_mapped mapped = {
		.groups = state->mapped ? state->mapped->items : NULL,
		.n_groups = state->mapped ? state->mapped->n : 0,
		.others = true,
	};
	int r = policy_parse_mapped(text, strlen(text), &mapped, &problems, ret_policy);
	const char *stray;

	if (r < 0)
		return r == -EINVAL ? refuse_policy(&problems, reterr_text) : r;
	stray = policy_stray_group(*ret_policy);
	if (stray)
		state_complain(state,
			       "The policy in force uses %s, which it does not define and no "
			       "provider maps (any more): nobody is in it",
			       stray);
	return 0;
}

static int read_current(struct state *state, const struct store_entry *entry, char **reterr_text)
{
	struct policy_current *current = calloc(1, sizeof(*current));
	struct policy *policy = NULL;
	int r;

	if (!current)
		return -ENOMEM;
	r = policy_current_read(entry->key, entry->value, entry->len, reterr_text, current);
	if (r == 0)
		r = parse_policy(state, current->text, &policy, reterr_text);
	if (r < 0) {
		policy_current_done(current);
		free(current);
		return r;
	}
	current->head.revision = entry->revision;
	set_current(state, current, policy);
	return 0;
}

/* Return: 0, -EINVAL: is damaged; -ENOMEM. */
int state_apply_single(struct state *state, const struct store_entry *entry, char **reterr_text)
{
	bool is_policy = strcmp(entry->key, POLICY_CURRENT_KEY) == 0;
	uint64_t known = is_policy     ? (state->current ? state->current->head.revision : 0)
			 : state->mesh ? state->mesh->head.revision
				       : 0;

	if (known >= entry->revision)
		return 0;
	if (entry->value)
		return is_policy ? read_current(state, entry, reterr_text)
				 : read_mesh(state, entry, reterr_text);
	if (is_policy)
		set_current(state, NULL, NULL);
	return 0;
}

/* The policy in force, or the mesh: a damaged one does not come into force. */
int state_change_single(struct state *state, const struct store_entry *entry,
			struct change_list *list)
{
	_cleanup_free_ char *error = NULL;
	struct registry_change *change;
	int r = state_apply_single(state, entry, &error);

	if (r == -EINVAL) {
		state_complain(state, "%s; what was in force stays", error);
		return 0;
	}
	if (r < 0 || !list)
		return r;
	return change_list_add(
		list, strcmp(entry->key, POLICY_CURRENT_KEY) == 0 ? REGISTRY_POLICY : REGISTRY_MESH,
		strchr(entry->key, '/') + 1, &change);
}
