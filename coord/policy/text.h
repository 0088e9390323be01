/* Text that grows, and JSON written into it. What fails for want of memory is kept in "failed". */
#pragma once

#include "common/cleanup.h"
#include "coord/policy/policy.h"

void policy_text_append(struct policy_text *text, const char *data, size_t len);
void policy_text_puts(struct policy_text *text, const char *s);
void policy_text_printf(struct policy_text *text, const char *fmt, ...) _printf_(2, 3);
/* A JSON string, quotes included. */
void policy_text_string(struct policy_text *text, const char *s);
/* 0, or -ENOMEM if something is missing. */
int policy_text_result(const struct policy_text *text);
/* The text, which is the caller's now; NULL when out of memory. */
char *policy_text_take(struct policy_text *text);
