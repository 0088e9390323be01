/* Tags in bodies of requests. */
#pragma once

#include "common/json.h"

/* In any order; sorted, each once. The list was empty. A json_read_fn. */
int tags_read(const json_t *v, const struct json_at *at, void *target /* struct text_list */,
	      struct json_report *rep);
