/* Checks: what is remembered, and what waits for an answer. */
#include <stdlib.h>
#include <string.h>

#include "coord/api/admin.h"
#include "coord/registry/checks.h"

static const char *name_of(const struct api *api, const char *node)
{
	const struct node_record *record = node ? registry_node(api->registry, node) : NULL;

	return record ? record->name : NULL;
}

static json_t *grant_json(const struct api *api, const struct checkgrant_record *grant)
{
	return json_pack("{s:s, s:s?, s:s, s:o, s:s, s:s, s:s?}", "node", grant->head.id, "name",
			 name_of(api, grant->head.id), "user", grant->user, "checked_at",
			 admin_time(grant->at), "method", grant->method, "strength",
			 auth_strength_to_string(grant->strength), "from", grant->from);
}

static json_t *login_json(const struct api *api, const struct check_login *login)
{
	return json_pack("{s:s?, s:s?, s:s?, s:o}", "target", login->target, "target_name",
			 name_of(api, login->target), "ssh_user", login->ssh_user, "asked_at",
			 admin_time(login->asked));
}

/* Without the id: who has it could send people to a page that they have not asked for. */
static json_t *request_json(const struct api *api, const struct checkreq_record *req)
{
	json_t *logins = json_array();

	for (size_t i = 0; logins && i < req->logins.n; i++)
		if (json_array_append_new(logins, login_json(api, &req->logins.items[i])) < 0) {
			json_decref(logins);
			logins = NULL;
		}
	return json_pack("{s:s, s:s?, s:s, s:s, s:o, s:o, s:o}", "node", req->node, "name",
			 name_of(api, req->node), "user", req->user, "code", req->code, "logins",
			 logins, "created", admin_time(req->created), "expires",
			 admin_time(req->expires));
}

/* Those that count. */
static int add_grants(const struct api *api, json_t *list)
{
	for (size_t i = 0; i < registry_n_checkgrants(api->registry); i++) {
		const struct checkgrant_record *grant = registry_checkgrant(
			api->registry, registry_checkgrant_at(api->registry, i)->head.id);

		if (grant && json_array_append_new(list, grant_json(api, grant)) < 0)
			return -1;
	}
	return 0;
}

static int add_requests(const struct api *api, json_t *list)
{
	for (size_t i = 0; i < registry_n_checkreqs(api->registry); i++) {
		const struct checkreq_record *req = registry_checkreq(
			api->registry, registry_checkreq_at(api->registry, i)->head.id);

		if (req && req->state == CHECK_WAITING &&
		    json_array_append_new(list, request_json(api, req)) < 0)
			return -1;
	}
	return 0;
}

int admin_checks_list(struct admin_call *call)
{
	json_auto_t *checks = json_array(), *waiting = json_array();

	if (!checks || !waiting || add_grants(call->api, checks) < 0 ||
	    add_requests(call->api, waiting) < 0)
		return admin_call_answer(call, 200, NULL);
	return admin_call_answer(call, 200,
				 json_pack("{s:O, s:O}", "checks", checks, "waiting", waiting));
}

int admin_checks_revoke(struct admin_call *call)
{
	registry_forget_checks(call->api->registry, &call->actor,
			       http_request_param(call->req, "whose"), admin_call_done, call);
	return 0;
}
