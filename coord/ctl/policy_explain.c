/* "policy explain": which line decides, and why. */
#include <errno.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/render.h"

static int show(struct ctl *ctl, const struct ctl_explained *explained)
{
	int r;

	if (ctl->json)
		r = ctl_print_json(ctl,
				   policy_answers_json(explained->question, explained->answers));
	else
		r = ctl_rendered(ctl, ctl_render_explained(explained, &ctl->out));
	if (r != CLI_OK)
		return r;
	return policy_answer_of_all(explained->answers) == POLICY_ANSWER_YES ? CLI_OK : CLI_NO;
}

static int explain(struct ctl *ctl, struct ctl_setup *setup, const struct policy_question *question)
{
	_cleanup_(policy_answers_done) struct policy_answers answers = { 0 };
	const struct ctl_explained explained = { &setup->policy.source, question, &answers };
	_cleanup_free_ char *text = NULL;
	int r = policy_ask(setup->engine, question, &text, &answers);

	if (r == -EINVAL)
		return ctl_tell(ctl, "%s", text);
	return r < 0 ? ctl_rendered(ctl, r) : show(ctl, &explained);
}

int verb_policy_explain(int argc, char **argv, void *userdata)
{
	_cleanup_(policy_question_done) struct policy_question question = { 0 };
	_cleanup_(ctl_setup_done) struct ctl_setup setup = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ctl *ctl = userdata;
	int r;

	r = ctl_set_up(ctl, argv[0], &setup);
	if (r != CLI_OK)
		return r;
	r = policy_question_parse(setup.network, argv[1], argv[2], ctl->proto, &text, &question);
	if (r == -EINVAL)
		return ctl_tell_usage(ctl, "%s", text);
	return r < 0 ? ctl_rendered(ctl, r) : explain(ctl, &setup, &question);
}
