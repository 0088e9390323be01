#include "tests/coordinator/coordinator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/frame_sig.h"
#include "common/sha256.h"
#include "common/text.h"

#define DOMAIN "mesh.example"

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test coordinator: %s\n", what);
	abort();
}
#define MUST(x) require((x), #x)

/* What is being answered. */
struct asked {
	struct http_request *req;
	struct httpsig sig;
	json_t *body;
};

/* ---- answers ---- */

static void answer(struct tc *tc, struct http_request *req, const struct ed25519_public *machine,
		   uint64_t nonce, unsigned status, json_t *body)
{
	const struct frame_id id = { FRAME_ANSWER, *machine, nonce, status };
	char sig[FRAME_SIG_CHARS + 1], epoch[HTTPSIG_EPOCH_LEN];
	const struct http_header headers[] = {
		{ "Peergate-Answer", sig },
		{ "Peergate-Epoch", httpsig_epoch_to_string(&tc->epoch, epoch) },
	};
	struct http_response response = {
		.status = status,
		.content_type = "application/json",
		.headers = headers,
		.n_headers = 2,
	};
	uint8_t digest[SHA256_LEN];

	response.body = http_buf_json(body);
	json_decref(body);
	MUST(response.body);
	MUST(sha256(http_buf_data(response.body), http_buf_len(response.body), digest) == 0);
	MUST(frame_sign(tc->forge_answers ? tc->other_key : tc->key, &id, digest, sig) == 0);
	(void)http_respond(req, &response);
	http_buf_unref(response.body);
}

static void answer_asked(struct tc *tc, const struct asked *asked, unsigned status, json_t *body)
{
	answer(tc, asked->req, &asked->sig.key, asked->sig.nonce, status, body);
}

