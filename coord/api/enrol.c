/* POST /v1/enrol, and /v1/enrol/wait: a machine asks to be let in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/json_values.h"
#include "common/text.h"
#include "coord/api/agent_call.h"
#include "coord/api/facts.h"
#include "coord/api/tags.h"

/* ---- answers ---- */

/* secret: that the machine asks again with; NULL: it knows. */
static json_t *pending_json(const struct api *api, const struct pending_record *pending,
			    const char *secret)
{
	_cleanup_free_ char *approve = text_printf("coordctl nodes approve %s", pending->head.id);
	_cleanup_free_ char *url = NULL;
	char expires[32];

	if (pending->page)
		url = text_printf("%s/a/%s", api->url, pending->page);
	if (!approve || !url != !pending->page)
		return NULL;
	return json_pack("{s:s, s:s*, s:s, s:s?, s:s, s:s}", "state", "pending", "id", secret,
			 "code", pending->head.id, "url", url, "approve", approve, "expires_at",
			 format_rfc3339(pending->expires, expires, sizeof(expires)));
}

static int answer_state(struct agent_call *call, const struct registry_result *result)
{
	if (agent_call_refused(call, result) == 0)
		return 0;
	if (result->code == REGISTRY_OK)
		return agent_call_answer(call, 200, agent_enrolled_json(call->api, result->node));
	return agent_call_answer(call, 202,
				 pending_json(call->api, result->pending, result->secret));
}

static void on_enrolled(const struct registry_result *result, void *userdata)
{
	answer_state(userdata, result);
}

/* ---- enrol ---- */

/* The request, apart from facts. */
struct enrol_body {
	struct wg_key key;
	struct text_list tags;
	char *auth_key;
};

static void enrol_body_done(struct enrol_body *body)
{
	text_list_done(&body->tags);
	if (body->auth_key)
		explicit_bzero(body->auth_key, strlen(body->auth_key));
	free(body->auth_key);
}

static int read_enrol(const json_t *json, struct json_report *report, struct enrol_body *ret_body)
{
#define AT(member) offsetof(struct enrol_body, member)
	static const struct json_field fields[] = {
		{ "node_key", json_read_wg_key, AT(key), JSON_REQUIRED },
		{ "tags", tags_read, AT(tags), JSON_NULLABLE },
		{ "auth_key", json_read_string, AT(auth_key), JSON_NULLABLE },
	};
#undef AT
	const struct json_at root = { 0 };

	return json_read_object(json, &root, fields, ARRAY_SIZE(fields), ret_body, report);
}

static const struct ip_addr *seen_at(const struct agent_call *call)
{
	return http_request_client(call->req);
}

/* A member that brings a new key, or has none that holds, is to be seen and heard by all its peers.
 */
static int limit_member(struct agent_call *call, const struct wg_key *key)
{
	struct registry *registry = call->api->registry;
	const struct node_record *node = call->node ? registry_node(registry, call->node) : NULL;

	if (!node)
		return 0;
	if (wg_key_equal(&node->key, key) && !node_is_expired(node, registry_now(registry)))
		return agent_call_limit(call, call->api->facts);
	return agent_call_limit(call, call->api->rotations);
}

int api_handle_enrol(struct http_request *req, void *userdata)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	_cleanup_(enrol_body_done) struct enrol_body body = { 0 };
	_cleanup_(node_facts_done) struct node_facts facts = { 0 };
	_cleanup_free_ char *text = NULL;
	struct registry_enrolment enrolment = { 0 };
	struct agent_call *call;
	unsigned given;
	int r = agent_call_begin(userdata, req, AGENT_STRANGER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = read_enrol(call->body, &report, &body);
	if (r == 0)
		r = facts_read(call->body, seen_at(call), &text, &facts, &given);
	if (r < 0)
		return agent_call_refuse(call, r == -EINVAL ? 400 : 503,
					 r == -EINVAL ? "bad-request" : "unavailable", "%s",
					 report.text ? report.text
					 : text	     ? text
						     : "no memory");
	r = limit_member(call, &body.key);
	if (r != 0)
		return r < 0 ? r : 0;
	enrolment.machine = call->id.machine;
	enrolment.key = body.key;
	enrolment.facts = facts;
	enrolment.tags = body.tags;
	enrolment.auth_key = body.auth_key;
	if (seen_at(call))
		enrolment.from = *seen_at(call);
	registry_enrol(call->api->registry, &call->actor, &enrolment, on_enrolled, call);
	return 0;
}

/* ---- wait ---- */

struct look {
	struct agent_call *call;
	bool at_end, is_answered;
};

/* What the question was answered with, and whether it may wait on. */
static void on_state(const struct registry_result *result, void *userdata)
{
	struct look *look = userdata;

	if (result->code == REGISTRY_WAITING && !look->at_end)
		return;
	look->is_answered = true;
	answer_state(look->call, result);
}

static bool look(struct agent_call *call, const char *secret, bool at_end)
{
	struct look look = { call, at_end, false };

	registry_enrol_state(call->api->registry, secret, on_state, &look);
	return look.is_answered;
}

const struct waiters_kind api_enrolling = {
	.look = look,
	.max = 1024,
	/* A machine waits once: a newer request of it is the one that somebody listens to. */
	.newest_only = true,
	.too_many = "too many machines wait to be let in",
};

int api_handle_enrol_wait(struct http_request *req, void *userdata)
{
	struct agent_call *call;
	const char *secret;
	int r = agent_call_begin(userdata, req, AGENT_STRANGER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	secret = json_string_value(json_object_get(call->body, "id"));
	if (!secret)
		return agent_call_refuse(call, 400, "bad-request",
					 "id: expected the id that enrol answered with");
	return waiters_hold(&call->api->enrolling, call, secret);
}
