/* Reading methods about peers and the packet filter. */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/ssh/known_hosts.h"
#include "common/clock.h"

#define KNOWN_HOSTS_PAGE_KEYS 512u

int api_whois(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "address", api_read_address, 0, JSON_REQUIRED },
	};
	const struct netmap_node *peer = NULL;
	char text[IP_ADDR_STRLEN];
	struct api_view view;
	struct ip_addr addr;
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &addr);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(userdata, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);

	peer = netmap_peer_by_address(view.map, &addr);
	if (!peer)
		return varlink_call_error(call, "io.peergate.Agent.NotAPeer",
					  json_pack("{s:s, s:b}", "address",
						    ip_addr_to_string(&addr, text), "self",
						    netmap_is_own_address(view.map, &addr)));
	return api_reply(call,
			 json_pack("{s:o}", "node", api_json_node(view.map, peer, view.now_usec)));
}

/* ---- peers ---- */

static int compare_status(const void *a, const void *b)
{
	const struct kernel_peer_status *x = a, *y = b;

	return memcmp(x->key.bytes, y->key.bytes, sizeof(x->key.bytes));
}

/* Return: NULL, or why WireGuard's part is missing. */
static const char *refresh_peer_status(struct api *api)
{
	struct kernel_peer_status *peers = NULL;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	size_t n = 0;
	int r;

	if (api->peer_status_usec != 0 && now - api->peer_status_usec < API_KERNEL_AGE_USEC)
		return NULL;
	free(api->peer_status);
	api->peer_status = NULL;
	api->n_peer_status = 0;
	api->peer_status_usec = 0;

	r = api->hooks->peer_status(api->userdata, &peers, &n);
	if (r < 0)
		return strerror(-r);
	if (n > 1)
		qsort(peers, n, sizeof(*peers), compare_status);
	api->peer_status = peers;
	api->n_peer_status = n;
	api->peer_status_usec = now;
	return NULL;
}

static json_t *json_peer(const struct api *api, const struct api_view *view,
			 const struct netmap_node *node)
{
	const struct kernel_peer_status want = { .key = node->key }, *status = NULL;
	char endpoint[IP_ENDPOINT_STRLEN];
	bool has_endpoint;

	if (api->n_peer_status > 0)
		status = bsearch(&want, api->peer_status, api->n_peer_status, sizeof(want),
				 compare_status);
	if (!status)
		status = &want;
	has_endpoint = status->endpoint.addr.family != AF_UNSPEC;
	return json_pack("{s:o, s:s*, s:b, s:s*, s:o*, s:I, s:I}", "node",
			 api_json_node(view->map, node, view->now_usec), "endpoint",
			 has_endpoint ? ip_endpoint_to_string(&status->endpoint, endpoint) : NULL,
			 "noPath", node->no_path, "pathReason", node->path_reason, "lastHandshake",
			 status->last_handshake ? api_json_end(status->last_handshake) : NULL,
			 "rxBytes", (json_int_t)status->rx_bytes, "txBytes",
			 (json_int_t)status->tx_bytes);
}

