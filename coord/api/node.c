/* POST /v1/node, rotate, logout: what a node that is enrolled says and wants. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "coord/api/agent_call.h"
#include "coord/api/facts.h"
#include "coord/registry/field.h"

static int refuse(struct agent_call *call, int error, const char *text)
{
	if (error == -EINVAL)
		return agent_call_refuse(call, 400, "bad-request", "%s", text);
	return agent_call_refuse(call, 503, "unavailable", "%s", strerror(-error));
}

/* One that was deleted since the request began is none of ours, as it would be a moment later. */
static int refused(struct agent_call *call, const struct registry_result *result)
{
	if (result->code != REGISTRY_NOT_FOUND)
		return agent_call_refused(call, result);
	agent_call_refuse(call, 403, "not-enrolled", "the node was deleted");
	return 0;
}

static void on_updated(const struct registry_result *result, void *userdata)
{
	struct agent_call *call = userdata;

	if (refused(call, result) < 0)
		agent_call_answer(call, 200,
				  json_pack("{s:I}", "generation", (json_int_t)result->revision));
}

int api_handle_node(struct http_request *req, void *userdata)
{
	_cleanup_(node_facts_done) struct node_facts facts = { 0 };
	_cleanup_free_ char *text = NULL;
	struct agent_call *call;
	unsigned given;
	int r = agent_call_begin(userdata, req, AGENT_MEMBER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = agent_call_limit(call, call->api->facts);
	if (r != 0)
		return r < 0 ? r : 0;
	r = facts_read(call->body, http_request_client(req), &text, &facts, &given);
	if (r < 0)
		return refuse(call, r, text);
	registry_update_facts(call->api->registry, &call->actor, call->node, &facts, given,
			      on_updated, call);
	return 0;
}

static void on_rotated(const struct registry_result *result, void *userdata)
{
	struct agent_call *call = userdata;

	if (refused(call, result) < 0)
		agent_call_answer(call, 200, agent_enrolled_json(call->api, result->node));
}

int api_handle_rotate(struct http_request *req, void *userdata)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	const struct field fields[] = { { "node_key", &field_wg_key, 0, JSON_REQUIRED } };
	const struct json_at root = { 0 };
	struct agent_call *call;
	struct wg_key key;
	int r = agent_call_begin(userdata, req, AGENT_MEMBER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = fields_read(call->body, &root, fields, ARRAY_SIZE(fields), &key, &report);
	if (r < 0)
		return refuse(call, r, report.text);
	r = agent_call_limit(call, call->api->rotations);
	if (r != 0)
		return r < 0 ? r : 0;
	registry_rotate_key(call->api->registry, &call->actor, call->node, &key, on_rotated, call);
	return 0;
}

static void on_logged_out(const struct registry_result *result, void *userdata)
{
	struct agent_call *call = userdata;

	if (refused(call, result) < 0)
		agent_call_answer(call, 200, json_object());
}

int api_handle_logout(struct http_request *req, void *userdata)
{
	struct agent_call *call;
	int r = agent_call_begin(userdata, req, AGENT_MEMBER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	registry_logout(call->api->registry, &call->actor, call->node, on_logged_out, call);
	return 0;
}
