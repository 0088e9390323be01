#include "coord/policy/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define MAX_MESSAGE 600u

void policy_problems_done(struct policy_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		free(problems->items[i].text);
	free(problems->items);
	*problems = (struct policy_problems){ 0 };
}

char *policy_problem_format(const struct policy_problem *problem)
{
	if (!problem->line)
		return strdup(problem->text);
	return text_printf("%u:%u: %s", problem->line, problem->column, problem->text);
}

_printf_(4, 0) static int add(struct policy_problems *problems, enum policy_severity severity,
			      struct place at, const char *fmt, va_list ap)
{
	size_t *found = severity == POLICY_ERROR ? &problems->n_errors : &problems->n_warnings;
	_cleanup_free_ char *raw = NULL;
	struct policy_problem *items;
	char *text;

	if (++*found > POLICY_MAX_PROBLEMS)
		return 0;
	raw = text_vprintf(fmt, ap);
	if (!raw)
		return -ENOMEM;
	text = text_sanitize(raw, MAX_MESSAGE);
	items = reallocarray(problems->items, problems->n + 1, sizeof(*items));
	if (items)
		problems->items = items;
	if (!items || !text) {
		free(text);
		return -ENOMEM;
	}
	items[problems->n++] = (struct policy_problem){
		.severity = severity, .line = at.line, .column = at.column, .text = text
	};
	return 0;
}

int problem_error(struct policy_problems *problems, struct place at, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = add(problems, POLICY_ERROR, at, fmt, ap);
	va_end(ap);
	return r < 0 ? r : -EINVAL;
}

int problem_warn(struct policy_problems *problems, struct place at, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = add(problems, POLICY_WARNING, at, fmt, ap);
	va_end(ap);
	return r;
}

static bool comes_before(const struct policy_problem *a, const struct policy_problem *b)
{
	if (a->severity != b->severity)
		return a->severity == POLICY_ERROR;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

/* Insertion keeps those of one place in the order they were found in; there are at most 100. */
void problems_sort(struct policy_problems *problems)
{
	for (size_t i = 1; i < problems->n; i++) {
		struct policy_problem p = problems->items[i];
		size_t k = i;

		for (; k > 0 && comes_before(&p, &problems->items[k - 1]); k--)
			problems->items[k] = problems->items[k - 1];
		problems->items[k] = p;
	}
}
