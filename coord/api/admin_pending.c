/* Machines that wait to be let in. */
#include <stdlib.h>

#include "coord/api/admin.h"
#include "coord/api/tags.h"

static json_t *pending_json(const struct pending_record *pending)
{
	char from[IP_ADDR_STRLEN], machine[ED25519_TEXT_LEN];
	static const char *const states[] = {
		[PENDING_WAITING] = "waiting",
		[PENDING_APPROVED] = "approved",
		[PENDING_REJECTED] = "rejected",
	};

	return json_pack(
		"{s:s, s:s, s:s?, s:s?, s:s?, s:o, s:s?, s:s, s:s?, s:o, s:o}", "code",
		pending->head.id, "state", states[pending->state], "hostname",
		pending->facts.hostname, "os", pending->facts.os, "agent", pending->facts.agent,
		"tags", admin_texts(&pending->tags), "from",
		pending->from.family == AF_UNSPEC ? NULL : ip_addr_to_string(&pending->from, from),
		"machine", ed25519_public_to_string(ED25519_MACHINE, &pending->machine, machine),
		"node", pending->node, "created", admin_time(pending->created), "expires",
		admin_time(pending->expires));
}

static json_t *pending_at(const struct api *api, size_t i)
{
	return pending_json(registry_pending_at(api->registry, i));
}

static const struct record_head *pending_head(const struct registry *registry, size_t i)
{
	return &registry_pending_at(registry, i)->head;
}

int admin_pending_list(struct admin_call *call)
{
	static const struct admin_list list = { "auth", registry_n_pending, pending_head,
						pending_at };

	return admin_list(call, &list);
}

static void on_approved(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		admin_call_answer(call, 200, admin_node_json(call->api, result->node));
}

struct approve_body {
	char *user;
	struct text_list tags;
};

static void approve_body_done(struct approve_body *body)
{
	free(body->user);
	text_list_done(&body->tags);
}

int admin_pending_approve(struct admin_call *call)
{
#define AT(member) offsetof(struct approve_body, member)
	static const struct json_field fields[] = {
		{ "user", json_read_string, AT(user), JSON_NULLABLE },
		{ "tags", tags_read, AT(tags), JSON_NULLABLE },
	};
#undef AT
	_cleanup_(approve_body_done) struct approve_body body = { 0 };
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	registry_approve(call->api->registry, &call->actor, http_request_param(call->req, "code"),
			 body.user, body.tags.n > 0 ? &body.tags : NULL, on_approved, call);
	return 0;
}

int admin_pending_reject(struct admin_call *call)
{
	registry_reject(call->api->registry, &call->actor, http_request_param(call->req, "code"),
			admin_call_done, call);
	return 0;
}
