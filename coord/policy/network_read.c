/* Users and nodes from JSON. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/policy/arena.h"
#include "coord/policy/grow.h"
#include "coord/policy/policy.h"
#include "coord/policy/strmap.h"

#define MAX_NODES     100000u
#define MAX_USERS     100000u
#define MAX_ADDRESSES 8u
#define MAX_TAGS      256u
#define MAX_ROUTES    1024u
#define MAX_PREFIXES  8u
#define MAX_GROUPS    4096u

/* Members that come one by one, before they are put together. */
struct node_draft {
	struct policy_node node;
	char *ipv4, *ipv6;
};

static int read_text(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	char **text = target;
	int r = json_read_string(v, at, target, rep);

	if (r == 0 && (!**text || strlen(*text) > POLICY_MAX_TEXT || text_has_control(*text)))
		return json_fail(rep, at,
				 "expected a text of 1 to %u bytes without control characters",
				 POLICY_MAX_TEXT);
	return r;
}

static int read_addr(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "an address", v);
	if (ip_addr_parse(json_string_value(v), target) < 0)
		return json_fail(rep, at, "expected an address, such as 100.64.0.1");
	return 0;
}

static int read_prefix(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a prefix", v);
	if (ip_prefix_parse(json_string_value(v), target) < 0)
		return json_fail(rep, at,
				 "expected a prefix without host bits, such as 10.0.0.0/8");
	return 0;
}

static int read_tags(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct policy_node *node = target;

	return json_read_array(v, at, MAX_TAGS, sizeof(*node->tags), read_text, &node->tags,
			       &node->n_tags, rep);
}

static int read_addresses(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct policy_node *node = target;

	return json_read_array(v, at, MAX_ADDRESSES, sizeof(*node->addresses), read_addr,
			       &node->addresses, &node->n_addresses, rep);
}

static int read_advertised(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	struct policy_node *node = target;

	return json_read_array(v, at, MAX_ROUTES, sizeof(*node->advertised), read_prefix,
			       &node->advertised, &node->n_advertised, rep);
}

static int read_approved(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	struct policy_node *node = target;

	return json_read_array(v, at, MAX_ROUTES, sizeof(*node->approved), read_prefix,
			       &node->approved, &node->n_approved, rep);
}

static int read_primary(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	struct policy_node *node = target;

	return json_read_array(v, at, MAX_ROUTES, sizeof(*node->primary), read_prefix,
			       &node->primary, &node->n_primary, rep);
}

#define AT(field) offsetof(struct node_draft, field)
static const struct json_field node_fields[] = {
	{ "name", read_text, AT(node.name), JSON_REQUIRED },
	{ "user", read_text, AT(node.user), JSON_NULLABLE },
	{ "tags", read_tags, AT(node), JSON_NULLABLE },
	{ "addresses", read_addresses, AT(node), JSON_NULLABLE },
	{ "ipv4", read_text, AT(ipv4), JSON_NULLABLE },
	{ "ipv6", read_text, AT(ipv6), JSON_NULLABLE },
	{ "routable_ips", read_advertised, AT(node), JSON_NULLABLE },
	{ "approved_routes", read_approved, AT(node), JSON_NULLABLE },
	{ "primary_routes", read_primary, AT(node), JSON_NULLABLE },
};
#undef AT

/* "ipv4" and "ipv6" are another way to write "addresses". */
static int add_address(struct policy_node *node, const char *text, const struct json_at *at,
		       struct json_report *rep)
{
	struct ip_addr *grown;

