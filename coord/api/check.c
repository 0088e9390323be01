/*
 * POST /v1/check, /v1/check/wait: a host asks whether a login that a rule wants checked may go on;
 * or the host that logins come from has its owner show that they are there before any.
 *
 * Nothing of what decides is the asker's word: the rule, its period and whose the source is are
 * looked up here, once when it is asked for, and again before it is let in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"
#include "coord/api/agent_call.h"
#include "coord/registry/checks.h"

/* The login that it is about. Ids of nodes, borrowed. */
struct subject {
	const char *source;
	const char *target;   /* NULL: none in particular */
	const char *ssh_user; /* NULL: before any login */
};

/* ---- answers ---- */

static json_t *accepted_json(const struct checkgrant_record *grant)
{
	char at[32];

	if (!grant)
		return json_pack("{s:s}", "state", "accepted");
	return json_pack("{s:s, s:s, s:s}", "state", "accepted", "checked_at",
			 format_rfc3339(grant->at, at, sizeof(at)), "method", grant->method);
}

static int answer_waiting(struct agent_call *call, const struct checkreq_record *req,
			  const char *login_id)
{
	_cleanup_free_ char *url = text_printf("%s/check/%s", call->api->url, req->head.id);
	char expires[32];

	return agent_call_answer(
		call, 202,
		url ? json_pack("{s:s, s:s, s:s, s:s, s:s}", "state", "waiting", "id", login_id,
				"url", url, "code", req->code, "expires_at",
				format_rfc3339(req->expires, expires, sizeof(expires)))
		    : NULL);
}

static int refuse_unknown(struct agent_call *call)
{
	return agent_call_refuse(call, 404, "not-found",
				 "this check is over, or was never asked for here; log in anew");
}

static const char *name_of(const struct agent_call *call, const char *id)
{
	const struct node_record *node = registry_node(call->api->registry, id);

	return node ? node->name : id;
}

static int refuse_denied(struct agent_call *call, const struct subject *subject)
{
	const char *source = name_of(call, subject->source);
	const char *target = name_of(call, subject->target);

	if (!subject->ssh_user)
		return agent_call_refuse(call, 403, "not-allowed",
					 "no rule lets people log in from %s to %s", source,
					 target);
	return agent_call_refuse(call, 403, "not-allowed",
				 "no rule lets people log in from %s to %s as %s (any more)",
				 source, target, subject->ssh_user);
}

static int refuse_undecided(struct agent_call *call)
{
	return agent_call_refuse(call, 503, "unavailable",
				 "the policy cannot be looked at now; try again in a moment");
}

/* ---- what the policy says ---- */

/* Before any login at all, it is a check that counts from now on. Return: as map_decide_login(). */
static int decide(struct api *api, const struct subject *subject, struct policy_login *ret_login)
{
	if (subject->target)
		return map_decide_login(api->map, subject->source, subject->target,
					subject->ssh_user, ret_login);
	*ret_login = (struct policy_login){ .verdict = POLICY_CHECK };
	return 0;
}

/* ---- asked for ---- */

struct check_body {
	char *source, *target, *ssh_user;
};

static void check_body_done(struct check_body *body)
{
	free(body->source);
	free(body->target);
	free(body->ssh_user);
}

static int read_check(const json_t *json, struct json_report *report, struct check_body *ret_body)
{
#define AT(member) offsetof(struct check_body, member)
	static const struct json_field fields[] = {
		{ "source", json_read_string, AT(source), JSON_NULLABLE },
		{ "target", json_read_string, AT(target), JSON_NULLABLE },
		{ "ssh_user", json_read_string, AT(ssh_user), JSON_NULLABLE },
	};
#undef AT
	const struct json_at root = { 0 };
	int r = json_read_object(json, &root, fields, ARRAY_SIZE(fields), ret_body, report);

	if (r < 0)
		return r;
	if (ret_body->source && ret_body->target)
		return json_fail(report, NULL,
				 "target: is the host that asks, if there is a source; leave it "
				 "out");
	if (ret_body->source && !ret_body->ssh_user)
		return json_fail(report, NULL, "ssh_user: is missing; it has to be there");
	if (ret_body->ssh_user && !ret_body->source && !ret_body->target)
		return json_fail(report, NULL,
				 "ssh_user: belongs to a login; expected a source or a target");
	return 0;
}

