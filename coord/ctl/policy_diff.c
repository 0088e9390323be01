/* "policy diff": access that one policy gives and the other does not. */
#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"
#include "coord/policy/policy_json.h"

static int compare(struct ctl *ctl, struct ctl_setup *old, struct ctl_setup *new)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;
	int r;

	r = policy_diff(old->engine, new->engine, &diff);
	if (r < 0)
		return ctl_rendered(ctl, r);
	if (ctl->json)
		r = ctl_print_json(ctl, policy_diff_json(diff));
	else
		r = ctl_rendered(ctl, ctl_render_diff(diff, &old->policy.source,
						      &new->policy.source, &ctl->out));
	if (r != CLI_OK)
		return r;
	return diff->n_items > 0 ? CLI_NO : CLI_OK;
}

int verb_policy_diff(int argc, char **argv, void *userdata)
{
	_cleanup_(ctl_setup_done) struct ctl_setup old = { 0 }, new = { 0 };
	struct ctl *ctl = userdata;
	int r;

	r = ctl_set_up(ctl, argv[0], &old);
	if (r == CLI_OK)
		r = ctl_set_up_on(ctl, argv[1], old.network, &new);
	return r == CLI_OK ? compare(ctl, &old, &new) : r;
}
