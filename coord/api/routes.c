#include "coord/api/admin.h"

#define AGENT_BODY (32u << 10)

#define ADMIN_BODY  (16u << 10)
#define POLICY_BODY RECORD_MAX_POLICY

/* Whoever has these can come in as somebody else: that is what both are for. */
#define ENTRY (SCOPE_USERS_WRITE | SCOPE_KEYS_WRITE)

#define ON_BOTH (HTTP_ON_NETWORK | HTTP_ON_UNIX)
/* A route of those who look after the mesh; see struct admin_verb. */
#define ADMIN(method, path, listeners, body, scope, run)                  \
	{                                                                 \
		method, "/v1/admin/" path, listeners, body, admin_handle, \
			&(const struct admin_verb)                        \
		{                                                         \
			scope, run                                        \
		}                                                         \
	}

static const struct http_route routes[] = {
	{ "GET", "/v1/coordinator", HTTP_ON_NETWORK | HTTP_ON_UNIX, 0, api_handle_coordinator },
	{ "POST", "/v1/enrol", HTTP_ON_NETWORK, AGENT_BODY, api_handle_enrol },
	{ "POST", "/v1/enrol/wait", HTTP_ON_NETWORK, AGENT_BODY, api_handle_enrol_wait },
	{ "POST", "/v1/node", HTTP_ON_NETWORK, AGENT_BODY, api_handle_node },
	{ "POST", "/v1/rotate", HTTP_ON_NETWORK, AGENT_BODY, api_handle_rotate },
	{ "POST", "/v1/logout", HTTP_ON_NETWORK, AGENT_BODY, api_handle_logout },
	{ "POST", "/v1/check", HTTP_ON_NETWORK, AGENT_BODY, api_handle_check },
	{ "POST", "/v1/check/wait", HTTP_ON_NETWORK, AGENT_BODY, api_handle_check_wait },
	{ "POST", "/v1/map", HTTP_ON_NETWORK, AGENT_BODY, api_handle_map },
	ADMIN("GET", "status", ON_BOTH, 0, 0, admin_status),
	ADMIN("GET", "users", ON_BOTH, 0, SCOPE_USERS_READ, admin_users_list),
	ADMIN("POST", "users", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE, admin_users_add),
	ADMIN("PATCH", "users/{login}", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE, admin_users_set),
	ADMIN("DELETE", "users/{login}", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE,
	      admin_users_delete),
	ADMIN("GET", "users/{login}", ON_BOTH, 0, SCOPE_USERS_READ | SCOPE_NODES_READ,
	      admin_users_show),
	ADMIN("POST", "users/{login}/suspend", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE,
	      admin_users_suspend),
	ADMIN("POST", "users/{login}/resume", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE,
	      admin_users_resume),
	ADMIN("POST", "users/{login}/sign-out", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE,
	      admin_users_sign_out),
	ADMIN("POST", "users/{login}/totp-reset", ON_BOTH, ADMIN_BODY, ENTRY,
	      admin_users_totp_reset),
	ADMIN("POST", "users/{login}/password-link", ON_BOTH, ADMIN_BODY, ENTRY,
	      admin_users_password_link),
	ADMIN("POST", "users/{login}/unbind", ON_BOTH, ADMIN_BODY, SCOPE_USERS_WRITE,
	      admin_users_unbind),
	ADMIN("GET", "groups", ON_BOTH, 0, SCOPE_USERS_READ, admin_groups_list),
	ADMIN("GET", "nodes", ON_BOTH, 0, SCOPE_NODES_READ, admin_nodes_list),
	ADMIN("GET", "nodes/{node}", ON_BOTH, 0, SCOPE_NODES_READ, admin_nodes_show),
	ADMIN("PATCH", "nodes/{node}", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE, admin_nodes_set),
	ADMIN("POST", "nodes/{node}/expire", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE,
	      admin_nodes_expire),
	ADMIN("DELETE", "nodes/{node}", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE, admin_nodes_delete),
	ADMIN("GET", "nodes/{node}/map", ON_BOTH, 0, SCOPE_NODES_READ, admin_nodes_map),
	ADMIN("GET", "auth", ON_BOTH, 0, SCOPE_NODES_READ, admin_pending_list),
	ADMIN("POST", "auth/{code}/approve", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE,
	      admin_pending_approve),
	ADMIN("POST", "auth/{code}/reject", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE,
	      admin_pending_reject),
	ADMIN("GET", "checks", ON_BOTH, 0, SCOPE_NODES_READ, admin_checks_list),
	ADMIN("DELETE", "checks/{whose}", ON_BOTH, ADMIN_BODY, SCOPE_NODES_WRITE,
	      admin_checks_revoke),
	ADMIN("GET", "authkeys", ON_BOTH, 0, SCOPE_KEYS_READ, admin_authkeys_list),
	ADMIN("POST", "authkeys", ON_BOTH, ADMIN_BODY, SCOPE_KEYS_WRITE, admin_authkeys_create),
	ADMIN("DELETE", "authkeys/{id}", ON_BOTH, ADMIN_BODY, SCOPE_KEYS_WRITE,
	      admin_authkeys_revoke),
	ADMIN("GET", "apikeys", ON_BOTH, 0, SCOPE_KEYS_READ, admin_apikeys_list),
	ADMIN("POST", "apikeys", ON_BOTH, ADMIN_BODY, SCOPE_KEYS_WRITE, admin_apikeys_create),
	ADMIN("DELETE", "apikeys/{id}", ON_BOTH, ADMIN_BODY, SCOPE_KEYS_WRITE,
	      admin_apikeys_revoke),
	ADMIN("GET", "policy", ON_BOTH, 0, SCOPE_POLICY_READ, admin_policy_get),
	ADMIN("PUT", "policy", ON_BOTH, POLICY_BODY, SCOPE_POLICY_WRITE, admin_policy_set),
	ADMIN("POST", "policy/confirm", ON_BOTH, ADMIN_BODY, SCOPE_POLICY_WRITE,
	      admin_policy_confirm),
	ADMIN("POST", "policy/rollback", ON_BOTH, ADMIN_BODY, SCOPE_POLICY_WRITE,
	      admin_policy_rollback),
	ADMIN("POST", "policy/check", ON_BOTH, POLICY_BODY, SCOPE_POLICY_READ, admin_policy_check),
	ADMIN("POST", "policy/diff", ON_BOTH, POLICY_BODY, SCOPE_POLICY_READ, admin_policy_diff),
	ADMIN("GET", "policy/history", ON_BOTH, 0, SCOPE_POLICY_READ, admin_policy_history),
	ADMIN("GET", "policy/history/{version}", ON_BOTH, 0, SCOPE_POLICY_READ,
	      admin_policy_version),
	ADMIN("GET", "policy/explain", ON_BOTH, 0, SCOPE_POLICY_READ, admin_policy_explain),
	ADMIN("GET", "events", ON_BOTH, 0, SCOPE_EVENTS_READ, admin_events),
	ADMIN("GET", "metrics", ON_BOTH, 0, SCOPE_METRICS_READ, admin_metrics),
	ADMIN("GET", "backup", HTTP_ON_UNIX, 0, SCOPE_ALL, admin_backup),
};

const struct http_route *api_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
