/*
 * How many hold a thing that is made once and never changed: successive maps share what a delta
 * leaves as it was. One thread only; NULL counts a single holder.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

/* For a thing with one holder. NULL: no memory. */
static inline unsigned *refs_new(void)
{
	unsigned *refs = malloc(sizeof(*refs));

	if (refs)
		*refs = 1;
	return refs;
}

/* One more holder, of a thing whose count was made. Returns refs. */
static inline unsigned *refs_take(unsigned *refs)
{
	++*refs;
	return refs;
}

/* One holder less. True: it was the last, who frees the thing; the count is freed. */
static inline bool refs_drop(unsigned *refs)
{
	if (refs && --*refs > 0)
		return false;
	free(refs);
	return true;
}
