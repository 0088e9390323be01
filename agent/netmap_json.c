#include "agent/netmap_json.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/text.h"

#define USEC_PER_SEC 1000000u
/* RFC 3339 has four digits for the year. */
#define LAST_SECOND UINT64_C(253402300799)

/* ---- values; each NULL when out of memory, which every json_ function passes on ---- */

/* null: no end. Fractions of a second are kept: an expiry must not move. */
static json_t *json_time(uint64_t usec)
{
	char text[32];

	if (usec == UINT64_MAX)
		return json_null();
	if (usec / USEC_PER_SEC > LAST_SECOND)
		usec = LAST_SECOND * USEC_PER_SEC;
	format_rfc3339(usec, text, sizeof(text));
	if (usec % USEC_PER_SEC != 0)
		snprintf(strchr(text, 'Z'), 9, ".%06uZ", (unsigned)(usec % USEC_PER_SEC));
	return json_string(text);
}

static json_t *json_text(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *json_texts(char *const *texts, size_t n)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_string(texts[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_addresses(const struct ip_addr *addresses, size_t n)
{
	json_auto_t *array = json_array();
	char text[IP_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array,
					  json_string(ip_addr_to_string(&addresses[i], text))) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_prefixes(const struct ip_prefix *prefixes, size_t n)
{
	json_auto_t *array = json_array();
	char text[IP_PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array,
					  json_string(ip_prefix_to_string(&prefixes[i], text))) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *json_endpoints(const struct netmap_node *node)
{
	json_auto_t *array = json_array();
	char text[IP_ENDPOINT_STRLEN];

	for (size_t i = 0; i < node->n_endpoints; i++)
		if (json_array_append_new(array, json_string(ip_endpoint_to_string(
							 &node->endpoints[i], text))) < 0)
			return NULL;
	return take_ptr(array);
}

/* What self and peers have alike. */
static json_t *json_node(const struct netmap_node *node)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "id", node->id, "name", node->name,
			 "addresses", json_addresses(node->addresses, node->n_addresses), "user",
			 json_text(node->user), "tags", json_texts(node->tags, node->n_tags),
			 "routes", json_prefixes(node->routes, node->n_routes), "key_expiry",
			 json_time(node->key_expiry));
}

static json_t *json_self(const struct netmap *map)
{
	json_auto_t *self = json_node(&map->self);

	if (json_object_set_new(self, "ssh", json_boolean(map->self.ssh)) < 0)
		return NULL;
	return take_ptr(self);
}

static json_t *json_peer(const struct netmap *map, size_t i)
{
	const struct netmap_node *peer = &map->peers[i];
	json_auto_t *node = json_node(peer), *more = NULL;
	char key[WG_KEY_B64LEN];

	more = json_pack("{s:s, s:o, s:i, s:o, s:b}", "node_key", wg_key_to_string(&peer->key, key),
			 "endpoints", json_endpoints(peer), "keepalive", peer->keepalive,
			 "ssh_host_keys", json_texts(peer->ssh_host_keys, peer->n_ssh_host_keys),
			 "online", peer->online);
	if (!more || json_object_update(node, more) < 0)
		return NULL;
	return take_ptr(node);
}

static json_t *json_destinations(const struct filter_rule *rule)
{
	json_auto_t *array = json_array();
	char text[IP_PREFIX_STRLEN];

	for (size_t i = 0; i < rule->n_dst; i++) {
		const struct filter_dst *dst = &rule->dst[i];

		if (json_array_append_new(array, json_pack("{s:s, s:[i, i]}", "ip",
							   ip_prefix_to_string(&dst->prefix, text),
							   "ports", dst->ports.first,
							   dst->ports.last)) < 0)
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

static json_t *json_filter_rule(const struct netmap *map, size_t i)
{
	const struct filter_rule *rule = &map->filter[i];

	return json_pack("{s:o, s:o, s:o, s:o}", "src", json_prefixes(rule->src, rule->n_src),
			 "dst", json_destinations(rule), "proto", json_protocols(rule), "origin",
			 json_text(rule->origin));
}

static json_t *json_principals(const struct ssh_rule *rule)
{
	json_auto_t *array = json_addresses(rule->principals, rule->n_principals);

	if (rule->any && json_array_append_new(array, json_string("*")) < 0)
		return NULL;
	return take_ptr(array);
}

static json_t *json_users(const struct ssh_rule *rule)
{
	json_auto_t *users = json_object();

	for (size_t i = 0; i < rule->n_users; i++)
		if (json_object_set_new(users, rule->users[i].ssh_user,
					json_string(rule->users[i].local_user)) < 0)
			return NULL;
	return take_ptr(users);
}

/* "1500ms", as the parser takes it; null: no limit. */
static json_t *json_limit(uint64_t usec)
{
	return usec == 0 ? json_null() : json_sprintf("%llums", (unsigned long long)usec / 1000);
}

static json_t *json_ssh_rule(const struct netmap *map, size_t i)
{
	const struct ssh_rule *rule = &map->ssh_rules[i];
	const struct ssh_forwarding *fwd = &rule->forwarding;

	return json_pack(
		"{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:{s:b, s:b, s:b}, s:o, s:o, s:o, "
		"s:o, s:b}",
		"principals", json_principals(rule), "users", json_users(rule), "action",
		rule->action_text, "accept_env", json_texts(rule->accept_env, rule->n_accept_env),
		"origin", json_text(rule->origin), "rule_expires", json_time(rule->rule_expires),
		"check_period", json_text(rule->check_period), "forwarding", "agent", fwd->agent,
		"local", fwd->local, "remote", fwd->remote, "force_command",
		json_text(rule->force_command), "idle_timeout", json_limit(rule->idle_timeout_usec),
		"max_duration", json_limit(rule->max_duration_usec), "message",
		json_text(rule->message), "enforce_recorder", rule->needs_recorder);
}

/* ---- the document ---- */

/* Steals value. */
static int put(FILE *f, json_t *value)
{
	int r;

	if (!value)
		return -ENOMEM;
	r = json_dumpf(value, f, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	return r < 0 ? -ENOMEM : 0;
}

static int put_member(FILE *f, const char *key, json_t *value)
{
	fprintf(f, ",\n \"%s\": ", key);
	return put(f, value);
}

/* Element by element: as one value, a large map would be in memory three times. */
static int put_list(FILE *f, const char *key, const struct netmap *map, size_t n,
		    json_t *(*element)(const struct netmap *map, size_t i))
{
	int r = 0;

	fprintf(f, ",\n \"%s\": [", key);
	for (size_t i = 0; i < n && r == 0; i++) {
		fputs(i > 0 ? ",\n  " : "\n  ", f);
		r = put(f, element(map, i));
	}
	fputc(']', f);
	return r;
}

static json_t *json_user_names(const struct netmap *map)
{
	json_auto_t *users = json_object();

	for (size_t i = 0; i < map->n_users; i++)
		if (json_object_set_new(users, map->users[i].login,
					json_pack("{s:s*}", "name", map->users[i].name)) < 0)
			return NULL;
	return take_ptr(users);
}

static int put_map(FILE *f, const struct netmap *map)
{
	int r;

	fputs("{\"type\": \"full\", \"version\": 1", f);
	r = put_member(f, "for", json_string(map->for_node));
	if (r == 0)
		r = put_member(f, "generation", json_integer((json_int_t)map->generation));
	if (r == 0)
		r = put_member(f, "issued_at", json_time(map->issued_at));
	if (r == 0)
		r = put_member(f, "self", json_self(map));
	if (r == 0)
		r = put_member(f, "mesh",
			       json_pack("{s:s, s:o}", "domain", map->domain, "prefixes",
					 json_prefixes(map->prefixes, map->n_prefixes)));
	if (r == 0)
		r = put_member(f, "users", json_user_names(map));
	if (r == 0)
		r = put_list(f, "peers", map, map->n_peers, json_peer);
	if (r == 0)
		r = put_list(f, "packet_filter", map, map->n_filter, json_filter_rule);
	if (r == 0)
		r = put_list(f, "ssh_rules", map, map->n_ssh_rules, json_ssh_rule);
	fputs("}\n", f);
	return r;
}

int netmap_to_json(const struct netmap *map, char **ret_text, size_t *ret_len)
{
	char *text = NULL;
	size_t len;
	FILE *f;
	int r;

	f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	r = put_map(f, map);
	if (fclose(f) < 0)
		r = -ENOMEM;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}