static json_t *error_body(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

static void no(struct tc *tc, const struct asked *asked, unsigned status, const char *code)
{
	tc->n_refused++;
	answer_asked(tc, asked, status, error_body(code, "the test coordinator says no"));
}

/* ---- requests ---- */

static int refuse_signature(struct tc *tc, struct asked *asked, int error)
{
	char now[21];
	json_t *body;

	tc->n_refused++;
	switch (error) {
	case -EXDEV:
		body = error_body("other-coordinator", "for another coordinator");
		break;
	case -ESTALE:
		body = error_body("other-epoch", "for another epoch");
		break;
	case -ETIME:
		body = error_body("clock", "the clock is wrong");
		format_rfc3339(clock_usec(CLOCK_REALTIME) +
				       (uint64_t)(tc->ahead_sec * (int64_t)USEC_PER_SEC),
			       now, sizeof(now));
		json_object_set_new(json_object_get(body, "error"), "time", json_string(now));
		break;
	default:
		body = error_body("bad-signature", "not signed by who it says");
	}
	answer_asked(tc, asked, 401, body);
	return HTTP_ANSWERED;
}

/* Return: 0, HTTP_ANSWERED. */
static int take(struct tc *tc, struct http_request *req, struct asked *ret_asked)
{
	const struct httpsig_audience audience = { *ed25519_key_public(tc->key), tc->epoch };
	struct httpsig_request request = {
		.method = http_request_method(req),
		.path = http_request_raw_path(req),
		.query = http_request_raw_query(req),
	};
	struct httpsig_headers headers = { 0 };
	_cleanup_free_ char *text = NULL;
	struct asked asked = { .req = req };
	int r;

	if (tc->n_faults > 0 && (!tc->fault_path || strcmp(tc->fault_path, request.path) == 0)) {
		tc->n_faults--;
		http_respond_error(req, tc->fault_status, "fault", "as a proxy might say");
		return HTTP_ANSWERED;
	}
	request.body = http_request_body(req, &request.body_len);
	for (int i = 0; i < HTTPSIG_N_FIELDS; i++)
		for (size_t k = 0; k < 2; k++) {
			const char *value = http_request_header(req, httpsig_field_name(i), k);

			if (value)
				httpsig_collect(&headers, httpsig_field_name(i), value);
		}
	if (httpsig_parse(&headers, &asked.sig, &text) < 0) {
		http_respond_error(req, 400, "bad-request", "%s", text);
		return HTTP_ANSWERED;
	}
	r = httpsig_verify(&asked.sig, &request, &audience,
			   clock_usec(CLOCK_REALTIME) / USEC_PER_SEC + (uint64_t)tc->ahead_sec,
			   &text);
	if (r < 0)
		return refuse_signature(tc, &asked, r);
	asked.body = json_loadb(request.body, request.body_len, 0, NULL);
	*ret_asked = asked;
	return asked.body ? 0 : -EINVAL;
}

static struct tc_node *find(struct tc *tc, const struct ed25519_public *machine)
{
	for (size_t i = 0; i < tc->n_nodes; i++)
		if (ed25519_public_equal(&tc->nodes[i].machine, machine))
			return &tc->nodes[i];
	return NULL;
}

static struct tc_node *find_or_make(struct tc *tc, const struct ed25519_public *machine)
{
	struct tc_node *node = find(tc, machine);

	if (node)
		return node;
	MUST(tc->n_nodes < TC_MAX_NODES);
	node = &tc->nodes[tc->n_nodes++];
	node->machine = *machine;
	snprintf(node->id, sizeof(node->id), "n%zu", tc->n_nodes);
	return node;
}

static void keep_facts(struct tc_node *node, const json_t *body)
{
	json_t *facts = json_deep_copy(body);

	json_decref(node->facts);
	node->facts = facts;
	if (!node->name[0])
		snprintf(node->name, sizeof(node->name), "%s",
			 json_string_value(json_object_get(facts, "hostname")));
}

/* ---- maps ---- */

static json_t *json_address(const struct tc *tc, const struct tc_node *node)
{
	char text[32];

	snprintf(text, sizeof(text), "100.64.0.%zu", (size_t)(node - tc->nodes) + 1);
	return json_pack("[s]", text);
}

static json_t *json_peer(const struct tc *tc, const struct tc_node *node)
{
	json_t *endpoints = json_object_get(node->facts, "configured_endpoints");
	json_t *keys = json_object_get(node->facts, "ssh_host_keys");
	char key[WG_KEY_B64LEN];

	if (json_array_size(endpoints) == 0)
		endpoints = json_object_get(node->facts, "endpoints");
	return json_pack("{s:s, s:s, s:o, s:s, s:O*, s:O*, s:s}", "id", node->id, "name",
			 node->name, "addresses", json_address(tc, node), "node_key",
			 wg_key_to_string(&node->key, key), "endpoints", endpoints, "ssh_host_keys",
			 keys, "user", "alice@example.com");
}

static json_t *json_self(const struct tc *tc, const struct tc_node *node)
{
	json_t *self = json_pack(
		"{s:s, s:s, s:o, s:s, s:b, s:b}", "id", node->id, "name", node->name, "addresses",
		json_address(tc, node), "user", "alice@example.com", "ssh",
		json_is_true(json_object_get(node->facts, "ssh")), "key_expired", node->expired);
	char key[WG_KEY_B64LEN];

	if (!tc->hide_key)
		json_object_set_new(self, "node_key",
				    json_string(wg_key_to_string(&node->key, key)));
	if (node->expired)
		json_object_set_new(self, "login",
				    json_pack("{s:s}", "url", "https://coord.example/login"));
	return self;
}

static json_t *json_ssh_rule(const struct tc *tc)
{
	json_t *rule =
		json_pack("{s:[s], s:{s:s, s:s}, s:s, s:s}", "principals", "*", "users", "root",
			  "root", "*", "=", "action", tc->ssh_action, "origin", "ssh[0]");

	if (tc->forwarding)
		json_object_set_new(
			rule, "forwarding",
			json_pack("{s:b, s:b, s:b}", "agent", true, "local", true, "remote", true));
	return rule;
}

json_t *tc_map(const struct tc *tc, const struct tc_node *node)
{
	json_t *peers = json_array(), *rules = json_array(), *filter = json_array();
	json_t *self = json_self(tc, node);

	for (size_t i = 0; i < tc->n_nodes && !node->expired; i++)
		if (&tc->nodes[i] != node && tc->nodes[i].enrolled && !tc->nodes[i].expired)
			json_array_append_new(peers, json_peer(tc, &tc->nodes[i]));
	json_array_append_new(filter,
			      json_pack("{s:[s], s:[{s:s, s:[i, i]}]}", "src", "100.64.0.0/10",
					"dst", "ip", "100.64.0.0/10", "ports", 0, 65535));
	if (tc->ssh_action)
		json_array_append_new(rules, json_ssh_rule(tc));
	return json_pack("{s:s, s:i, s:s, s:I, s:o, s:{s:s, s:[s]}, s:{s:{s:s}}, s:o, s:o, s:o, "
			 "s:{s:s, s:s, s:s}}",
			 "type", tc->whole_is_broken ? "fool" : "full", "version", 1, "for",
			 node->id, "generation", (json_int_t)tc->generation, "self", self, "mesh",
			 "domain", DOMAIN, "prefixes", "100.64.0.0/10", "users",
			 "alice@example.com", "name", "Alice", "peers", peers, "packet_filter",
			 filter, "ssh_rules", rules, "tokens", "policy", "p1", "filter", "f1",
			 "ssh", "s1");
}

void tc_say(struct tc *tc, struct tc_node *node, const char *body)
{
	char mac[FRAME_MAC_CHARS + 1];
	_cleanup_free_ char *line = NULL;
	uint8_t digest[SHA256_LEN];
	struct http_buf *buf;

	if (!node->stream)
		return;
	MUST(sha256(body, strlen(body), digest) == 0);
	MUST(frame_stream_seal(&node->frames, digest, mac) == 0);
	line = text_printf("%s %s\n", mac, body);
	buf = http_buf_new(line, strlen(line));
	MUST(buf && http_stream_write(node->stream, buf) == 0);
	http_buf_unref(buf);
}

static void say_map(struct tc *tc, struct tc_node *node)
{
	json_t *map = tc_map(tc, node);
	char *text = json_dumps(map, JSON_COMPACT);

	tc_say(tc, node, text);
	free(text);
	json_decref(map);
}

void tc_publish(struct tc *tc)
{
	tc->generation++;
	for (size_t i = 0; i < tc->n_nodes; i++)
		say_map(tc, &tc->nodes[i]);
}

static void end_stream(struct tc *tc, struct tc_node *node, const char *reason)
{
	_cleanup_free_ char *body = text_printf("{\"type\":\"end\",\"reason\":\"%s\"}", reason);

	if (!node->stream)
		return;
	tc_say(tc, node, body);
	node->stream = http_stream_close(node->stream);
}

void tc_delete(struct tc *tc, struct tc_node *node)
{
	node->deleted = true;
	node->enrolled = false;
	end_stream(tc, node, "deleted");
	tc_publish(tc);
}

/* ---- enrolment ---- */

static json_t *enrolled_body(const struct tc *tc, const struct tc_node *node)
{
	return json_pack("{s:s, s:{s:s, s:s, s:o, s:s, s:[], s:n}, s:{s:s, s:[s]}}", "state",
			 "enrolled", "node", "id", node->id, "name", node->name, "addresses",
			 json_address(tc, node), "user", "alice@example.com", "tags", "key_expiry",
			 "mesh", "domain", DOMAIN, "prefixes", "100.64.0.0/10");
}

static json_t *pending_body(const struct tc_node *node)
{
	_cleanup_free_ char *code = text_printf("CODE-%s", node->id);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "state", "pending", "id", node->id,
			 "code", code, "url", "https://coord.example/a/1", "approve",
			 "coordctl nodes approve CODE", "expires_at", "2099-01-15T08:00:00Z");
}

