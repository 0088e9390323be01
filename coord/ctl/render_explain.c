#include <errno.h>
#include <string.h>

#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"
#include "coord/policy/policy_json.h"

#define SHOWN_FINDINGS 12

/* ---- the answer in one line ---- */

/* "on tcp 22", "on some tcp port", "by icmp" */
static void print_service(const struct policy_question *question, bool yes, FILE *f)
{
	const char *proto = question->proto_name ? question->proto_name : "tcp";

	if (question->port > 0)
		fprintf(f, "on %s %u", proto, question->port);
	else if (question->portless)
		fprintf(f, "by %s", proto);
	else
		fprintf(f, "on %s %s port", yes ? "some" : "any", proto);
}

static bool has_check(const struct policy_explanation *ssh)
{
	for (size_t i = 0; ssh && i < ssh->n_findings; i++)
		if (ssh->findings[i].verdict == POLICY_CHECK)
			return true;
	return false;
}

static int render_answer(const struct ctl_explained *explained, const struct cli_out *out)
{
	const struct policy_question *question = explained->question;
	enum policy_answer answer = policy_answer_of_all(explained->answers);
	int r;

	cli_print(out,
		  answer == POLICY_ANSWER_YES  ? CLI_GOOD
		  : answer == POLICY_ANSWER_NO ? CLI_BAD
					       : CLI_WARN,
		  "%s",
		  answer == POLICY_ANSWER_YES  ? "yes:"
		  : answer == POLICY_ANSWER_NO ? "no:"
					       : "partly:");
	if (question->login)
		r = cli_show(out, CLI_PLAIN, " %s %s log in on %s as %s", question->src,
			     answer == POLICY_ANSWER_NO ? "cannot" : "can", question->dst,
			     question->login);
	else
		r = cli_show(out, CLI_PLAIN, " %s %s reach %s ", question->src,
			     answer == POLICY_ANSWER_NO ? "cannot" : "can", question->dst);
	if (r < 0)
		return r;
	if (!question->login)
		print_service(question, answer != POLICY_ANSWER_NO, out->file);
	if (answer == POLICY_ANSWER_PARTLY)
		fputs(", but not between all of these nodes", out->file);
	else if (answer == POLICY_ANSWER_YES && has_check(explained->answers->ssh))
		fputs(", after a check", out->file);
	fputc('\n', out->file);
	return 0;
}

/* ---- findings ---- */

static enum cli_style verdict_style(enum policy_verdict verdict)
{
	switch (verdict) {
	case POLICY_DENIED:
		return CLI_BAD;
	case POLICY_ALLOWED:
		return CLI_GOOD;
	case POLICY_CHECK:
		return CLI_WARN;
	}
	return CLI_PLAIN;
}

/* "laptop to server and 3 more pairs"; nothing when the question said as much. */
static int render_pairs(const struct policy_finding *finding,
			const struct policy_question *question, const struct cli_out *out)
{
	if (finding->n_pairs == 1 && strcmp(finding->src_name, question->src) == 0 &&
	    strcmp(finding->dst_name, question->dst) == 0)
		return 0;
	if (cli_show(out, CLI_FAINT, "  %-7s  %s to %s", "", finding->src_name, finding->dst_name) <
	    0)
		return -ENOMEM;
	if (finding->n_pairs > 1)
		cli_print(out, CLI_FAINT, " and %zu more pair%s", finding->n_pairs - 1,
			  finding->n_pairs > 2 ? "s" : "");
	fputc('\n', out->file);
	return 0;
}

static int render_finding(const struct ctl_explained *explained,
			  const struct policy_finding *finding, const struct cli_out *out)
{
	fputs("  ", out->file);
	cli_print(out, verdict_style(finding->verdict), "%-7s",
		  policy_verdict_to_string(finding->verdict));
	if (cli_show(out, CLI_PLAIN, "  %s", finding->why) < 0)
		return -ENOMEM;
	fputc('\n', out->file);
	if (render_pairs(finding, explained->question, out) < 0)
		return -ENOMEM;
	return source_quote_object(explained->source, finding->line, finding->column, out);
}

static int render_findings(const struct ctl_explained *explained,
			   const struct policy_explanation *explanation, const struct cli_out *out)
{
	size_t n = explanation->n_findings;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && i < SHOWN_FINDINGS; i++)
		r = render_finding(explained, &explanation->findings[i], out);
	if (n > SHOWN_FINDINGS)
		fprintf(out->file, "  ... and %zu more; --json lists them\n", n - SHOWN_FINDINGS);
	return r;
}

/* What has to be written so that the answer becomes yes. */
static int render_missing(const struct ctl_explained *explained, const struct cli_out *out)
{
	const struct policy_question *question = explained->question;
	bool network = policy_answer_of(explained->answers->network) == POLICY_ANSWER_YES;
	bool ssh = policy_answer_of(explained->answers->ssh) == POLICY_ANSWER_YES;
	int r = 0;

	if (network && ssh)
		return 0;
	fputc('\n', out->file);
	if (!network)
		r = cli_show(out, CLI_PLAIN,
			     "missing: a rule of acls or grants that lets %s reach %s on tcp 22",
			     question->src, question->dst);
	if (!network)
		fputc('\n', out->file);
	if (r == 0 && !ssh)
		r = cli_show(out, CLI_PLAIN,
			     "missing: a rule of ssh that lets %s log in on %s as %s",
			     question->src, question->dst, question->login);
	if (!ssh)
		fputc('\n', out->file);
	return r;
}

static int render_login(const struct ctl_explained *explained, const struct cli_out *out)
{
	int r;

	cli_print(out, CLI_HEADING, "Packets to tcp 22");
	fputc('\n', out->file);
	r = render_findings(explained, explained->answers->network, out);
	if (r < 0)
		return r;
	fputc('\n', out->file);
	cli_print(out, CLI_HEADING, "Login");
	fputc('\n', out->file);
	r = render_findings(explained, explained->answers->ssh, out);
	return r < 0 ? r : render_missing(explained, out);
}

int ctl_render_explained(const struct ctl_explained *explained, const struct cli_out *out)
{
	int r = render_answer(explained, out);

	if (r < 0)
		return r;
	fputc('\n', out->file);
	if (explained->answers->ssh)
		return render_login(explained, out);
	return render_findings(explained, explained->answers->network, out);
}