static void on_asked(const struct registry_result *result, void *userdata)
{
	struct agent_call *call = userdata;

	if (agent_call_refused(call, result) == 0)
		return;
	if (result->code == REGISTRY_OK) {
		call->api->checks.remembered++;
		agent_call_answer(call, 200, accepted_json(result->checkgrant));
	} else {
		answer_waiting(call, result->checkreq, result->secret);
	}
}

static int ask(struct agent_call *call, const struct subject *subject)
{
	struct registry_check_request request = {
		.source = subject->source,
		.target = subject->target,
		.ssh_user = subject->ssh_user,
	};
	struct policy_login login;

	if (decide(call->api, subject, &login) < 0)
		return refuse_undecided(call);
	if (login.verdict == POLICY_DENIED)
		return refuse_denied(call, subject);
	if (login.verdict == POLICY_ALLOWED)
		return agent_call_answer(call, 200, accepted_json(NULL));
	if (subject->target && strcmp(call->node, subject->source) == 0 &&
	    login.check_period_usec == 0)
		return agent_call_refuse(call, 409, "conflict",
					 "%s checks each login anew; there is no doing so before",
					 name_of(call, subject->target));
	request.period_usec = login.check_period_usec;
	registry_ask_check(call->api->registry, &call->actor, &request, on_asked, call);
	return 0;
}

static int refuse_node(struct agent_call *call, const char *member)
{
	return agent_call_refuse(call, 404, "not-found", "%s: there is no such node (any more)",
				 member);
}

static int ask_as_target(struct agent_call *call, const struct check_body *body)
{
	const struct subject subject = {
		.source = body->source,
		.target = call->node,
		.ssh_user = body->ssh_user,
	};

	return registry_node(call->api->registry, body->source) ? ask(call, &subject)
								: refuse_node(call, "source");
}

static int ask_as_source(struct agent_call *call, const struct check_body *body)
{
	struct subject subject = { .source = call->node, .ssh_user = body->ssh_user };
	const struct node_record *target;

	if (body->target) {
		target = registry_find_node(call->api->registry, body->target);
		if (!target)
			return refuse_node(call, "target");
		subject.target = target->head.id;
	}
	return ask(call, &subject);
}

