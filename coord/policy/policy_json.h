/*
 * What the compiler finds, as JSON, and back: the coordinator writes it, coordctl reads it.
 *
 * X_json(): NULL when out of memory. X_from_json(): Return: 0; -EINVAL: it is not what X_json()
 * writes, as far as that matters; -ENOMEM.
 */
#pragma once

#include <jansson.h>

#include "coord/policy/policy.h"

/* [{"severity","line"?,"column"?,"text"}], of those that are kept. */
json_t *policy_problems_json(const struct policy_problems *problems);
/* Adds them; what was found but not kept is not known. */
int policy_problems_from_json(const json_t *list, struct policy_problems *problems);

/* {"run","failed"} */
json_t *policy_tests_json(const struct policy_test_result *tests);

/* {"gained","lost","truncated","changes":[...]} */
json_t *policy_diff_json(const struct policy_diff *diff);
int policy_diff_from_json(const json_t *json, struct policy_diff **ret_diff);
size_t policy_diff_count(const struct policy_diff *diff, bool gained);

/* [{"verdict","origin"?,...}] */
json_t *policy_explanation_json(const struct policy_explanation *explanation);
int policy_explanation_from_json(const json_t *list, struct policy_explanation **ret_explanation);
const char *policy_verdict_to_string(enum policy_verdict verdict);
