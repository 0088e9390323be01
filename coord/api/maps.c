/* POST /v1/map: a node's stream of maps. */
#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/json.h"
#include "coord/api/agent_call.h"

static int read_key(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *report)
{
	const char *text = json_string_value(v);
	struct wg_key *key = target;

	if (!text || base64url_decode(text, strlen(text), key->bytes, sizeof(key->bytes)) < 0)
		return json_fail(report, at, "expected an X25519 public key in base64url");
	return 0;
}

static int read_resume(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *report)
{
	static const struct json_field fields[] = {
		{ "generation", json_read_u64, offsetof(struct map_resume, generation),
		  JSON_REQUIRED },
	};
	struct map_resume *resume = target;
	int r = json_read_object(v, at, fields, ARRAY_SIZE(fields), resume, report);

	resume->policy = json_string_value(json_object_get(v, "policy"));
	resume->filter = json_string_value(json_object_get(v, "filter"));
	resume->ssh = json_string_value(json_object_get(v, "ssh"));
	return r;
}

struct map_body {
	struct wg_key ephemeral;
	struct map_resume resume; /* borrows from the JSON */
};

static int read_body(const json_t *json, struct json_report *report, struct map_body *ret_body)
{
	static const struct json_field fields[] = {
		{ "ephemeral", read_key, offsetof(struct map_body, ephemeral), JSON_REQUIRED },
		{ "resume", read_resume, offsetof(struct map_body, resume), JSON_NULLABLE },
	};
	const struct json_at root = { 0 };

	return json_read_object(json, &root, fields, ARRAY_SIZE(fields), ret_body, report);
}

static int refuse(struct agent_call *call, int error)
{
	switch (error) {
	case -EINVAL:
		return agent_call_refuse(call, 400, "bad-request",
					 "ephemeral: a key of small order, with which nothing is "
					 "secret");
	case -ENOENT:
		return agent_call_refuse(call, 403, "not-enrolled", "the node was deleted");
	case -EBUSY:
		return agent_call_refuse(call, 503, "unavailable",
					 "as many nodes are connected as there may be, or the "
					 "coordinator is stopping");
	}
	return agent_call_refuse(call, 503, "unavailable", "%s", strerror(-error));
}

int api_handle_map(struct http_request *req, void *userdata)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	struct map_body body = { 0 };
	struct stream_request request = { 0 };
	struct agent_call *call;
	struct stream *stream;
	int r = agent_call_begin(userdata, req, AGENT_MEMBER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = read_body(call->body, &report, &body);
	if (r == -EINVAL)
		return agent_call_refuse(call, 400, "bad-request", "%s", report.text);
	if (r < 0)
		return refuse(call, r);
	request = (struct stream_request){
		.node = call->node,
		.machine = call->id.machine,
		.nonce = call->id.nonce,
		.ephemeral = body.ephemeral,
		.resume = body.resume.generation ? &body.resume : NULL,
	};
	r = map_open(call->api->map, &request, &stream);
	if (r < 0)
		return refuse(call, r);
	r = map_start_http(call->api->map, stream, call->req);
	agent_call_free(call);
	/* Nobody is left to hear it: no fault. */
	return r == -ENOTCONN ? 0 : r;
}