int api_handle_check(struct http_request *req, void *userdata)
{
	_cleanup_(json_report_done) struct json_report report = { 0 };
	_cleanup_(check_body_done) struct check_body body = { 0 };
	struct agent_call *call;
	int r = agent_call_begin(userdata, req, AGENT_LOGIN, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	r = read_check(call->body, &report, &body);
	if (r == -EINVAL)
		return agent_call_refuse(call, 400, "bad-request", "%s", report.text);
	if (r < 0)
		return agent_call_refuse(call, 503, "unavailable", "%s", strerror(-r));
	return body.source ? ask_as_target(call, &body) : ask_as_source(call, &body);
}

/* ---- waits ---- */

/* Whoever asked: the host that the login goes to; before any login, the one it comes from. */
static bool is_askers(const struct agent_call *call, const struct subject *subject)
{
	return strcmp(call->node, subject->ssh_user ? subject->target : subject->source) == 0;
}

static bool answer_state(struct agent_call *call, const struct checkreq_record *req,
			 const struct check_login *login, uint64_t period_usec, const char *id,
			 bool at_end)
{
	const struct checkgrant_record *grant;

	switch (registry_check_state(call->api->registry, req, login, period_usec, &grant)) {
	case REGISTRY_OK:
		agent_call_answer(call, 200, accepted_json(grant));
		return true;
	case REGISTRY_WAITING:
		if (at_end)
			answer_waiting(call, req, id);
		return at_end;
	case REGISTRY_DENIED:
		agent_call_refuse(call, 403, "denied", "%s has said no to this login", req->by);
		return true;
	default:
		refuse_unknown(call);
		return true;
	}
}

static bool look(struct agent_call *call, const char *id, bool at_end)
{
	const struct check_login *login = NULL;
	const struct checkreq_record *req = registry_check_login(call->api->registry, id, &login);
	const struct subject subject = {
		.source = req ? req->node : NULL,
		.target = req ? login->target : NULL,
		.ssh_user = req ? login->ssh_user : NULL,
	};
	struct policy_login policy;

	if (!req || !is_askers(call, &subject)) {
		refuse_unknown(call);
		return true;
	}
	if (decide(call->api, &subject, &policy) < 0) {
		if (at_end)
			refuse_undecided(call);
		return at_end;
	}
	switch (policy.verdict) {
	case POLICY_DENIED:
		refuse_denied(call, &subject);
		return true;
	case POLICY_ALLOWED:
		agent_call_answer(call, 200, accepted_json(NULL));
		return true;
	case POLICY_CHECK:
		return answer_state(call, req, login, policy.check_period_usec, id, at_end);
	}
	return false;
}

const struct waiters_kind api_checking = {
	.look = look,
	.max = 4096,
	.too_many = "too many logins wait for a check",
};

int api_handle_check_wait(struct http_request *req, void *userdata)
{
	struct agent_call *call;
	const char *id;
	int r = agent_call_begin(userdata, req, AGENT_LOGIN, &call);

	if (r != 0)
		return r < 0 ? r : 0;
	id = json_string_value(json_object_get(call->body, "id"));
	if (!id)
		return agent_call_refuse(call, 400, "bad-request",
					 "id: expected the id that check answered with");
	return waiters_hold(&call->api->checking, call, id);
}

/* The ids of logins begin with their request's. */
bool api_check_is_waited_for(const struct api *api, const char *check)
{
	return waiters_any(&api->checking, check);
}

/* ---- what changes ---- */

static bool same_owner(const struct node_record *a, const struct node_record *b)
{
	if (!a->user || !b->user)
		return !a->user && !b->user && text_list_equal(&a->tags, &b->tags);
	return strcmp(a->user, b->user) == 0;
}

/* Nodes say something new of themselves all the time. */
static bool node_concerns(const struct node_record *old, const struct node_record *new)
{
	return !old || !new || !same_owner(old, new) || !old->expired_by != !new->expired_by ||
	       old->key_expiry != new->key_expiry;
}

bool api_check_concerns(const struct registry_change *change)
{
	switch (change->kind) {
	case REGISTRY_RESET:
	case REGISTRY_MESH:
	case REGISTRY_USER:
	case REGISTRY_CHECK:
	case REGISTRY_POLICY:
		return true;
	case REGISTRY_NODE:
		return node_concerns(change->old_node, change->new_node);
	case REGISTRY_AUTHKEY:
	case REGISTRY_APIKEY:
	case REGISTRY_PENDING:
	case REGISTRY_RENEWAL:
	case REGISTRY_EVENT:
		return false;
	}
	return false;
}

void api_check_count(struct api *api, const struct event_record *event)
{
	const struct {
		const char *action;
		uint64_t *count;
	} counts[] = {
		{ "check.ask", &api->checks.asked },
		{ "check.approve", &api->checks.approved },
		{ "check.deny", &api->checks.denied },
		{ "check.expire", &api->checks.expired },
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (strcmp(event->action, counts[i].action) == 0 &&
		    strcmp(event->result, "ok") == 0)
			++*counts[i].count;
}