static void make_member(struct tc *tc, struct tc_node *node, const struct wg_key *key)
{
	node->enrolled = true;
	node->expired = node->pending = node->deleted = false;
	node->key = *key;
	tc_publish(tc);
}

static bool has_auth_key(const struct tc *tc, const json_t *body)
{
	const char *key = json_string_value(json_object_get(body, "auth_key"));

	return key && tc->auth_key && strcmp(key, tc->auth_key) == 0;
}

static void enrol(struct tc *tc, const struct asked *asked)
{
	struct tc_node *node = find_or_make(tc, &asked->sig.key);
	const char *text = json_string_value(json_object_get(asked->body, "node_key"));
	struct wg_key key;

	MUST(text && wg_key_parse(text, &key) == 0);
	if (json_object_get(asked->body, "auth_key") && !has_auth_key(tc, asked->body))
		return no(tc, asked, 403, "bad-auth-key");
	keep_facts(node, asked->body);
	if (node->enrolled && !node->expired && wg_key_equal(&key, &node->key))
		return answer_asked(tc, asked, 200, enrolled_body(tc, node));
	if (has_auth_key(tc, asked->body) || tc->approve_all) {
		make_member(tc, node, &key);
		return answer_asked(tc, asked, 200, enrolled_body(tc, node));
	}
	node->asked = key;
	node->pending = true;
	node->approved = node->rejected = false;
	answer_asked(tc, asked, 202, pending_body(node));
}

