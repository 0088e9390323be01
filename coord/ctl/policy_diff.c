/* "policy diff": access that one policy gives and the other does not. */
#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"
#include "coord/policy/policy_json.h"

static int show(struct ctl *ctl, const struct policy_diff *diff, const struct source *old,
		const struct source *new)
{
	int r;

	if (ctl->json)
		r = ctl_print_json(ctl, policy_diff_json(diff));
	else
		r = ctl_rendered(ctl, ctl_render_diff(diff, old, new, &ctl->out));
	if (r != CLI_OK)
		return r;
	return diff->n_items > 0 ? CLI_NO : CLI_OK;
}

static int compare(struct ctl *ctl, struct ctl_setup *old, struct ctl_setup *new)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;
	int r;

	r = policy_diff(old->engine, new->engine, &diff);
	if (r < 0)
		return ctl_rendered(ctl, r);
	return show(ctl, diff, &old->policy.source, &new->policy.source);
}

/* To the policy in force, by the coordinator. */
static int compare_there(struct ctl *ctl, const char *path)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = NULL;
	_cleanup_(source_done) struct source new = { 0 }, old = { 0 };
	json_auto_t *reply = NULL;
	int r = ctl_read_source(ctl, path, POLICY_MAX_BYTES, &new);

	if (r == CLI_OK)
		r = ctl_get_policy(ctl, &old);
	if (r == CLI_OK)
		r = ctl_send_policy(ctl, "policy/diff", &new, &reply);
	if (r != CLI_OK)
		return r;
	if (policy_diff_from_json(reply, &diff) < 0)
		return ctl_tell(ctl, "the answer cannot be read");
	return show(ctl, diff, &old, &new);
}

int verb_policy_diff(int argc, char **argv, void *userdata)
{
	_cleanup_(ctl_setup_done) struct ctl_setup old = { 0 }, new = { 0 };
	struct ctl *ctl = userdata;
	int r;

	if (argc == 1 && ctl->nodes)
		return ctl_tell_usage(ctl, "with --nodes, two policies are needed: OLD NEW");
	if (argc == 1)
		return compare_there(ctl, argv[0]);
	r = ctl_set_up(ctl, argv[0], &old);
	if (r == CLI_OK)
		r = ctl_set_up_on(ctl, argv[1], old.network, &new);
	return r == CLI_OK ? compare(ctl, &old, &new) : r;
}
