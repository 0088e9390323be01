#include "coord/api/agent_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define EPOCH_HEADER  "Peergate-Epoch"
#define ANSWER_HEADER "Peergate-Answer"

struct agent_call *agent_call_free(struct agent_call *call)
{
	if (!call)
		return NULL;
	http_request_unref(call->req);
	json_decref(call->body);
	free(call->node);
	free(call);
	return NULL;
}

/* ---- answers ---- */

static int sign_body(const struct agent_call *call, unsigned status, const struct http_buf *body,
		     char ret_sig[FRAME_SIG_CHARS + 1])
{
	struct frame_id id = call->id;
	uint8_t digest[SHA256_LEN];
	int r;

	id.purpose = FRAME_ANSWER;
	id.number = status;
	r = sha256(http_buf_data(body), http_buf_len(body), digest);
	return r < 0 ? r : frame_sign(call->api->key, &id, digest, ret_sig);
}

static int respond(struct agent_call *call, unsigned status, struct http_buf *body)
{
	char sig[FRAME_SIG_CHARS + 1];
	const struct http_header headers[] = {
		{ ANSWER_HEADER, sig },
		{ EPOCH_HEADER, call->api->epoch_text },
	};
	const struct http_response response = {
		.status = status,
		.content_type = "application/json",
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.body = body,
	};
	int r = sign_body(call, status, body, sig);

	return r < 0 ? r : http_respond(call->req, &response);
}

int agent_call_answer(struct agent_call *call, unsigned status, json_t *body)
{
	_cleanup_(http_buf_unrefp) struct http_buf *buf = body ? http_buf_json(body) : NULL;
	int r;

	http_request_note_error(call->req, body);
	r = buf ? respond(call, status, buf) : -ENOMEM;

	json_decref(body);
	agent_call_free(call);
	/* Nobody is left to hear it: no fault. */
	return r == -ENOTCONN ? 0 : r;
}

static json_t *error_json(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

int agent_call_refuse(struct agent_call *call, unsigned status, const char *code, const char *fmt,
		      ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = text_vprintf(fmt, ap);
	va_end(ap);
	return agent_call_answer(call, status, message ? error_json(code, message) : NULL);
}

int agent_call_refused(struct agent_call *call, const struct registry_result *result)
{
	if (result->code == REGISTRY_OK || result->code == REGISTRY_WAITING)
		return -ENOENT;
	agent_call_refuse(call, api_status(result->code), registry_code_to_string(result->code),
			  "%s", result->text);
	return 0;
}

/* ---- what is enrolled ---- */

static int json_add_addresses(const struct api *api, const struct node_record *node, json_t *list)
{
	struct ip_addr addresses[2];
	char buf[IP_ADDR_STRLEN];

	registry_node_addresses(api->registry, node, addresses);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		if (json_array_append_new(list,
					  json_string(ip_addr_to_string(&addresses[i], buf))) < 0)
			return -ENOMEM;
	return 0;
}

json_t *agent_node_json(const struct api *api, const struct node_record *node)
{
	json_auto_t *addresses = json_array(), *tags = json_array();
	char expiry[32];

	if (!addresses || !tags || json_add_addresses(api, node, addresses) < 0)
		return NULL;
	for (size_t i = 0; i < node->tags.n; i++)
		if (json_array_append_new(tags, json_string(node->tags.items[i])) < 0)
			return NULL;
	return json_pack("{s:s, s:s, s:O, s:s?, s:O, s:s?}", "id", node->head.id, "name",
			 node->name, "addresses", addresses, "user", node->user, "tags", tags,
			 "key_expiry",
			 node->key_expiry == RECORD_NEVER
				 ? NULL
				 : format_rfc3339(node->key_expiry, expiry, sizeof(expiry)));
}

static json_t *mesh_json(const struct api *api)
{
	const struct mesh_record *mesh = registry_mesh(api->registry);
	struct ip_prefix prefixes[2];
	char v4[IP_PREFIX_STRLEN], v6[IP_PREFIX_STRLEN];

	registry_mesh_prefixes(api->registry, prefixes);
	return json_pack("{s:s, s:[s, s]}", "domain", mesh->domain, "prefixes",
			 ip_prefix_to_string(&prefixes[0], v4),
			 ip_prefix_to_string(&prefixes[1], v6));
}

json_t *agent_enrolled_json(const struct api *api, const struct node_record *node)
{
	return json_pack("{s:s, s:o, s:o}", "state", "enrolled", "node", agent_node_json(api, node),
			 "mesh", mesh_json(api));
}

/* ---- who asks ---- */

static void collect(struct http_request *req, struct httpsig_headers *headers)
{
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++) {
		const char *name = httpsig_field_name(f), *value;

		for (size_t n = 0; n < 2 && (value = http_request_header(req, name, n)); n++)
			httpsig_collect(headers, name, value);
	}
}

