/* Hosts that are enrolled. */
#include <errno.h>
#include <stdlib.h>

#include "coord/api/admin.h"
#include "coord/api/tags.h"

static json_t *node_at(const struct api *api, size_t i)
{
	return admin_node_json(api, registry_node_at(api->registry, i));
}

static const struct record_head *node_head(const struct registry *registry, size_t i)
{
	return &registry_node_at(registry, i)->head;
}

int admin_nodes_list(struct admin_call *call)
{
	static const struct admin_list list = { "nodes", registry_n_nodes, node_head, node_at };

	return admin_list(call, &list);
}

static const char *word_of(const struct admin_call *call)
{
	return http_request_param(call->req, "node");
}

static int refuse_unknown(struct admin_call *call)
{
	return admin_call_refuse(
		call, 404, "not-found",
		"there is no such node: %.80s; \"coordctl nodes list\" shows names and ids",
		word_of(call));
}

int admin_nodes_show(struct admin_call *call)
{
	const struct node_record *node = registry_find_node(call->api->registry, word_of(call));

	if (!node)
		return refuse_unknown(call);
	return admin_call_answer(call, 200, admin_node_json(call->api, node));
}

/* ---- changes ---- */

static void on_node(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		admin_call_answer(call, 200, admin_node_json(call->api, result->node));
}

struct patch_body {
	char *name, *user;
	struct text_list tags;
	struct admin_when expiry;
};

static void patch_body_done(struct patch_body *body)
{
	free(body->name);
	free(body->user);
	text_list_done(&body->tags);
}

int admin_nodes_set(struct admin_call *call)
{
#define AT(member) offsetof(struct patch_body, member)
	static const struct json_field fields[] = {
		{ "name", json_read_string, AT(name), JSON_NULLABLE },
		{ "tags", tags_read, AT(tags), JSON_NULLABLE },
		{ "user", json_read_string, AT(user), JSON_NULLABLE },
		{ "key_expiry", admin_read_expiry, AT(expiry), 0 },
	};
#undef AT
	_cleanup_(patch_body_done) struct patch_body body = { 0 };
	struct registry_node_patch patch;
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &body);

	if (r != 0)
		return r < 0 ? r : 0;
	patch = (struct registry_node_patch){
		.name = body.name,
		.user = body.user,
		.tags = body.tags.n > 0 ? &body.tags : NULL,
		.key_expiry = body.expiry.is_given ? &body.expiry.usec : NULL,
	};
	registry_patch_node(call->api->registry, &call->actor, word_of(call), &patch, on_node,
			    call);
	return 0;
}

int admin_nodes_expire(struct admin_call *call)
{
	registry_expire_node(call->api->registry, &call->actor, word_of(call), on_node, call);
	return 0;
}

int admin_nodes_delete(struct admin_call *call)
{
	registry_delete_node(call->api->registry, &call->actor, word_of(call), admin_call_done,
			     call);
	return 0;
}

/* ---- the map ---- */

int admin_nodes_map(struct admin_call *call)
{
	const struct node_record *node = registry_find_node(call->api->registry, word_of(call));
	_cleanup_(http_buf_unrefp) struct http_buf *map = NULL;
	struct http_response response = { .status = 200, .content_type = "application/json" };
	int r;

	if (!node)
		return refuse_unknown(call);
	r = map_show(call->api->map, node->head.id, &map);
	if (r == -ENOENT)
		return refuse_unknown(call);
	if (r < 0)
		return admin_call_fail(call, r);
	response.body = map;
	r = http_respond(call->req, &response);
	admin_call_free(call);
	return r;
}
