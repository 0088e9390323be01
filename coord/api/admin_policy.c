/* The policy: got, set, confirmed, rolled back. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "coord/api/admin.h"
#include "coord/api/admin_policy.h"

/* ---- tags ---- */

char *policy_etag(uint64_t version, const uint8_t hash[SHA256_LEN], char buf[POLICY_ETAG_SIZE])
{
	size_t n = (size_t)snprintf(buf, POLICY_ETAG_SIZE, "\"%" PRIu64 "-", version);

	for (size_t i = 0; i < SHA256_LEN; i++)
		n += (size_t)snprintf(buf + n, POLICY_ETAG_SIZE - n, "%02x", hash[i]);
	snprintf(buf + n, POLICY_ETAG_SIZE - n, "\"");
	return buf;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

static int parse_hash(const char *hex, uint8_t ret_hash[SHA256_LEN])
{
	if (strlen(hex) != 2 * SHA256_LEN)
		return -EINVAL;
	for (size_t i = 0; i < SHA256_LEN; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret_hash[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int policy_etag_parse(const char *text, uint64_t *ret_version, uint8_t ret_hash[SHA256_LEN])
{
	char copy[POLICY_ETAG_SIZE], *dash;
	size_t len = strlen(text);

	if (len < 3 || len >= sizeof(copy) || text[0] != '"' || text[len - 1] != '"')
		return -EINVAL;
	memcpy(copy, text + 1, len - 2);
	copy[len - 2] = '\0';
	dash = strchr(copy, '-');
	if (!dash)
		return -EINVAL;
	*dash = '\0';
	if (parse_u64(copy, UINT64_MAX, ret_version) < 0)
		return -EINVAL;
	return parse_hash(dash + 1, ret_hash);
}

/* ---- get ---- */

/* Answer by a text, with its tag. */
static int answer_text(struct admin_call *call, uint64_t version, const uint8_t *hash,
		       const char *text)
{
	_cleanup_(http_buf_unrefp) struct http_buf *body = http_buf_new(text, strlen(text));
	char etag[POLICY_ETAG_SIZE];
	const struct http_header header = { "ETag", policy_etag(version, hash, etag) };
	const struct http_response response = {
		.status = 200,
		.content_type = "application/hujson",
		.headers = &header,
		.n_headers = 1,
		.body = body,
	};
	int r = body ? http_respond(call->req, &response) : -ENOMEM;

	admin_call_free(call);
	return r == -ENOTCONN ? 0 : r;
}

int admin_policy_get(struct admin_call *call)
{
	const struct policy_current *current = registry_policy_current(call->api->registry);

	return answer_text(call, current->version, current->hash, current->text);
}

/* ---- set ---- */

static json_t *current_json(const struct api *api)
{
	const struct policy_current *current = registry_policy_current(api->registry);
	char etag[POLICY_ETAG_SIZE];

	return json_pack("{s:I, s:s, s:o, s:I, s:s, s:o}", "version", (json_int_t)current->version,
			 "etag", policy_etag(current->version, current->hash, etag), "confirm_by",
			 admin_time(current->confirm_by), "previous", (json_int_t)current->previous,
			 "author", current->author, "since", admin_time(current->since));
}

static int answer_with_etag(struct admin_call *call, unsigned status, json_t *body)
{
	const struct policy_current *current = registry_policy_current(call->api->registry);
	char etag[POLICY_ETAG_SIZE];
	const struct http_header header = {
		"ETag",
		policy_etag(current->version, current->hash, etag),
	};
	int r = http_respond_json_with(call->req, status, body, &header, 1);

	admin_call_free(call);
	return r == -ENOTCONN ? 0 : r;
}

static json_t *refused_json(const struct registry_result *result)
{
	json_t *error = http_error_json(registry_code_to_string(result->code), result->text);

	if (result->problems &&
	    json_object_set_new(error, "problems", policy_problems_json(result->problems)) < 0) {
		json_decref(error);
		return NULL;
	}
	return error;
}

/* Of all that brings another policy into force. */
static void on_policy(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;
	json_t *body;

	/* Nothing may be left of the registry, if it is not there to answer. */
	if (result->code == REGISTRY_UNAVAILABLE) {
		admin_call_refused(call, result);
		return;
	}
	if (result->code != REGISTRY_OK) {
		answer_with_etag(call, api_status(result->code), refused_json(result));
		return;
	}
	body = current_json(call->api);
	if (json_object_set_new(body, "changed", json_boolean(!result->is_unchanged)) < 0) {
		json_decref(body);
		body = NULL;
	}
	if (result->problems &&
	    json_object_set_new(body, "problems", policy_problems_json(result->problems)) < 0) {
		json_decref(body);
		body = NULL;
	}
	answer_with_etag(call, 200, body);
}

static int refuse(struct admin_call *call, const char *text)
{
	admin_call_refuse(call, 400, "bad-request", "%s", text);
	return HTTP_ANSWERED;
}

struct match {
	uint64_t version;
	uint8_t hash[SHA256_LEN];
};

/* Return: 0; HTTP_ANSWERED. */
static int read_match(struct admin_call *call, struct match *match,
		      struct registry_policy_request *request)
{
	const char *text = http_request_header(call->req, "If-Match", 0);

	if (!text || strcmp(text, "*") == 0)
		return 0;
	if (policy_etag_parse(text, &match->version, match->hash) < 0)
		return refuse(call, "If-Match: expected one ETag that GET policy answered with");
	request->if_version = match->version;
	request->if_hash = match->hash;
	return 0;
}

static int read_confirm(struct admin_call *call, struct registry_policy_request *request)
{
	const char *text = http_request_query(call->req, "confirm_within", 0);
	uint64_t seconds = 0;

	if (text && (parse_u64(text, REGISTRY_MAX_CONFIRM_SEC, &seconds) < 0 || seconds == 0))
		return refuse(call, "confirm_within: expected seconds, from 1 to 86400 (a day)");
	request->confirm_within_usec = seconds * 1000000;
	return 0;
}

int admin_policy_set(struct admin_call *call)
{
	struct registry_policy_request request = {
		.comment = http_request_query(call->req, "comment", 0),
	};
	struct match match;
	int r = read_match(call, &match, &request);

	if (r == 0)
		r = read_confirm(call, &request);
	if (r != 0)
		return 0;
	request.text = http_request_body(call->req, &request.len);
	registry_set_policy(call->api->registry, &call->actor, &request, on_policy, call);
	return 0;
}

int admin_policy_confirm(struct admin_call *call)
{
	registry_confirm_policy(call->api->registry, &call->actor, on_policy, call);
	return 0;
}

int admin_policy_rollback(struct admin_call *call)
{
	static const struct json_field fields[] = {
		{ "version", json_read_u64, 0, JSON_REQUIRED },
	};
	uint64_t version;
	int r = admin_call_body(call, fields, ARRAY_SIZE(fields), &version);

	if (r != 0)
		return r < 0 ? r : 0;
	registry_rollback_policy(call->api->registry, &call->actor, version, on_policy, call);
	return 0;
}

/* ---- history ---- */

static json_t *version_at(const struct api *api, size_t i)
{
	const struct policy_record *record = registry_policy_at(api->registry, i);
	const struct policy_current *current = registry_policy_current(api->registry);
	char etag[POLICY_ETAG_SIZE];

	return json_pack("{s:I, s:s, s:s, s:o, s:s?, s:b}", "version", (json_int_t)record->version,
			 "etag", policy_etag(record->version, record->hash, etag), "author",
			 record->author, "created", admin_time(record->created), "comment",
			 record->comment, "in_force", record->version == current->version);
}

int admin_policy_history(struct admin_call *call)
{
	const struct api *api = call->api;
	json_t *body =
		admin_list_json(api, "versions", registry_n_policies(api->registry), version_at);

	if (json_object_set_new(body, "current", current_json(api)) < 0) {
		json_decref(body);
		body = NULL;
	}
	return admin_call_answer(call, 200, body);
}

static void on_version(const struct registry_result *result, void *userdata)
{
	struct admin_call *call = userdata;

	if (admin_call_refused(call, result) < 0)
		answer_text(call, result->policy->version, result->policy->hash,
			    result->policy->text);
}

int admin_policy_version(struct admin_call *call)
{
	uint64_t version;

	if (parse_u64(http_request_param(call->req, "version"), UINT64_MAX, &version) < 0)
		return admin_call_refuse(call, 400, "bad-request",
					 "a version is a number; 0 is the default policy");
	registry_policy_get(call->api->registry, version, on_version, call);
	return 0;
}
