/* From the text of a full map to a struct netmap: the outer objects, by tables. */
#include <errno.h>
#include <string.h>

#include "agent/netmap_index.h"
#include "agent/netmap_read.h"
#include "agent/ssh_reach.h"
#include "common/text.h"

/* What the document says about itself. */
struct document {
	char *type;
	uint64_t version;
};

static int read_addresses(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct netmap_node *node = target;

	if (json_is_array(v) && json_array_size(v) == 0)
		return json_fail(rep, at, "is empty; expected at least one mesh address");
	return json_read_array(v, at, NETMAP_MAX_ADDRESSES, sizeof(struct ip_addr),
			       json_read_address, &node->addresses, &node->n_addresses, rep);
}

static int read_tags(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct netmap_node *node = target;

	return json_read_array(v, at, NETMAP_MAX_LIST, sizeof(char *), netmap_read_word,
			       &node->tags, &node->n_tags, rep);
}

static int read_routes(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct netmap_node *node = target;

	return json_read_array(v, at, NETMAP_MAX_ROUTES, sizeof(struct ip_prefix), json_read_prefix,
			       &node->routes, &node->n_routes, rep);
}

static int read_endpoints(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct netmap_node *node = target;

	return json_read_array(v, at, NETMAP_MAX_LIST, sizeof(struct ip_endpoint),
			       json_read_endpoint, &node->endpoints, &node->n_endpoints, rep);
}

static int read_host_keys(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	struct netmap_node *node = target;

	return json_read_array(v, at, NETMAP_MAX_LIST, sizeof(char *), json_read_host_key,
			       &node->ssh_host_keys, &node->n_ssh_host_keys, rep);
}

#define AT(member) offsetof(struct netmap_node, member)
static const struct json_field node_fields[] = {
	{ "id", netmap_read_id, AT(id), JSON_REQUIRED },
	{ "name", json_read_label, AT(name), JSON_REQUIRED },
	{ "addresses", read_addresses, 0, JSON_REQUIRED },
	{ "user", netmap_read_word, AT(user), JSON_NULLABLE },
	{ "tags", read_tags, 0, JSON_NULLABLE },
	{ "routes", read_routes, 0, JSON_NULLABLE },
	{ "key_expiry", json_read_time, AT(key_expiry), JSON_NULLABLE },
};

static const struct json_field self_fields[] = {
	{ "ssh", json_read_bool, AT(ssh), JSON_NULLABLE },
};

static const struct json_field peer_fields[] = {
	{ "node_key", json_read_wg_key, AT(key), JSON_REQUIRED },
	{ "endpoints", read_endpoints, 0, JSON_NULLABLE },
	{ "keepalive", json_read_u16, AT(keepalive), JSON_NULLABLE },
	{ "ssh_host_keys", read_host_keys, 0, JSON_NULLABLE },
	{ "online", json_read_bool, AT(online), JSON_NULLABLE },
};
#undef AT

/* What all nodes have, then what self or a peer has besides. */
static int read_node(const json_t *v, const struct json_at *at, const struct json_field *fields,
		     size_t n_fields, struct netmap_node *node, struct json_report *rep)
{
	int r;

	node->key_expiry = UINT64_MAX;
	r = json_read_object(v, at, node_fields, ARRAY_SIZE(node_fields), node, rep);
	if (r == 0)
		r = json_read_object(v, at, fields, n_fields, node, rep);
	if (r < 0)
		return r;
	if (node->user && node->n_tags > 0)
		return json_fail(rep, at,
				 "has a user and tags; expected one of them: a tagged node belongs "
				 "to nobody");
	return 0;
}

static int read_peer(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	return read_node(v, at, peer_fields, ARRAY_SIZE(peer_fields), target, rep);
}

static int read_peers(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_array(v, at, NETMAP_MAX_PEERS, sizeof(struct netmap_node), read_peer,
			       &map->peers, &map->n_peers, rep);
}

static int read_self(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct netmap *map = target;

	return read_node(v, at, self_fields, ARRAY_SIZE(self_fields), &map->self, rep);
}

static int read_prefixes(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	struct netmap *map = target;

	return json_read_array(v, at, NETMAP_MAX_PREFIXES, sizeof(struct ip_prefix),
			       json_read_prefix, &map->prefixes, &map->n_prefixes, rep);
}

