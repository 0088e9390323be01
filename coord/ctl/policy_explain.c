/* "policy explain": which line decides, and why. */
#include <errno.h>

#include "common/text.h"
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

/* ---- by the coordinator ---- */

static char *question_path(const char *src, const char *dst, const char *proto)
{
	_cleanup_free_ char *from = client_path("policy/explain?src=", src, "&dst=");
	_cleanup_free_ char *to = from ? client_path(from, dst, "") : NULL;
	_cleanup_free_ char *more = to && proto ? text_printf("%s&proto=", to) : NULL;

	if (!proto)
		return take_ptr(to);
	return more ? client_path(more, proto, "") : NULL;
}

static int show_reply(struct ctl *ctl, const json_t *reply, const struct source *source)
{
	_cleanup_(policy_question_done) struct policy_question question = { 0 };
	_cleanup_(policy_answers_done) struct policy_answers answers = { 0 };
	const struct ctl_explained explained = { source, &question, &answers };

	if (policy_answers_from_json(reply, &question, &answers) < 0)
		return ctl_tell(ctl, "the answer cannot be read");
	return show(ctl, &explained);
}

static int explain_there(struct ctl *ctl, const char *src, const char *dst)
{
	_cleanup_free_ char *path = question_path(src, dst, ctl->proto);
	_cleanup_(source_done) struct source source = { 0 };
	json_auto_t *reply = NULL;
	int r = path ? ctl_get_policy(ctl, &source) : ctl_rendered(ctl, -ENOMEM);

	if (r == CLI_OK)
		r = ctl_unanswered(ctl_ask(ctl, "GET", path, NULL, &reply));
	return r == CLI_OK ? show_reply(ctl, reply, &source) : r;
}

/* ---- the verb ---- */

int verb_policy_explain(int argc, char **argv, void *userdata)
{
	_cleanup_(policy_question_done) struct policy_question question = { 0 };
	_cleanup_(ctl_setup_done) struct ctl_setup setup = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ctl *ctl = userdata;
	int r;

	if (argc == 2 && ctl->nodes)
		return ctl_tell_usage(ctl, "with --nodes, a policy is needed: FILE SRC DST");
	if (argc == 2)
		return explain_there(ctl, argv[0], argv[1]);
	r = ctl_set_up(ctl, argv[0], &setup);
	if (r != CLI_OK)
		return r;
	r = policy_question_parse(setup.network, argv[1], argv[2], ctl->proto, &text, &question);
	if (r == -EINVAL)
		return ctl_tell_usage(ctl, "%s", text);
	return r < 0 ? ctl_rendered(ctl, r) : explain(ctl, &setup, &question);
}
