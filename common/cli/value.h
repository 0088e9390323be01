/* Reading JSON for display: what is missing or of another type is "-" or 0. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/cleanup.h"

/* The member's text; "-" when there is none. Borrowed, and not fit for a terminal yet. */
const char *value_text(const json_t *object, const char *key);
/* The member's number; 0 when there is none or it is negative. */
uint64_t value_number(const json_t *object, const char *key);
/*
 * "a, b, c and 4 more" of an array of texts, at most max of them; "-" when it is empty. Fit for a
 * terminal. The caller frees; NULL when out of memory.
 */
char *value_list(const json_t *array, size_t max);
/* Fit for a terminal. The caller frees; NULL when out of memory. */
char *value_shown(const json_t *object, const char *key);