static void answer_waiting(struct tc *tc, struct tc_node *node)
{
	struct http_request *req = node->waiting;

	if (!req || (!node->approved && !node->rejected))
		return;
	node->waiting = NULL;
	answer(tc, req, &node->machine, node->waiting_nonce, node->approved ? 200 : 403,
	       node->approved ? enrolled_body(tc, node) : error_body("rejected", "not you"));
	http_request_unref(req);
}

void tc_approve(struct tc *tc, bool yes)
{
	for (size_t i = 0; i < tc->n_nodes; i++) {
		struct tc_node *node = &tc->nodes[i];

		if (!node->pending)
			continue;
		node->pending = false;
		node->approved = yes;
		node->rejected = !yes;
		if (yes)
			make_member(tc, node, &node->asked);
		answer_waiting(tc, node);
	}
}

static void on_waiter_gone(struct http_request *req, void *userdata)
{
	struct tc_node *node = userdata;

	if (node->waiting == req)
		node->waiting = http_request_unref(req);
}

static void wait_for_approval(struct tc *tc, const struct asked *asked)
{
	struct tc_node *node = find(tc, &asked->sig.key);

	if (!node || (!node->pending && !node->approved && !node->rejected))
		return no(tc, asked, 404, "not-found");
	if (node->waiting)
		node->waiting = http_request_unref(node->waiting);
	node->waiting = http_request_ref(asked->req);
	node->waiting_nonce = asked->sig.nonce;
	http_request_on_gone(asked->req, on_waiter_gone, node);
	answer_waiting(tc, node);
}

/* ---- what members ask ---- */

static void change_facts(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	json_object_update(node->facts, asked->body);
	tc->generation++;
	answer_asked(tc, asked, 200, json_pack("{s:I}", "generation", (json_int_t)tc->generation));
	tc_publish(tc);
}

static void rotate(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	const char *text = json_string_value(json_object_get(asked->body, "node_key"));

	if (node->expired)
		return no(tc, asked, 403, "key-expired");
	MUST(text && wg_key_parse(text, &node->key) == 0);
	answer_asked(tc, asked, 200, enrolled_body(tc, node));
	tc_publish(tc);
}

static void log_out(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	node->expired = true;
	answer_asked(tc, asked, 200, json_object());
	tc_publish(tc);
}

static void on_stream_closed(struct http_stream *stream, enum http_stream_end why, void *userdata)
{
	struct tc_node *node = userdata;

	if (node->stream == stream)
		node->stream = NULL;
}

static void say_hello(struct tc *tc, const struct asked *asked, struct tc_node *node,
		      const struct wg_key *theirs)
{
	const struct frame_id id = { FRAME_HELLO, asked->sig.key, asked->sig.nonce, 0 };
	char sig[FRAME_SIG_CHARS + 1], ephemeral[BASE64URL_LEN(WG_KEY_LEN) + 1];
	_cleanup_free_ char *body = NULL, *line = NULL;
	struct wg_key ours, public;
	uint8_t digest[SHA256_LEN];
	struct http_buf *buf;

	MUST(wg_key_generate(&ours) == 0 && wg_key_public(&ours, &public) == 0);
	body = text_printf("{\"type\":\"hello\",\"for\":\"%s\",\"ephemeral\":\"%s\"}", node->id,
			   base64url_encode(public.bytes, WG_KEY_LEN, ephemeral));
	MUST(sha256(body, strlen(body), digest) == 0);
	MUST(frame_sign(tc->forge_hello ? tc->other_key : tc->key, &id, digest, sig) == 0);
	MUST(frame_stream_begin(&ours, theirs, &id, digest, &node->frames) == 0);
	line = text_printf("%s %s\n", sig, body);
	buf = http_buf_new(line, strlen(line));
	MUST(buf && http_stream_write(node->stream, buf) == 0);
	http_buf_unref(buf);
}

