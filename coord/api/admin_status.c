/* How the coordinator is. */
#include "coord/api/admin.h"
#include "coord/api/admin_policy.h"
#include "peergate-config.h"

static size_t count_expired(const struct registry *registry)
{
	uint64_t now = registry_now(registry);
	size_t n = 0;

	for (size_t i = 0; i < registry_n_nodes(registry); i++)
		n += node_is_expired(registry_node_at(registry, i), now);
	return n;
}

static size_t count_waiting(const struct registry *registry)
{
	size_t n = 0;

	for (size_t i = 0; i < registry_n_pending(registry); i++)
		n += registry_pending_at(registry, i)->state == PENDING_WAITING;
	return n;
}

static bool has_silent_proxy(const struct api *api)
{
	struct http_stats stats = { 0 };

	if (api->server)
		http_server_get_stats(api->server, &stats);
	return stats.unattributed > 0;
}

/* What an operator should know of. */
static json_t *warnings_json(const struct api *api)
{
	const struct policy_current *policy = registry_policy_current(api->registry);
	json_t *list = json_array();
	int r = 0;

	if (policy->confirm_by)
		r |= json_array_append_new(
			list, json_string("the policy waits to be confirmed, or is rolled back: "
					  "coordctl policy confirm"));
	if (registry_n_users(api->registry) == 0)
		r |= json_array_append_new(list, json_string("there are no users: coordctl users "
							     "add alice@example.com"));
	if (api->admin_group == (gid_t)-1)
		r |= json_array_append_new(list,
					   json_string("the group of AdminGroup= does not exist: "
						       "only root can use the unix socket"));
	if (has_silent_proxy(api))
		r |= json_array_append_new(
			list, json_string("a reverse proxy does not hand on Host, X-Forwarded-For "
					  "and X-Forwarded-Proto: see TLS in peergate-coord(8)"));
	if (r == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *mesh_json(const struct registry *registry)
{
	const struct mesh_record *mesh = registry_mesh(registry);
	char v4[IP_PREFIX_STRLEN], v6[IP_PREFIX_STRLEN];
	struct ip_prefix prefixes[2];

	if (!mesh)
		return json_pack("{s:n, s:[]}", "domain", "prefixes");
	registry_mesh_prefixes(registry, prefixes);
	return json_pack("{s:s, s:[s, s]}", "domain", mesh->domain, "prefixes",
			 ip_prefix_to_string(&prefixes[0], v4),
			 ip_prefix_to_string(&prefixes[1], v6));
}

static json_t *policy_json(const struct registry *registry)
{
	const struct policy_current *policy = registry_policy_current(registry);

	return json_pack("{s:I, s:o, s:s, s:o}", "version", (json_int_t)policy->version, "since",
			 admin_time(policy->since), "author", policy->author, "confirm_by",
			 admin_time(policy->confirm_by));
}

/* Whom providers are asked about (coord/renewal). */
static json_t *renewals_json(const struct api *api)
{
	struct renewals_stats stats = { 0 };

	if (api->renewals)
		renewals_get_stats(api->renewals, &stats);
	return json_pack("{s:I, s:I, s:s?}", "kept", (json_int_t)stats.kept, "failing",
			 (json_int_t)stats.failing, "problem", stats.problem);
}

int admin_status(struct admin_call *call)
{
	const struct api *api = call->api;
	const struct registry *registry = api->registry;
	struct map_stats map;

	map_get_stats(api->map, &map);
	return admin_call_answer(
		call, 200,
		json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:o}",
			  "version", PEERGATE_VERSION, "url", api->url, "key", api->key_text,
			  "mesh", mesh_json(registry), "nodes",
			  (json_int_t)registry_n_nodes(registry), "expired",
			  (json_int_t)count_expired(registry), "waiting",
			  (json_int_t)count_waiting(registry), "users",
			  (json_int_t)registry_n_users(registry), "streams",
			  (json_int_t)map.streams.streams, "renewals", renewals_json(api), "policy",
			  policy_json(registry), "generation",
			  (json_int_t)registry_revision(registry), "warnings", warnings_json(api)));
}
