/* When time alone changes what a map allows. */
#pragma once

#include <stdint.h>

#include "agent/netmap/netmap.h"

/*
 * The earliest key expiry or end of an SSH rule after now (usec since 1970); UINT64_MAX: none.
 */
uint64_t netmap_next_expiry(const struct netmap *map, uint64_t now_usec);
