/* This node and its peers: what is said of them, member by member. */
#include <string.h>

#include "agent/mapdiff/parts.h"
#include "common/text.h"
#include "common/text_stream.h"

/* A member of a node as text, in fresh memory; NULL: no memory. */
typedef char *(*member_fn)(const struct netmap_node *node);

struct member {
	const char *what;
	member_fn text;
};

/* "a, b, c" from what print() says of each element; "none" of none. */
static char *join(const struct netmap_node *node, size_t n,
		  void (*print)(FILE *f, const struct netmap_node *node, size_t i))
{
	struct text_stream out;

	if (n == 0)
		return strdup("none");
	if (text_stream_open(&out) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : "", out.file);
		print(out.file, node, i);
	}
	return text_stream_close(&out);
}

static void print_address(FILE *f, const struct netmap_node *node, size_t i)
{
	char text[IP_ADDR_STRLEN];

	fputs(ip_addr_to_string(&node->addresses[i], text), f);
}

static void print_route(FILE *f, const struct netmap_node *node, size_t i)
{
	char text[IP_PREFIX_STRLEN];

	fputs(ip_prefix_to_string(&node->routes[i], text), f);
}

static void print_endpoint(FILE *f, const struct netmap_node *node, size_t i)
{
	char text[IP_ENDPOINT_STRLEN];

	fputs(ip_endpoint_to_string(&node->endpoints[i], text), f);
}

static void print_tag(FILE *f, const struct netmap_node *node, size_t i)
{
	fputs(node->tags[i], f);
}

static void print_host_key(FILE *f, const struct netmap_node *node, size_t i)
{
	fputs(node->ssh_host_keys[i], f);
}

static char *text_id(const struct netmap_node *node)
{
	return strdup(node->id);
}

static char *text_name(const struct netmap_node *node)
{
	return strdup(node->name);
}

static char *text_owner(const struct netmap_node *node)
{
	return node->user ? strdup(node->user) : join(node, node->n_tags, print_tag);
}

static char *text_key(const struct netmap_node *node)
{
	char text[WG_KEY_B64LEN];

	return strdup(wg_key_to_string(&node->key, text));
}

static char *text_addresses(const struct netmap_node *node)
{
	return join(node, node->n_addresses, print_address);
}

static char *text_routes(const struct netmap_node *node)
{
	return join(node, node->n_routes, print_route);
}

static char *text_endpoints(const struct netmap_node *node)
{
	return join(node, node->n_endpoints, print_endpoint);
}

static char *text_keepalive(const struct netmap_node *node)
{
	return node->keepalive ? text_printf("%u s", node->keepalive) : strdup("none");
}

static char *text_host_keys(const struct netmap_node *node)
{
	return join(node, node->n_ssh_host_keys, print_host_key);
}

static char *text_expiry(const struct netmap_node *node)
{
	char text[32];

	if (node->key_expiry == UINT64_MAX)
		return strdup("never");
	return strdup(format_rfc3339(node->key_expiry, text, sizeof(text)));
}

static char *text_ssh(const struct netmap_node *node)
{
	return strdup(node->ssh ? "on" : "off");
}

static const struct member self_members[] = {
	{ "node id", text_id },		 { "name", text_name }, { "owner", text_owner },
	{ "addresses", text_addresses }, { "SSH", text_ssh },	{ "routes", text_routes },
	{ "key expiry", text_expiry },
};

static const struct member peer_members[] = {
	{ "name", text_name },
	{ "owner", text_owner },
	{ "key", text_key },
	{ "addresses", text_addresses },
	{ "routes", text_routes },
	{ "endpoints", text_endpoints },
	{ "keepalive", text_keepalive },
	{ "SSH host keys", text_host_keys },
	{ "key expiry", text_expiry },
};

/* Return: 0, -1 when there is no memory. */
static int add_change(json_t *changes, const char *what, const char *from, const char *to)
{
	if (!from || !to)
		return -1;
	if (strcmp(from, to) == 0)
		return 0;
	return json_array_append_new(
		changes, json_pack("{s:s, s:s, s:s}", "what", what, "from", from, "to", to));
}

static json_t *diff_members(const struct netmap_node *from, const struct netmap_node *to,
			    const struct member *members, size_t n)
{
	json_auto_t *changes = json_array();

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *a = members[i].text(from), *b = members[i].text(to);

		if (add_change(changes, members[i].what, a, b) < 0)
			return NULL;
	}
	return take_ptr(changes);
}

static char *text_prefixes(const struct netmap *map)
{
	/* (Printed like routes, which are prefixes as well.) */
	const struct netmap_node mesh = { .routes = map->prefixes, .n_routes = map->n_prefixes };

	return text_routes(&mesh);
}

json_t *diff_self(const struct netmap *from, const struct netmap *to)
{
	_cleanup_free_ char *prefixes_from = NULL, *prefixes_to = NULL;
	json_auto_t *changes = NULL;

	if (!from)
		return json_array();
	changes = diff_members(&from->self, &to->self, self_members, ARRAY_SIZE(self_members));
	prefixes_from = text_prefixes(from);
	prefixes_to = text_prefixes(to);
	if (!changes || add_change(changes, "domain", from->domain, to->domain) < 0 ||
	    add_change(changes, "mesh prefixes", prefixes_from, prefixes_to) < 0)
		return NULL;
	return take_ptr(changes);
}

/* ---- peers ---- */

static int add_peer(json_t *peers, const struct netmap_node *peer)
{
	_cleanup_free_ char *addresses = text_addresses(peer);

	if (!addresses)
		return -1;
	return json_array_append_new(peers,
				     json_pack("{s:s, s:s, s:s}", "name", peer->name, "owner",
					       netmap_node_owner(peer), "addresses", addresses));
}

static int add_changed(json_t *peers, const struct netmap_node *from, const struct netmap_node *to)
{
	json_t *changes = diff_members(from, to, peer_members, ARRAY_SIZE(peer_members));

	if (!changes)
		return -1;
	if (json_array_size(changes) == 0) {
		json_decref(changes);
		return 0;
	}
	return json_array_append_new(
		peers, json_pack("{s:s, s:o}", "name", from->name, "changes", changes));
}

json_t *diff_peers(const struct netmap *from, const struct netmap *to)
{
	json_auto_t *added = json_array(), *removed = json_array(), *changed = json_array();
	size_t n_from = from ? from->n_peers : 0, i = 0, k = 0;
	int r = 0;

	/* Both are sorted by id. */
	while (r == 0 && (i < n_from || k < to->n_peers)) {
		int order = i == n_from	       ? 1
			    : k == to->n_peers ? -1
					       : strcmp(from->peers[i].id, to->peers[k].id);

		if (order < 0)
			r = add_peer(removed, &from->peers[i++]);
		else if (order > 0)
			r = add_peer(added, &to->peers[k++]);
		else
			r = add_changed(changed, &from->peers[i++], &to->peers[k++]);
	}
	return r < 0 ? NULL
		     : json_pack("{s:O, s:O, s:O}", "added", added, "removed", removed, "changed",
				 changed);
}
