/* How long to wait before something that failed is tried again. Pure. */
#pragma once

#include <stdint.h>

#define LINK_BACKOFF_FIRST_USEC	  500000u
#define LINK_BACKOFF_LONGEST_USEC 60000000u
/* What a server asks for, at most: whoever is in between must not put a host to sleep for good. */
#define LINK_RETRY_AFTER_MAX_USEC 300000000u

/*
 * Full jitter: anything up to a bound that doubles with each failure (1 and up), so that many who
 * lost the same server do not come back at the same time. random: 64 random bits. With a time that
 * the server asked for (0: none), that much later.
 */
uint64_t link_backoff(unsigned failures, uint64_t retry_after_usec, uint64_t random);
/* Seconds, as in Retry-After (RFC 9110, 10.2.3; the form with a date is not used). 0: no number. */
uint64_t link_retry_after(const char *text);
