/* Arrays that grow: capacity is doubled, the array stays as it was when memory runs out. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Make room for one more element behind the n that "array" (the address of a pointer) holds.
 * Zero-initialised arrays with *n_alloc == 0 are fine. Return: 0, -ENOMEM.
 */
static inline int array_grow(void *array, size_t *n_alloc, size_t n, size_t elem_size)
{
	size_t want = *n_alloc ? *n_alloc * 2 : 16;
	void *old, *bigger;

	if (n < *n_alloc)
		return 0;
	memcpy(&old, array, sizeof(old));
	bigger = reallocarray(old, want, elem_size);
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	*n_alloc = want;
	return 0;
}

/*
 * Give back the room behind the n elements of an array that has grown: for what stays. "array" is
 * the address of a pointer, as above.
 */
static inline void array_fit(void *array, size_t n, size_t elem_size)
{
	void *old, *smaller;

	if (n == 0)
		return;
	memcpy(&old, array, sizeof(old));
	smaller = reallocarray(old, n, elem_size);
	if (smaller)
		memcpy(array, &smaller, sizeof(smaller));
}
