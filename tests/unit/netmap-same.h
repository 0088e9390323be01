/* Do two maps say the same? Member by member: not by what either is written as. */
#pragma once

#include <stdbool.h>

#include "agent/netmap/netmap.h"

bool netmap_same(const struct netmap *a, const struct netmap *b);
