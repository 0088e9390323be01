/* Parts of answers. */
#include <errno.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/api/agent_call.h"

json_t *admin_time(uint64_t usec)
{
	char text[32];

	if (usec == 0 || usec == RECORD_NEVER)
		return json_null();
	return json_string(format_rfc3339(usec, text, sizeof(text)));
}

json_t *admin_texts(const struct text_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < list->n; i++)
		if (json_array_append_new(array, json_string(list->items[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

json_t *admin_endpoints(const struct endpoint_list *list)
{
	json_t *array = json_array();
	char text[IP_ENDPOINT_STRLEN];

	for (size_t i = 0; array && i < list->n; i++)
		if (json_array_append_new(
			    array, json_string(ip_endpoint_to_string(&list->items[i], text))) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

json_t *admin_words(unsigned bits, const char *(*name)(unsigned i, unsigned *ret_bit))
{
	json_t *array = json_array();
	const char *word;
	unsigned bit;

	for (unsigned i = 0; array && (word = name(i, &bit)); i++)
		if ((bits & bit) && json_array_append_new(array, json_string(word)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *key_json(const struct wg_key *key)
{
	char text[WG_KEY_B64LEN];

	return json_string(wg_key_to_string(key, text));
}

static json_t *machine_json(const struct ed25519_public *machine)
{
	char text[ED25519_TEXT_LEN];

	return json_string(ed25519_public_to_string(ED25519_MACHINE, machine, text));
}

static json_t *address_json(const struct ip_addr *addr)
{
	char text[IP_ADDR_STRLEN];

	return addr->family == AF_UNSPEC ? json_null() : json_string(ip_addr_to_string(addr, text));
}

/* What the node says of itself. */
static json_t *facts_json(const struct node_facts *facts)
{
	return json_pack("{s:s?, s:s?, s:s?, s:b, s:o, s:o, s:o, s:i, s:o, s:b}", "hostname",
			 facts->hostname, "os", facts->os, "agent", facts->agent, "ssh", facts->ssh,
			 "ssh_host_keys", admin_texts(&facts->ssh_host_keys), "endpoints",
			 admin_endpoints(&facts->endpoints), "configured_endpoints",
			 admin_endpoints(&facts->configured), "listen_port", facts->listen_port,
			 "seen", address_json(&facts->seen), "behind_nat",
			 node_facts_behind_nat(facts));
}

/* What the coordinator knows of it. */
static json_t *state_json(const struct api *api, const struct node_record *node)
{
	uint64_t now = registry_now(api->registry);

	return json_pack("{s:b, s:s?, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:s?}", "expired",
			 node_is_expired(node, now), "expired_by", node->expired_by, "online",
			 registry_is_online(api->registry, node), "last_seen",
			 admin_time(registry_last_seen(api->registry, node)), "created",
			 admin_time(node->created), "key_created", admin_time(node->key_created),
			 "node_key", key_json(&node->key), "machine", machine_json(&node->machine),
			 "ephemeral", node->ephemeral, "auth_key", node->auth_key);
}

json_t *admin_node_json(const struct api *api, const struct node_record *node)
{
	json_t *all = agent_node_json(api, node);
	json_auto_t *state = state_json(api, node), *facts = facts_json(&node->facts);

	if (json_object_update(all, state) < 0 || json_object_update(all, facts) < 0) {
		json_decref(all);
		return NULL;
	}
	return all;
}

json_t *admin_event_json(const struct event_record *event)
{
	return json_pack("{s:s, s:o, s:s, s:s?, s:s, s:s?, s:s, s:s?}", "id", event->head.id,
			 "time", admin_time(event->time), "actor", event->actor, "from",
			 event->from, "action", event->action, "object", event->object, "result",
			 event->result, "details", event->details);
}
