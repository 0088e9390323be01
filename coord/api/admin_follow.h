/* Events as they happen: a stream of lines. */
#pragma once

#include "coord/api/admin.h"

/*
 * Answer by a stream: the events behind `after` (an id), then what happens; NULL: only that. Takes
 * the call. Return: 0, negative errno.
 */
int admin_follow(struct admin_call *call, const char *after);
