#include <errno.h>

#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"
#include "coord/policy/policy_json.h"

/* "FILE:LINE:COLUMN: error: ...", as compilers write it; the line itself for people only. */
static int render_problem(const struct source *source, const struct policy_problem *problem,
			  const struct cli_out *out)
{
	bool is_error = problem->severity == POLICY_ERROR;

	cli_print(out, CLI_HEADING, "%s:", source->name);
	if (problem->line > 0)
		cli_print(out, CLI_HEADING, "%u:%u:", problem->line, problem->column);
	fputc(' ', out->file);
	cli_print(out, is_error ? CLI_BAD : CLI_WARN, is_error ? "error:" : "warning:");
	if (cli_show(out, CLI_PLAIN, " %s", problem->text) < 0)
		return -ENOMEM;
	fputc('\n', out->file);
	return out->terminal ? source_quote(source, problem->line, problem->column, out) : 0;
}

/* The compiler keeps so many and counts the rest. */
static void render_left_out(const struct policy_problems *problems, const struct cli_out *out)
{
	size_t errors = problems->n_errors, warnings = problems->n_warnings;
	char buf[64];

	for (size_t i = 0; i < problems->n; i++) {
		errors -= problems->items[i].severity == POLICY_ERROR;
		warnings -= problems->items[i].severity == POLICY_WARNING;
	}
	if (errors > 0)
		fprintf(out->file, "... and %s more\n",
			shown_count(errors, "error", buf, sizeof(buf)));
	if (warnings > 0)
		fprintf(out->file, "... and %s more\n",
			shown_count(warnings, "warning", buf, sizeof(buf)));
}

static int render_problems(const struct ctl_check *check, const struct cli_out *out)
{
	const struct policy_problems *problems = check->problems;
	int r = 0;

	for (size_t i = 0; r == 0 && i < problems->n; i++)
		r = render_problem(check->source, &problems->items[i], out);
	render_left_out(problems, out);
	if (problems->n > 0)
		fputc('\n', out->file);
	return r;
}

static void render_test_result(const struct ctl_check *check, const struct cli_out *out)
{
	const struct policy_test_result *tests = &check->tests;

	if (tests->n_tests == 0)
		fputs("there are no tests", out->file);
	else if (tests->n_failed > 0)
		cli_print(out, CLI_BAD, "%zu of %zu tests failed", tests->n_failed, tests->n_tests);
	else if (tests->n_tests == 1)
		cli_print(out, CLI_GOOD, "1 test passed");
	else
		cli_print(out, CLI_GOOD, "all %zu tests passed", tests->n_tests);
}

/* What a failure may be due to. */
static void render_imagined(const struct ctl_check *check, const struct cli_out *out)
{
	if (check->imagined && check->tests.n_failed > 0)
		fputs("Without --nodes, tests run on one made-up node for each user and tag of the "
		      "policy;\nnobody has a role such as admin there.\n",
		      out->file);
}

bool ctl_check_is_good(const struct ctl_check *check)
{
	return check->problems->n_errors == 0 &&
	       !(check->strict && check->problems->n_warnings > 0);
}

int ctl_render_check(const struct ctl_check *check, const struct cli_out *out)
{
	const struct policy_problems *problems = check->problems;
	char buf[64];

	if (render_problems(check, out) < 0)
		return -ENOMEM;
	fprintf(out->file, "%s: ", check->source->name);
	cli_print(out, problems->n_errors > 0 ? CLI_BAD : CLI_GOOD, "%s",
		  shown_count(problems->n_errors, "error", buf, sizeof(buf)));
	fputs(", ", out->file);
	cli_print(out,
		  problems->n_warnings == 0 ? CLI_PLAIN
		  : check->strict	    ? CLI_BAD
					    : CLI_WARN,
		  "%s", shown_count(problems->n_warnings, "warning", buf, sizeof(buf)));
	if (check->strict && problems->n_warnings > 0)
		fputs(" (which --strict does not allow)", out->file);
	if (check->tested) {
		fputs("; ", out->file);
		render_test_result(check, out);
	}
	fputc('\n', out->file);
	render_imagined(check, out);
	return 0;
}

int ctl_render_tests(const struct ctl_check *check, const struct cli_out *out)
{
	if (render_problems(check, out) < 0)
		return -ENOMEM;
	fprintf(out->file, "%s: ", check->source->name);
	render_test_result(check, out);
	fputc('\n', out->file);
	return 0;
}

/* ---- JSON ---- */

json_t *ctl_check_json(const struct ctl_check *check)
{
	const struct policy_problems *problems = check->problems;

	return json_pack("{s:s, s:b, s:I, s:I, s:o, s:o}", "file", check->source->name, "good",
			 ctl_check_is_good(check), "errors", (json_int_t)problems->n_errors,
			 "warnings", (json_int_t)problems->n_warnings, "tests",
			 check->tested ? policy_tests_json(&check->tests) : json_null(), "problems",
			 policy_problems_json(problems));
}
