/* Durations as policies write them: "90m", "1h30m", "1.5h", "-1m". */
#pragma once

#include <stdint.h>

#include "coord/policy/read.h"

/* Return: 0, -EINVAL, -ERANGE. */
int duration_parse(const char *text, int64_t *ret_usec);
/* A duration above zero, of at most max_usec. Absent leaves *target. */
void duration_read(struct reader *rd, const struct hujson_value *v, const char *what,
		   uint64_t max_usec, uint64_t *target);
