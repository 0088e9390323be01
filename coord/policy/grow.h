/* Arrays that grow by doubling. */
#pragma once

#include <stddef.h>

/* Make room for at least need items. Return: 0, -ENOMEM (nothing changed). */
int grow_array(void **items, size_t item_size, size_t need, size_t *size);

#define grow(items, need, size)                                                       \
	({                                                                            \
		void *grown_ = *(items);                                              \
		int grow_r_ = grow_array(&grown_, sizeof(**(items)), (need), (size)); \
		*(items) = grown_;                                                    \
		grow_r_;                                                              \
	})