static void open_stream(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	const struct http_stream_config config = {
		.content_type = "application/x-ndjson",
		.on_closed = on_stream_closed,
		.userdata = node,
	};
	const json_t *ephemeral = json_object_get(asked->body, "ephemeral");
	json_t *resume = json_object_get(asked->body, "resume");
	_cleanup_free_ char *delta = NULL;
	struct wg_key theirs;

	MUST(ephemeral &&
	     base64url_decode(json_string_value(ephemeral), json_string_length(ephemeral),
			      theirs.bytes, WG_KEY_LEN) == 0);
	end_stream(tc, node, "replaced");
	json_decref(node->resume);
	node->resume = json_incref(resume);
	if (http_stream_open(asked->req, &config, &node->stream) < 0)
		return;
	say_hello(tc, asked, node, &theirs);
	if (!resume || tc->no_resume ||
	    json_integer_value(json_object_get(resume, "generation")) != (json_int_t)tc->generation)
		return say_map(tc, node);
	delta = text_printf("{\"type\":\"delta\",\"generation\":%llu}",
			    (unsigned long long)tc->generation);
	tc_say(tc, node, delta);
}

/* ---- checks ---- */

static json_t *checked_body(void)
{
	return json_pack("{s:s, s:s, s:s}", "state", "accepted", "checked_at",
			 "2027-01-15T08:00:00Z", "method", "password");
}

static json_t *check_body(const struct tc_check *check)
{
	_cleanup_free_ char *url = text_printf("https://coord.example/check/%s", check->id);
	_cleanup_free_ char *code = text_printf("100-%s", check->id);

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "state", "waiting", "id", check->id, "url",
			 url, "code", code, "expires_at", "2099-01-15T08:00:00Z");
}

static struct tc_node *node_by_id(struct tc *tc, const char *id)
{
	for (size_t i = 0; id && i < tc->n_nodes; i++)
		if (strcmp(tc->nodes[i].id, id) == 0 && tc->nodes[i].enrolled)
			return &tc->nodes[i];
	return NULL;
}

/* Numbers begin with 1. */
static struct tc_check *check_numbered(struct tc *tc, size_t number)
{
	return &tc->checks[(number - 1) % TC_MAX_CHECKS];
}

static size_t n_remembered(const struct tc *tc)
{
	return tc->n_checks < TC_MAX_CHECKS ? tc->n_checks : TC_MAX_CHECKS;
}

/* Who asks is where the login goes to, or comes from. */
static void ask_check(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	const char *user = json_string_value(json_object_get(asked->body, "ssh_user"));
	const char *from = json_string_value(json_object_get(asked->body, "source"));
	struct tc_node *source = from && !tc->any_source ? node_by_id(tc, from) : node;
	struct tc_check *check;

	if (!source)
		return no(tc, asked, 404, "not-found");
	if (!tc->ssh_action)
		return no(tc, asked, 403, "not-allowed");
	if (strcmp(tc->ssh_action, "accept") == 0)
		return answer_asked(tc, asked, 200, json_pack("{s:s}", "state", "accepted"));
	if (source->checked)
		return answer_asked(tc, asked, 200, checked_body());
	check = check_numbered(tc, ++tc->n_checks);
	MUST(!check->waiting);
	check->state = TC_CHECK_WAITING;
	check->asker = node;
	check->source = source;
	snprintf(check->id, sizeof(check->id), "%zu", tc->n_checks);
	snprintf(check->ssh_user, sizeof(check->ssh_user), "%s", user ? user : "");
	answer_asked(tc, asked, 202, check_body(check));
}

