/* What is wrong with a map that is valid all the same: rights that do not fit together. */
#pragma once

#include <jansson.h>

#include "agent/netmap/netmap.h"

/*
 * [{code, message}] as Status has them, of the map alone, as of one that comes from a file. The
 * caller's; NULL: no memory. Pure.
 */
json_t *map_warnings(const struct netmap *map, uint64_t now_usec);

/* Add one. Return: 0, -ENOMEM. */
int warning_add(json_t *warnings, const char *code, const char *fmt, ...) _printf_(3, 4);
