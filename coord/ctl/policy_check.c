/* "policy check" and "policy test". */
#include <errno.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"

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

int verb_policy_check(int argc, char **argv, void *userdata)
{
	_cleanup_(policy_network_freep) struct policy_network *network = NULL;
	_cleanup_(ctl_policy_done) struct ctl_policy policy = { 0 };
	struct ctl *ctl = userdata;
	int r = CLI_OK;

	if (ctl->nodes)
		r = ctl_read_network(ctl, &network);
	if (r == CLI_OK)
		r = ctl_read_policy(ctl, argv[0], &policy);
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
