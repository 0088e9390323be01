/* "policy check" and "policy test". */
#include <errno.h>

#include "common/cli/value.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"
#include "coord/policy/policy_json.h"

static int answer(struct ctl *ctl, const struct ctl_check *check,
		  int (*render)(const struct ctl_check *check, const struct cli_out *out))
{
	int r;

	if (ctl->json)
		r = ctl_print_json(ctl, ctl_check_json(check));
	else
		r = ctl_rendered(ctl, render(check, &ctl->out));
	if (r != CLI_OK)
		return r;
	return ctl_check_is_good(check) ? CLI_OK : CLI_NO;
}

/* The tests and what is suspicious, once the policy could be read. */
static int look_closer(struct ctl_policy *policy, const struct policy_network *network,
		       struct ctl_check *check)
{
	_cleanup_(policy_engine_freep) struct policy_engine *engine = NULL;
	int r;

	r = policy_engine_new(policy->policy, network, &engine);
	if (r == 0)
		r = policy_run_tests(engine, &policy->problems, &check->tests);
	if (r == 0)
		r = policy_lint(engine, &policy->problems);
	check->tested = r == 0;
	return r;
}

static int check_policy(struct ctl *ctl, struct ctl_policy *policy,
			const struct policy_network *network)
{
	_cleanup_(policy_network_freep) struct policy_network *imagined = NULL;
	struct ctl_check check = {
		.source = &policy->source,
		.problems = &policy->problems,
		.imagined = !network,
		.strict = ctl->strict,
	};
	int r = 0;

	if (policy->policy && !network)
		r = policy_network_imagine(policy->policy, &imagined);
	if (policy->policy && r == 0)
		r = look_closer(policy, network ? network : imagined, &check);
	return r < 0 ? ctl_rendered(ctl, r) : answer(ctl, &check, ctl_render_check);
}

/* ---- by the coordinator ---- */

static int read_check(const json_t *json, struct ctl_check *check, struct policy_problems *problems)
{
	const json_t *tests = json_object_get(json, "tests");
	int r = policy_problems_from_json(json_object_get(json, "problems"), problems);

	if (r < 0)
		return r;
	problems->n_errors = value_number(json, "errors");
	problems->n_warnings = value_number(json, "warnings");
	check->tested = json_is_object(tests);
	check->tests.n_tests = value_number(tests, "run");
	check->tests.n_failed = value_number(tests, "failed");
	return 0;
}

static int check_there(struct ctl *ctl, const char *path)
{
	_cleanup_(policy_problems_done) struct policy_problems problems = { 0 };
	_cleanup_(source_done) struct source source = { 0 };
	struct ctl_check check = {
		.source = &source,
		.problems = &problems,
		.strict = ctl->strict,
	};
	json_auto_t *reply = NULL;
	int r = ctl_read_source(ctl, path, POLICY_MAX_BYTES, &source);

	if (r == CLI_OK)
		r = ctl_send_policy(ctl, "policy/check", &source, &reply);
	if (r != CLI_OK)
		return r;
	if (read_check(reply, &check, &problems) < 0)
		return ctl_tell(ctl, "the answer cannot be read");
	return answer(ctl, &check, ctl_render_check);
}

/* ---- verbs ---- */

int verb_policy_check(int argc, char **argv, void *userdata)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(ctl_policy_done) struct ctl_policy policy = { 0 };
	struct ctl *ctl = userdata;
	int r = CLI_OK;

	if (!ctl->nodes && ctl_has_coordinator(ctl))
		return check_there(ctl, argv[0]);
	if (ctl->nodes)
		r = ctl_read_network(ctl, &network);
	if (r == CLI_OK)
		r = ctl_read_policy(ctl, argv[0], network, &policy);
	return r == CLI_OK ? check_policy(ctl, &policy, network) : r;
}

int verb_policy_test(int argc, char **argv, void *userdata)
{
	_cleanup_(policy_problems_done) struct policy_problems failures = { 0 };
	_cleanup_(ctl_setup_done) struct ctl_setup setup = { 0 };
	struct ctl_check check = { .source = &setup.policy.source, .problems = &failures };
	struct ctl *ctl = userdata;
	int r;

	r = ctl_set_up(ctl, argv[0], &setup);
	if (r != CLI_OK)
		return r;
	r = policy_run_tests(setup.engine, &failures, &check.tests);
	if (r < 0)
		return ctl_rendered(ctl, r);
	check.tested = true;
	return answer(ctl, &check, ctl_render_tests);
}
