#include "coord/policy/grow.h"

#include <errno.h>
#include <stdlib.h>

int grow_array(void **items, size_t item_size, size_t need, size_t *size)
{
	size_t want = *size ? *size : 4;
	void *p;

	if (need <= *size)
		return 0;
	while (want < need)
		want *= 2;
	p = reallocarray(*items, want, item_size);
	if (!p)
		return -ENOMEM;
	*items = p;
	*size = want;
	return 0;
}
