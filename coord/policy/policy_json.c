#include "coord/policy/policy_json.h"

#include <errno.h>
#include <string.h>

#include "coord/policy/problem.h"

/* ---- reading ---- */

/* The member's text, copied; what is absent stays NULL. Return: 0, -ENOMEM. */
static int take_text(const json_t *object, const char *key, char **text)
{
	const char *value = json_string_value(json_object_get(object, key));

	*text = value ? strdup(value) : NULL;
	return value && !*text ? -ENOMEM : 0;
}

/* Text that has to be there. */
static int need_text(const json_t *object, const char *key, char **text)
{
	int r = take_text(object, key, text);

	return r == 0 && !*text ? -EINVAL : r;
}

static size_t take_number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (size_t)value : 0;
}

static unsigned take_place(const json_t *object, const char *key)
{
	size_t value = take_number(object, key);

	return value <= UINT32_MAX ? (unsigned)value : 0;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

/* ---- problems ---- */

static json_t *problem_json(const struct policy_problem *problem)
{
	const char *severity = problem->severity == POLICY_ERROR ? "error" : "warning";

	if (problem->line == 0)
		return json_pack("{s:s, s:s}", "severity", severity, "text", problem->text);
	return json_pack("{s:s, s:i, s:i, s:s}", "severity", severity, "line", (int)problem->line,
			 "column", (int)problem->column, "text", problem->text);
}

json_t *policy_problems_json(const struct policy_problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < problems->n; i++)
		if (json_array_append_new(list, problem_json(&problems->items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int policy_problems_from_json(const json_t *list, struct policy_problems *problems)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list))
		return -EINVAL;
	json_array_foreach (list, i, item) {
		const struct place at = { take_place(item, "line"), take_place(item, "column") };
		const char *text = json_string_value(json_object_get(item, "text"));
		bool is_error = is_text(item, "severity", "error");
		int r;

		if (!text)
			return -EINVAL;
		r = is_error ? problem_error(problems, at, "%s", text)
			     : problem_warn(problems, at, "%s", text);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

json_t *policy_tests_json(const struct policy_test_result *tests)
{
	return json_pack("{s:I, s:I}", "run", (json_int_t)tests->n_tests, "failed",
			 (json_int_t)tests->n_failed);
}

/* ---- differences ---- */

static json_t *item_json(const struct policy_diff_item *item)
{
	json_t *line = item->line > 0 ? json_integer(item->line) : NULL;

	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:o*}", "change",
			 item->gained ? "gained" : "lost", "kind", item->ssh ? "login" : "packets",
			 "src", item->src, "src_nodes", (json_int_t)item->n_src, "dst", item->dst,
			 "dst_nodes", (json_int_t)item->n_dst, "what", item->what, "text",
			 item->text, "line", line);
}

size_t policy_diff_count(const struct policy_diff *diff, bool gained)
{
	size_t n = 0;

	for (size_t i = 0; i < diff->n_items; i++)
		n += diff->items[i].gained == gained;
	return n;
}

json_t *policy_diff_json(const struct policy_diff *diff)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->n_items; i++)
		if (json_array_append_new(list, item_json(&diff->items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:I, s:I, s:b, s:o}", "gained",
			 (json_int_t)policy_diff_count(diff, true), "lost",
			 (json_int_t)policy_diff_count(diff, false), "truncated", diff->truncated,
			 "changes", list);
}

static int read_item(const json_t *json, struct policy_diff_item *item)
{
	int r = need_text(json, "src", &item->src);

	if (r == 0)
		r = need_text(json, "dst", &item->dst);
	if (r == 0)
		r = need_text(json, "what", &item->what);
	if (r == 0)
		r = need_text(json, "text", &item->text);
	item->gained = is_text(json, "change", "gained");
	item->ssh = is_text(json, "kind", "login");
	item->n_src = take_number(json, "src_nodes");
	item->n_dst = take_number(json, "dst_nodes");
	item->line = take_place(json, "line");
	return r;
}

int policy_diff_from_json(const json_t *json, struct policy_diff **ret_diff)
{
	_cleanup_(policy_diff_freep) struct policy_diff *diff = calloc(1, sizeof(*diff));
	const json_t *changes = json_object_get(json, "changes"), *item;
	size_t i;

	if (!json_is_array(changes))
		return -EINVAL;
	if (diff)
		diff->items = calloc(json_array_size(changes) + 1, sizeof(*diff->items));
	if (!diff || !diff->items)
		return -ENOMEM;
	diff->truncated = json_is_true(json_object_get(json, "truncated"));
	json_array_foreach (changes, i, item) {
		int r = read_item(item, &diff->items[diff->n_items++]);

		if (r < 0)
			return r;
	}
	*ret_diff = take_ptr(diff);
	return 0;
}

/* ---- explanations ---- */

static const char *const verdicts[] = {
	[POLICY_DENIED] = "denied",
	[POLICY_ALLOWED] = "allowed",
	[POLICY_CHECK] = "check",
};

const char *policy_verdict_to_string(enum policy_verdict verdict)
{
	return verdicts[verdict];
}

static json_t *finding_json(const struct policy_finding *finding)
{
	json_t *place = finding->line > 0 ? json_integer(finding->line) : NULL;
	json_t *column = finding->line > 0 ? json_integer(finding->column) : NULL;

	return json_pack("{s:s, s:s*, s:o*, s:o*, s:s*, s:s*, s:s, s:I, s:s, s:s}", "verdict",
			 verdicts[finding->verdict], "origin", finding->origin, "line", place,
			 "column", column, "src_entry", finding->src_entry, "dst_entry",
			 finding->dst_entry, "why", finding->why, "pairs",
			 (json_int_t)finding->n_pairs, "src", finding->src_name, "dst",
			 finding->dst_name);
}

json_t *policy_explanation_json(const struct policy_explanation *explanation)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < explanation->n_findings; i++)
		if (json_array_append_new(list, finding_json(&explanation->findings[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* An unknown verdict denies. */
static enum policy_verdict read_verdict(const json_t *json)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (is_text(json, "verdict", verdicts[i]))
			return (enum policy_verdict)i;
	return POLICY_DENIED;
}

static int read_finding(const json_t *json, struct policy_finding *finding)
{
	int r = need_text(json, "why", &finding->why);

	if (r == 0)
		r = need_text(json, "src", &finding->src_name);
	if (r == 0)
		r = need_text(json, "dst", &finding->dst_name);
	if (r == 0)
		r = take_text(json, "origin", &finding->origin);
	if (r == 0)
		r = take_text(json, "src_entry", &finding->src_entry);
	if (r == 0)
		r = take_text(json, "dst_entry", &finding->dst_entry);
	finding->verdict = read_verdict(json);
	finding->line = take_place(json, "line");
	finding->column = take_place(json, "column");
	finding->n_pairs = take_number(json, "pairs");
	return r;
}

int policy_explanation_from_json(const json_t *list, struct policy_explanation **ret_explanation)
{
	_cleanup_(policy_explanation_freep) struct policy_explanation *explanation = NULL;
	const json_t *item;
	size_t i;

	if (!json_is_array(list))
		return -EINVAL;
	explanation = calloc(1, sizeof(*explanation));
	if (explanation)
		explanation->findings =
			calloc(json_array_size(list) + 1, sizeof(*explanation->findings));
	if (!explanation || !explanation->findings)
		return -ENOMEM;
	json_array_foreach (list, i, item) {
		int r = read_finding(item, &explanation->findings[explanation->n_findings++]);

		if (r < 0)
			return r;
	}
	*ret_explanation = take_ptr(explanation);
	return 0;
}
