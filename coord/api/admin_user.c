/* One person: all about them, and how they sign in. */
#include <string.h>

#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/registry/accounts.h"

/* ---- show ---- */

static json_t *node_json(const struct api *api, const struct node_record *node)
{
	const struct registry *registry = api->registry;

	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "id", node->head.id, "name", node->name,
			 "online", registry_is_online(registry, node), "expired",
			 node_is_expired(node, registry_now(registry)), "key_expiry",
			 admin_time(node->key_expiry), "last_seen",
			 admin_time(registry_last_seen(registry, node)));
}

static json_t *session_json(const struct websession_record *session)
{
	char from[IP_ADDR_STRLEN];

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:s?, s:s?}", "created",
			 admin_time(session->created), "auth_time", admin_time(session->auth_time),
			 "expires", admin_time(session->expires), "method", session->method,
			 "strength", auth_strength_to_string(session->strength), "from",
			 session->from.family ? ip_addr_to_string(&session->from, from) : NULL,
			 "agent", session->agent);
}

static json_t *nodes_of(const struct api *api, const char *login)
{
	json_auto_t *list = json_array();

	for (size_t i = 0; i < registry_n_nodes(api->registry); i++) {
		const struct node_record *node = registry_node_at(api->registry, i);

		if (node->user && strcmp(node->user, login) == 0 &&
		    json_array_append_new(list, node_json(api, node)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static json_t *sessions_of(const struct api *api, const char *login)
{
	json_auto_t *list = json_array();

	for (size_t i = 0; i < registry_n_websessions(api->registry); i++) {
		const struct websession_record *session = registry_websession_at(api->registry, i);

		if (strcmp(session->user, login) == 0 &&
		    registry_websession_is_valid(api->registry, session) &&
		    json_array_append_new(list, session_json(session)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static json_t *all_of(const struct api *api, const struct user_record *user)
{
	json_auto_t *more = json_pack("{s:o, s:o}", "nodes", nodes_of(api, user->head.id),
				      "sessions", sessions_of(api, user->head.id));
	json_auto_t *all = admin_user_json(api, user);

	return json_object_update(all, more) < 0 ? NULL : take_ptr(all);
}

int admin_users_show(struct admin_call *call)
{
	const struct user_record *user =
		registry_user(call->api->registry, http_request_param(call->req, "login"));

	if (!user)
		return admin_call_refuse(call, 404, "not-found",
					 "there is no such user; \"coordctl users\" shows them "
					 "all");
	return admin_call_answer(call, 200, all_of(call->api, user));
}

/* ---- changes ---- */

static int suspend(struct admin_call *call, bool suspended)
{
	registry_suspend_user(call->api->registry, &call->actor,
			      http_request_param(call->req, "login"), suspended, admin_call_user,
			      call);
	return 0;
}

int admin_users_suspend(struct admin_call *call)
{
	return suspend(call, true);
}

int admin_users_resume(struct admin_call *call)
{
	return suspend(call, false);
}

int admin_users_sign_out(struct admin_call *call)
{
	registry_close_sessions(call->api->registry, &call->actor,
				http_request_param(call->req, "login"), admin_call_user, call);
	return 0;
}

int admin_users_totp_reset(struct admin_call *call)
{
	registry_set_totp(call->api->registry, &call->actor, http_request_param(call->req, "login"),
			  NULL, 0, admin_call_user, call);
	return 0;
}

static void on_link(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;
	const struct pwlink_record *link;
	_cleanup_free_ char *url = NULL;

	if (admin_call_refused(call, result) == 0)
		return;
	link = registry_pwlink(call->api->registry, result->secret);
	url = text_printf("%s/set-password/%s", call->api->url, result->secret);
	admin_call_answer(call, 200,
			  json_pack("{s:s, s:s, s:o}", "login", result->user->head.id, "url", url,
				    "expires", admin_time(link ? link->expires : 0)));
}

int admin_users_password_link(struct admin_call *call)
{
	registry_create_pwlink(call->api->registry, &call->actor,
			       http_request_param(call->req, "login"), on_link, call);
	return 0;
}

struct unbind_body {
	char *issuer, *subject;
};

static void unbind_body_done(struct unbind_body *body)
{
	free(body->issuer);
	free(body->subject);
}

int admin_users_unbind(struct admin_call *call)
{
	static const struct json_field fields[] = {
		{ "issuer", json_read_string, offsetof(struct unbind_body, issuer), JSON_NULLABLE },
		{ "subject", json_read_string, offsetof(struct unbind_body, subject),
		  JSON_NULLABLE },
	};
	_cleanup_(unbind_body_done) struct unbind_body body = { 0 };
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	registry_unbind_identity(call->api->registry, &call->actor,
				 http_request_param(call->req, "login"), body.issuer, body.subject,
				 admin_call_user, call);
	return 0;
}