static void answer_check(struct tc *tc, struct tc_check *check)
{
	static const unsigned statuses[] = {
		[TC_CHECK_APPROVED] = 200, [TC_CHECK_DENIED] = 403, [TC_CHECK_GONE] = 404
	};
	struct http_request *req = check->waiting;
	json_t *body;

	if (!req || check->state == TC_CHECK_WAITING)
		return;
	check->waiting = NULL;
	if (check->state == TC_CHECK_APPROVED)
		body = checked_body();
	else
		body = error_body(check->state == TC_CHECK_DENIED ? "denied" : "not-found",
				  "the test coordinator says no");
	answer(tc, req, &check->asker->machine, check->waiting_nonce, statuses[check->state], body);
	http_request_unref(req);
}

static void on_check_gone(struct http_request *req, void *userdata)
{
	struct tc_check *check = userdata;

	if (check->waiting == req)
		check->waiting = http_request_unref(req);
}

static void wait_for_check(struct tc *tc, const struct asked *asked, struct tc_node *node)
{
	const char *id = json_string_value(json_object_get(asked->body, "id"));
	size_t number = id ? (size_t)atoi(id) : 0;
	struct tc_check *check = NULL;

	if (number > 0 && number <= tc->n_checks && tc->n_checks - number < TC_MAX_CHECKS)
		check = check_numbered(tc, number);
	if (!check || check->asker != node)
		return no(tc, asked, 404, "not-found");
	if (check->waiting)
		check->waiting = http_request_unref(check->waiting);
	check->waiting = http_request_ref(asked->req);
	check->waiting_nonce = asked->sig.nonce;
	http_request_on_gone(asked->req, on_check_gone, check);
	answer_check(tc, check);
}

static void end_checks(struct tc *tc, int state)
{
	for (size_t i = 0; i < n_remembered(tc); i++) {
		struct tc_check *check = &tc->checks[i];

		if (check->state != TC_CHECK_WAITING)
			continue;
		check->state = state;
		if (state == TC_CHECK_APPROVED)
			tc->nodes[check->source - tc->nodes].checked = true;
		answer_check(tc, check);
	}
}

void tc_answer_checks(struct tc *tc, bool yes)
{
	end_checks(tc, yes ? TC_CHECK_APPROVED : TC_CHECK_DENIED);
}

void tc_lapse_checks(struct tc *tc)
{
	end_checks(tc, TC_CHECK_GONE);
}

void tc_forget_checks(struct tc *tc)
{
	for (size_t i = 0; i < tc->n_nodes; i++)
		tc->nodes[i].checked = false;
}

unsigned tc_n_held(const struct tc *tc)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_remembered(tc); i++)
		n += tc->checks[i].waiting != NULL;
	return n;
}

/* ---- routes ---- */

static int on_contact(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;
	char key[ED25519_TEXT_LEN];

	tc->n_contact++;
	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(tc->key), key);
	return http_respond_json(req, 200,
				 json_pack("{s:i, s:s, s:s, s:s}", "version", 1, "key", key,
					   "domain", DOMAIN, "url", tc->url));
}

static int serve(struct http_request *req, struct tc *tc, unsigned *count,
		 void (*anybody)(struct tc *tc, const struct asked *asked),
		 void (*member)(struct tc *tc, const struct asked *asked, struct tc_node *node))
{
	struct asked asked = { 0 };
	struct tc_node *node;

	if (take(tc, req, &asked) != 0) {
		json_decref(asked.body);
		return 0;
	}
	++*count;
	node = find(tc, &asked.sig.key);
	if (anybody)
		anybody(tc, &asked);
	else if (!node || !node->enrolled)
		no(tc, &asked, 403, "not-enrolled");
	else
		member(tc, &asked, node);
	json_decref(asked.body);
	return 0;
}

static int on_enrol(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_enrol, enrol, NULL);
}

static int on_wait(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_wait, wait_for_approval, NULL);
}

static int on_node(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_node, NULL, change_facts);
}

static int on_rotate(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_rotate, NULL, rotate);
}

