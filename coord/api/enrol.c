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

#define WAIT_USEC   (55 * USEC_PER_SEC)
#define MAX_WAITERS 1024u

/* One that waits to be let in; the list of them is the api's. */
struct agent_waiter {
	struct api *api;
	struct agent_call *call;
	char *secret;
	sd_event_source *timer;
	LIST_ENTRY(agent_waiter) entry;
};

/* ---- answers ---- */

/* secret: that the machine asks again with; NULL: it knows. */
static json_t *pending_json(const struct pending_record *pending, const char *secret)
{
	_cleanup_free_ char *approve = text_printf("coordctl nodes approve %s", pending->head.id);
	char expires[32];

	if (!approve)
		return NULL;
	return json_pack("{s:s, s:s*, s:s, s:n, s:s, s:s}", "state", "pending", "id", secret,
			 "code", pending->head.id, "url", "approve", approve, "expires_at",
			 format_rfc3339(pending->expires, expires, sizeof(expires)));
}

static int answer_state(struct agent_call *call, const struct registry_result *result)
{
	if (agent_call_refused(call, result) == 0)
		return 0;
	if (result->code == REGISTRY_OK)
		return agent_call_answer(call, 200, agent_enrolled_json(call->api, result->node));
	return agent_call_answer(call, 202, pending_json(result->pending, result->secret));
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

int api_handle_enrol(struct http_request *req, void *userdata)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	_cleanup_(enrol_body_done) struct enrol_body body = { 0 };
	_cleanup_(node_facts_done) struct node_facts facts = { 0 };
	_cleanup_free_ char *text = NULL;
	struct registry_enrolment enrolment = { 0 };
	struct agent_call *call;
	int r = agent_call_begin(userdata, req, AGENT_STRANGER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = read_enrol(call->body, &report, &body);
	if (r == 0)
		r = facts_read(call->body, NULL, seen_at(call), &text, &facts);
	if (r < 0)
		return agent_call_refuse(call, r == -EINVAL ? 400 : 503,
					 r == -EINVAL ? "bad-request" : "unavailable", "%s",
					 report.text ? report.text
					 : text	     ? text
						     : "no memory");
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

static void waiter_end(struct agent_waiter *waiter)
{
	LIST_REMOVE(waiter, entry);
	waiter->api->n_waiters--;
	sd_event_source_disable_unref(waiter->timer);
	agent_call_free(waiter->call);
	explicit_bzero(waiter->secret, strlen(waiter->secret));
	free(waiter->secret);
	free(waiter);
}

/* What the waiter's question was answered with, and whether it may wait on. */
static void on_state(const struct registry_result *result, void *userdata)
{
	struct agent_waiter *waiter = userdata;

	if (result->code == REGISTRY_WAITING)
		return;
	answer_state(take_ptr(waiter->call), result);
}

static void on_state_at_end(const struct registry_result *result, void *userdata)
{
	struct agent_waiter *waiter = userdata;

	answer_state(take_ptr(waiter->call), result);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct agent_waiter *waiter = userdata;

	registry_enrol_state(waiter->api->registry, waiter->secret, on_state_at_end, waiter);
	waiter_end(waiter);
	return 0;
}

static void on_gone(struct http_request *req, void *userdata)
{
	waiter_end(userdata);
}

void api_waiters_wake(struct api *api)
{
	struct agent_waiter *waiter, *next;

	for (waiter = LIST_FIRST(&api->waiters); waiter; waiter = next) {
		next = LIST_NEXT(waiter, entry);
		registry_enrol_state(api->registry, waiter->secret, on_state, waiter);
		if (!waiter->call)
			waiter_end(waiter);
	}
}

void api_waiters_end(struct api *api)
{
	while (!LIST_EMPTY(&api->waiters))
		waiter_end(LIST_FIRST(&api->waiters));
}

/* Takes over the call, if 0. */
static int waiter_new(struct agent_call *call, const char *secret, struct agent_waiter **ret_waiter)
{
	struct agent_waiter *waiter = calloc(1, sizeof(*waiter));
	struct api *api = call->api;
	int r;

	if (!waiter || !(waiter->secret = strdup(secret))) {
		free(waiter);
		return -ENOMEM;
	}
	r = sd_event_add_time_relative(api->event, &waiter->timer, CLOCK_MONOTONIC, WAIT_USEC, 0,
				       on_timer, waiter);
	if (r < 0) {
		free(waiter->secret);
		free(waiter);
		return r;
	}
	waiter->api = api;
	waiter->call = call;
	LIST_INSERT_HEAD(&api->waiters, waiter, entry);
	api->n_waiters++;
	*ret_waiter = waiter;
	return 0;
}

int api_handle_enrol_wait(struct http_request *req, void *userdata)
{
	struct agent_waiter *waiter;
	struct agent_call *call;
	const char *secret;
	int r = agent_call_begin(userdata, req, AGENT_STRANGER, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	secret = json_string_value(json_object_get(call->body, "id"));
	if (!secret)
		return agent_call_refuse(call, 400, "bad-request",
					 "id: expected the id that enrol answered with");
	if (call->api->n_waiters >= MAX_WAITERS)
		return agent_call_refuse(call, 429, "too-many",
					 "too many machines wait to be let in; try again later");
	r = waiter_new(call, secret, &waiter);
	if (r < 0)
		return agent_call_refuse(call, 503, "unavailable", "%s", strerror(-r));
	registry_enrol_state(waiter->api->registry, secret, on_state, waiter);
	if (waiter->call)
		http_request_on_gone(req, on_gone, waiter);
	else
		waiter_end(waiter);
	return 0;
}