	if (!text)
		return 0;
	grown = reallocarray(node->addresses, node->n_addresses + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	node->addresses = grown;
	if (ip_addr_parse(text, &grown[node->n_addresses]) < 0)
		return json_fail(rep, at, "\"%s\" is no address", text);
	node->n_addresses++;
	return 0;
}

static int check_node(const struct policy_node *node, const struct json_at *at,
		      struct json_report *rep)
{
	if (node->user && node->n_tags)
		return json_fail(rep, at, "has a user and tags; a tagged node belongs to nobody");
	if (!node->user && !node->n_tags)
		return json_fail(rep, at, "has neither a user nor tags");
	if (!node->n_addresses)
		return json_fail(rep, at, "has no address");
	return 0;
}

static int read_node(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct policy_node *node = target;
	struct node_draft draft = { 0 };
	int r = json_read_object(v, at, node_fields, ARRAY_SIZE(node_fields), &draft, rep);

	if (r == 0)
		r = add_address(&draft.node, draft.ipv4, at, rep);
	if (r == 0)
		r = add_address(&draft.node, draft.ipv6, at, rep);
	free(draft.ipv4);
	free(draft.ipv6);
	*node = draft.node;
	return r < 0 ? r : check_node(node, at, rep);
}

static int read_roles(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	static const struct {
		const char *name;
		enum policy_role role;
	} roles[] = {
		{ "owner", POLICY_ROLE_OWNER },
		{ "admin", POLICY_ROLE_ADMIN },
		{ "network-admin", POLICY_ROLE_NETWORK_ADMIN },
		{ "it-admin", POLICY_ROLE_IT_ADMIN },
		{ "billing-admin", POLICY_ROLE_BILLING_ADMIN },
		{ "auditor", POLICY_ROLE_AUDITOR },
	};
	unsigned *mask = target;
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "a list of roles", v);
	json_array_foreach (v, i, item) {
		size_t k = 0;

		while (k < ARRAY_SIZE(roles) &&
		       (!json_is_string(item) ||
			strcmp(roles[k].name, json_string_value(item)) != 0))
			k++;
		if (k == ARRAY_SIZE(roles))
			return json_fail(rep, at,
					 "expected owner, admin, network-admin, it-admin, "
					 "billing-admin or auditor");
		*mask |= roles[k].role;
	}
	return 0;
}

static int read_group(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	char **name = target;
	int r = read_text(v, at, target, rep);

	if (r == 0 && (strncmp(*name, "group:", strlen("group:")) != 0 || !(*name)[6]))
		return json_fail(rep, at, "expected a group of the policy, such as group:admins");
	return r;
}

static int read_user_groups(const json_t *v, const struct json_at *at, void *target,
			    struct json_report *rep)
{
	struct policy_user *user = target;

	return json_read_array(v, at, MAX_GROUPS, sizeof(*user->groups), read_group, &user->groups,
			       &user->n_groups, rep);
}

static int read_groups(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct policy_network *network = target;

	return json_read_array(v, at, MAX_GROUPS, sizeof(*network->groups), read_group,
			       &network->groups, &network->n_groups, rep);
}

static int read_user(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "login", read_text, offsetof(struct policy_user, login), JSON_REQUIRED },
		{ "roles", read_roles, offsetof(struct policy_user, roles), JSON_NULLABLE },
		{ "groups", read_user_groups, 0, JSON_NULLABLE },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_users(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct policy_network *network = target;

	return json_read_array(v, at, MAX_USERS, sizeof(*network->users), read_user,
			       &network->users, &network->n_users, rep);
}

static int read_nodes(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct policy_network *network = target;

	return json_read_array(v, at, MAX_NODES, sizeof(*network->nodes), read_node,
			       &network->nodes, &network->n_nodes, rep);
}

static int read_mesh_prefixes(const json_t *v, const struct json_at *at, void *target,
			      struct json_report *rep)
{
	struct policy_network *network = target;

	return json_read_array(v, at, MAX_PREFIXES, sizeof(*network->prefixes), read_prefix,
			       &network->prefixes, &network->n_prefixes, rep);
}

static int read_mesh(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "prefixes", read_mesh_prefixes, 0, JSON_NULLABLE },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int default_prefixes(struct policy_network *network)
{
	if (network->n_prefixes)
		return 0;
	network->prefixes = calloc(2, sizeof(*network->prefixes));
	if (!network->prefixes)
		return -ENOMEM;
	network->n_prefixes = 2;
	if (ip_prefix_parse("100.64.0.0/10", &network->prefixes[0]) < 0 ||
	    ip_prefix_parse("fd7a:115c:a1e0::/48", &network->prefixes[1]) < 0)
		return -EINVAL;
	return 0;
}

static bool in_mesh(const struct policy_network *network, const struct ip_addr *addr)
{
	for (size_t i = 0; i < network->n_prefixes; i++)
		if (ip_prefix_contains(&network->prefixes[i], addr))
			return true;
	return false;
}

