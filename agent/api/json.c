#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"

json_t *api_json_addresses(const struct ip_addr *addresses, size_t n)
{
	json_auto_t *array = json_array();
	char text[IP_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array,
					  json_string(ip_addr_to_string(&addresses[i], text))) < 0)
			return NULL;
	return take_ptr(array);
}

const char *api_prefix_text(const struct ip_prefix *prefix, char *buf)
{
	if (prefix->len == ip_addr_bits(&prefix->addr))
		return ip_addr_to_string(&prefix->addr, buf);
	return ip_prefix_to_string(prefix, buf);
}

json_t *api_json_texts(char *const *texts, size_t n)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_string(texts[i])) < 0)
			return NULL;
	return take_ptr(array);
}

json_t *api_json_prefixes(const struct ip_prefix *prefixes, size_t n)
{
	json_auto_t *array = json_array();
	char text[IP_PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_string(api_prefix_text(&prefixes[i], text))) <
		    0)
			return NULL;
	return take_ptr(array);
}

json_t *api_json_end(uint64_t usec)
{
	return usec == UINT64_MAX ? NULL : json_integer((json_int_t)usec);
}

static const char *user_name(const struct netmap *map, const char *login)
{
	const struct netmap_user *user = login ? netmap_user_by_login(map, login) : NULL;

	return user ? user->name : NULL;
}

/* Absent: unknown. */
static json_t *json_presence(enum netmap_presence presence)
{
	return presence == NETMAP_PRESENCE_UNKNOWN ? NULL : json_boolean(presence == NETMAP_ONLINE);
}

json_t *api_json_node(const struct netmap *map, const struct netmap_node *node, uint64_t now_usec)
{
	char key[WG_KEY_B64LEN];

	return json_pack(
		"{s:s, s:s, s:s*, s:s*, s:o, s:o, s:o, s:s, s:o*, s:b, s:o*}", "nodeId", node->id,
		"nodeName", node->name, "user", node->user, "userName", user_name(map, node->user),
		"tags", api_json_texts(node->tags, node->n_tags), "addresses",
		api_json_addresses(node->addresses, node->n_addresses), "routes",
		api_json_prefixes(node->routes, node->n_routes), "nodeKey",
		wg_key_to_string(&node->key, key), "keyExpiry", api_json_end(node->key_expiry),
		"keyExpired", netmap_node_expired(node, now_usec), "online",
		json_presence(node->presence));
}

/* Absent: 0. */
static json_t *json_duration(uint64_t usec)
{
	return usec == 0 ? NULL : json_integer((json_int_t)usec);
}

json_t *api_json_options(const struct ssh_rule *rule)
{
	const struct ssh_forwarding *fwd = &rule->forwarding;

	return json_pack("{s:{s:b, s:b, s:b}, s:o, s:s*, s:o*, s:o*, s:s*}", "forwarding", "agent",
			 fwd->agent, "local", fwd->local, "remote", fwd->remote, "acceptEnv",
			 api_json_texts(rule->accept_env, rule->n_accept_env), "forceCommand",
			 rule->force_command, "idleTimeoutUsec",
			 json_duration(rule->idle_timeout_usec), "maxDurationUsec",
			 json_duration(rule->max_duration_usec), "message", rule->message);
}

int api_reply(struct varlink_call *call, json_t *object)
{
	return object ? varlink_call_reply(call, object) : -ENOMEM;
}

int api_reply_page(struct varlink_call *call, json_t *object, size_t next, size_t n)
{
	if (object && next < n &&
	    json_object_set_new(object, "next", json_integer((json_int_t)next)) < 0) {
		json_decref(object);
		return -ENOMEM;
	}
	return api_reply(call, object);
}
