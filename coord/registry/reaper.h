/* What is due by the clock. */
#pragma once

#include "coord/registry/internal.h"

/* Begin the next thing that is due, if none is under way; the others follow by themselves. */
void reap(struct registry *registry);
/* When something will be due; UINT64_MAX: never, as far as is known. */
uint64_t reap_next(const struct registry *registry);
