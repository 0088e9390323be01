/* ExplainSSH: which rule decides about a login, why those before it do not, what is missing. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/flow.h"
#include "agent/ssh/login.h"

#define SSH_PORT  22
#define MAX_STEPS 256u /* rules that are looked at one by one in an answer */

struct explain_request {
	char *address, *ssh_user;
};

static void explain_request_done(struct explain_request *req)
{
	free(req->address);
	free(req->ssh_user);
}

/* One address of the peer, as this user. */
struct login_question {
	const struct api_view *view;
	struct ip_addr address;
	const char *ssh_user;
};

/* ---- the rules, one by one ---- */

/* Did it come to the rules, or was there a reason to refuse before? */
static bool came_to_rules(const struct ssh_decision *d)
{
	return d->rule || d->reason == SSH_REJECT_NO_RULE || d->reason == SSH_REJECT_USER;
}

/* The walk of ssh_policy_decide(), up to the rule that decides. */
static json_t *json_steps(const struct login_question *q, const struct ssh_decision *d,
			  size_t *ret_omitted)
{
	json_auto_t *steps = json_array();
	const struct netmap *map = q->view->map;
	enum ssh_rule_fit fit = SSH_RULE_EXPIRED;
	size_t n = came_to_rules(d) ? map->n_ssh_rules : 0;

	*ret_omitted = 0;
	for (size_t i = 0; i < n && fit != SSH_RULE_DECIDES; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		fit = ssh_rule_fit(rule, &q->address, q->ssh_user, q->view->now_usec);
		if (json_array_size(steps) >= MAX_STEPS && fit != SSH_RULE_DECIDES) {
			(*ret_omitted)++;
			continue;
		}
		if (json_array_append_new(
			    steps,
			    json_pack("{s:s*, s:I, s:s, s:s}", "rule", rule->origin, "index",
				      (json_int_t)i, "fit", ssh_rule_fit_to_string(fit), "action",
				      rule->action_text ? rule->action_text : "")) < 0)
			return NULL;
	}
	return take_ptr(steps);
}

/* ---- the packet filter's part ---- */

static json_t *json_network(const struct login_question *q)
{
	const struct netmap *map = q->view->map;
	json_auto_t *flows = json_array();

	for (size_t i = 0; i < map->self.n_addresses; i++) {
		const struct flow_question question = {
			.src = q->address,
			.dst = map->self.addresses[i],
			.proto = IPPROTO_TCP,
			.port = SSH_PORT,
		};
		struct flow_answer answer;
		json_t *flow;

		if (question.src.family != question.dst.family)
			continue;
		if (flow_judge(map, &question, q->view->now_usec, &answer) < 0)
			return NULL;
		flow = api_json_flow(map, &answer, true);
		flow_answer_done(&answer);
		if (json_array_append_new(flows, flow) < 0)
			return NULL;
	}
	return take_ptr(flows);
}

/* ---- the login ---- */

/* Judged at each own address that the peer can speak to. */
struct outcome {
	size_t n_accepted, n_refused, n_checked;
	struct ssh_login refused; /* the first */
	struct ssh_decision decision;
};

static void judge_at(const struct login_question *q, const struct ip_addr *own,
		     struct outcome *outcome)
{
	struct ssh_login login;

	ssh_login_judge(q->view->map, &q->address, own, q->ssh_user, q->view->link != NULL,
			q->view->now_usec, &login);
	outcome->decision = login.decision;
	if (login.accepted)
		outcome->n_accepted++;
	else if (login.needs_check)
		outcome->n_checked++;
	else if (outcome->n_refused++ == 0)
		outcome->refused = login;
	else
		ssh_login_done(&login);
}

static void judge_everywhere(const struct login_question *q, struct outcome *outcome)
{
	const struct netmap_node *self = &q->view->map->self;

	for (size_t i = 0; i < self->n_addresses; i++)
		if (self->addresses[i].family == q->address.family)
			judge_at(q, &self->addresses[i], outcome);
	/* No address in common: say what the policy says, and that nothing gets through. */
	if (outcome->n_accepted + outcome->n_checked + outcome->n_refused == 0 &&
	    self->n_addresses > 0)
		judge_at(q, &self->addresses[0], outcome);
}

/* What the policy grants, if it does. */
static json_t *json_grant(const struct ssh_decision *d)
{
	if (d->verdict == SSH_VERDICT_REJECT)
		return NULL;
	return json_pack("{s:s, s:b, s:o*, s:o}", "localUser", d->local_user, "nonroot", d->nonroot,
			 "validUntil", api_json_end(d->valid_until), "options",
			 api_json_options(d->rule));
}

static const char *answer_word(const struct outcome *outcome)
{
	if (outcome->n_refused > 0)
		return outcome->n_accepted + outcome->n_checked > 0 ? "partly" : "no";
	return outcome->n_checked > 0 ? "check" : "yes";
}

static json_t *json_login(const struct login_question *q, const struct outcome *outcome)
{
	const struct ssh_decision *d = &outcome->decision;
	char address[IP_ADDR_STRLEN];
	size_t omitted;
	json_t *steps = json_steps(q, d, &omitted);

	return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:o*, s:o, s:I, s:o}", "address",
			 ip_addr_to_string(&q->address, address), "answer", answer_word(outcome),
			 "nodeName", d->peer ? d->peer->name : NULL, "user",
			 d->peer ? netmap_node_owner(d->peer) : NULL, "reason",
			 outcome->refused.reason, "message", outcome->refused.message, "rule",
			 d->rule ? d->rule->origin : NULL, "grant", json_grant(d), "steps", steps,
			 "stepsOmitted", (json_int_t)omitted, "network", json_network(q));
}

static int explain_login(const struct login_question *q, struct outcome *outcome, json_t *logins)
{
	json_t *login;

	judge_everywhere(q, outcome);
	login = json_login(q, outcome);
	ssh_login_done(&outcome->refused);
	return json_array_append_new(logins, login) < 0 ? -ENOMEM : 0;
}

static int explain_ssh(struct api *api, struct varlink_call *call,
		       const struct explain_request *req)
{
	struct outcome all = { 0 };
	json_auto_t *logins = json_array();
	struct api_view view;
	struct api_end peer;

	api_view(api, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	if (api_resolve(view.map, req->address, &peer) < 0)
		return api_unknown_node(call, req->address);
	for (size_t i = 0; i < peer.n_addresses; i++) {
		const struct login_question q = { &view, peer.addresses[i], req->ssh_user };
		struct outcome outcome = { 0 };
		int r = explain_login(&q, &outcome, logins);

		if (r < 0)
			return r;
		all.n_accepted += outcome.n_accepted;
		all.n_checked += outcome.n_checked;
		all.n_refused += outcome.n_refused;
	}
	return api_reply(call, json_pack("{s:s, s:s, s:O}", "answer", answer_word(&all), "host",
					 view.map->self.name, "logins", logins));
}

int api_explain_ssh(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "address", api_read_short_text, offsetof(struct explain_request, address),
		  JSON_REQUIRED },
		{ "sshUser", api_read_short_text, offsetof(struct explain_request, ssh_user),
		  JSON_REQUIRED },
	};
	_cleanup_(explain_request_done) struct explain_request req = { 0 };
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	return explain_ssh(userdata, call, &req);
}
