/* Nodes: this one, and its peers. Their text, and who holds them. */
#include <errno.h>
#include <string.h>

#include "agent/netmap/read.h"
#include "agent/refs.h"
#include "common/text.h"

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

static int read_online(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct netmap_node *node = target;
	bool online;
	int r = json_read_bool(v, at, &online, rep);

	if (r == 0)
		node->presence = online ? NETMAP_ONLINE : NETMAP_OFFLINE;
	return r;
}

/* "none" with its reason, or no member at all. */
static int read_path(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	const char *text = json_string_value(v);
	struct netmap_node *node = target;

	if (!text || strcmp(text, "none") != 0)
		return json_fail(rep, at, "is no path; expected \"none\", or no such member");
	node->no_path = true;
	return 0;
}

/* Where people are sent: to the web. */
static int read_login_url(const json_t *v, const struct json_at *at, void *target,
			  struct json_report *rep)
{
	const char *text = json_string_value(v);

	if (!text || (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0) ||
	    text_has_control(text) || strlen(text) > NETMAP_MAX_TEXT)
		return json_fail(rep, at, "is no URL of https or http");
	return json_read_string(v, at, target, rep);
}

static int read_login(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "url", read_login_url, offsetof(struct netmap_node, login_url), JSON_NULLABLE },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
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
	{ "node_key", json_read_wg_key, AT(key), JSON_NULLABLE },
	{ "key_expired", json_read_bool, AT(key_expired), JSON_NULLABLE },
	{ "login", read_login, 0, JSON_NULLABLE },
};

static const struct json_field peer_fields[] = {
	{ "node_key", json_read_wg_key, AT(key), JSON_REQUIRED },
	{ "endpoints", read_endpoints, 0, JSON_NULLABLE },
	{ "keepalive", json_read_u16, AT(keepalive), JSON_NULLABLE },
	{ "ssh_host_keys", read_host_keys, 0, JSON_NULLABLE },
	{ "online", read_online, 0, JSON_NULLABLE },
	{ "path_reason", netmap_read_text, AT(path_reason), JSON_NULLABLE },
	{ "path", read_path, 0, JSON_NULLABLE },
};
#undef AT

/* What all nodes have, then what self or a peer has besides. */
static int read_node(const json_t *v, const struct json_at *at, const struct json_field *fields,
		     size_t n_fields, struct netmap_node *node, struct json_report *rep)
{
	int r;

	node->key_expiry = UINT64_MAX;
	node->refs = refs_new();
	if (!node->refs)
		return -ENOMEM;
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

int netmap_read_peer(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct netmap_node *node = target;
	int r = read_node(v, at, peer_fields, ARRAY_SIZE(peer_fields), node, rep);

	/* A delta may take the one back and leave the other. */
	if (r == 0 && !node->no_path) {
		free(node->path_reason);
		node->path_reason = NULL;
	}
	return r;
}

int netmap_read_self(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	struct netmap *map = target;

	return read_node(v, at, self_fields, ARRAY_SIZE(self_fields), &map->self, rep);
}

static void free_strings(char **strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

struct netmap_node netmap_node_share(const struct netmap_node *node)
{
	struct netmap_node same = *node;

	refs_take(same.refs);
	return same;
}

void netmap_node_done(struct netmap_node *node)
{
	if (refs_drop(node->refs)) {
		free(node->id);
		free(node->name);
		free(node->addresses);
		free(node->user);
		free_strings(node->tags, node->n_tags);
		free(node->routes);
		free(node->endpoints);
		free_strings(node->ssh_host_keys, node->n_ssh_host_keys);
		free(node->path_reason);
		free(node->login_url);
	}
	*node = (struct netmap_node){ 0 };
}
