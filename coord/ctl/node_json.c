/* What the compiler says of one node, as the map has it. */
#include <errno.h>

#include "coord/ctl/render.h"

static json_t *map_part(struct policy_engine *engine, uint32_t node,
			int (*write)(struct policy_engine *engine, uint32_t node,
				     struct policy_text *out))
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };

	return write(engine, node, &text) < 0 ? NULL : json_loadb(text.data, text.len, 0, NULL);
}

static json_t *prefixes_json(const struct ip_prefix *prefixes, size_t n)
{
	char buf[IP_PREFIX_STRLEN];
	json_auto_t *list = json_array();
	int r = list ? 0 : -1;

	for (size_t i = 0; i < n; i++)
		r |= json_array_append_new(list,
					   json_string(ip_prefix_to_string(&prefixes[i], buf)));
	return r < 0 ? NULL : take_ptr(list);
}

static int add_peer(struct policy_engine *engine, uint32_t node, uint32_t peer, json_t *peers,
		    json_t *routes)
{
	const char *name = policy_engine_node(engine, peer)->name;
	_cleanup_free_ struct ip_prefix *prefixes = NULL;
	size_t n = 0;

	if (policy_peer_routes(engine, node, peer, &prefixes, &n) < 0 ||
	    json_array_append_new(peers, json_string(name)) < 0)
		return -ENOMEM;
	if (n == 0)
		return 0;
	return json_object_set_new(routes, name, prefixes_json(prefixes, n)) < 0 ? -ENOMEM : 0;
}

static int add_peers(struct policy_engine *engine, uint32_t node, json_t *peers, json_t *routes)
{
	_cleanup_free_ uint32_t *indexes = NULL;
	size_t n = 0;
	int r = policy_peers(engine, node, &indexes, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_peer(engine, node, indexes[i], peers, routes);
	return r;
}

json_t *ctl_node_json(struct policy_engine *engine, uint32_t node)
{
	json_auto_t *peers = json_array(), *routes = json_object();
	_cleanup_free_ struct ip_prefix *approved = NULL;
	size_t n = 0;

	if (add_peers(engine, node, peers, routes) < 0 ||
	    policy_auto_approved(engine, policy_engine_node(engine, node), &approved, &n) < 0)
		return NULL;
	return json_pack("{s:o, s:o, s:O, s:O, s:o}", "packet_filter",
			 map_part(engine, node, policy_filter_json), "ssh_rules",
			 map_part(engine, node, policy_ssh_json), "peers", peers, "peer_routes",
			 routes, "auto_approved", prefixes_json(approved, n));
}
