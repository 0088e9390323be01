/* Groups: those of the policy, and those whose members others know. */
#include <errno.h>
#include <string.h>

#include "common/text_stream.h"
#include "coord/policy/grow.h"
#include "coord/policy/read.h"

/* Mapped groups that a refusal names. */
#define MAX_NAMED 5u

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_mapped(const struct policy_mapped *mapped, const char *name)
{
	for (size_t i = 0; i < mapped->n_groups; i++)
		if (strcmp(mapped->groups[i], name) == 0)
			return true;
	return false;
}

/* NULL: no memory. Valid until the next one is added. */
static struct group *add_group(struct reader *rd, const char *name)
{
	struct policy *p = rd->policy;
	struct group *group;

	if (grow(&p->groups, p->n_groups + 1, &p->size_groups) < 0 ||
	    strmap_set(&p->group_map, name, (uint32_t)p->n_groups) < 0) {
		rd->no_memory = true;
		return NULL;
	}
	group = &p->groups[p->n_groups++];
	*group = (struct group){ .name = name, .mapped = is_mapped(rd->mapped, name) };
	return group;
}

static const char *read_member(struct reader *rd, const struct hujson_value *v)
{
	const char *login = read_string(rd, v, "a member of a group");

	if (!login)
		return NULL;
	if (has_prefix(login, "group:")) {
		read_error(rd, v->at, "\"%s\": groups cannot hold groups; list their members",
			   login);
		return NULL;
	}
	if (has_prefix(login, "autogroup:") || has_prefix(login, "tag:") || !strchr(login, '@') ||
	    strchr(login, '*')) {
		read_error(rd, v->at,
			   "\"%s\" cannot be in a group; list logins such as "
			   "alice@example.com",
			   login);
		return NULL;
	}
	return login;
}

static void read_list(struct reader *rd, const struct hujson_value *v, struct group *group)
{
	const struct hujson_value *list = read_array(rd, v, POLICY_MAX_VALUES, "a group");

	group->at = v->key_at;
	group->members = list ? read_alloc(rd, list->n_items, sizeof(*group->members)) : NULL;
	for (size_t i = 0; group->members && i < list->n_items; i++) {
		const char *login = read_member(rd, &list->items[i]);

		if (login)
			group->members[group->n_members++] = login;
	}
}

void read_groups(struct reader *rd, const struct hujson_value *v)
{
	if (!read_object(rd, v, "\"groups\""))
		return;
	for (size_t i = 0; i < v->n_items; i++) {
		const struct hujson_value *m = &v->items[i];
		struct group *group;

		if (!has_prefix(m->key, "group:") || !m->key[strlen("group:")]) {
			read_error(rd, m->key_at,
				   "\"%.60s\" is no name of a group; write "
				   "\"group:name\"",
				   m->key);
			continue;
		}
		group = add_group(rd, m->key);
		if (!group)
			return;
		read_list(rd, m, group);
	}
}

/* Names what is mapped: somebody may have meant one of these. */
static void report_unknown(struct reader *rd, const char *name, struct place at)
{
	const struct policy_mapped *mapped = rd->mapped;
	struct text_stream out;
	_cleanup_free_ char *names = NULL;

	if (mapped->n_groups == 0) {
		read_error(rd, at, "\"%s\" is not defined; add it to \"groups\"", name);
		return;
	}
	if (text_stream_open(&out) < 0) {
		rd->no_memory = true;
		return;
	}
	for (size_t i = 0; i < mapped->n_groups && i < MAX_NAMED; i++)
		fprintf(out.file, "%s%s", i > 0 ? ", " : "", mapped->groups[i]);
	if (mapped->n_groups > MAX_NAMED)
		fprintf(out.file, " and %zu more", mapped->n_groups - MAX_NAMED);
	names = text_stream_close(&out);
	if (names)
		read_error(rd, at,
			   "\"%s\" is not defined, and providers do not map it; add it to "
			   "\"groups\", or to a provider's file (they map %s)",
			   name, names);
	else
		rd->no_memory = true;
}

uint32_t read_group_name(struct reader *rd, const char *name, struct place at)
{
	uint32_t known = strmap_get(&rd->policy->group_map, name);

	if (known != STRMAP_NONE)
		return known;
	if (!is_mapped(rd->mapped, name) && !rd->mapped->others) {
		report_unknown(rd, name, at);
		return STRMAP_NONE;
	}
	return add_group(rd, name) ? (uint32_t)rd->policy->n_groups - 1 : STRMAP_NONE;
}

const char *policy_stray_group(const struct policy *p)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (!p->groups[i].mapped && p->groups[i].at.line == 0)
			return p->groups[i].name;
	return NULL;
}
