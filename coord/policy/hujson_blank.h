/* HuJSON made JSON without moving a byte. */
#pragma once

#include "coord/policy/hujson.h"

/*
 * A copy of text (NUL-terminated, of the same length) in which comments and trailing commas are
 * spaces; line ends stay. Refuses what is beyond the limits. *ret_n_values is an upper bound of the
 * values in it. Return: 0, -EINVAL (one error added), -ENOMEM.
 */
int hujson_blank(const char *text, size_t len, const struct hujson_limits *limits,
		 struct policy_problems *problems, char **ret_plain, size_t *ret_n_values);