static int read_mesh(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "domain", json_read_domain, offsetof(struct netmap, domain), JSON_REQUIRED },
		{ "prefixes", read_prefixes, 0, JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_user(const json_t *v, const struct json_at *at, const char *login,
		     struct netmap_user *user, struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "name", netmap_read_text, offsetof(struct netmap_user, name), JSON_NULLABLE },
	};
	int r = netmap_check_word(login, at, rep);

	if (r < 0)
		return r;
	user->login = strdup(login);
	if (!user->login)
		return -ENOMEM;
	return json_read_object(v, at, fields, ARRAY_SIZE(fields), user, rep);
}

/* Names for display: a login that is missing here costs its owner nothing but the name. */
static int read_users(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct netmap *map = target;
	size_t n = json_object_size(v);
	const char *login;
	json_t *user;

	if (!json_is_object(v))
		return json_fail_type(rep, at, "an object", v);
	if (n > NETMAP_MAX_PEERS)
		return json_fail(rep, at, "has %zu users; at most %u are allowed", n,
				 NETMAP_MAX_PEERS);
	map->users = calloc(n ? n : 1, sizeof(*map->users));
	if (!map->users)
		return -ENOMEM;
	json_object_foreach ((json_t *)v, login, user) {
		const struct json_at member = { .parent = at, .key = login };
		int r = read_user(user, &member, login, &map->users[map->n_users++], rep);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The kind of document first: all other complaints would be misleading. */
static int check_kind(const json_t *v, const struct json_at *at, struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "type", json_read_string, offsetof(struct document, type), JSON_REQUIRED },
		{ "version", json_read_u64, offsetof(struct document, version), JSON_REQUIRED },
	};
	const struct json_at type_at = { .parent = at, .key = "type" };
	const struct json_at version_at = { .parent = at, .key = "version" };
	struct document doc = { 0 };
	_cleanup_free_ char *type = NULL;
	int r;

	r = json_read_object(v, at, fields, ARRAY_SIZE(fields), &doc, rep);
	type = doc.type;
	if (r < 0)
		return r;
	if (strcmp(type, "full") != 0)
		return json_fail(rep, &type_at, "\"%s\" is no whole map; expected \"full\"", type);
	if (doc.version != 1)
		return json_fail(rep, &version_at,
				 "%llu needs a newer agent; this one understands version 1",
				 (unsigned long long)doc.version);
	return 0;
}

#define AT(member) offsetof(struct netmap, member)
static const struct json_field map_fields[] = {
	{ "for", netmap_read_id, AT(for_node), JSON_REQUIRED },
	{ "generation", json_read_u64, AT(generation), JSON_REQUIRED },
	{ "issued_at", json_read_time, AT(issued_at), JSON_NULLABLE },
	{ "self", read_self, 0, JSON_REQUIRED },
	{ "mesh", read_mesh, 0, JSON_REQUIRED },
	{ "users", read_users, 0, JSON_NULLABLE },
	{ "peers", read_peers, 0, JSON_REQUIRED },
	{ "packet_filter", netmap_read_filter, 0, JSON_REQUIRED },
	{ "ssh_rules", netmap_read_ssh_rules, 0, JSON_REQUIRED },
};
#undef AT

static int read_document(const char *text, size_t len, struct netmap *map, struct json_report *rep)
{
	const struct json_at root = { 0 };
	json_t *document = NULL;
	int r;

	if (len > NETMAP_MAX_BYTES)
		return json_fail(rep, NULL, "the map is larger than %u MiB",
				 NETMAP_MAX_BYTES >> 20);
	r = json_parse(text, len, rep, &document);
	if (r < 0)
		return r;
	r = check_kind(document, &root, rep);
	if (r == 0)
		r = json_read_object(document, &root, map_fields, ARRAY_SIZE(map_fields), map, rep);
	if (r == 0)
		r = netmap_check(map, rep);
	json_decref(document);
	return r;
}

int netmap_parse(const char *text, size_t len, const char *source, char **reterr_text,
		 struct netmap **ret_map)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	char *error;
	int r;

	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	r = read_document(text, len, map, &rep);
	if (r == -EINVAL) {
		error = text_printf("%s: %s", source, rep.text);
		if (!error)
			return -ENOMEM;
		*reterr_text = error;
	}
	if (r < 0)
		return r;
	r = netmap_build_index(map);
	if (r == 0)
		r = ssh_reach_new(map, &map->ssh_reach);
	if (r < 0)
		return r;
	*ret_map = take_ptr(map);
	return 0;
}