static struct agent_call *call_new(struct api *api, struct http_request *req,
				   const struct httpsig *sig)
{
	struct agent_call *call = calloc(1, sizeof(*call));
	const struct node_record *node = registry_node_by_machine(api->registry, &sig->key);
	const struct ip_addr *client = http_request_client(req);
	char machine[ED25519_TEXT_LEN];

	if (!call)
		return NULL;
	call->api = api;
	call->req = http_request_ref(req);
	call->id.machine = sig->key;
	call->id.nonce = sig->nonce;
	if (node && !(call->node = strdup(node->head.id)))
		return agent_call_free(call);
	if (node)
		snprintf(call->who, sizeof(call->who), "node:%s", node->head.id);
	else
		snprintf(call->who, sizeof(call->who), "machine:%s",
			 ed25519_public_to_string(ED25519_MACHINE, &sig->key, machine));
	if (client)
		ip_addr_to_string(client, call->from);
	call->actor =
		(struct registry_actor){ .who = call->who, .from = client ? call->from : "unix" };
	return call;
}

/*
 * Strangers, and those who are refused, are heard only so often. cure: another member of the error,
 * by which the machine may sign so that it is not refused; value is stolen. NULL: there is none.
 */
static int refuse_with_cure(struct agent_call *call, unsigned status, const char *code,
			    const char *text, const char *cure, json_t *value)
{
	json_t *body = error_json(code, text);
	int r = call->limited ? 0 : http_request_limit(call->req, call->api->refusals);

	if (cure && json_object_set(json_object_get(body, "error"), cure, value) < 0) {
		json_decref(body);
		body = NULL;
	}
	json_decref(value);
	if (r == 0) {
		agent_call_answer(call, status, body);
		return HTTP_ANSWERED;
	}
	json_decref(body);
	agent_call_free(call);
	return r;
}

static int refuse_limited(struct agent_call *call, unsigned status, const char *code,
			  const char *text)
{
	return refuse_with_cure(call, status, code, text, NULL, NULL);
}

static json_t *json_now(void)
{
	char now[21];

	return json_string(format_rfc3339(clock_usec(CLOCK_REALTIME), now, sizeof(now)));
}

static int refuse_signature(struct agent_call *call, int why, const char *text)
{
	static const struct {
		int error;
		unsigned status;
		const char *code;
	} codes[] = {
		{ -EXDEV, 401, "other-coordinator" },
		{ -EBADMSG, 401, "bad-signature" },
		{ -EKEYREJECTED, 401, "bad-signature" },
		{ -EINVAL, 400, "bad-request" },
	};

	/* After a start everybody comes with this at once, perhaps from behind one NAT or proxy:
	 * who is told to wait would come with it again. */
	if (why == -ESTALE) {
		agent_call_answer(call, 401, error_json("other-epoch", text ? text : "refused"));
		return HTTP_ANSWERED;
	}
	if (why == -ETIME)
		return refuse_with_cure(call, 401, "clock", text ? text : "refused", "time",
					json_now());
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].error == why)
			return refuse_limited(call, codes[i].status, codes[i].code,
					      text ? text : "refused");
	agent_call_free(call);
	return why;
}

static uint64_t now_seconds(void)
{
	return clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
}

/* Return: 0, HTTP_ANSWERED and negative errno, after which the call is gone. */
static int verify(struct agent_call *call, const struct httpsig *sig)
{
	struct httpsig_audience audience = { .key = *ed25519_key_public(call->api->key),
					     .epoch = call->api->epoch };
	struct httpsig_request request = {
		.method = http_request_method(call->req),
		.path = http_request_raw_path(call->req),
		.query = http_request_raw_query(call->req),
	};
	_cleanup_free_ char *text = NULL;
	int r;

	request.body = http_request_body(call->req, &request.body_len);
	r = httpsig_verify(sig, &request, &audience, now_seconds(), &text);
	return r < 0 ? refuse_signature(call, r, text) : 0;
}

/* ---- strangers ---- */

/*
 * Does it bring an auth key that lets it in? Looked at only where it would be put off otherwise:
 * nobody who makes up keys and addresses can keep those out who were invited.
 */
static bool is_invited(const struct agent_call *call)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	json_auto_t *json = NULL;
	const char *body, *key;
	size_t len;

	body = http_request_body(call->req, &len);
	if (json_parse(body, len, &report, &json) < 0)
		return false;
	key = json_string_value(json_object_get(json, "auth_key"));
	return key && registry_authkey_is_good(call->api->registry, key);
}

static int put_off(struct agent_call *call, unsigned seconds)
{
	int r = http_request_later(call->req, seconds);

	agent_call_free(call);
	return r;
}

int agent_call_limit(struct agent_call *call, struct http_rate *rate)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	unsigned seconds;

	if (http_rate_take_key(rate, call->id.machine.bytes, now, &seconds) == 0)
		return 0;
	return put_off(call, seconds);
}

/* Before anything is done for it, the verification of its signature included. */
static int limit_stranger(struct agent_call *call)
{
	unsigned seconds;

	call->limited = true;
	if (http_request_take(call->req, call->api->refusals, &seconds) == 0 || is_invited(call))
		return 0;
	return put_off(call, seconds);
}

