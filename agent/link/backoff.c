#include "agent/link/backoff.h"

#include <stddef.h>

#include "common/text.h"

uint64_t link_backoff(unsigned failures, uint64_t retry_after_usec, uint64_t random)
{
	uint64_t bound = LINK_BACKOFF_FIRST_USEC;

	for (unsigned i = 1; i < failures && bound < LINK_BACKOFF_LONGEST_USEC; i++)
		bound *= 2;
	if (bound > LINK_BACKOFF_LONGEST_USEC)
		bound = LINK_BACKOFF_LONGEST_USEC;
	if (retry_after_usec > LINK_RETRY_AFTER_MAX_USEC)
		retry_after_usec = LINK_RETRY_AFTER_MAX_USEC;
	return retry_after_usec + random % (bound + 1);
}

uint64_t link_retry_after(const char *text)
{
	uint64_t seconds;

	if (!text || parse_u64(text, UINT32_MAX, &seconds) < 0)
		return 0;
	return seconds * 1000000u > LINK_RETRY_AFTER_MAX_USEC ? LINK_RETRY_AFTER_MAX_USEC
							      : seconds * 1000000u;
}