/* Names and addresses belong to one node each; keys of seen live in the arena. */
struct seen {
	struct strmap map;
	struct arena arena;
};

static int check_once(struct seen *seen, const char *text, uint32_t node, const struct json_at *at,
		      const char *what, struct json_report *rep)
{
	uint32_t other = strmap_get(&seen->map, text);
	const char *kept = arena_strndup(&seen->arena, text, strlen(text));

	if (other != STRMAP_NONE)
		return json_fail(rep, at, "has the same %s as nodes[%u]", what, other);
	return kept ? strmap_set(&seen->map, kept, node) : -ENOMEM;
}

static int check_unique(const struct policy_network *network, uint32_t node, struct seen *names,
			struct seen *addrs, struct json_report *rep)
{
	struct json_at top = { 0 }, nodes = { .parent = &top, .key = "nodes" };
	struct json_at at = { .parent = &nodes, .index = node };
	const struct policy_node *data = &network->nodes[node];
	int r = check_once(names, data->name, node, &at, "name", rep);

	for (size_t i = 0; r == 0 && i < data->n_addresses; i++) {
		char buf[IP_ADDR_STRLEN];

		ip_addr_to_string(&data->addresses[i], buf);
		r = check_once(addrs, buf, node, &at, "address", rep);
		if (r == 0 && !in_mesh(network, &data->addresses[i]))
			r = json_fail(rep, &at, "%s is in none of the prefixes of the mesh", buf);
	}
	return r;
}

static int check_nodes(const struct policy_network *network, struct json_report *rep)
{
	struct seen names = { 0 }, addrs = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < network->n_nodes; i++)
		r = check_unique(network, i, &names, &addrs, rep);
	strmap_done(&names.map);
	strmap_done(&addrs.map);
	arena_done(&names.arena);
	arena_done(&addrs.arena);
	return r;
}

/* A user is in it: then it is mapped. */
static int add_group(struct policy_network *network, size_t *size, struct strmap *known,
		     const char *name)
{
	char *copy;

	if (strmap_get(known, name) != STRMAP_NONE)
		return 0;
	if (grow(&network->groups, network->n_groups + 1, size) < 0)
		return -ENOMEM;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	network->groups[network->n_groups++] = copy;
	return strmap_set(known, copy, 0);
}

static int collect_groups(struct policy_network *network)
{
	struct strmap known = { 0 };
	size_t size = network->n_groups;
	int r = 0;

	for (size_t i = 0; r == 0 && i < network->n_groups; i++)
		r = strmap_set(&known, network->groups[i], 0);
	for (size_t i = 0; r == 0 && i < network->n_users; i++)
		for (size_t k = 0; r == 0 && k < network->users[i].n_groups; k++)
			r = add_group(network, &size, &known, network->users[i].groups[k]);
	strmap_done(&known);
	return r;
}

static int read_network(const json_t *root, struct json_report *rep, struct policy_network *network)
{
	static const struct json_field fields[] = {
		{ "mesh", read_mesh, 0, JSON_NULLABLE },
		{ "users", read_users, 0, JSON_NULLABLE },
		{ "nodes", read_nodes, 0, JSON_REQUIRED },
		{ "groups", read_groups, 0, JSON_NULLABLE },
	};
	struct json_at top = { 0 };
	int r = json_read_object(root, &top, fields, ARRAY_SIZE(fields), network, rep);

	if (r == 0)
		r = default_prefixes(network);
	if (r == 0)
		r = collect_groups(network);
	return r < 0 ? r : check_nodes(network, rep);
}

int policy_network_parse(const char *text, size_t len, char **reterr_text,
			 struct policy_network **ret_network)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	json_t *root = NULL;
	int r;

	network = calloc(1, sizeof(*network));
	if (!network)
		return -ENOMEM;
	r = json_parse(text, len, &rep, &root);
	if (r == 0)
		r = read_network(root, &rep, network);
	json_decref(root);
	if (r == -EINVAL)
		*reterr_text = take_ptr(rep.text);
	if (r < 0)
		return r;
	*ret_network = take_ptr(network);
	return 0;
}
