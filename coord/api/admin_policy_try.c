/* What a policy would mean: checked, compared, explained, on the real nodes. */
#include <errno.h>
#include <string.h>

#include "coord/api/admin.h"
#include "coord/api/admin_policy.h"
#include "coord/policy/question.h"

/* A policy applied to the mesh as it is. */
struct trial {
	struct policy_problems problems;
	struct policy *policy; /* NULL: refused, see problems */
	struct policy_network *network;
	struct policy_engine *engine;
	struct policy_test_result tests;
};

static void trial_done(struct trial *trial)
{
	trial->engine = policy_engine_free(trial->engine);
	trial->network = policy_network_free(trial->network);
	trial->policy = policy_free(trial->policy);
	policy_problems_done(&trial->problems);
}

/* Return: 0, also if the policy is refused; -ENOMEM. */
static int try_text(const struct api *api, const char *text, size_t len, struct trial *trial)
{
	int r = registry_parse_policy(api->registry, text, len, &trial->problems, &trial->policy);

	if (r == -EINVAL)
		return 0;
	if (r == 0)
		r = registry_network(api->registry, &trial->network);
	if (r == 0)
		r = policy_engine_new(trial->policy, trial->network, &trial->engine);
	return r;
}

static int try_body(struct admin_call *call, struct trial *trial)
{
	size_t len;
	const char *text = http_request_body(call->req, &len);

	return try_text(call->api, text, len, trial);
}

/* 422, as PUT policy says it. */
static int refuse_policy(struct admin_call *call, const struct policy_problems *problems)
{
	json_t *body = http_error_json("policy-refused", "the policy has errors");

	if (json_object_set_new(body, "problems", policy_problems_json(problems)) < 0) {
		json_decref(body);
		body = NULL;
	}
	return admin_call_answer(call, 422, body);
}

/* ---- check ---- */

static int look_closer(struct trial *trial)
{
	int r = policy_run_tests(trial->engine, &trial->problems, &trial->tests);

	return r == 0 ? policy_lint(trial->engine, &trial->problems) : r;
}

int admin_policy_check(struct admin_call *call)
{
	_cleanup_(trial_done) struct trial trial = { 0 };
	const struct policy_problems *problems = &trial.problems;
	int r = try_body(call, &trial);

	if (r == 0 && trial.policy)
		r = look_closer(&trial);
	if (r < 0)
		return admin_call_fail(call, r);
	return admin_call_answer(
		call, 200,
		json_pack("{s:b, s:I, s:I, s:o, s:o}", "good", problems->n_errors == 0, "errors",
			  (json_int_t)problems->n_errors, "warnings",
			  (json_int_t)problems->n_warnings, "tests",
			  trial.policy ? policy_tests_json(&trial.tests) : json_null(), "problems",
			  policy_problems_json(problems)));
}

/* ---- diff ---- */

static int compare(const struct api *api, const struct trial *new, struct policy_diff **ret_diff)
{
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	int r = policy_engine_new(registry_policy(api->registry), new->network, &engine);

	return r == 0 ? policy_diff(engine, new->engine, ret_diff) : r;
}

int admin_policy_diff(struct admin_call *call)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;
	_cleanup_(trial_done) struct trial trial = { 0 };
	int r = try_body(call, &trial);

	if (r == 0 && !trial.policy)
		return refuse_policy(call, &trial.problems);
	if (r == 0)
		r = compare(call->api, &trial, &diff);
	return r < 0 ? admin_call_fail(call, r)
		     : admin_call_answer(call, 200, policy_diff_json(diff));
}

/* ---- explain ---- */

static int ask(struct admin_call *call, char **reterr_text, struct policy_question *question,
	       struct policy_answers *answers)
{
	const struct registry *registry = call->api->registry;
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	int r = registry_network(registry, &network);

	if (r == 0)
		r = policy_question_parse(network, http_request_query(call->req, "src", 0),
					  http_request_query(call->req, "dst", 0),
					  http_request_query(call->req, "proto", 0), reterr_text,
					  question);
	if (r == 0)
		r = policy_engine_new(registry_policy(registry), network, &engine);
	return r == 0 ? policy_ask(engine, question, reterr_text, answers) : r;
}

int admin_policy_explain(struct admin_call *call)
{
	_cleanup_(policy_question_done) struct policy_question question = { 0 };
	_cleanup_(policy_answers_done) struct policy_answers answers = { 0 };
	_cleanup_free_ char *text = NULL;
	int r;

	if (!http_request_query(call->req, "src", 0) || !http_request_query(call->req, "dst", 0))
		return admin_call_refuse(call, 400, "bad-request",
					 "expected ?src=...&dst=...: a node, an address, a user, a "
					 "tag, a group or a host each");
	r = ask(call, &text, &question, &answers);
	if (r == -EINVAL)
		return admin_call_refuse(call, 400, "bad-request", "%s", text);
	return r < 0 ? admin_call_fail(call, r)
		     : admin_call_answer(call, 200, policy_answers_json(&question, &answers));
}