int api_get_peers(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_auto_t *peers = json_array();
	struct api *api = userdata;
	struct api_view view;
	const char *problem;
	size_t i, n_items = 0;
	int r;

	r = api_read_first(call, params, &i);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(api, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	problem = refresh_peer_status(api);

	for (; i < view.map->n_peers && n_items < API_PAGE_ITEMS; i++) {
		const struct netmap_node *node = &view.map->peers[i];

		n_items += 4 + node->n_addresses + node->n_tags + node->n_routes;
		if (json_array_append_new(peers, json_peer(api, &view, node)) < 0)
			return -ENOMEM;
	}
	return api_reply_page(
		call, json_pack("{s:o, s:s*}", "peers", take_ptr(peers), "problem", problem), i,
		view.map->n_peers);
}

/* ---- packet filter ---- */

/*
 * The first sources of a rule: peers by name, the rest as text. No more than max are looked at:
 * whoever calls must not make work of any size.
 */
static int split_sources(const struct netmap *map, const struct filter_rule *rule, size_t max,
			 struct node_set *nodes, json_t *networks, size_t *omitted)
{
	size_t n_looked_at = rule->n_src < max ? rule->n_src : max;
	char text[IP_PREFIX_STRLEN];
	int r;

	*omitted += rule->n_src - n_looked_at;
	for (size_t i = 0; i < n_looked_at; i++) {
		const struct ip_prefix *src = &rule->src[i];
		const struct netmap_node *peer = NULL;

		if (src->len == ip_addr_bits(&src->addr))
			peer = netmap_peer_by_address(map, &src->addr);
		if (peer) {
			r = node_set_add(nodes, peer);
			if (r < 0)
				return r;
		} else if (json_array_append_new(networks,
						 json_string(api_prefix_text(src, text))) < 0) {
			return -ENOMEM;
		}
	}
	node_set_sort(nodes);
	return 0;
}

static json_t *json_destinations(const struct filter_rule *rule, size_t max, size_t *omitted)
{
	json_auto_t *array = json_array();
	char text[IP_PREFIX_STRLEN];

	for (size_t i = 0; i < rule->n_dst; i++) {
		const struct filter_dst *dst = &rule->dst[i];

		if (i >= max) {
			*omitted += rule->n_dst - i;
			break;
		}
		if (json_array_append_new(array, json_pack("{s:s, s:i, s:i}", "prefix",
							   api_prefix_text(&dst->prefix, text),
							   "firstPort", dst->ports.first,
							   "lastPort", dst->ports.last)) < 0)
			return NULL;
	}
	return take_ptr(array);
}

static json_t *json_protocols(const struct filter_rule *rule)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < rule->n_proto; i++)
		if (json_array_append_new(array, json_integer(rule->proto[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_filter_rule(const struct netmap *map, const struct filter_rule *rule)
{
	_cleanup_(node_set_done) struct node_set nodes = { 0 };
	json_auto_t *networks = json_array();
	size_t omitted = 0;
	json_t *names, *destinations;

	if (split_sources(map, rule, API_PAGE_ITEMS, &nodes, networks, &omitted) < 0)
		return NULL;
	names = node_set_names(&nodes, API_PAGE_ITEMS, &omitted);
	destinations = json_destinations(rule, API_PAGE_ITEMS, &omitted);
	return json_pack("{s:s*, s:o, s:o, s:I, s:o, s:o}", "origin", rule->origin, "nodes", names,
			 "networks", take_ptr(networks), "omitted", (json_int_t)omitted,
			 "destinations", destinations, "protocols", json_protocols(rule));
}

int api_get_filter(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_auto_t *rules = json_array();
	struct api_view view;
	size_t i, n_items = 0;
	int r;

	r = api_read_first(call, params, &i);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(userdata, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);

	for (; i < view.map->n_filter && n_items < API_PAGE_ITEMS; i++) {
		const struct filter_rule *rule = &view.map->filter[i];

		n_items += 4 + rule->n_src + rule->n_dst;
		if (json_array_append_new(rules, json_filter_rule(view.map, rule)) < 0)
			return -ENOMEM;
	}
	return api_reply_page(call, json_pack("{s:o}", "rules", take_ptr(rules)), i,
			      view.map->n_filter);
}

/* ---- known hosts ---- */

/* Lines of the text that are no comments. */
static json_t *json_lines(char *text)
{
	json_auto_t *lines = json_array();
	char *rest = text;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (line[0] && line[0] != '#' &&
		    json_array_append_new(lines, json_string(line)) < 0)
			return NULL;
	return take_ptr(lines);
}

int api_get_known_hosts(struct varlink_call *call, const json_t *params, void *userdata)
{
	_cleanup_free_ char *text = NULL;
	size_t first, i, n_keys = 0;
	struct netmap part;
	struct api_view view;
	int r;

	r = api_read_first(call, params, &first);
	if (r != 0)
		return r < 0 ? r : 0;
	api_view(userdata, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);

	for (i = first; i < view.map->n_peers && n_keys < KNOWN_HOSTS_PAGE_KEYS; i++)
		n_keys += view.map->peers[i].n_ssh_host_keys;
	part = *view.map;
	part.n_peers = first < i ? i - first : 0;
	part.peers = part.n_peers ? view.map->peers + first : NULL;
	r = known_hosts_format(&part, &text);
	if (r < 0)
		return r;
	return api_reply_page(call, json_pack("{s:o}", "lines", json_lines(text)), i,
			      view.map->n_peers);
}
