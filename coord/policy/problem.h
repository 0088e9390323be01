/* Collecting what is wrong with a policy. */
#pragma once

#include "common/cleanup.h"
#include "coord/policy/policy.h"

struct place {
	unsigned line, column;
};

/*
 * Add one. The text is made fit for a terminal; beyond the limit it is only counted.
 * Return: -EINVAL for an error, 0 for a warning, -ENOMEM.
 */
int problem_error(struct policy_problems *problems, struct place at, const char *fmt, ...)
	_printf_(3, 4);
int problem_warn(struct policy_problems *problems, struct place at, const char *fmt, ...)
	_printf_(3, 4);
void problems_sort(struct policy_problems *problems);