/* Those of one address have so many places among the strangers. */
static int limit_newcomer(struct agent_call *call, const struct httpsig *sig)
{
	unsigned seconds;

	if (call->node || replay_knows(call->api->strangers, &sig->key) ||
	    http_request_take(call->req, call->api->newcomers, &seconds) == 0)
		return 0;
	call->invited = is_invited(call);
	return call->invited ? 0 : put_off(call, seconds);
}

/* A place among the strangers; who is invited has one among the members, as it will be. */
static int accept_stranger(struct agent_call *call, const struct httpsig *sig)
{
	struct api *api = call->api;
	int r = -ENOBUFS;

	if (!call->invited)
		r = replay_accept(api->strangers, &sig->key, sig->nonce, sig->created,
				  now_seconds());
	if (r == -ENOBUFS && (call->invited || is_invited(call)))
		r = replay_accept(api->members, &sig->key, sig->nonce, sig->created, now_seconds());
	return r;
}

/* ---- once ---- */

/*
 * Whether a machine is a member may have changed since it signed: what either of the tables has
 * seen is not new.
 */
static int accept_new(struct agent_call *call, const struct httpsig *sig)
{
	struct api *api = call->api;
	int r = replay_check(call->node ? api->strangers : api->members, &sig->key, sig->nonce,
			     sig->created);

	if (r < 0)
		return r;
	if (!call->node)
		return accept_stranger(call, sig);
	return replay_accept(api->members, &sig->key, sig->nonce, sig->created, now_seconds());
}

static json_t *json_highest(const struct api *api, const struct ed25519_public *key)
{
	uint64_t member = replay_highest(api->members, key),
		 stranger = replay_highest(api->strangers, key);

	return json_integer((json_int_t)(member > stranger ? member : stranger));
}

static int accept_once(struct agent_call *call, const struct httpsig *sig)
{
	int r = accept_new(call, sig);

	switch (r) {
	case -EALREADY:
		return refuse_limited(call, 401, "replay", "this request has been here before");
	case -ESTALE:
		return refuse_with_cure(
			call, 401, "old-nonce",
			"the nonce is too low; expected one above all that the machine has signed "
			"with",
			"nonce", json_highest(call->api, &sig->key));
	case -ENOBUFS:
		return refuse_limited(call, 429, "too-many",
				      "too many machines at a time; try again later");
	}
	if (r < 0)
		agent_call_free(call);
	return r;
}

static int read_body(struct agent_call *call)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	size_t len;
	const char *body = http_request_body(call->req, &len);
	uint64_t version = 0;
	const struct json_at root = { 0 };
	const struct json_field fields[] = { { "version", json_read_u64, 0, 0 } };
	int r = json_parse(body, len, &report, &call->body);

	if (r == 0)
		r = json_read_object(call->body, &root, fields, 1, &version, &report);
	if (r == -EINVAL)
		return refuse_limited(call, 400, "bad-request",
				      report.text ? report.text : "no JSON object");
	if (r == 0 && version > PROTOCOL_VERSION)
		return refuse_limited(call, 400, "bad-request",
				      "version: this coordinator speaks version 1 of the protocol; "
				      "upgrade it before its agents");
	if (r < 0)
		agent_call_free(call);
	return r;
}

static int check_membership(struct agent_call *call, enum agent_who who)
{
	if (call->node || who == AGENT_STRANGER)
		return 0;
	return refuse_limited(call, 403, "not-enrolled",
			      "this machine is not enrolled here, or was deleted");
}

/* Without a well-formed signature there is nobody to sign an answer for. */
static int refuse_malformed(struct api *api, struct http_request *req, const char *text)
{
	int r = http_request_limit(req, api->refusals);

	if (r == 0)
		r = http_respond_error(req, 400, "bad-request", "%s", text);
	return r < 0 ? r : HTTP_ANSWERED;
}

int agent_call_begin(struct api *api, struct http_request *req, enum agent_who who,
		     struct agent_call **ret_call)
{
	struct httpsig_headers headers = { 0 };
	_cleanup_free_ char *text = NULL;
	struct agent_call *call;
	struct httpsig sig;
	int r;

	collect(req, &headers);
	r = httpsig_parse(&headers, &sig, &text);
	if (r == -EINVAL)
		return refuse_malformed(api, req, text);
	if (r < 0)
		return r;
	call = call_new(api, req, &sig);
	if (!call)
		return -ENOMEM;
	r = call->node ? 0 : limit_stranger(call);
	if (r == 0)
		r = verify(call, &sig);
	if (r == 0)
		r = limit_newcomer(call, &sig);
	if (r == 0)
		r = accept_once(call, &sig);
	/* Behind the verification, or others could use up what a member may do. */
	if (r == 0 && call->node)
		r = agent_call_limit(call, who == AGENT_LOGIN ? api->logins : api->requests);
	if (r == 0)
		r = check_membership(call, who);
	if (r == 0)
		r = read_body(call);
	if (r == 0)
		*ret_call = call;
	return r;
}
