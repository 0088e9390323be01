/* Users and nodes for the policy compiler: a file, or what the coordinator knows. */
#include <errno.h>
#include <string.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

#define MAX_NODES_FILE ((size_t)128 << 20)

static int parse(struct ctl *ctl, const char *name, const char *text, size_t len,
		 struct policy_network **ret_network)
{
	_cleanup_free_ char *error = NULL;
	int r = policy_network_parse(text, len, &error, ret_network);

	if (r == -EINVAL)
		return ctl_tell(ctl, "%s: %s", name, error);
	return ctl_rendered(ctl, r);
}

static int read_file(struct ctl *ctl, struct policy_network **ret_network)
{
	_cleanup_(source_done) struct source source = { 0 };
	int r = ctl_read_source(ctl, ctl->nodes, MAX_NODES_FILE, &source);

	return r == CLI_OK ? parse(ctl, source.name, source.text, source.len, ret_network) : r;
}

/* ---- the coordinator's ---- */

/* A member that is there, not null and not empty. */
static json_t *some(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ? NULL
											    : value;
}

/* Nodes whose key has expired are nobody's peers. By name, as people expect them. */
static json_t *valid_nodes(const json_t *list)
{
	size_t n = 0;
	_cleanup_free_ const json_t **sorted = listed_sort(list, "name", &n);
	json_t *nodes = sorted ? json_array() : NULL;

	for (size_t i = 0; i < n; i++) {
		const json_t *node = sorted[i];

		if (json_is_true(json_object_get(node, "expired")))
			continue;
		if (json_array_append_new(
			    nodes, json_pack("{s:O, s:O, s:O*, s:O*}", "name",
					     json_object_get(node, "name"), "addresses",
					     json_object_get(node, "addresses"), "user",
					     some(node, "user"), "tags", some(node, "tags"))) < 0) {
			json_decref(nodes);
			return NULL;
		}
	}
	return nodes;
}

static int ask_member(struct ctl *ctl, const char *path, const char *key, json_t **ret_value)
{
	json_auto_t *reply = NULL;
	int r = ctl_ask(ctl, "GET", path, NULL, &reply);

	if (r == CLI_OK)
		*ret_value = json_incref(json_object_get(reply, key));
	return r;
}

/* Names alone: what they are mapped from does not matter to a policy. */
static json_t *group_names(const json_t *mappings)
{
	json_auto_t *names = json_object();
	json_t *list = json_array(), *mapping;
	const char *name;
	size_t i;

	json_array_foreach (mappings, i, mapping) {
		name = json_string_value(json_object_get(mapping, "group"));
		if (!name || json_object_get(names, name))
			continue;
		if (json_object_set_new(names, name, json_true()) < 0 ||
		    json_array_append_new(list, json_string(name)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int ask(struct ctl *ctl, struct policy_network **ret_network)
{
	json_auto_t *mesh = NULL, *users = NULL, *nodes = NULL, *groups = NULL, *all = NULL;
	_cleanup_free_ char *text = NULL;
	int r = ask_member(ctl, "status", "mesh", &mesh);

	if (r == CLI_OK)
		r = ask_member(ctl, "users", "users", &users);
	if (r == CLI_OK)
		r = ask_member(ctl, "nodes", "nodes", &nodes);
	if (r == CLI_OK)
		r = ask_member(ctl, "groups", "groups", &groups);
	if (r != CLI_OK)
		return r;
	all = json_pack("{s:O, s:O, s:o, s:o}", "mesh", mesh, "users", users, "nodes",
			valid_nodes(nodes), "groups", group_names(groups));
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	if (!text)
		return ctl_tell(ctl, "the answer does not say what users and nodes there are");
	return parse(ctl, "the coordinator's nodes", text, strlen(text), ret_network);
}

int ctl_read_network(struct ctl *ctl, struct policy_network **ret_network)
{
	if (ctl->nodes)
		return read_file(ctl, ret_network);
	if (!ctl_has_coordinator(ctl))
		return ctl_tell_usage(ctl, "this needs --nodes FILE, which says what users and "
					   "nodes there are, or a coordinator: none runs here, and "
					   "no --url is given");
	return ask(ctl, ret_network);
}
