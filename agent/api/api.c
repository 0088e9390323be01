#include "agent/api/api.h"

#include <errno.h>

#include "agent/api/description.h"
#include "agent/api/internal.h"
#include "agent/config.h"
#include "common/log.h"
#include "peergate-config.h"

static const struct varlink_method api_methods[] = {
	{ "WhoIs", api_whois, false },
	{ "Status", api_status, false },
	{ "GetPeers", api_get_peers, false },
	{ "GetFilter", api_get_filter, false },
	{ "GetSSHPolicy", api_get_ssh_policy, false },
	{ "GetKnownHosts", api_get_known_hosts, false },
	{ "GetMetrics", api_get_metrics, false },
	{ "WatchDrops", api_watch_drops, true },
	{ "AuthorizeSSH", api_authorize_ssh, true },
	{ "ResumeSSH", api_resume_ssh, true },
	{ "ListSessions", api_list_sessions, false },
	{ "KillSession", api_kill_session, false },
	{ "Subscribe", api_subscribe, true },
	{ "ExplainFlow", api_explain_flow, false },
	{ "ExplainSSH", api_explain_ssh, false },
	{ "Up", api_up, true },
	{ "Down", api_down, false },
	{ "Login", api_login, true },
	{ "Logout", api_logout, false },
	{ "Set", api_set, false },
	{ "CheckLogin", api_check_login, true },
};

static const struct varlink_interface api_interface = {
	.name = "io.peergate.Agent",
	.description = api_description,
	.methods = api_methods,
	.n_methods = ARRAY_SIZE(api_methods),
};

static const struct varlink_info api_info = {
	.vendor = "Peergate",
	.product = "peergate-agent",
	.version = PEERGATE_VERSION,
	.url = "https://peergate.io/",
};

/* The gateway's monitors, one connection each, are root: see max_connections. */
static const struct varlink_limits api_limits = {
	.max_connections = 4096,
	.max_connections_per_uid = 32,
	.max_calls_per_connection = 16,
	.max_output = 2 * VARLINK_MAX_MESSAGE,
};

void api_view(struct api *api, struct api_view *ret_view)
{
	api->hooks->view(api->userdata, ret_view);
}

static void on_exhausted(void *userdata, int error)
{
	log_warning_errno(error, "Could not accept a connection at the agent's socket, pausing for "
				 "a second");
}

int api_new(sd_event *event, const struct api_hooks *hooks, void *userdata, struct api **ret_api)
{
	_cleanup_(api_freep) struct api *api = NULL;
	struct api_view view;
	int r;

	api = calloc(1, sizeof(*api));
	if (!api)
		return -ENOMEM;
	api->hooks = hooks;
	api->userdata = userdata;
	api_view(api, &view);
	api->leases = view.leases;
	api->stats = view.stats;
	api->event = sd_event_ref(event);

	r = api_alive_init(api, event);
	if (r < 0)
		return r;
	r = varlink_server_new(event, &api_info, &api_interface, &api_limits, api, &api->server);
	if (r < 0)
		return r;
	varlink_server_on_exhausted(api->server, on_exhausted);
	lease_table_observe(api->leases, &api_session_observer, api);
	*ret_api = take_ptr(api);
	return 0;
}

struct api *api_free(struct api *api)
{
	if (!api)
		return NULL;
	/* The calls that are open end with the server, and their leases with them. */
	varlink_server_free(api->server);
	api_check_done(api);
	api_check_login_done(api);
	api_link_done(api);
	api_drops_done(api);
	sd_event_unref(api->event);
	sd_event_source_disable_unref(api->alive);
	lease_table_observe(api->leases, NULL, NULL);
	api_digest_done(&api->digest);
	nft_tally_done(&api->tally);
	free(api->peer_status);
	json_decref(api->link_said);
	free(api);
	return NULL;
}

int api_listen(struct api *api, int fd)
{
	return varlink_server_listen(api->server, fd);
}

int api_listen_root(struct api *api, int fd)
{
	return varlink_server_listen_root(api->server, fd);
}

static json_t *json_map_status(const struct netmap *map)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s*, s:o, s:o, s:o*, s:I, s:I, s:b, s:I, s:I, s:I}",
			 "nodeId", map->self.id, "nodeName", map->self.name, "domain", map->domain,
			 "prefixes", api_json_prefixes(map->prefixes, map->n_prefixes), "user",
			 map->self.user, "tags", api_json_texts(map->self.tags, map->self.n_tags),
			 "addresses",
			 api_json_addresses(map->self.addresses, map->self.n_addresses),
			 "keyExpiry", api_json_end(map->self.key_expiry), "generation",
			 (json_int_t)map->generation, "issuedAt", (json_int_t)map->issued_at, "ssh",
			 map->self.ssh, "peers", (json_int_t)map->n_peers, "filterRules",
			 (json_int_t)map->n_filter, "sshRules", (json_int_t)map->n_ssh_rules);
}

int api_status(struct varlink_call *call, const json_t *params, void *userdata)
{
	json_auto_t *status = NULL, *of_map = NULL;
	char key[WG_KEY_B64LEN];
	struct api *api = userdata;
	struct api_view view;

	api_view(api, &view);
	status = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s*, s:s*, s:I, s:o}", "version",
		PEERGATE_VERSION, "interface", view.ifname, "listenPort",
		(json_int_t)view.listen_port, "gatewayPort", (json_int_t)view.gateway_port,
		"fwmark", (json_int_t)view.fwmark, "logLevel", view.log_level, "publicKey",
		wg_key_to_string(view.public_key, key), "mapSource",
		view.map_source ? view.map_source : "", "mapProblem", view.map_problem,
		"kernelProblem", view.kernel_problem, "sessions",
		(json_int_t)lease_table_count(view.leases), "warnings", api_warnings(api, &view));
	if (!status)
		return -ENOMEM;
	if (view.config &&
	    json_object_set_new(status, "options", agent_config_values(view.config)) < 0)
		return -ENOMEM;
	if (view.link && json_object_set_new(status, "link", api_json_link(view.link)) < 0)
		return -ENOMEM;
	if (view.map) {
		of_map = json_map_status(view.map);
		if (!of_map || json_object_update(status, of_map) < 0)
			return -ENOMEM;
	}
	return varlink_call_reply(call, take_ptr(status));
}