static int on_logout(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_logout, NULL, log_out);
}

static int on_map(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_map, NULL, open_stream);
}

static int on_check(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_check, NULL, ask_check);
}

static int on_check_wait(struct http_request *req, void *userdata)
{
	struct tc *tc = userdata;

	return serve(req, tc, &tc->n_check_wait, NULL, wait_for_check);
}

static const struct http_route routes[] = {
	{ "GET", "/v1/coordinator", HTTP_ON_NETWORK, 0, on_contact },
	{ "POST", "/v1/enrol", HTTP_ON_NETWORK, 0, on_enrol },
	{ "POST", "/v1/enrol/wait", HTTP_ON_NETWORK, 0, on_wait },
	{ "POST", "/v1/node", HTTP_ON_NETWORK, 0, on_node },
	{ "POST", "/v1/rotate", HTTP_ON_NETWORK, 0, on_rotate },
	{ "POST", "/v1/logout", HTTP_ON_NETWORK, 0, on_logout },
	{ "POST", "/v1/map", HTTP_ON_NETWORK, 0, on_map },
	{ "POST", "/v1/check", HTTP_ON_NETWORK, 0, on_check },
	{ "POST", "/v1/check/wait", HTTP_ON_NETWORK, 0, on_check_wait },
};

/* ---- its life ---- */

static uint16_t listen_at(struct tc *tc, const char *address, uint16_t port)
{
	struct http_config config = { .routes = routes,
				      .n_routes = sizeof(routes) / sizeof(routes[0]),
				      .userdata = tc };
	struct ip_endpoint endpoint = { .port = port };
	_cleanup_free_ char *text = NULL;

	http_limits_default(&config.limits);
	config.limits.tick_usec = 5000;
	MUST(ip_addr_parse(address, &endpoint.addr) == 0);
	MUST(http_server_new(tc->event, &config, &tc->server) == 0);
	MUST(http_server_listen(tc->server, &endpoint, tc->tls.cert ? &tc->tls : NULL, &text) == 0);
	MUST(http_server_endpoint(tc->server, 0, &endpoint) == 0);
	MUST(httpsig_epoch_generate(&tc->epoch) == 0);
	return endpoint.port;
}

struct tc *tc_new(sd_event *event, const char *address, uint16_t port)
{
	struct tc *tc = calloc(1, sizeof(*tc));

	MUST(tc);
	tc->event = sd_event_ref(event);
	tc->generation = 10;
	tc->ssh_action = "accept";
	MUST(ed25519_key_generate(&tc->key) == 0);
	MUST(ed25519_key_generate(&tc->other_key) == 0);
	snprintf(tc->address, sizeof(tc->address), "%s", address);
	port = listen_at(tc, address, port);
	snprintf(tc->url, sizeof(tc->url), "http://127.0.0.1:%u", port);
	return tc;
}

void tc_stop(struct tc *tc)
{
	for (size_t i = 0; i < tc->n_nodes; i++) {
		struct tc_node *node = &tc->nodes[i];

		if (node->waiting)
			node->waiting = http_request_unref(node->waiting);
	}
	for (size_t i = 0; i < n_remembered(tc); i++)
		if (tc->checks[i].waiting)
			tc->checks[i].waiting = http_request_unref(tc->checks[i].waiting);
	tc->server = http_server_free(tc->server);
}

void tc_start(struct tc *tc)
{
	uint16_t port = (uint16_t)atoi(strrchr(tc->url, ':') + 1);

	(void)listen_at(tc, tc->address, port);
	snprintf(tc->url, sizeof(tc->url), "%s://127.0.0.1:%u", tc->tls.cert ? "https" : "http",
		 port);
}

struct tc *tc_free(struct tc *tc)
{
	if (!tc)
		return NULL;
	tc_stop(tc);
	for (size_t i = 0; i < tc->n_nodes; i++) {
		json_decref(tc->nodes[i].facts);
		json_decref(tc->nodes[i].resume);
	}
	ed25519_key_free(tc->key);
	ed25519_key_free(tc->other_key);
	sd_event_unref(tc->event);
	free(tc);
	return NULL;
}
